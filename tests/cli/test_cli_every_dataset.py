"""``lungmorph data check`` and ``lungmorph evaluate`` on a replica of every dataset, against the truth it was made of.

DIR-Lab 4DCT and Learn2Reg have tests of their own, with more in them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.replicas import dicom_4d, dirlab, empire10, own, popi

from lungmorph.cli import main

SHIFT = np.array([3.0, -2.0, 5.0])
#: A few voxels, as large as it takes for a chest.
CHEST_WIDE = (22.0, 20.0, 25.0)


@dataclass
class Made:
    """A replica on disk: what its dataset and its case are called, and its default landmarks, LPS mm."""

    root: Path
    dataset: str
    case: str
    phases: int
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    fixed: np.ndarray | None = None
    moving: np.ndarray | None = None
    options: tuple[str, ...] = ()


def copd(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    spacing = np.array([8.0, 9.0, 10.0])
    made = dirlab.write_copd(root, 2, "copd{n}")
    inhale, exhale = (made.extremes[scan] * spacing for scan in ("inhale", "exhale"))
    given = ("--size", "x".join(map(str, dirlab.SIZE)), "--spacing", "8x9x10")
    return Made(
        root, "DIR-Lab COPDgene", "copd2", 2, dirlab.SIZE, tuple(spacing), inhale, exhale, given
    )


def empire(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    empire10.write_empire10(root, (7,))
    size = empire10.SHAPES["Fixed"][::-1]
    return Made(root, "EMPIRE10", "07", 2, size, empire10.SPACINGS["Fixed"])


def popi_model(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(popi, "SPACING", CHEST_WIDE)
    popi.write_2007(root)
    fixed, moving = (popi.points(phase, 41)[:40] for phase in (10, 60))
    return Made(root, "POPI / CREATIS", "POPI", 10, popi.SHAPE[::-1], popi.SPACING, fixed, moving)


def popi_patient(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(popi, "SPACING", CHEST_WIDE)
    corner = np.array([-250.0, -175.5, 10.0])
    popi.write_2011(root, "bl")
    fixed, moving = (popi.points(phase, 12) + corner for phase in (60, 0))
    return Made(root, "POPI / CREATIS", "bl", 10, popi.SHAPE[::-1], popi.SPACING, fixed, moving)


def four_d_lung(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    def chest(percent: float, size: Any = None) -> np.ndarray:
        return dirlab.chest(int(percent), (28, 24, 20)).astype(np.int16)

    monkeypatch.setattr(dicom_4d, "phase_hu", chest)
    spacing = (9.0, 10.0, 11.0)
    monkeypatch.setattr(dicom_4d, "write_scan", partial(dicom_4d.write_scan, spacing=spacing))
    dicom_4d.tcia_4d_lung(root)
    return Made(root, "4D CT in DICOM", "100-HM10395", 10, (28, 24, 20), spacing)


def own_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    fixed = own.in_lungs(20)
    for scan in ("inhale", "exhale"):
        own.write(root / "anna" / f"{scan}.nii.gz", own.chest())
    own.write_pairs(root / "anna" / "landmarks.csv", fixed, fixed + SHIFT + [1.0, 0.0, 0.0])
    table = root / "cases.csv"
    table.write_text(
        "id,fixed,moving,landmarks\nanna,anna/inhale.nii.gz,anna/exhale.nii.gz,anna/landmarks.csv\n"
    )
    moving = fixed + SHIFT + [1.0, 0.0, 0.0]
    return Made(
        table, "a table of one's own", "anna", 2, own.CHEST.size, own.CHEST.spacing, fixed, moving
    )


@pytest.mark.parametrize("write", [copd, empire, popi_model, popi_patient, four_d_lung, own_folder])
def test_checked_and_evaluated_to_the_truth(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stand_in: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    write: Callable[[Path, pytest.MonkeyPatch], Made],
) -> None:
    monkeypatch.setenv("LUNGMORPH_CACHE", str(tmp_path / "cache"))
    stand_in["shift"] = SHIFT
    made = write(tmp_path / "data", monkeypatch)

    with pytest.raises(SystemExit):
        main(["data", "check", str(made.root), *made.options, "--json"])
    checked = json.loads(capsys.readouterr().out)
    assert checked["dataset"] == made.dataset
    (case,) = checked["cases"]
    assert (case["id"], len(case["phases"])) == (made.case, made.phases)
    assert tuple(case["phases"][0]["size"]) == made.size
    np.testing.assert_allclose(case["phases"][0]["spacing"], made.spacing, atol=1e-4)
    if made.fixed is not None:
        before = np.linalg.norm(made.fixed - made.moving, axis=1)
        assert case["landmarks"] == len(before)
        assert case["lde_before"]["mean"] == pytest.approx(before.mean(), abs=2e-3)
        assert case["lde_before"]["sd"] == pytest.approx(before.std(), abs=2e-3)

    with pytest.raises(SystemExit):
        main(["evaluate", str(made.root), *made.options, "-o", str(tmp_path / "out"), "--json"])
    (record,) = json.loads(capsys.readouterr().out)["records"]
    assert (record["case"], record["status"]) == (made.case, "done")
    marks = record["judged"]["landmarks"]
    if made.fixed is None:
        assert marks is None
    else:
        after = np.linalg.norm(made.fixed + SHIFT - made.moving, axis=1)
        for when, errors in (("before", before), ("after", after)):
            assert marks[when]["continuous"]["mean"] == pytest.approx(errors.mean(), abs=2e-3)
            assert marks[when]["continuous"]["max"] == pytest.approx(errors.max(), abs=2e-3)
