"""One patient after the other: what `lungmorph simulate` makes, by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

from torch import Tensor

from ..errors import InputError
from ..space import DisplacementField, Grid, Volume
from .anatomy import Anatomy, thorax
from .breathing import Breath, breathing_field, random_field
from .disease import Collapse, collapse, with_tumour
from .pairs import SimulatedPair, averaged, moved, simulate_pair
from .randomness import Draw
from .real_ct import finer
from .real_motion import Motion
from .series import SimulatedSeries, simulate_series

#: From so long an edge on, voxels of both scans of a pair are averages over two of the patient's: finer ones say little
#: more, and the patient would take too long.
HALVED_FROM_MM = 2.0
#: Half the region that an invented patient is scanned in, mm.
HALF_MM = (170.0, 130.0, 150.0)
#: Fewer voxels along an axis cannot show lungs.
LEAST_VOXELS = 16
MOTIONS = ("breathing", "random")
#: Of the diaphragm, and the largest of a random motion, where none is given: from quiet to deep, mm.
_DEPTHS = (8.0, 32.0)


def inner_voxels(spacing: tuple[float, float, float]) -> tuple[int, int, int]:
    """How many voxels of the patient there are in one of a scan of a pair, along (x, y, z)."""
    x, y, z = (2 if step >= HALVED_FROM_MM else 1 for step in spacing)
    return x, y, z


@dataclass(frozen=True)
class Recipe:
    """How patients are made. The same recipe and number give the same patient.

    Args:
        seed: of everything.
        spacing: of invented patients, mm (x, y, z).
        anatomy: of all patients, in inhale; invented ones, each another, if None.
        motion: "breathing", "random", or a real motion from exhale to inhale.
        depth_mm: motion of the diaphragm, or the largest of a random motion; drawn if None.
        noise_hu, slice_thickness: of the scanner; see :func:`lungmorph.simulate.acquire`.
        tumour_mm: mean radius of a mass in a lung.
        collapse: share of the patients with a part of a lung collapsed: of a pair in the fixed scan alone, of a
            series in all phases.

    Raises:
        InputError: a value that is none of these; a grid too coarse to show lungs.
    """

    seed: int = 0
    spacing: tuple[float, float, float] = (2.5, 2.5, 2.5)
    anatomy: Anatomy | None = None
    motion: str | Motion = "breathing"
    depth_mm: float | None = None
    noise_hu: float = 20.0
    slice_thickness: float | None = None
    tumour_mm: float | None = None
    collapse: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.motion, str) and self.motion not in MOTIONS:
            raise InputError("motion", expected=" or ".join(MOTIONS), found=repr(self.motion))
        if self.depth_mm is not None and isinstance(self.motion, Motion):
            raise InputError(
                "depth",
                expected="none with a real motion, which has its own",
                found=f"{self.depth_mm:g} mm",
            )
        if not 0 <= self.collapse <= 1:
            raise InputError("collapse", expected="a share, 0 to 1", found=f"{self.collapse:g}")
        grid = self.grid
        if min(grid.size) < LEAST_VOXELS:
            raise InputError(
                "grid of the scans",
                expected=f"at least {LEAST_VOXELS} voxels along each axis",
                found=str(grid),
                do="ask for a finer spacing",
            )

    @property
    def grid(self) -> Grid:
        """Of all scans."""
        if self.anatomy is not None:
            return self.anatomy.ct.grid
        return Grid.covering([-h for h in HALF_MM], HALF_MM, self.spacing)

    def pair(self, number: int) -> SimulatedPair:
        """Patient ``number``: exhale (fixed) and inhale (moving)."""
        scan = self.grid
        anatomy = self._patient(number, scan.divided(inner_voxels(scan.spacing)))
        lungs = averaged(anatomy.lungs, scan)
        field = self._motion(lungs, number)
        made = self._collapse(lungs, number)
        return simulate_pair(
            anatomy,
            DisplacementField(field if made is None else made.after(field), scan),
            self._seed(number),
            noise_hu=self.noise_hu,
            slice_thickness=self.slice_thickness,
            consolidation=made.consolidation if made else None,
            fixed_grid=scan,
            moving_grid=scan,
        )

    def series(
        self, number: int, progress: Callable[[str, float], None] | None = None
    ) -> SimulatedSeries:
        """Patient ``number`` in ten phases; ``progress`` is told (what, share done)."""
        anatomy = self._patient(number, self.grid)
        if made := self._collapse(anatomy.lungs, number):
            shrunk = DisplacementField(made.field, self.grid)
            anatomy = moved(anatomy, shrunk, consolidation=made.consolidation)
        field = self._motion(anatomy.lungs, number)
        longest = float(field.square().sum(0).max()) ** 0.5
        return simulate_series(
            anatomy,
            field,
            self._seed(number),
            hysteresis_mm=min(2.5, 0.15 * longest),
            noise_hu=self.noise_hu,
            slice_thickness=self.slice_thickness,
            progress=progress,
        )

    # ------------------------------------------------------------ parts

    def _seed(self, number: int) -> int:
        return Draw(self.seed, number, 31).integer(0, 2**62)

    def _patient(self, number: int, grid: Grid) -> Anatomy:
        if self.anatomy is None:
            anatomy = thorax(self._seed(number), grid, twigs=True)
        else:
            anatomy = finer(self.anatomy, grid)
        if self.tumour_mm is None:
            return anatomy
        try:
            return with_tumour(anatomy, self.tumour_mm, self._seed(number))
        except ValueError as error:
            raise InputError(
                "tumour", expected="a radius that fits into the lungs", found=str(error)
            ) from error

    def _collapse(self, lungs: Volume, number: int) -> Collapse | None:
        draw = Draw(self.seed, number, 34)
        return collapse(draw, lungs) if draw.chance(self.collapse) else None

    def _motion(self, lungs: Volume, number: int) -> Tensor:
        if isinstance(self.motion, Motion):
            return self.motion.field_on(lungs.grid, lungs, keep_translation=False)
        draw = Draw(self.seed, number, 33)
        depth = self.depth_mm
        if depth is None:
            depth = exp(draw.uniform(*map(log, _DEPTHS)))
        if self.motion == "random":
            return random_field(draw, lungs.grid, depth)
        breath = Breath(
            diaphragm=depth,
            front=depth * draw.uniform(0.15, 0.4),
            sides=depth * draw.uniform(0.08, 0.22),
            slide=draw.uniform(0.5, 1.0),
            random=min(draw.uniform(1, 4), 0.2 * depth),
        )
        return breathing_field(draw, lungs, breath)
