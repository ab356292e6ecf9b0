"""A pair, and what is known of it, on a coarser lattice."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..networks.blocks import averaged


def averaged_pair(pair: Mapping[str, Tensor], factor: int) -> dict[str, Tensor]:
    """Every entry of a pair (see :class:`PairSource`) on the lattice of blocks of ``factor`` voxels a side.

    Images and displacements are averaged, a block is in a mask if more than half of it is, and what
    counts in voxels counts in the larger ones. An incomplete last block is left out.
    """
    if factor == 1:
        return dict(pair)
    out = {}
    for name, value in pair.items():
        if name.endswith("_points"):
            # the centre of a block of voxels 0 ... f - 1 lies at (f - 1) / 2
            out[name] = (value - (factor - 1) / 2) / factor
        elif name in ("to_moving", "stretch"):
            out[name] = value
        elif name.endswith("_mask"):
            out[name] = averaged(value.float(), factor) > 0.5
        elif name == "displacement":
            out[name] = averaged(value.float(), factor) / factor
        else:
            out[name] = averaged(value.float(), factor)
    return out
