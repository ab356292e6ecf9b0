"""Time, memory and accuracy of LungMorph and of other tools, side by side in one run.

    python benchmarks/speed.py                                      # all cases, all tools found
    python benchmarks/speed.py --cases small --tools fast,greedy
    python benchmarks/speed.py --rivals-python other/bin/python --repeats 3 --save benchmarks/results.md

Every tool runs as a process of its own, one at a time. All results, LungMorph's included, are scored
by the same few lines here with SimpleITK and numpy, from the transform file that the tool left behind.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import SimpleITK as sitk
from rich.console import Console
from rich.table import Table

from cases import CASES, MissingDataError, landmarks, prepared
from rivals import TOOLS, last_line, run, timed

PRESETS = ("fast", "default", "accurate")


@dataclass
class Row:
    """One tool on one case. Times are medians over the repeats; the rest is of the last run."""

    case: str
    tool: str
    seconds: list[float] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)
    peak_mb: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    message: str = ""


# ---------------------------------------------------------------- running


def measure(case: str, tool: str, folder: Path, work: Path, options: argparse.Namespace) -> Row:
    """Run a tool `--repeats` times on a case and score the last result."""
    row = Row(case, tool)
    result: Path | None = None
    for _ in range(max(1, options.repeats)):
        result = _once(row, tool, folder, work / "results" / case / tool, options)
        if result is None:
            return row
    assert result is not None
    row.scores = score(folder, result)
    if options.backward and case == "real":
        swapped = Row(case, tool)
        back = _once(swapped, tool, folder, work / "results" / case / f"{tool}_back", options, True)
        if back is not None:
            row.scores["consistency"] = there_and_back(folder, result, back)
    return row


def _once(
    row: Row, tool: str, folder: Path, out: Path, options: argparse.Namespace, swap: bool = False
) -> Path | None:
    """One run: the transform file it wrote, or None with the reason in `row.message`."""
    first, second = ("moving", "fixed") if swap else ("fixed", "moving")
    shutil.rmtree(out, ignore_errors=True)
    if tool not in PRESETS:
        outcome = run(
            tool,
            folder / f"{first}.nii.gz",
            folder / f"{second}.nii.gz",
            folder / f"{first}_mask.nii.gz",
            folder / f"{second}_mask.nii.gz",
            out,
            threads=options.threads,
            python=options.rivals_python,
        )
        row.message = outcome.message
        if outcome.displacement is None:
            return None
        row.seconds.append(outcome.seconds)
        row.peak_mb = max(row.peak_mb, outcome.peak_mb)
        return outcome.displacement
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_name(f"{out.name}.log")
    program = str(Path(sys.executable).parent / "lungmorph")
    command = [
        program,
        "register",
        str(folder / f"{first}.nii.gz"),
        str(folder / f"{second}.nii.gz"),
    ]
    command += ["-o", str(out), "--preset", tool, "--threads", str(options.threads), "--json"]
    if options.masks:
        command += ["--fixed-mask", str(folder / f"{first}_mask.nii.gz")]
        command += ["--moving-mask", str(folder / f"{second}_mask.nii.gz")]
    command += shlex.split(options.register_options)
    code, seconds, peak_mb = timed(command, log, threads=options.threads)
    if code != 0:
        row.message = f"failed with code {code}: {last_line(log)} ({log})"
        return None
    row.seconds.append(seconds)
    row.peak_mb = max(row.peak_mb, peak_mb)
    row.steps = json.loads((out / "metrics.json").read_text()).get("seconds", {})
    return out / "transform.h5"


# ---------------------------------------------------------------- scoring


def score(folder: Path, transform_path: Path) -> dict[str, float]:
    """Landmark error (mm), folded share of the fixed lung (%), lung Dice, of a fixed -> moving transform."""
    fixed_mask = sitk.ReadImage(str(folder / "fixed_mask.nii.gz")) > 0
    moving_mask = sitk.ReadImage(str(folder / "moving_mask.nii.gz")) > 0
    transform = read_transform(transform_path)
    lung = sitk.GetArrayFromImage(fixed_mask) > 0
    moved = sitk.Resample(moving_mask, fixed_mask, transform, sitk.sitkNearestNeighbor, 0)
    moved_lung = sitk.GetArrayFromImage(moved) > 0
    determinant = sitk.GetArrayFromImage(
        sitk.DisplacementFieldJacobianDeterminant(_field(transform, fixed_mask))
    )
    found = {
        "dice": 2 * float((lung & moved_lung).sum()) / float(lung.sum() + moved_lung.sum()),
        "folded": 100 * float((determinant[lung] <= 0).mean()),
    }
    points = landmarks(folder)
    if points is not None:
        error = np.linalg.norm(_moved(transform, points[0]) - points[1], axis=1)
        found |= {
            "before": float(np.linalg.norm(points[0] - points[1], axis=1).mean()),
            "mean": float(error.mean()),
            "median": float(np.median(error)),
            "p95": float(np.percentile(error, 95)),
        }
    return found


def there_and_back(folder: Path, forward: Path, backward: Path, count: int = 20000) -> float:
    """Mean distance in mm by which lung points miss themselves after both registrations."""
    mask = sitk.ReadImage(str(folder / "fixed_mask.nii.gz"))
    index = np.argwhere(sitk.GetArrayFromImage(mask) > 0)[:, ::-1]
    index = index[:: max(1, len(index) // count)]
    points = np.array([mask.TransformIndexToPhysicalPoint(i.tolist()) for i in index])
    there = _moved(read_transform(forward), points)
    back = _moved(read_transform(backward), there)
    # A field ends with its image: points that left it are not counted.
    moving = sitk.ReadImage(str(folder / "moving_mask.nii.gz"))
    size = np.array(moving.GetSize())
    at = np.array([moving.TransformPhysicalPointToContinuousIndex(p.tolist()) for p in there])
    inside = ((at >= 0) & (at <= size - 1)).all(axis=1)
    return float(np.linalg.norm(back - points, axis=1)[inside].mean())


def read_transform(path: Path) -> sitk.Transform:
    if path.suffix in (".h5", ".tfm"):
        return sitk.ReadTransform(str(path))
    return sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))


def _field(transform: sitk.Transform, grid: sitk.Image) -> sitk.Image:
    place = (grid.GetSize(), grid.GetOrigin(), grid.GetSpacing(), grid.GetDirection())
    image = sitk.TransformToDisplacementField(transform, sitk.sitkVectorFloat64, *place)
    # The determinant filter differentiates along the index axes: turn the vectors to them.
    turn = np.array(grid.GetDirection()).reshape(3, 3)
    vectors = sitk.GetArrayFromImage(image) @ turn
    turned = sitk.GetImageFromArray(vectors, isVector=True)
    turned.SetSpacing(grid.GetSpacing())
    return turned


def _moved(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    return np.array([transform.TransformPoint(p.tolist()) for p in points])


# ---------------------------------------------------------------- showing

COLUMNS = ("case", "tool", "s", "peak MB", "mean", "median", "p95", "folded %", "Dice", "both ways")
LEGEND = (
    "s: whole process; mean, median, p95: landmark error in mm; folded: share of the fixed lung; "
    "Dice: lungs; both ways: mean mm by which a point misses itself after registering there and back"
)


def cells(row: Row) -> list[str]:
    """The row as text, `-` where there is nothing."""

    def number(key: str, digits: int) -> str:
        return f"{row.scores[key]:.{digits}f}" if key in row.scores else "-"

    if not row.scores:
        return [row.case, row.tool, row.message.partition(" ")[0].strip(":"), *["-"] * 7]
    errors = [number(key, 2) for key in ("mean", "median", "p95")]
    rest = [number("folded", 4), number("dice", 4), number("consistency", 2)]
    return [row.case, row.tool, f"{median(row.seconds):.1f}", f"{row.peak_mb:.0f}", *errors, *rest]


def steps(row: Row) -> str:
    """Seconds of each step, in the order in which they were done."""
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in row.steps.items())


def before(rows: list[Row], case: str) -> str:
    """`, 7.49 mm before` where landmarks tell."""
    found = [r.scores["before"] for r in rows if r.case == case and "before" in r.scores]
    return f", {found[0]:.2f} mm before" if found else ""


def show(rows: list[Row], console: Console) -> None:
    """The tables on the terminal."""
    table = Table(caption=LEGEND)
    for name in COLUMNS:
        table.add_column(
            name, no_wrap=True, justify="left" if name in ("case", "tool") else "right"
        )
    for row in rows:
        table.add_row(*cells(row))
    console.print(table)
    if any(row.steps for row in rows):
        table = Table("case", "tool", "seconds of each step")
        for row in rows:
            if row.steps:
                table.add_row(row.case, row.tool, steps(row))
        console.print(table)


def markdown(rows: list[Row], options: argparse.Namespace) -> str:
    """A dated section with the tables, what ran them, and what the cases are."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines = [
        f"## {datetime.date.today().isoformat()}",
        "",
        f"{platform.system()}, {platform.machine()}, {cores} cores, {options.threads} threads, "
        f"no GPU; median of {options.repeats}. {LEGEND}.",
        "",
    ]
    for name in dict.fromkeys(row.case for row in rows):
        lines.append(f"- `{name}`: {CASES[name].title}{before(rows, name)}")
    lines += ["", "| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    timed_rows = [row for row in rows if row.steps]
    if timed_rows:
        lines += ["", "| case | tool | seconds of each step |", "| --- | --- | --- |"]
        lines += [f"| {row.case} | {row.tool} | {steps(row)} |" for row in timed_rows]
    return "\n".join(lines) + "\n\n"


def chosen(given: str, known: tuple[str, ...], what: str) -> list[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no {what} called {', '.join(unknown)}; there are: {', '.join(known)}")
    return names


def main() -> None:
    tools = (*PRESETS, *TOOLS)
    usual = [name for name in CASES if name != "small"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(usual), help=f"of: {', '.join(CASES)}")
    parser.add_argument("--tools", default=",".join(tools), help=f"of: {', '.join(tools)}")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", default="benchmark_work", help="folder for cases and results")
    parser.add_argument("--rivals-python", default=sys.executable, help="interpreter of the rivals")
    parser.add_argument("--masks", action="store_true", help="give LungMorph the lung masks too")
    parser.add_argument("--register-options", default="", help="more for `lungmorph register`")
    parser.add_argument("--no-backward", dest="backward", action="store_false")
    parser.add_argument("--save", help="Markdown file to which the dated table is added")
    options = parser.parse_args()
    names = chosen(options.cases, tuple(CASES), "case")
    picked = chosen(options.tools, tools, "tool")
    console, work = Console(), Path(options.work).resolve()
    if not console.is_terminal:
        console = Console(width=120)
    rows: list[Row] = []
    for name in names:
        try:
            with console.status(f"{name}: preparing"):
                folder = prepared(name, work)
        except MissingDataError as missing:
            console.print(f"{name}: skipped, {missing}")
            continue
        for tool in picked:
            with console.status(f"{name}: {tool}"):
                rows.append(measure(name, tool, folder, work, options))
            if rows[-1].message:
                console.print(f"{name}: {tool} {rows[-1].message}", highlight=False, markup=False)
    show(rows, console)
    if options.save:
        with open(options.save, "a", encoding="utf-8") as stream:
            stream.write(markdown(rows, options))
        console.print(f"added to {options.save}")


if __name__ == "__main__":
    main()
