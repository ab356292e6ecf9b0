"""A 4D CT: phases of one breath, each a stack of DICOM slices whose voxels are still on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..space import Grid, Volume
from .dicom_header import Header, path_of, text
from .dicom_pixels import read_stack


@dataclass(frozen=True, eq=False)
class Phase:
    """One breathing phase of a 4D CT.

    Attributes:
        name: for people ("50 %", "20 % In").
        percent: 0 (end of inhale) to below 100; None for bins of amplitude.
        headers: of its slices, in their order along the normal.
        grid: of the image, LPS mm.
    """

    name: str
    percent: float | None
    headers: tuple[Header, ...]
    grid: Grid

    def load(self) -> Volume:
        """The image, float32 HU.

        Raises:
            InputError: as :func:`lungmorph.files.dicom_pixels.read_stack`.
        """
        return read_stack(self.headers, self.grid)

    @property
    def series(self) -> str:
        """The SeriesInstanceUID."""
        return str(self.headers[0].SeriesInstanceUID)

    @property
    def frame_of_reference(self) -> str:
        """The FrameOfReferenceUID, or empty."""
        return text(self.headers[0], "FrameOfReferenceUID")

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of its slices."""
        return tuple(dict.fromkeys(path_of(header) for header in self.headers))


@dataclass(frozen=True)
class BreathingCT:
    """A 4D CT.

    Attributes:
        patient: PatientID, or PatientName; StudyInstanceUID where the files have none of them.
        date: of the study (YYYYMMDD), of the images if it has none, or empty.
        study: StudyInstanceUID.
        phases: in the order of the breath; those that could not be used are left out.
        inhale, exhale: names of the phases nearest to the end of inhale (0 %) and of exhale (50 %), even
            if they could not be used.
        apart: what tells it from another 4D CT of the same patient and day, or empty.
        problems: phases that could not be used, one line each.
        notes: which tag was used, what was assumed, what stands beside it.
        timed_by: the tag whose order of time is all that makes them phases; among the problems until it is
            confirmed. Else empty.
    """

    patient: str
    date: str
    study: str
    phases: tuple[Phase, ...]
    inhale: str
    exhale: str
    apart: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    timed_by: str = ""

    @property
    def is_named(self) -> bool:
        """Whether the files say who the patient is."""
        return self.patient not in (self.study, "patient")

    def __str__(self) -> str:
        who = self.patient if self.is_named else ""
        about = ", ".join(filter(None, (who, self.date, self.apart)))
        return f"a 4D CT ({about}) of the phases {', '.join(phase.name for phase in self.phases)}"
