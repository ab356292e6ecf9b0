"""Lung masks that are made once: kept, found again, and made anew when they should be."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lungmorph.datasets import Scan, masks
from lungmorph.datasets.image_scan import image_scan
from lungmorph.datasets.scan_files import ages
from lungmorph.space import Grid, Volume
from replicas.dicom import write_series
from replicas.own import CHEST, chest, lung_boxes, write

KEPT_GRID = Grid((7, 5, 3), (2.5, 2.5, 2.5), (0.1, 1 / 3, -1e3 / 7))


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scan:
    """A scan for which a mask is "made" at once."""

    def made_mask(image: Volume, name: object) -> Volume:
        bits = np.random.default_rng(abs(int(image.data.sum()))).random(KEPT_GRID.shape) > 0.5
        return Volume(torch.from_numpy(bits), KEPT_GRID)

    monkeypatch.setattr(masks, "lung_mask", made_mask)
    monkeypatch.setenv("LUNGMORPH_CACHE", str(tmp_path / "cache"))
    made = image_scan("one", write(tmp_path / "one.nii.gz", chest()), [])
    assert made is not None
    return made


def unread(scan: Scan) -> Scan:
    def refuse() -> Volume:
        raise AssertionError("the scan was read")

    return replace(scan, load=refuse)


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "lungs").iterdir())


def test_a_mask_is_made_once_and_found_again_as_it_was(scan: Scan, tmp_path: Path) -> None:
    first = masks.lungs_of(scan)
    again = masks.lungs_of(unread(scan))
    assert again.grid == first.grid == KEPT_GRID  # to the last bit
    assert bool((again.data == first.data).all())
    assert again.data.dtype == first.data.dtype == torch.bool
    assert len(kept(tmp_path)) == 1


def test_the_mask_that_is_made_is_that_of_the_lungs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUNGMORPH_CACHE", str(tmp_path / "cache"))
    scan = image_scan("one", write(tmp_path / "one.nii.gz", chest()), [])
    assert scan is not None
    there = masks.lungs_of(scan).resample(CHEST).data.numpy()
    assert 2 * (there & lung_boxes()).sum() / (there.sum() + lung_boxes().sum()) > 0.9


def test_a_mask_of_the_dataset_is_taken_as_it_is(scan: Scan) -> None:
    own = Volume(torch.ones(KEPT_GRID.shape, dtype=torch.bool), KEPT_GRID)
    assert masks.lungs_of(replace(unread(scan), lungs=lambda: own)) is own


def test_another_file_or_scan_gets_another_mask(scan: Scan, tmp_path: Path) -> None:
    masks.lungs_of(scan)
    with pytest.raises(AssertionError, match="was read"):
        masks.lungs_of(unread(replace(scan, name="two")))
    os.utime(scan.source, (time.time(), time.time() + 5))
    with pytest.raises(AssertionError, match="was read"):
        masks.lungs_of(unread(scan))


def test_a_slice_stands_for_all_of_its_series(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", np.zeros((4, 5, 6), np.int16))
    first, *_, last = sorted(folder.iterdir())
    scan = image_scan("one", first, [])
    assert scan is not None
    before = ages(scan)
    os.utime(last, ns=(0, 0))
    assert ages(scan) != before


@pytest.mark.parametrize("damage", ["cut", "text", "zip"])
def test_a_damaged_mask_is_made_again(scan: Scan, tmp_path: Path, damage: str) -> None:
    first = masks.lungs_of(scan)
    (file,) = kept(tmp_path)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "text":
        file.write_text("not a mask")
    else:
        np.savez(file, bits=np.zeros(3, np.uint8), size=[9, 9, 9])
    assert bool((masks.lungs_of(scan).data == first.data).all())
    masks.lungs_of(unread(scan))
    assert kept(tmp_path) == [file]


def test_where_nothing_can_be_kept_the_mask_is_made_each_time(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LUNGMORPH_CACHE", str(tmp_path / "file"))
    assert bool(masks.lungs_of(scan).data.any())


def test_where_masks_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LUNGMORPH_CACHE", raising=False)
    assert masks.cache_folder() == tmp_path / "lungmorph"
    monkeypatch.setenv("LUNGMORPH_CACHE", str(tmp_path / "own"))
    assert masks.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("LUNGMORPH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert masks.cache_folder().name == "lungmorph"
