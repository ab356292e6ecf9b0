"""One registration by a rival, or a look at which rivals are there. Run as a plain file, in a process of its own:

    python start.py register TOOL FIXED MOVING FIXED_MASK MOVING_MASK OUT --threads 2
    python start.py look TOOL ...

TOOL is a name of `rivals.NAMES` or a Python file. `register` writes OUT/displacement.mha: float32, mm, LPS, on the
fixed grid, fixed -> moving. `look` prints a JSON object: title, settings, version and what is missing of each tool.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
#: this folder as a package, by a name that hides no tool: files here are called as the tools are
PACKAGE = "lungmorph_rivals"


def main() -> None:
    """See the text at the top."""
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    parser = argparse.ArgumentParser(description="A registration tool on one pair.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("look").add_argument("tools", nargs="+")
    verb = verbs.add_parser("register")
    for name in ("tool", "fixed", "moving", "fixed_mask", "moving_mask", "out"):
        verb.add_argument(name)
    verb.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    if given.verb == "look":
        print(json.dumps({tool: look(tool) for tool in given.tools}))
    else:
        files = (given.fixed, given.moving, given.fixed_mask, given.moving_mask)
        register(given.tool, files, Path(given.out), given.threads)


def register(tool: str, files: tuple[str, str, str, str], out: Path, threads: int) -> None:
    """Run a tool on a pair of files."""
    import SimpleITK as sitk

    files = tuple(str(Path(file).resolve()) for file in files)  # type: ignore[assignment]
    out.mkdir(parents=True, exist_ok=True)
    target = out.resolve() / "displacement.mha"  # a tool may change the current directory
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    adapter = _module(tool)
    with tempfile.TemporaryDirectory(prefix=f"{Path(tool).stem}_") as folder:
        pairs = _module("pair")
        pair = pairs.load(*files, Path(folder), threads)
        field = pairs.total_displacement(adapter.register(pair), pair)
        sitk.WriteImage(field, str(target))


def look(tool: str) -> dict[str, object]:
    """What is known of a tool without running it; ``missing`` is empty when it can run."""
    found: dict[str, object] = {"title": Path(tool).stem, "settings": "", "version": ""}
    file = _file(tool)
    try:
        adapter = _module(tool)
    except Exception as error:  # a file of somebody else's: anything
        traceback.print_exc()
        return {**found, "missing": f"{file.name} cannot be loaded ({_said(error)})"}
    if not callable(getattr(adapter, "register", None)):
        return {**found, "missing": f"{file.name} has no function register(pair)"}
    digest = hashlib.sha256(file.read_bytes() + (HERE / "pair.py").read_bytes()).hexdigest()
    distribution = getattr(adapter, "DISTRIBUTION", "")
    needed = [name for name in getattr(adapter, "REQUIRES", ()) if not _importable(name)]
    install = f" (pip install {distribution})" if distribution else ""
    return {
        "title": getattr(adapter, "TITLE", found["title"]),
        "settings": getattr(adapter, "SETTINGS", ""),
        "version": _version(distribution),
        "adapter": digest[:12],
        "missing": f"{', '.join(needed)} is not installed{install}" if needed else "",
    }


def _file(tool: str) -> Path:
    return Path(tool) if tool.endswith(".py") else HERE / f"{tool}.py"


def _module(tool: str) -> ModuleType:
    """A file of this folder as part of :data:`PACKAGE`, or any other file alone."""
    if PACKAGE not in sys.modules:
        _load(PACKAGE, HERE / "__init__.py", [str(HERE)])
    if tool.endswith(".py"):
        return _load(f"{PACKAGE}_own", Path(tool).resolve(), None)
    return importlib.import_module(f"{PACKAGE}.{tool}")


def _load(name: str, file: Path, inside: list[str] | None) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution) if distribution else ""
    except metadata.PackageNotFoundError:
        return ""


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    main()
