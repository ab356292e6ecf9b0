"""Phases of a 4D CT from the command line, in front of a stand-in for the registration."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.cli.program import call

from replicas.dicom_4d import phase_hu, philips, series, study, write_scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("4dct")
    philips(made, lambda p, k: {"TemporalPositionIdentifier": k + 1}, (0, 20, 40, 60, 80))
    return made


def test_register_two_phases_of_one_folder(folder, tmp_path, monkeypatch):
    asked: list[tuple[Any, Any, Any]] = []

    def register(fixed: Any, moving: Any, **options: Any) -> None:
        asked.append((fixed, moving, options["names"]))
        raise KeyboardInterrupt  # enough

    monkeypatch.setattr("lungmorph.registration.register", register)
    out = tmp_path / "out"
    call("register", folder, folder, "-o", out, "--phase", "0", "--moving-phase", "T60")
    ((fixed, moving, names),) = asked
    np.testing.assert_array_equal(fixed.data.numpy(), phase_hu(0))
    np.testing.assert_array_equal(moving.data.numpy(), phase_hu(60))
    assert names == (f"{folder}, phase 0", f"{folder}, phase T60")


def test_landmarks_by_index_are_of_the_phase(folder, tmp_path, monkeypatch):
    later = tmp_path / "moving"
    shared = study()
    for k, (p, z) in enumerate(((0, 0.0), (50, 100.0))):
        own = series(shared, SeriesNumber=k, SeriesDescription=f"4D {p}%")
        write_scan(later, phase_hu(p), own, origin=(0, 0, z))
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("1 2 3\n")
    asked: list[SimpleNamespace] = []

    def register(*_: Any, **options: Any) -> None:
        asked.append(SimpleNamespace(**options))
        raise KeyboardInterrupt

    monkeypatch.setattr("lungmorph.registration.register", register)
    marks = ("--landmarks", tmp_path / "a.txt", "--landmarks", tmp_path / "b.txt")
    phases = ("--phase", "0", "--moving-phase", "50")
    call("register", folder, later, "-o", tmp_path / "o", *phases, *marks, "--first-index", "0")
    moving = asked[0].landmarks[1].points
    np.testing.assert_allclose(moving, [[0.9, 2.2, 107.5]])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("phases 0 %, 20 %, 40 %, 60 %, 80 %", "--phase and --moving-phase")),
        (("--phase", "0"), ("phases 0 %, 20 %, 40 %, 60 %, 80 %", "--moving-phase")),
        (("--phase", "50", "--moving-phase", "0"), ("a phase '50', found 0 %, 20 %",)),
        (("--phase", "0", "--series", "no such"), ("one 4D CT that matches 'no such'",)),
    ],
)
def test_what_is_missing_is_one_line(folder, tmp_path, capfd, options, words):
    assert call("register", folder, folder, "-o", tmp_path / "out", *options) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    assert not (tmp_path / "out").exists()
