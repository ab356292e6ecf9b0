"""Write DICOM structure sets as planning systems do, for tests of the readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

#: A contour: points (N, 3), LPS mm, and the slice it was drawn on (SOPInstanceUID), if it says.
Drawn = tuple[np.ndarray, str | None]


def write_structures(
    path: Path,
    regions: Mapping[str, Sequence[Drawn]],
    shared: Mapping[str, Any],
    *,
    series: str | None = None,
    images: Sequence[str] = (),
    kind: str = "CLOSED_PLANAR",
    time: str = "120000",
    label: str = "RTS",
) -> Path:
    """A structure set of one study.

    ``shared`` are the tags of the study (as :func:`replicas.dicom_4d.study`); ``series`` and ``images`` are
    what the set as a whole refers to.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), Dataset(), file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = RTStructureSetStorage
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
        if shared.get(name) is not None:
            setattr(data, name, shared[name])
    data.Modality = "RTSTRUCT"
    data.SeriesInstanceUID = generate_uid()
    data.StructureSetLabel, data.StructureSetDate, data.StructureSetTime = label, "20240401", time
    frame = Dataset()
    frame.FrameOfReferenceUID = shared["FrameOfReferenceUID"]
    if series or images:
        one = Dataset()
        one.SeriesInstanceUID = series or generate_uid()
        one.ContourImageSequence = [_image(uid) for uid in images]
        study = Dataset()
        study.RTReferencedSeriesSequence = [one]
        frame.RTReferencedStudySequence = [study]
    data.ReferencedFrameOfReferenceSequence = [frame]
    names, drawn = [], []
    for number, (name, contours) in enumerate(regions.items(), 11):
        region = Dataset()
        region.ROINumber, region.ROIName = number, name
        region.ReferencedFrameOfReferenceUID = shared["FrameOfReferenceUID"]
        names.append(region)
        item = Dataset()
        item.ReferencedROINumber = number
        item.ContourSequence = [_contour(points, uid, kind) for points, uid in contours]
        drawn.append(item)
    data.StructureSetROISequence = names
    data.ROIContourSequence = drawn[::-1]  # their order says nothing
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def _contour(points: np.ndarray, uid: str | None, kind: str) -> Dataset:
    made = Dataset()
    made.ContourGeometricType = kind
    made.NumberOfContourPoints = len(points)
    made.ContourData = [f"{v:.8g}" for v in np.ravel(points)]
    if uid:
        made.ContourImageSequence = [_image(uid)]
    return made


def _image(uid: str) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    made.ReferencedSOPInstanceUID = uid
    return made
