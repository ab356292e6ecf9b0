"""Small pairs whose truth is a shift, as a table of one's own, and rivals that are a file of a few lines."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from lungmorph.datasets import Dataset, open_dataset
from lungmorph.evaluation.methods import Method, PairFiles

SHIFT = np.array([7.0, -4.0, 120.0])
TURN = Rotation.from_euler("xyz", [8, -6, 12], degrees=True).as_matrix()
SIZE, SPACING = (21, 19, 13), (4.0, 4.5, 7.0)


def write_case(folder: Path, seed: int = 0, landmarks: bool = True) -> dict[str, str]:
    """An oblique, anisotropic pair of odd size: the moving scan is the fixed one, shifted by ``SHIFT``."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.arange(n) for n in SIZE[::-1]), indexing="ij")
    centre = (np.array(SIZE) - 1) / 2
    inside = (
        sum(((a - c) / (0.35 * n)) ** 2 for a, c, n in zip((i, j, k), centre, SIZE, strict=True))
        < 1
    )
    ct = np.where(inside, rng.normal(-800, 60, inside.shape), rng.normal(20, 10, inside.shape))
    origin = np.array([-30.0, 12.0, -200.0])
    names = {}
    for side, shift in (("fixed", 0.0), ("moving", SHIFT)):
        for what, values in (("", ct.round().astype(np.int16)), ("_mask", inside.astype(np.uint8))):
            image = sitk.GetImageFromArray(values)
            image.SetSpacing(SPACING)
            image.SetOrigin((origin + shift).tolist())
            image.SetDirection(TURN.ravel().tolist())
            names[f"{side}{what}"] = f"{folder.name}/{side}{what}.nii.gz"
            sitk.WriteImage(image, str(folder.parent / names[f"{side}{what}"]))
    if landmarks:
        index = np.argwhere(inside)[::40, ::-1] * np.array(SPACING)
        points = origin + index @ TURN.T
        rows = np.hstack([points, points + SHIFT])
        names["landmarks"] = f"{folder.name}/landmarks.csv"
        head = "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z"
        np.savetxt(folder / "landmarks.csv", rows, delimiter=",", header=head, comments="")
    return names


def write_table(folder: Path, ids: str, **columns: dict[str, str]) -> Path:
    """A table with the cases ``ids``; ``columns`` changes cells of a case by its id."""
    head = ("id", "patient", "group", "split", "fixed", "moving", "fixed_mask", "moving_mask", "landmarks")  # fmt: skip
    rows = []
    for number, name in enumerate(ids.split()):
        cells = {
            "id": name,
            "patient": name,
            "group": "deep" if number else "quiet",
            "split": "test",
        }
        cells |= write_case(folder / name, seed=number)
        rows.append({**cells, **columns.get(name, {})})
    table = folder / "dataset.csv"
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, head)
        writer.writeheader()
        writer.writerows(rows)
    return table


def dataset(folder: Path, ids: str = "a b", **columns: dict[str, str]) -> Dataset:
    return open_dataset(write_table(folder, ids, **columns))


def write_rival(path: Path, body: str = "", constants: str = "") -> str:
    """A rival that finds no motion beyond the start, and writes down each time that it is run.

    The grid of its field is another than that of the fixed image: world-aligned, around it.
    """
    path.write_text(
        f"""
import numpy as np, SimpleITK as sitk
{constants}
def register(pair):
    with open({str(path.with_suffix(".calls"))!r}, "a") as stream:
        stream.write("called\\n")
    {body or "pass"}
    low = np.array(pair.fixed.TransformContinuousIndexToPhysicalPoint([10.0, 9.0, 6.0])) - 150
    field = sitk.GetImageFromArray(np.zeros((31, 31, 31, 3)), isVector=True)
    field.SetOrigin(low.tolist())
    field.SetSpacing((10.0, 10.0, 10.0))
    return field
"""
    )
    return str(path)


def calls(rival: str) -> int:
    """How often a rival of :func:`write_rival` was run."""
    path = Path(rival).with_suffix(".calls")
    return len(path.read_text().splitlines()) if path.exists() else 0


@dataclass(frozen=True)
class Shift(Method):
    """Stands in for LungMorph: a process that writes the same shift for every pair, in no time."""

    own = True

    def command(self, pair: PairFiles, out: Path, threads: int) -> list[str]:
        sign = 1 if pair.fixed.name.startswith("fixed") else -1
        shift = [str(sign * value) for value in self.settings["shift"]]
        return [sys.executable, "-c", WRITE_SHIFT, str(out), *shift]

    def transform(self, out: Path) -> Path:
        return out / "transform.tfm"

    def steps(self, out: Path) -> dict[str, float]:
        return {"refine": 0.5}


WRITE_SHIFT = """
import os, sys
import SimpleITK as sitk
os.makedirs(sys.argv[1])
shift = sitk.TranslationTransform(3, [float(v) for v in sys.argv[2:]])
sitk.WriteTransform(shift, sys.argv[1] + "/transform.tfm")
"""


def shifting(shift: Sequence[float], name: str = "lungmorph-default") -> Shift:
    """A method that shifts fixed to moving by so many mm, LPS."""
    return Shift(name, name.capitalize(), {"shift": [float(v) for v in shift]}, {"lungmorph": "0"})
