"""Reading an image or a field at points between its voxels.

``torch.nn.functional.grid_sample`` runs one thread per batch item on the CPU, so one 3D image
would use one core. The points of one image are therefore dealt out over several batch items that
share the same (expanded, not copied) image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sample(
    image: Tensor, points: Tensor, mode: str = "bilinear", padding: str = "border"
) -> Tensor:
    """Values of ``image`` at ``points``.

    Args:
        image: (B, C, D, H, W).
        points: (B, d, h, w, 3) in [-1, 1], last axis (x, y, z).
        mode: "bilinear" (trilinear in 3D) or "nearest".
        padding: "border" (the nearest voxel) or "zeros".

    Returns:
        (B, C, d, h, w).

    Convention: ``align_corners=True`` (-1 and 1 are voxel centres).
    """
    if image.device.type != "cpu" or image.shape[0] > 1 or torch.get_num_threads() == 1:
        return F.grid_sample(image, points, mode=mode, padding_mode=padding, align_corners=True)
    shape, parts = points.shape[1:4], torch.get_num_threads()
    flat = points.reshape(-1, 3)
    count = len(flat)
    if count % parts:
        flat = F.pad(flat, (0, 0, 0, -count % parts))
    out = F.grid_sample(
        image.expand(parts, -1, -1, -1, -1),
        flat.reshape(parts, 1, 1, -1, 3),
        mode=mode,
        padding_mode=padding,
        align_corners=True,
    )
    flat_out = out[:, :, 0, 0].transpose(0, 1).reshape(image.shape[1], -1)
    return flat_out[:, :count].reshape(1, image.shape[1], *shape)


def identity_points(shape: tuple[int, int, int], like: Tensor) -> Tensor:
    """(1, D, H, W, 3): every voxel's own position in [-1, 1], order (x, y, z).

    Convention: ``align_corners=True``; an axis of one voxel lies at 0.
    """
    axes = [
        torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device)
        if n > 1
        else torch.zeros(1, dtype=like.dtype, device=like.device)
        for n in shape
    ]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, z), dim=-1)[None]


def to_normalized(displacement: Tensor, shape: tuple[int, int, int] | None = None) -> Tensor:
    """Displacement in voxels (B, 3, D, H, W) -> (B, D, H, W, 3) in units of the [-1, 1] frame.

    Args:
        shape: (D, H, W) of the image that will be sampled; the displacement's own by default.
    """
    half = half_widths(shape or tuple(displacement.shape[2:]), displacement)
    return displacement.movedim(1, -1) / half


def half_widths(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Voxels to one unit of the [-1, 1] frame of an image (D, H, W): (3,), along (x, y, z)."""
    return like.new_tensor([max(n - 1, 1) / 2 for n in reversed(shape)])
