"""Lung masks without a network: threshold, enclosure, airways out, vessels closed over.

Everything happens on a world-aligned lattice of 2.5 mm, on which "up" and "front" are known whatever
way the scan is stored, and which makes it fast. The steps are the classical ones (Hu et al. 2001);
what differs is how lung is told from outside air, because the usual "not touching the border" fails
on crops in which the lung itself is cut.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..errors import InputError
from ..space import Grid, Volume
from .connected import Labels, box_around, filled, labelled
from .morphology import Bool, closed, grown, opened, shrunk

log = logging.getLogger(__name__)

LATTICE_MM = 2.5
#: HU below which a voxel counts as air or lung, above which as soft tissue.
AIRY_HU, TISSUE_HU = -400.0, -300.0
#: Median HU of outside air and of gas in airways is below; of lung, even emphysematous, above.
GAS_HU = -965.0
SMALLEST_LUNG_ML = 50.0
#: Vessels up to twice as wide belong to the lung, voxels.
GAP = 3

Array = NDArray[np.float32]


def lung_mask(ct: Volume, name: object = "image") -> Volume:
    """Both lungs (or what of them the scan shows), vessels included, trachea and main bronchi not.

    Args:
        ct: HU. A whole chest, one lung or any cropped field of view.
        name: what to call the image in an error.

    Returns:
        Bool volume on a world-aligned 2.5 mm grid that covers the scan; resample it where needed.

    Raises:
        InputError: nothing in the image looks like lung.
    """
    low, high = ct.grid.bounds()
    grid = Grid.covering(low, high, LATTICE_MM)
    hu = ct.reduce(LATTICE_MM).resample(grid, fill=np.nan).data.numpy()
    seen = np.isfinite(hu)
    hu = np.where(seen, hu, -1024.0).astype(np.float32)

    air = (hu < AIRY_HU) & seen
    candidates = _lung_parts(hu, air, seen)
    if not candidates.any():
        raise InputError(
            name,
            expected="a CT that shows lung",
            found="no lung-like region (air between -965 and -400 HU enclosed by tissue)",
            do="check that the image is a chest CT in HU, or pass a mask",
        )
    box = _around(candidates, 10.0)
    part = candidates[box] & ~_airways(hu[box], candidates[box], seen[box])
    # opened first: what is left of the windpipe's edge is thin
    part = _large_parts(opened(part), SMALLEST_LUNG_ML)
    part = opened(closed(part, GAP)) & seen[box]
    lungs = np.zeros_like(candidates)
    lungs[box] = filled(part)
    if not lungs.any():
        raise InputError(
            name,
            expected="a CT that shows lung",
            found="no region of more than 50 ml",
            do="pass a mask",
        )
    return Volume(torch.from_numpy(lungs), grid)


def _lung_parts(hu: Array, air: Bool, seen: Bool) -> Bool:
    """The connected air regions that are lung rather than outside air, couch, gut or trachea."""
    # An opening parts the lungs from the outside where a thin wall leaks, and from the airways.
    labels, count = labelled(opened(air))
    if count == 0:
        return np.zeros_like(air)
    enclosed = _enclosure(hu, seen)
    # an oblique scan ends within the lattice
    edge = ~shrunk(np.pad(seen, 1))[1:-1, 1:-1, 1:-1]
    regions = _regions(hu, labels, enclosed, edge)
    leaky = [r.label for r in regions if r.walls < 3.5 and r.at_border]
    chosen = _among(labels, [r.label for r in regions if r.is_lung and r.label not in leaky])
    if leaky:
        # lung cut by the end of the scan can run into padding or, by the windpipe, into the room;
        # beside a whole lung, what is left of such a region must be as well enclosed
        joined = _among(labels, leaky)
        least = 3.0 if chosen.any() else 0.0
        air = air & ~_outside_gas(hu, joined, edge)
        parts, _ = labelled(opened(air) & joined)
        found = [r for r in _regions(hu, parts, enclosed, edge) if r.is_lung and r.walls >= least]
        chosen |= _among(parts, [r.label for r in found])
        labels = np.where(joined, parts, labels)
    # give back what the opening took, but not across to other regions
    near = grown(grown(chosen))
    return near & air & ((labels == 0) | chosen)


def _among(labels: Labels, chosen: Sequence[int]) -> Bool:
    """Where one of the chosen labels is."""
    table = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    table[list(chosen)] = True
    return table.take(labels)


@dataclass(frozen=True)
class _Region:
    """A connected region of air: its size, its median HU, and by how many of 4 walls it is held."""

    label: int
    liters: float
    median: float
    walls: float
    at_border: bool

    @property
    def is_lung(self) -> bool:
        ordinary = self.median > GAS_HU and self.walls >= 1.8
        emphysema = self.median > -1000 and self.walls >= 3.5 and self.liters > 0.3
        return ordinary or emphysema


def _regions(hu: Array, labels: Labels, enclosed: NDArray[np.int8], edge: Bool) -> list[_Region]:
    """The regions of at least ``SMALLEST_LUNG_ML``; ``edge`` is where the scan ends."""
    out = []
    sizes = np.bincount(labels.ravel()) * LATTICE_MM**3 / 1e6
    for label in 1 + np.nonzero(sizes[1:] >= SMALLEST_LUNG_ML / 1000)[0]:
        every = labels == label
        box = box_around(every)
        part = every[box]
        core = shrunk(part)
        values = hu[box][core] if core.sum() > 50 else hu[box][part]
        region = _Region(
            int(label),
            float(sizes[label]),
            float(np.median(values)),
            float(enclosed[box][part].mean()),
            bool(edge[box][part].any()),
        )
        log.debug("%s", region)
        out.append(region)
    return out


def _outside_gas(hu: Array, region: Bool, edge: Bool) -> Bool:
    """What of a region is gas that reaches the edge of the scan, and its fuzzy rim."""
    padded = F.pad(torch.from_numpy(hu)[None, None], (1,) * 6, mode="replicate")
    around = F.avg_pool3d(padded, 3, stride=1)[0, 0].numpy()
    gas = (around < GAS_HU - 10) & region
    labels, _ = labelled(gas)
    outside = _among(labels, np.unique(labels[edge & gas]).tolist())
    return grown(grown(outside))


def _enclosure(hu: Array, seen: Bool) -> NDArray[np.int8]:
    """For every voxel, in how many of the four in-plane directions the body lies (0 to 4)."""
    tissue = opened((hu > TISSUE_HU) & seen)
    labels, count = labelled(tissue)
    if count == 0:
        return np.zeros(hu.shape, np.int8)
    body = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    hits = np.zeros(hu.shape, np.int8)
    for axis in (1, 2):
        hits += np.maximum.accumulate(body, axis=axis)
        hits += np.flip(np.maximum.accumulate(np.flip(body, axis), axis=axis), axis)
    return hits


def _airways(hu: Array, lungs: Bool, seen: Bool) -> Bool:
    """Trachea and main bronchi, followed downwards slice by slice from the top.

    A slice's piece belongs to the airway when it touches that of the slice above and stays small; the
    moment it has run into the lung it is large, and is left alone.
    """
    gas = (hu < -900) & seen
    airway = np.zeros_like(gas)
    per_voxel = LATTICE_MM**2
    center = np.nonzero(lungs.any(axis=(0, 1)))[0].mean()
    previous = None
    for k in range(hu.shape[0] - 1, -1, -1):
        labels, count = labelled(gas[k], corners=True)
        if count == 0:
            previous = None
            continue
        areas = np.bincount(labels.ravel(), minlength=count + 1) * per_voxel
        small = (areas >= 50) & (areas < 900)
        small[0] = False
        if previous is None:
            chosen = _trachea_seed(labels, small, center, hu[k], seen[k])
        else:
            touched = np.zeros(count + 1, bool)
            touched[np.unique(labels[grown(grown(previous))])] = True
            chosen = touched & small
        current = chosen[labels]
        if not current.any():
            if airway.any():
                break
            previous = None
            continue
        airway[k] = previous = current
    return grown(airway)


def _trachea_seed(labels: Labels, small: Bool, center: float, hu: Array, seen: Bool) -> Bool:
    """Which 2D piece is the trachea: round, 80 to 700 mm2, walled, near the middle."""
    chosen = np.zeros(len(small), bool)
    for label in np.nonzero(small)[0]:
        # with room for the ring around it
        box = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in box_around(labels == label))
        part = labels[box] == label
        area = part.sum() * LATTICE_MM**2
        rows, columns = np.nonzero(part)
        across = (np.ptp(rows) + 1) * (np.ptp(columns) + 1) * LATTICE_MM**2
        round_ = area / across > 0.5 and max(np.ptp(rows), np.ptp(columns)) * LATTICE_MM < 40
        middle = box[1].start + columns.mean()
        if not (80 <= area <= 700 and round_ and abs(middle - center) * LATTICE_MM < 60):
            continue
        wide = grown(part)
        ring = grown(grown(wide)) & ~wide
        walled = seen[box][ring].all() and float(np.mean(hu[box][ring] > -500)) > 0.8
        chosen[label] = walled
    return chosen


def _large_parts(mask: Bool, milliliters: float) -> Bool:
    labels, count = labelled(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * LATTICE_MM**3 / 1000
    keep = sizes >= max(milliliters, 0.05 * (sizes[1:].max() if count else 0))
    keep[0] = False
    return keep.take(labels)


def _around(mask: Bool, mm: float) -> tuple[slice, slice, slice]:
    """The box of the mask, widened by mm on every side."""
    pad = int(np.ceil(mm / LATTICE_MM)) + 1
    return tuple(slice(max(s.start - pad, 0), s.stop + pad) for s in box_around(mask))  # type: ignore[return-value]
