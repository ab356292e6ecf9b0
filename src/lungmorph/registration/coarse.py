"""The network's part: a displacement for a whole pair in one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from ..networks import preprocess
from ..networks.build import RegistrationNetwork
from ..networks.config import ModelConfig
from ..space import Affine, Grid, Volume
from ..space.sampling import sample_carried


def predict(
    network: RegistrationNetwork,
    config: ModelConfig,
    fixed: Volume,
    moving: Volume,
    affine: Affine,
    region: Grid,
    levels: int | None = None,
    spacing: float | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Grid]:
    """The displacement v with T(x) = affine(x) + v(x), from the fixed to the moving image.

    The network sees the moving image through the pre-alignment, and its answer w (x -> x + w) acts
    before it: T(x) = affine(x + w(x)), so v is w turned by the linear part of the affine.

    Args:
        fixed, moving: HU, on one device.
        region: world-aligned box in which to look.
        levels: run only the first so many levels.
        spacing: mm of the working lattice, if not the one the network was trained at.
        device: for the network.

    Returns:
        v (3, D, H, W) in mm along the world axes, on ``device``, and its world-aligned grid.
    """
    step = spacing or config.spacing_mm
    low, high = region.bounds()
    grid = Grid.covering(low, high, step)
    seen_fixed = fixed.reduce(step).resample(grid).data
    coarse = moving.reduce(step)
    seen_moving = sample_carried(coarse.data[None], coarse.grid, grid, affine.matrix)[0]
    pair = [preprocess(hu[None, None], config).to(device) for hu in (seen_fixed, seen_moving)]
    with torch.inference_mode():
        voxels = network.to(device)(*pair, levels=levels)[-1][0].float()
    turn = voxels.new_tensor(affine.linear) * step
    return (turn @ voxels.reshape(3, -1)).reshape(voxels.shape), grid
