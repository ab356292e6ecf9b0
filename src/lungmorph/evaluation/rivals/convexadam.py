"""ConvexAdam (Siebert et al.): discrete search, then Adam, on MIND-SSC with both masks. Package convexadam.

It works in voxels of one common grid of even size, so both images go onto the fixed lattice, extended to hold both
lungs.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .pair import WINDOW_HU, Pair

TITLE = "ConvexAdam"
DISTRIBUTION = "convexadam"
REQUIRES = ("convexAdam",)
SETTINGS = "its defaults with both masks, float32"
MARGIN_VOXELS = 8


def register(pair: Pair) -> sitk.Image:
    """Displacements come as voxels along the index axes: turned to mm along the world axes here."""
    import torch
    from convexAdam.convex_adam_MIND import convex_adam_pt

    torch.set_num_threads(pair.threads)
    grid = common_grid(pair)
    images, masks = [], []
    for name in ("fixed", "moving"):
        image = sitk.Resample(
            getattr(pair, name), grid, sitk.Transform(), sitk.sitkLinear, WINDOW_HU[0]
        )
        mask = sitk.Resample(
            getattr(pair, f"{name}_mask"), grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0
        )
        images.append(torch.from_numpy(sitk.GetArrayFromImage(image).T.copy()))
        masks.append(str(pair.folder / f"common_{name}_mask.nii.gz"))
        sitk.WriteImage(mask, masks[-1])
    voxels = convex_adam_pt(
        *images,
        use_mask=True,
        path_fixed_mask=masks[0],
        path_moving_mask=masks[1],
        dtype=torch.float32,
        device=torch.device("cpu"),
    )  # (x, y, z, 3)
    matrix = np.array(grid.GetDirection()).reshape(3, 3) * np.array(grid.GetSpacing())
    field = sitk.GetImageFromArray(np.einsum("ij,xyzj->zyxi", matrix, voxels), isVector=True)
    field.CopyInformation(grid)
    return field


def common_grid(pair: Pair) -> sitk.Image:
    """The fixed lattice, cut and extended to both lungs with a margin; even sizes."""
    corners = []
    for mask in (pair.fixed_mask, pair.moving_mask):
        index = np.argwhere(sitk.GetArrayViewFromImage(mask) > 0)[:, ::-1]
        ends = np.stack([index.min(axis=0), index.max(axis=0)]).astype(float)
        for corner in np.stack(np.meshgrid(*ends.T), axis=-1).reshape(-1, 3):
            point = mask.TransformContinuousIndexToPhysicalPoint(corner.tolist())
            corners.append(pair.fixed.TransformPhysicalPointToContinuousIndex(point))
    low = np.floor(np.min(corners, axis=0)).astype(int) - MARGIN_VOXELS
    size = np.ceil(np.max(corners, axis=0)).astype(int) + MARGIN_VOXELS - low + 1
    size += size % 2
    grid = sitk.Image(size.tolist(), sitk.sitkUInt8)
    grid.SetSpacing(pair.fixed.GetSpacing())
    grid.SetDirection(pair.fixed.GetDirection())
    grid.SetOrigin(pair.fixed.TransformContinuousIndexToPhysicalPoint(low.astype(float).tolist()))
    return grid
