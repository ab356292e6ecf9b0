"""Connected parts of masks, and the boxes around masks.

By SimpleITK, which the scans are read with: scipy does the same, but takes a quarter of a second to be imported.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .morphology import Bool

Labels = NDArray[np.uint32]


def labelled(mask: Bool, corners: bool = False) -> tuple[Labels, int]:
    """The connected parts of a mask (2D or 3D) as 1, 2, ... in the order of their first voxels, 0 outside; how many there are.

    Args:
        mask: any shape of two or three axes.
        corners: whether voxels that touch by an edge or a corner alone are connected.
    """
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(image, corners))
    return labels, int(labels.max(initial=0))


def filled(mask: Bool) -> Bool:
    """A mask with its holes: all that is not connected to the border of the array by what is outside the mask."""
    outside, count = labelled(~mask)
    at_border = np.zeros(count + 1, np.bool_)
    for axis in range(mask.ndim):
        for end in (0, -1):
            at_border[np.unique(outside.take(end, axis=axis))] = True
    at_border[0] = False
    return ~at_border.take(outside)


def box_around(mask: Bool) -> tuple[slice, ...]:
    """The smallest box that holds a mask of any number of axes.

    Raises:
        ValueError: the mask is empty.
    """
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        if not len(inside):
            raise ValueError("an empty mask has no box")
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(box)
