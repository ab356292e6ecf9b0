"""How the kind of a dataset is found, and that one reader does not get in the way of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lungmorph.datasets import READERS, folder, open_dataset
from lungmorph.datasets.case import natural_order
from lungmorph.errors import InputError
from lungmorph.space import Grid
from replicas.dirlab import ARCHIVE_1, write_4dct
from replicas.empire10 import write_empire10
from replicas.own import write


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    grid = Grid((4, 5, 6))
    for name in ("fixed", "moving"):
        write(tmp_path / "p" / f"{name}.nii.gz", np.zeros(grid.shape, np.int16), grid)
    return tmp_path


def test_every_reader_has_its_two_functions() -> None:
    for reader in READERS.values():
        reader.options()
        assert callable(reader._function("recognises"))


def test_no_reader_takes_a_folder_of_pairs_or_an_empty_one_for_its_own(
    pair: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for kind, reader in READERS.items():
        assert reader.recognises(pair) == (kind == "folder"), kind
        assert not reader.recognises(tmp_path / "empty"), kind


def test_a_reader_that_fails_to_look_does_not_stop_the_next(
    pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(root: Path) -> bool:
        raise RuntimeError("a defect")

    monkeypatch.setattr("lungmorph.datasets.table.recognises", broken)
    assert open_dataset(pair).kind == "folder"
    monkeypatch.setattr(folder, "recognises", broken)
    with pytest.raises(InputError, match=r"could not look for .*folder \(a defect\)"):
        open_dataset(pair)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("gone",), {}, "expected a dataset, found nothing there"),
        (("", "dir-lab"), {}, "expected one of dirlab-4dct, .*, found 'dir-lab'"),
        (("", "learn2rg"), {}, "found 'learn2rg'; is it learn2reg\\?"),
        (("", "table"), {"pattern": "{scan}"}, "kind table: expected no option, found pattern"),
        (("", "folder"), {"size": (1, 2, 3)}, "expected the options pattern, found size"),
        (("",), {"colour": 3}, "expected options of one kind of dataset .*, found colour"),
        (
            ("",),
            {"size": (1, 2, 3), "spacing": (1, 1, 1)},
            r"known \(dirlab-4dct, dirlab-copd\) and takes size, spacing, found none",
        ),
    ],
)
def test_what_cannot_be_opened(
    pair: Path, arguments: tuple[str, ...], options: dict[str, object], said: str
) -> None:
    root, *kind = arguments
    with pytest.raises(InputError, match=said):
        open_dataset(pair / root, *kind, **options)


def test_another_dataset_below_the_same_folder_is_not_left_aside_in_silence(tmp_path: Path) -> None:
    write_empire10(tmp_path / "EMPIRE10", (1,))
    assert open_dataset(tmp_path).notes == ()
    write_4dct(tmp_path / "4DCT", 1, ARCHIVE_1)
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "dirlab-4dct"
    (note,) = dataset.notes
    assert "files of EMPIRE10 lie there too and are left aside; --kind empire10" in note
    assert open_dataset(tmp_path, "empire10").notes == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LungCT.zip", "unpack LungCT.zip"),
        ("manifest-1.tcia", "download what manifest-1.tcia lists"),
        ("pairs.xlsx", "save pairs.xlsx as CSV"),
        ("LungCT_dataset.json", "give the folder that it lies in"),
    ],
)
def test_what_is_no_dataset_yet_says_what_to_do(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=said):
        open_dataset(tmp_path / name)
    if name in ("LungCT.zip", "manifest-1.tcia"):
        with pytest.raises(InputError, match=said):
            open_dataset(tmp_path)


def test_an_option_of_yes_and_no_takes_nothing_else(tmp_path: Path) -> None:
    for said in ("maybe", "0"):
        with pytest.raises(InputError, match="option follow_up: expected yes or no, found"):
            open_dataset(tmp_path, "dicom-4d", follow_up=said)
    with pytest.raises(InputError, match="no: expected a folder of landmarks"):
        open_dataset(tmp_path, "empire10", landmarks="no")


def test_nothing_to_recognise(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file in it"):
        open_dataset(tmp_path)
    (tmp_path / "read.me").touch()
    with pytest.raises(InputError, match="found none of their layouts"):
        open_dataset(tmp_path)


def test_an_option_that_one_kind_has_names_the_kind(tmp_path: Path) -> None:
    grid = Grid((4, 5, 6))
    for name in ("first", "second"):  # names that say nothing
        write(tmp_path / f"{name}.nii.gz", np.zeros(grid.shape, np.int16), grid)
    with pytest.raises(InputError, match="names that say which scan is fixed"):
        open_dataset(tmp_path, pattern="{scan}.nii.gz")


def test_numbers_in_names_sort_by_value() -> None:
    names = ["case10", "case2", "Case1", "7", "10", "a", "case2b"]
    expected = ["7", "10", "a", "Case1", "case2", "case2b", "case10"]
    assert sorted(names, key=natural_order) == expected
