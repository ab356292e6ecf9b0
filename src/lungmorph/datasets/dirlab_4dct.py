"""DIR-Lab 4DCT: ten patients, ten breathing phases each, raw images, expert landmarks.

Each package (``Case1Pack.zip`` ... ``Case10Pack.zip``) holds ``Images`` (T00 to T90, T00 at the end of
inhale, T50 at the end of exhale), ``ExtremePhases`` (300 points in T00 and T50) and ``Sampled4D`` (75
points in T00 to T50). ``root`` is a package, or a folder with packages at any of a few levels, or one
folder with all files in it.

The default pair is fixed T00, moving T50. The distance of the landmarks before registration, which
DIR-Lab publishes, is the same both ways; of the programs that were looked at, most fix T00.

Castillo R et al., Phys Med Biol 54:1849 (2009) (cases 1-5); Castillo E et al., Phys Med Biol 55:305
(2010) (cases 6-10).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .case import Dataset
from .dirlab_case import open_layout
from .dirlab_files import Layout, Marks, belongs, image_pattern, name_pattern
from .dirlab_tables import DIRLAB_4DCT

_PHASES = tuple(f"T{percent:02d}" for percent in range(0, 100, 10))

LAYOUT = Layout(
    kind="dirlab-4dct",
    title="DIR-Lab 4DCT",
    case="case",
    scans={phase.lower(): (phase, float(phase[1:])) for phase in _PHASES},
    pair=("T00", "T50"),
    image=image_pattern(r"case 0*(?P<case>\d+) (?P<scan>T\d0)"),
    landmarks=(
        Marks(
            "ExtremePhases",
            name_pattern(r"case 0*(?P<case>\d+) (?:dirlab)? 300 (?P<scan>T\d0) (?:xyz)?\.txt"),
            ("T00", "T50"),
            300,
        ),
        Marks(
            "Sampled4D",
            name_pattern(r"case 0*(?P<case>\d+) 4D 75 (?P<scan>T\d0) (?:xyz)?\.txt"),
            _PHASES[:6],
            75,
        ),
    ),
    archive=name_pattern(r"case 0*(?P<case>\d+) (?:pack|deploy)\.zip"),
    table=DIRLAB_4DCT,
    example="Case1Pack/Images/case1_T00_s.img",
)


def recognises(root: Path) -> bool:
    """Whether a file below is named like an image of this collection, or like its archive."""
    return belongs(root, LAYOUT)


def open_dataset(
    root: Path, *, size: Sequence[int] | None = None, spacing: Sequence[float] | None = None
) -> Dataset:
    """Cases ``case1`` ... ``case10`` with scans ``T00`` ... ``T90``, as many as are there.

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
