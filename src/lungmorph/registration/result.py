"""What a registration gives: the transform, its inverse, the images made with them, and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import output_folder, write_image, write_landmark_pairs, write_transform
from ..measures import correlation, dice, folding, landmark_error, lung_extent
from ..plain_json import json_text
from ..space import AIR_HU, Affine, DisplacementField, Grid, Landmarks, Volume
from ..threads import side_by_side

#: What a result is judged by again, in its folder: the lungs that were used, and the landmarks if there were any.
FIXED_LUNGS, MOVING_LUNGS, LANDMARKS = "fixed_lungs.nii.gz", "moving_lungs.nii.gz", "landmarks.csv"

if TYPE_CHECKING:
    from ..quality import Assessment


@dataclass(frozen=True)
class Registration:
    """The result of :func:`lungmorph.register`.

    Attributes:
        fixed, moving: the scans as they were given (HU, paddings raised to -1024).
        fixed_lungs, moving_lungs: bool, on grids of their own.
        transform: maps fixed points to moving points, LPS mm; covers the fixed image.
        prealigned: the affine start.
        coarse: makes the transform as the refinement had it at ``presets.CHECK_MM``, if it came by there.
        settings: everything that made it (preset, model, versions).
        seconds: of every step.
        landmarks: fixed and moving, only to report.
    """

    fixed: Volume
    moving: Volume
    fixed_lungs: Volume
    moving_lungs: Volume
    transform: DisplacementField
    prealigned: Affine
    settings: dict[str, Any]
    seconds: dict[str, float]
    landmarks: tuple[Landmarks, Landmarks] | None = None
    coarse: Callable[[], DisplacementField] | None = None

    @cached_property
    def _inverse(self) -> tuple[DisplacementField, Volume]:
        # over the moving image and wherever the fixed lungs go, if that is beyond it
        there = self.transform.apply(self.fixed_lungs.points(2000))
        low, high = self.moving.grid.bounds()
        low, high = np.minimum(low, there.min(axis=0)), np.maximum(high, there.max(axis=0))
        # wider than the transform's own lattice: the residual says what that costs
        spacing = 1.5 * max(self.transform.grid.spacing)
        return self.transform.inverse_with_residual(
            Grid.covering(low, high, spacing, margin=2 * spacing)
        )

    @property
    def inverse(self) -> DisplacementField:
        """Maps moving points to fixed points, LPS mm; covers the moving image."""
        return self._inverse[0]

    @cached_property
    def warped(self) -> Volume:
        """The moving image on the fixed grid, HU; -1024 where the moving image does not reach."""
        return self.transform.warp(self.moving, self.fixed.grid, fill=AIR_HU)

    @cached_property
    def jacobian(self) -> Volume:
        """det of the mapping on the fixed grid: 1 = volume kept, 2 = the moving side is twice as big."""
        return self.transform.jacobian(self.fixed.grid)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Everything measured, JSON-ready. Landmarks were not used to register."""
        ways = self.transform, self.prealigned
        grid = lung_extent(self.fixed.grid, self.fixed_lungs, self.moving_lungs, ways)
        scan, warped, jacobian = (
            volume.crop_to(grid).data for volume in (self.fixed, self.warped, self.jacobian)
        )
        lungs = self.fixed_lungs.resample(grid).data
        moved = self.transform.warp(self.moving_lungs, grid).data
        start = self.prealigned.warp(self.moving_lungs, grid).data
        before = self.prealigned.warp(self.moving, grid, fill=AIR_HU).data[lungs]
        points = self.fixed_lungs.points(50_000)
        there = self.transform.apply(points)
        miss = np.linalg.norm(self.inverse.apply(there) - points, axis=1)
        length = np.linalg.norm(there - self.prealigned.apply(points), axis=1)
        found: dict[str, Any] = {
            "lungs": {
                "fixed_liters": _liters(self.fixed_lungs),
                "moving_liters": _liters(self.moving_lungs),
                "dice_prealigned": dice(lungs, start),
                "dice_after": dice(lungs, moved),
            },
            "similarity": {
                "ncc_prealigned": correlation(scan[lungs], before),
                "ncc_after": correlation(scan[lungs], warped[lungs]),
            },
            "folding": asdict(folding(jacobian, lungs)),
            "inverse_residual_mm": {
                "mean": float(miss.mean()),
                "p95": float(np.percentile(miss, 95)),
                "max": float(miss.max()),
            },
            "beyond_prealigned_mm": {"mean": float(length.mean()), "max": float(length.max())},
        }
        if self.landmarks is not None:
            fixed, moving = self.landmarks
            maps = {
                "before": Landmarks(fixed.points, moving.frame),
                "prealigned": self.prealigned.apply(fixed),
                "after": self.transform.apply(fixed),
            }
            found["landmarks"] = {
                name: landmark_error(points, moving, self.moving.grid).as_dict()
                for name, points in maps.items()
            }
        return found

    def save(
        self,
        folder: str | Path,
        overwrite: bool = False,
        report: bool = True,
        progress: Callable[[str, float], None] | None = None,
        transform_only: bool = False,
    ) -> Assessment | None:
        """Write transform, images, figures and picture into ``folder``, whole or not at all.

        Args:
            folder: to make.
            overwrite: replace an earlier result.
            report: judge it as well, and write ``quality.json`` and ``report.html``.
            progress: of the judging, called as progress(what, share done).
            transform_only: write the transform, settings and times in ``metrics.json``, and the landmarks; nothing is
                measured, drawn or judged, whatever ``report`` says.

        Returns:
            What was found in judging it.

        Raises:
            InputError: the folder exists and ``overwrite`` is False.
        """
        if transform_only:
            with output_folder(folder, overwrite) as part:
                write_transform(self.transform, part / "transform.h5")
                self._write_landmarks(part)
                _write_json(self.made, part)
            return None
        # the one import upwards: pages are made of results, and a result saves itself with its page
        from ..report.of_registration import write_quality
        from ..report.overview import draw

        with output_folder(folder, overwrite) as part:
            # compressing takes one core and as long as measuring and drawing do
            files: list[Callable[[], None]] = [
                partial(write_transform, self.transform, part / "displacement.nii.gz"),
                partial(draw, self, part / "overview.png"),
                partial(write_transform, self.transform, part / "transform.h5"),
                partial(write_image, self.warped, part / "warped.nii.gz"),
                partial(write_image, self.jacobian, part / "jacobian.nii.gz"),
                partial(write_image, self.fixed_lungs, part / FIXED_LUNGS),
                partial(write_image, self.moving_lungs, part / MOVING_LUNGS),
            ]
            files.append(partial(self._write_landmarks, part))
            side_by_side(lambda write: write(), files)
            found = write_quality(self, part, progress) if report else None
            _write_json(self.summary(), part)
        return found

    def _write_landmarks(self, folder: Path) -> None:
        if self.landmarks is not None:
            write_landmark_pairs(*self.landmarks, folder / LANDMARKS)

    def summary(self) -> dict[str, Any]:
        """Metrics, settings and times: what ``metrics.json`` holds."""
        return {**self.metrics, **self.made}

    @property
    def made(self) -> dict[str, Any]:
        """Settings and times, JSON-ready."""
        return {"seconds": self.seconds, "settings": self.settings}


def _write_json(found: dict[str, Any], folder: Path) -> None:
    (folder / "metrics.json").write_text(json_text(found) + "\n")


def _liters(mask: Volume) -> float:
    return float(mask.data.sum()) * mask.grid.voxel_volume / 1e6
