"""Which datasets can be read, and how one is recognised from what lies in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import InputError
from .case import Dataset


@dataclass(frozen=True)
class Reader:
    """A kind of dataset.

    Its module (in this room) has two functions::

        def recognises(root: Path) -> bool     # quick: names of files and a few headers, never voxels
        def open_dataset(root: Path, **options: Any) -> Dataset

    Attributes:
        kind: as ``--kind`` on the command line.
        title: for people.
        module: in ``lungmorph.datasets``.
    """

    kind: str
    title: str
    module: str

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        return getattr(import_module(f".{self.module}", __package__), name)(*arguments, **options)

    def recognises(self, root: Path) -> bool:
        """Whether ``root`` looks like this kind."""
        return bool(self._call("recognises", root))

    def open(self, root: Path, **options: Any) -> Dataset:
        """Read names, headers and landmarks."""
        found: Dataset = self._call("open_dataset", root, **options)
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
        Reader("table", "a table of one's own", "table"),
        Reader("dicom-4d", "4D CT in DICOM", "dicom_4d"),
        Reader("folder", "a folder of pairs", "folder"),
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
    reader = READERS[_checked(kind)] if kind else _recognised(root)
    dataset = reader.open(root, **options)
    if not dataset.cases:
        raise InputError(
            root,
            expected=f"cases of {reader.title}",
            found="none",
            do=dataset.problems[0] if dataset.problems else "",
        )
    return dataset


def _checked(kind: str) -> str:
    if kind not in READERS:
        raise InputError(
            "kind of dataset", expected=f"one of {', '.join(READERS)}", found=repr(kind)
        )
    return kind


def _recognised(root: Path) -> Reader:
    for reader in READERS.values():
        if reader.recognises(root):
            return reader
    raise InputError(
        root,
        expected=f"a dataset that is known ({', '.join(READERS)})",
        found="none of their layouts",
        do="name its kind with --kind, or write a table of your pairs (see docs/datasets.md)",
    )
