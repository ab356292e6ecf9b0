"""What DIR-Lab publishes of its images, which have no header of their own.

Sizes, spacings, numbers of features and their displacements are those of the download pages (Emory
University, Deformable Image Registration Laboratory, "4DCT" and "COPDgene"; printed in Castillo R et
al., Phys Med Biol 54:1849 (2009), Castillo E et al., Phys Med Biol 55:305 (2010), and Castillo R et
al., Phys Med Biol 58:2861 (2013)). They speak of the *whole* feature sets. Of these, 300 points a case
are distributed, and it is their mean distance (``before_mm``) with which every paper begins its table.

The means of the 300 of 4DCT are in many papers. Those of COPDgene were computed from the files in the
registration benchmark of the public program breathgeom (2026-07-30); their mean over the cases, 23.36
mm, is that of the literature. Standard deviations of the 300 are left out: no source was found that
could be checked.
For copd9 the page says 0.664 mm; some programs have 0.644, probably a slip.
"""

from __future__ import annotations

from dataclasses import dataclass

from .raw import Size


@dataclass(frozen=True)
class Published:
    """One case.

    Attributes:
        size: voxels (x, y, z).
        spacing: mm (x, y, z).
        before_mm: mean distance of its 300 landmark pairs before registration.
        features: how many were marked in all.
        features_mm: mean and standard deviation of their displacement.
    """

    size: Size
    spacing: tuple[float, float, float]
    before_mm: float
    features: int
    features_mm: tuple[float, float]


def _published(
    width: int,
    slices: int,
    pixel: float,
    before_mm: float,
    features: int,
    mean: float,
    sd: float,
) -> Published:
    size = (width, width, slices)
    return Published(size, (pixel, pixel, 2.5), before_mm, features, (mean, sd))


DIRLAB_4DCT = {
    1: _published(256, 94, 0.97, 3.89, 1280, 4.01, 2.91),
    2: _published(256, 112, 1.16, 4.34, 1487, 4.65, 4.09),
    3: _published(256, 104, 1.15, 6.94, 1561, 6.73, 4.21),
    4: _published(256, 99, 1.13, 9.83, 1166, 9.42, 4.81),
    5: _published(256, 106, 1.10, 7.48, 1268, 7.10, 5.14),
    6: _published(512, 128, 0.97, 10.89, 419, 11.10, 6.98),
    7: _published(512, 136, 0.97, 11.03, 398, 11.59, 7.87),
    8: _published(512, 128, 0.97, 14.99, 476, 15.16, 9.11),
    9: _published(512, 128, 0.97, 7.92, 342, 7.82, 3.99),
    10: _published(512, 120, 0.97, 7.30, 435, 7.63, 6.54),
}

DIRLAB_COPD = {
    1: _published(512, 121, 0.625, 26.33, 773, 25.90, 11.57),
    2: _published(512, 102, 0.645, 21.79, 612, 21.77, 6.46),
    3: _published(512, 126, 0.652, 12.64, 1172, 12.29, 6.39),
    4: _published(512, 126, 0.590, 29.58, 786, 30.90, 13.49),
    5: _published(512, 131, 0.647, 30.08, 1029, 30.90, 14.05),
    6: _published(512, 119, 0.633, 28.46, 633, 28.32, 9.20),
    7: _published(512, 112, 0.625, 21.60, 575, 21.66, 7.66),
    8: _published(512, 115, 0.586, 26.46, 791, 25.57, 13.61),
    9: _published(512, 116, 0.664, 14.86, 447, 14.84, 10.01),
    10: _published(512, 135, 0.742, 21.81, 480, 22.48, 10.64),
}
