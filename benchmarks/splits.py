"""Who is trained on, who is validated on, who is only reported on: real patients and real motions, one split for all."""

from __future__ import annotations

import os
from pathlib import Path

KEYPOINTS = "learn2reg_lung_keypoints/case_{:03d}.csv"
LANDMARKS = "copdgene/case_{:02d}_landmarks.csv"
LUNG2, LUNG1 = "pyradiomics_lung2", "pyradiomics_lung1"

#: Files of `chest_ct`; validation is on invented patients alone.
ANATOMIES: dict[str, tuple[str, ...]] = {
    "train": (LUNG1, "slicerio_CTChest4", "cip_ct64"),
    "validation": (),
    "test": (LUNG2,),
}
_NUMBERS = {
    "train": (range(1, 13), range(1, 4)),
    "validation": (range(13, 16), range(4, 5)),
    "test": (range(16, 21), range(5, 7)),
}
#: Files of `motion`: keypoints, then COPDgene landmarks.
MOTIONS = {
    split: tuple(
        [KEYPOINTS.format(n) for n in keypoints] + [LANDMARKS.format(n) for n in landmarks]
    )
    for split, (keypoints, landmarks) in _NUMBERS.items()
}


def data_folder() -> Path | None:
    """Where the real data is, or None: LUNGMORPH_DATA, else `../shared/data` beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LUNGMORPH_DATA", beside))
    return folder if folder.is_dir() else None
