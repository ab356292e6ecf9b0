"""The pictures of a run: its curves, and a pair before and after."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from tests.training.blobs import SHAPE, Blobs, config

from lungmorph.training import run
from lungmorph.training.curves import draw_curves, pair_picture


def ink(path: Path) -> np.ndarray:
    """Share of each third of the picture, from the top, that is blue: curves after training."""
    image = matplotlib.image.imread(path)[..., :3]
    blue = np.abs(image - np.array([0x1F, 0x77, 0xB4]) / 255).max(axis=-1) < 0.02
    return np.array([part.mean() for part in np.array_split(blue, 3)])


def test_run_leaves_its_curves(tmp_path: Path) -> None:
    run(config((4, 4), 0, validate_every=2), Blobs(), [Blobs(seed=9).pair(0)], tmp_path)
    drawn = ink(tmp_path / "curves.png")
    assert (drawn[:2] > 1e-4).all()  # loss and error


def test_curves_of_a_run_without_rows_are_empty(tmp_path: Path) -> None:
    draw_curves(tmp_path)
    assert ink(tmp_path / "curves.png").max() == 0


def test_pair_is_shown_before_and_after_head_up() -> None:
    pair = {k: v for k, v in Blobs().pair(3).items() if k in ("fixed", "moving", "displacement")}
    for name in ("fixed", "moving"):
        pair[name] = (pair[name] + 1000) / 1000
    picture = pair_picture(pair, pair["displacement"])
    assert picture.shape == (SHAPE[0], 5 * SHAPE[2])
    fixed, moving, warped, before, after = picture.split(SHAPE[2], dim=1)
    middle = pair["fixed"][0, 0, :, SHAPE[1] // 2]
    assert torch.equal(fixed[0], middle[-1].clamp(0, 1))
    assert torch.equal(before, (fixed - moving).abs())
    inner = (slice(4, -4), slice(4, -4))
    assert float(after[inner].max()) < 0.1 * float(before[inner].max())
    assert float((warped - fixed)[inner].abs().max()) == pytest.approx(float(after[inner].max()))
