"""Mathematics of displacement fields on tensors: no grids, no files, no networks.

Convention, once for the package: fields are (B, 3, D, H, W), channels (x, y, z), in voxels unless a
function says millimetres; mapping p -> p + u(p); ``align_corners=True``.
"""

from .cubic import bent, sample_cubic
from .extent import extent
from .jacobian import (
    determinant_below,
    jacobian_determinant,
    kept_above,
    smallest_determinant,
)
from .local import box_mean, dilated, eroded, gaussian, normalize_locally
from .sample import half_widths, identity_points, sample, to_normalized
from .unfold import unfold
from .warp import compose, integrate, invert, length, warp

__all__ = [
    "bent",
    "box_mean",
    "compose",
    "determinant_below",
    "dilated",
    "eroded",
    "extent",
    "gaussian",
    "half_widths",
    "identity_points",
    "integrate",
    "invert",
    "jacobian_determinant",
    "kept_above",
    "length",
    "normalize_locally",
    "sample",
    "sample_cubic",
    "smallest_determinant",
    "to_normalized",
    "unfold",
    "warp",
]
