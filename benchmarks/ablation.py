"""What each choice of the refinement is worth: the same registrations with one thing changed.

    python benchmarks/ablation.py --work ablation [--only default,one-weight] [--cases dev-5,dev-9] [--save ablation/table.md]
    python benchmarks/ablation.py --work ablation --split collapsed --only default,network,search,looked,pre-alignment

Mean landmark error in mm, and that of the landmarks that move far. The development cases may be looked at while LungMorph is
being changed; what is reported elsewhere is measured on others. What is there is not measured again.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from cases import write_dataset
from lungmorph.files import read_landmark_pairs, replacing
from lungmorph.registration import register
from lungmorph.registration.presets import PRESETS, Preset
from lungmorph.registration.scale import Scale
from recipes import SPLITS

DEFAULT = PRESETS["default"]
#: Of a variant, by case.
Row = dict[str, dict[str, Any]]


def fine(**changes: object) -> Preset:
    """The default with the two fine scales changed."""
    return each(lambda scale: replace(scale, **changes) if scale.bending is None else scale)  # type: ignore[arg-type]


def each(change: Callable[[Scale], Scale]) -> Preset:
    """The default with all scales changed."""
    return replace(DEFAULT, scales=tuple(map(change, DEFAULT.scales)))


#: By name: what it is, the preset, and levels of the network (None: all).
VARIANTS: dict[str, tuple[str, Preset, int | None]] = {
    "default": ("as it is", DEFAULT, None),
    "accurate": ("there and back, averaged", PRESETS["accurate"], None),
    "weight-3": ("one weight for all pairs and places, 3 mm²", fine(bending=3.0), None),
    "weight-10": ("one weight for all pairs and places, 10 mm²", fine(bending=10.0), None),
    "weight-30": ("one weight for all pairs and places, 30 mm²", fine(bending=30.0), None),
    "control-6": ("control points of the finest scale at 6 mm", fine(control=6.0), None),
    "steps": ("twice the steps", each(lambda s: replace(s, steps=2 * s.steps)), None),
    "windows": ("windows half as wide again", each(lambda s: replace(s, window=1.5 * s.window)), None),
    "fine-windows": ("windows of the fine scales half as wide again", replace(DEFAULT, scales=tuple(replace(s, window=1.5 * s.window) if s.bending is None else s for s in DEFAULT.scales)), None),
    "finer": ("one more lattice, 1 mm", replace(DEFAULT, scales=(*DEFAULT.scales, Scale(1.0, 8.0, 3.0, None, 3, cubic=True))), None),
    "linear": ("linear look-ups at all scales", each(lambda s: replace(s, cubic=False)), None),
    "cubic-last": ("cubic ones at the last scale alone", replace(DEFAULT, scales=(*(replace(s, cubic=False) for s in DEFAULT.scales[:-1]), DEFAULT.scales[-1])), None),
    "coarser": ("without the finest lattice", replace(DEFAULT, scales=DEFAULT.scales[:-1]), None),
    "no-network": ("without the network", DEFAULT, 0),
    "network": ("from the network's answer alone", replace(DEFAULT, starts=("network",)), None),
    "search": ("from a look around the pre-alignment alone", replace(DEFAULT, starts=("search",)), 0),
    "pre-alignment": ("from the affine pre-alignment alone", replace(DEFAULT, starts=("pre-alignment",)), 0),
    "looked": ("from a look around the network's answer alone", replace(DEFAULT, starts=("search",)), None),
}  # fmt: skip


#: A landmark that moves by more than this moves far, mm.
FAR_MM = 15.0


def landmark_errors(case: Path, name: str) -> dict[str, Any]:
    """Mean error at the landmarks of a case, and at those that move far, mm; seconds of the refinement."""
    _, PRESETS[name], levels = VARIANTS[name]
    found = register(case / "fixed.nii.gz", case / "moving.nii.gz", preset=name, levels=levels)
    fixed, moving = read_landmark_pairs(case / "landmarks.csv")
    error = found.transform.apply(fixed).distance_to(moving)
    far = np.linalg.norm(fixed.points - moving.points, axis=1) > FAR_MM
    return {
        "mean": float(error.mean()),
        "far": float(error[far].mean()) if far.any() else None,
        "seconds": found.seconds["refine"],
    }


def table(found: dict[str, Row], cases: Sequence[str], command: str) -> str:
    """A row a variant, a column a case; the last three are means over cases."""
    lines = [
        f"## What each choice of the refinement is worth, {date.today()}",
        f"`{command}`: mean landmark error, mm; far: of landmarks that move by more than {FAR_MM:g} mm; s: of the refinement.",
        "",
        "| | "
        + " | ".join([*(case.removeprefix("dev-") for case in cases), "mean", "far", "s"])
        + " |",
        "| --- |" + " ---: |" * (len(cases) + 3),
    ]
    for name, (title, _, _) in VARIANTS.items():
        row = found.get(name, {})
        if all(case in row for case in cases):
            values = [row[case]["mean"] for case in cases]
            far = [row[case]["far"] for case in cases if row[case]["far"] is not None]
            cells = [f"{value:.3f}" for value in (*values, mean(values), mean(far))]
            cells.append(f"{mean(row[case]['seconds'] for case in cases):.1f}")
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("ablation"))
    parser.add_argument("--only", type=lambda text: text.split(","), help="variants, by name")
    parser.add_argument("--split", choices=SPLITS, default="development")
    parser.add_argument(
        "--cases", type=lambda text: text.split(","), help="of the split; all if left out"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", type=Path, help="file for the table")
    given = parser.parse_args()
    if unknown := set(given.only or ()) - set(VARIANTS):
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join(VARIANTS)}")
    torch.set_num_threads(given.threads)
    folder = given.work / given.split
    with open(write_dataset(folder, given.split, only=given.cases), encoding="utf-8") as file:
        every = [row["id"] for row in csv.DictReader(file)]
    cases = given.cases or every
    kept = given.work / "ablation.json"
    found: dict[str, Row] = json.loads(kept.read_text()) if kept.exists() else {}
    for case in cases:
        for name in given.only or VARIANTS:
            row = found.setdefault(name, {})
            if case not in row:
                row[case] = landmark_errors(folder / case, name)
                print(case, name, row[case], flush=True)
                with replacing(kept) as part:
                    part.write_text(json.dumps(found, indent=1))
    command = "python benchmarks/ablation.py"
    command += f" --split {given.split}" if given.split != "development" else ""
    text = table(found, cases, command)
    print(text)
    if given.save:
        given.save.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
