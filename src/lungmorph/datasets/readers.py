"""Which datasets can be read, and how one is recognised from what lies in a folder."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import InputError
from .case import Dataset
from .release_folders import release_folders

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reader:
    """A kind of dataset.

    Its module (in this room) has two functions::

        def recognises(root: Path) -> bool     # quick: names of files and a few headers, never voxels
        def open_dataset(root: Path, *, <options by name, with defaults>) -> Dataset

    Attributes:
        kind: as ``--kind`` on the command line.
        title: for people.
        module: in ``lungmorph.datasets``.
        general: of no one owner: fits many folders.
    """

    kind: str
    title: str
    module: str
    general: bool = False

    def _function(self, name: str) -> Any:
        return getattr(import_module(f".{self.module}", __package__), name)

    def recognises(self, root: Path) -> bool:
        """Whether ``root`` looks like this kind."""
        return bool(self._function("recognises")(root))

    def options(self) -> list[str]:
        """What its ``open_dataset`` can be told by name, beside the root."""
        return list(self._parameters())

    def _parameters(self) -> dict[str, inspect.Parameter]:
        _, *others = inspect.signature(self._function("open_dataset")).parameters.values()
        return {p.name: p for p in others if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}

    def open(self, root: Path, **options: Any) -> Dataset:
        """Read names, headers and landmarks.

        Raises:
            InputError: an option that this kind does not have, or neither yes nor no where it is one of
                these; what the reader refuses.
        """
        known = self._parameters()
        for name in options:
            if name not in known:
                raise InputError(
                    f"a dataset of kind {self.kind}",
                    expected=f"the options {', '.join(known)}" if known else "no option",
                    found=f"{name}",
                )
            if isinstance(known[name].default, bool):
                options[name] = _truth(name, options[name])
        found: Dataset = self._function("open_dataset")(root, **options)
        return found


#: In the order in which they are asked: particular layouts before general ones.
READERS = {
    reader.kind: reader
    for reader in (
        Reader("dirlab-4dct", "DIR-Lab 4DCT", "dirlab_4dct"),
        Reader("dirlab-copd", "DIR-Lab COPDgene", "dirlab_copd"),
        Reader("learn2reg", "Learn2Reg", "learn2reg"),
        Reader("empire10", "EMPIRE10", "empire10"),
        Reader("popi", "POPI / CREATIS", "popi"),
        Reader("table", "a table of one's own", "table", general=True),
        Reader("dicom-4d", "4D CT in DICOM", "dicom_4d", general=True),
        Reader("folder", "a folder of pairs", "folder", general=True),
    )
}


def open_dataset(root: str | Path, kind: str | None = None, **options: Any) -> Dataset:
    """Open a dataset without reading a voxel.

    Args:
        root: folder as its owner distributes it, or a table (``.csv``) of one's own.
        kind: key of :data:`READERS`; recognised from the files if None.
        options: of that reader.

    Raises:
        InputError: nothing there, an unknown kind, nothing recognised, or no case in it.
    """
    root = Path(root)
    if not root.exists():
        raise InputError(root, expected="a dataset", found="nothing there")
    reader = READERS[_checked(kind)] if kind else _recognised(root, options)
    dataset = reader.open(root, **options)
    if not kind:
        dataset = replace(dataset, notes=(*dataset.notes, *_beside(root, reader)))
    if not dataset.cases:
        raise InputError(
            root,
            expected=f"cases of {reader.title}",
            found="none",
            do=dataset.problems[0] if dataset.problems else "",
        )
    return dataset


def _truth(name: str, value: object) -> bool:
    said = {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
    if said is None:
        raise InputError(f"option {name}", expected="yes or no", found=repr(value))
    return said


def _has_files(root: Path) -> bool:
    return root.is_file() or any(files for _, _, files in release_folders(root))


def _checked(kind: str) -> str:
    if kind not in READERS:
        near = difflib.get_close_matches(kind.lower(), READERS, 1, 0.5)
        raise InputError(
            "kind of dataset",
            expected=f"one of {', '.join(READERS)}",
            found=repr(kind),
            do=f"is it {near[0]}?" if near else "",
        )
    return kind


def _beside(root: Path, chosen: Reader) -> list[str]:
    """A line for every other owner's dataset that lies below the same folder and is not read."""
    lines = []
    readers = list(READERS.values())
    for reader in readers[readers.index(chosen) + 1 :]:  # those before it did not know the folder
        if not reader.general:
            with suppress(Exception):  # what it stumbles on is most likely not its own
                if reader.recognises(root):
                    lines.append(
                        f"{root}: files of {reader.title} lie there too and are left aside; "
                        f"--kind {reader.kind} reads those"
                    )
    return lines


def _recognised(root: Path, options: Iterable[str]) -> Reader:
    """The first reader that has the options and knows the layout.

    One that fails while it looks is passed over: what it stumbled on is most likely not its own.
    """
    candidates, failed = [], []
    for reader in READERS.values():
        try:
            if set(options) <= set(reader.options()):
                candidates.append(reader)
                if reader.recognises(root):
                    return reader
        except Exception as error:
            log.info("%s: looking for %s failed", root, reader.title, exc_info=True)
            failed.append(f"{reader.kind} ({error})")
    if options and len(candidates) == 1:
        return candidates[0]  # an option that only one kind has names that kind
    if options and not candidates and not failed:
        raise InputError(
            root,
            expected="options of one kind of dataset (see docs/datasets.md)",
            found=", ".join(options),
        )
    raise InputError(
        root,
        expected=f"a dataset that is known ({', '.join(reader.kind for reader in candidates)})"
        + (f" and takes {', '.join(options)}" if options else ""),
        found=("none of their layouts" if _has_files(root) else "no file in it")
        + "".join(f"; could not look for {f}" for f in failed),
        do=_instead(root),
    )


#: What people give that is no dataset yet, by the end of its name, and what to do with it.
_NOT_YET = {
    (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz"): "unpack {}, and give the folder",
    (".tcia",): "download what {} lists with the NBIA Data Retriever, and give the folder",
}
_SPREADSHEETS = (".xlsx", ".xls", ".ods")


def _instead(root: Path) -> str:
    """What to do about a folder or file that is no dataset that is known."""
    names = [root.name] if root.is_file() else sorted(path.name for path in root.iterdir())
    for endings, do in _NOT_YET.items():
        if found := [name for name in names if name.lower().endswith(endings)]:
            return do.format(found[0])
    if root.suffix.lower() in _SPREADSHEETS:
        return f"save {root.name} as CSV"
    if root.is_file():
        return "give the folder that it lies in, or a table of your pairs (see docs/datasets.md)"
    return "name its kind (--kind; reader in a training config), or write a table of your pairs (see docs/datasets.md)"
