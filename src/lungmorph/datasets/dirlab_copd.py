"""DIR-Lab COPDgene: ten patients, breath held at inhale and at exhale, 300 expert landmarks each.

Each package (``copd1.zip`` ... ``copd10.zip``) holds ``copd1_iBHCT.img`` and ``copd1_eBHCT.img``, raw,
and ``copd1_300_iBH_xyz_r1.txt`` and ``copd1_300_eBH_xyz_r1.txt``. ``root`` is a package, or a folder
with packages at any of a few levels, or one folder with all files in it.

The default pair is fixed ``inhale``, moving ``exhale``, as in pTVreg, the most accurate published
method whose program can be read (mean 0.85 mm): its transform carries the inhale landmarks to exhale.
Others fix exhale: ask :meth:`Case.landmarks` for ("exhale", "inhale") to do so.

Castillo R et al., Phys Med Biol 58:2861 (2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .case import Dataset
from .dirlab_case import open_layout
from .dirlab_files import Layout, Marks, belongs, image_pattern, name_pattern
from .dirlab_tables import DIRLAB_COPD

LAYOUT = Layout(
    kind="dirlab-copd",
    title="DIR-Lab COPDgene",
    case="copd",
    scans={"i": ("inhale", None), "e": ("exhale", None)},
    pair=("inhale", "exhale"),
    image=image_pattern(r"copd 0*(?P<case>\d+) (?P<scan>[ie])BHCT"),
    landmarks=(
        Marks(
            "300",
            name_pattern(r"copd 0*(?P<case>\d+) 300 (?P<scan>[ie])BH xyz (?:r1)?\.txt"),
            ("inhale", "exhale"),
            300,
        ),
    ),
    archive=name_pattern(r"copd 0*(?P<case>\d+) \.zip"),
    table=DIRLAB_COPD,
    example="copd1/copd1_iBHCT.img",
)


def recognises(root: Path) -> bool:
    """Whether a file below is named like an image of this collection, or like its archive."""
    return belongs(root, LAYOUT)


def open_dataset(
    root: Path, *, size: Sequence[int] | None = None, spacing: Sequence[float] | None = None
) -> Dataset:
    """Cases ``copd1`` ... ``copd10`` with the scans ``inhale`` and ``exhale``, as many as are there.

    Args:
        root: package or folder of packages.
        size: voxels (x, y, z), where the images are not the originals; all cases get it, and none is
            compared with the published distance then.
        spacing: mm (x, y, z), with ``size``.

    Raises:
        InputError: size without spacing, or the other way round. What is wrong with a file is in the
            ``problems`` of its case.
    """
    return open_layout(root, LAYOUT, size, spacing)
