"""Which simulated cases there are, and what each is made of.

Which may be looked at while LungMorph is being changed, and which are only reported on, is told by `DEVELOPMENT` and `TEST`:
they share no motion and no anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

from splits import KEYPOINTS, LANDMARKS, LUNG1, LUNG2


@dataclass(frozen=True)
class Recipe:
    """How one case is made.

    Attributes:
        group: cases that are summed up together.
        id: unique.
        anatomy: a file of `chest_ct`, or a seed for an invented patient.
        motion: a file of `motion`, or a diaphragm motion in mm for an invented breath.
        spacing: of both scans, mm; real anatomies are interpolated to it.
        seed: of noise, landmarks and random motion.
        noise: of the fixed and of the moving scan, HU.
        slices: thickness of the moving scan's slices, mm; as `spacing` if None.
        turned: degrees by which the fixed scan is oblique.
        offset: of the moving scanner's frame, mm.
        contrast: agent in the blood of the moving scan, HU.
        collapsed: whether a part of the fixed lung holds no air.
        mean: of the length of a real motion in the lung, mm, to which it is scaled; None leaves it as it was.
        quick: part of the short form of the benchmark.
    """

    group: str
    id: str
    anatomy: str | int
    motion: str | float
    spacing: tuple[float, float, float]
    seed: int
    noise: float = 15.0
    slices: float | None = None
    turned: float = 0.0
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    contrast: float = 0.0
    collapsed: bool = False
    mean: float | None = None
    quick: bool = False

    @property
    def real(self) -> bool:
        """Whether it needs the real data."""
        return isinstance(self.anatomy, str) or isinstance(self.motion, str)


FINE, THICK = (1.5, 1.5, 2.5), (1.25, 1.25, 5.0)

#: Motions 16 to 20 and COPDgene 5 and 6 and the anatomy `pyradiomics_lung2` were used for nothing but reporting.
#: The two coarse scans were among the training anatomies of the network, their motions were not.
TEST = (
    Recipe("quiet breath", "quiet-16", LUNG2, KEYPOINTS.format(16), FINE, 16, turned=12, quick=True),
    Recipe("quiet breath", "quiet-18", LUNG2, KEYPOINTS.format(18), FINE, 18),
    Recipe("quiet breath", "quiet-20", LUNG2, KEYPOINTS.format(20), FINE, 20, offset=(12, -40, 95)),
    Recipe("deep breath", "deep-17", LUNG2, KEYPOINTS.format(17), FINE, 17, quick=True),
    Recipe("deep breath", "deep-19", LUNG2, KEYPOINTS.format(19), FINE, 19),
    Recipe("deep breath", "deep-copd5", LUNG2, LANDMARKS.format(5), FINE, 5),
    Recipe("deep breath", "deep-copd6", LUNG2, LANDMARKS.format(6), FINE, 6),
    Recipe("thick slices", "thick-20", LUNG2, KEYPOINTS.format(20), THICK, 21),
    Recipe("thick slices", "thick-copd6", LUNG2, LANDMARKS.format(6), THICK, 22),
    Recipe("unlike scanners", "unlike-16", LUNG2, KEYPOINTS.format(16), FINE, 23, 35.0, 5.0),
    Recipe("unlike scanners", "unlike-17", LUNG2, KEYPOINTS.format(17), FINE, 24, 35.0, 5.0),
    Recipe("coarse scans", "coarse-3x3x10", "slicerio_CTChest4", KEYPOINTS.format(18), (3, 3, 10), 25),
    Recipe("coarse scans", "coarse-4", "cip_ct64", KEYPOINTS.format(20), (4.1, 4.1, 4.1), 26),
    Recipe("invented patients", "invented-1", 90001, 28.0, (1.75, 1.75, 1.75), 27, quick=True),
    Recipe("invented patients", "invented-2", 90002, -36.0, (1.75, 1.75, 1.75), 28),
    Recipe("contrast agent", "contrast-19", LUNG2, KEYPOINTS.format(19), FINE, 29, contrast=120.0),
    Recipe("collapsed lung", "collapsed-18", LUNG2, KEYPOINTS.format(18), FINE, 30, collapsed=True),
)  # fmt: skip

#: For networks alone: the motions of `TEST`, as large as the breath of a 4D CT.
MODERATE = tuple(
    Recipe("breath of 8 to 12 mm", f"moderate-{name}", LUNG2, file, (2.0, 2.0, 2.5), 31 + number, mean=8.0 + number)
    for number, (name, file) in enumerate(
        [(n, KEYPOINTS.format(n)) for n in (16, 17, 18, 20)] + [("copd5", LANDMARKS.format(5))]
    )
)  # fmt: skip

#: Where small steps may go astray: the motions of `TEST`, with a part of the lung collapsed in the fixed scan. Reported on only.
COLLAPSED = tuple(
    [
        Recipe("real chest", f"collapse-{name}", LUNG2, file, (2.0, 2.0, 2.5), 51 + number, collapsed=True)
        for number, (name, file) in enumerate(
            [(n, KEYPOINTS.format(n)) for n in range(16, 21)] + [(f"copd{n}", LANDMARKS.format(n)) for n in (5, 6)]
        )
    ]
    + [
        Recipe("invented patient", f"collapse-invented-{number}", 90010 + number, depth, (2.0, 2.0, 2.0), 60 + number, collapsed=True)
        for number, depth in ((1, 24.0), (2, 30.0), (3, 36.0), (4, -30.0), (5, 40.0))
    ]
)  # fmt: skip

#: To look at while working. The network was trained on these motions and on `pyradiomics_lung1`.
DEVELOPMENT = (
    Recipe("quiet breath", "dev-10", LUNG1, KEYPOINTS.format(10), FINE, 110),
    Recipe("quiet breath", "dev-7", 80001, KEYPOINTS.format(7), (1.75, 1.75, 1.75), 107),
    Recipe("deep breath", "dev-5", 80002, KEYPOINTS.format(5), FINE, 105, quick=True),
    Recipe("deep breath", "dev-9", LUNG1, KEYPOINTS.format(9), FINE, 109, quick=True),
    Recipe("deep breath", "dev-copd1", 80003, LANDMARKS.format(1), FINE, 101),
    Recipe("deep breath", "dev-copd2", LUNG1, LANDMARKS.format(2), FINE, 102),
    Recipe("thick slices", "dev-thick-5", LUNG1, KEYPOINTS.format(5), THICK, 115),
    Recipe("thick slices", "dev-thick-9", LUNG1, KEYPOINTS.format(9), THICK, 118),
    Recipe("thick slices", "dev-thick-copd1", LUNG1, LANDMARKS.format(1), THICK, 119),
    Recipe("unlike scanners", "dev-unlike-1", LUNG1, LANDMARKS.format(1), FINE, 111, 35.0, 5.0),
    Recipe("coarse scans", "dev-coarse-4", "cip_ct64", KEYPOINTS.format(12), (4.1, 4.1, 4.1), 112),
    Recipe("coarse scans", "dev-coarse-3x3x10", LUNG1, KEYPOINTS.format(10), (3, 3, 10), 120),
    Recipe("invented patients", "dev-invented", 80004, 32.0, (1.75, 1.75, 1.75), 117),
    Recipe("invented patients", "dev-invented-2", 80006, -36.0, (1.75, 1.75, 1.75), 124),
    Recipe("invented patients", "dev-invented-3", 80007, 26.0, (1.75, 1.75, 1.75), 125),
    Recipe("invented patients", "dev-invented-4", 80015, 24.0, (1.75, 1.75, 1.75), 126),
    Recipe("contrast agent", "dev-contrast", LUNG1, KEYPOINTS.format(11), FINE, 121, contrast=120.0),
    Recipe("collapsed lung", "dev-collapsed", LUNG1, KEYPOINTS.format(8), FINE, 122, collapsed=True),
    Recipe("collapsed lung", "dev-collapsed-2", 80005, KEYPOINTS.format(6), (1.75, 1.75, 1.75), 123, collapsed=True),
)  # fmt: skip

SPLITS = {
    "test": TEST, "moderate": MODERATE, "collapsed": COLLAPSED, "development": DEVELOPMENT,
}  # fmt: skip


def chosen(split: str, quick: bool = False, each: int | None = None) -> list[Recipe]:
    """Recipes of a split; with ``each``, the first so many of every group."""
    kept: list[Recipe] = []
    for recipe in SPLITS[split]:
        before = sum(other.group == recipe.group for other in kept)
        if (recipe.quick or not quick) and (each is None or before < each):
            kept.append(recipe)
    return kept
