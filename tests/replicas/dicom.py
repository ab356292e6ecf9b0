"""Write CT series as scanners do: one DICOM file a slice, for tests of the readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def new_series(**tags: Any) -> dict[str, Any]:
    """The tags that the slices of one series share; any of them may be overridden."""
    shared: dict[str, Any] = {
        "SeriesInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "SeriesNumber": 1,
        "SeriesDescription": "chest",
        "Modality": "CT",
        "PatientID": "replica",
        "PatientName": "Replica",
    }
    return {**shared, **tags}


def write_slice(
    path: Path,
    stored: np.ndarray,
    *,
    series: dict[str, Any],
    position: tuple[float, float, float],
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    pixel_spacing: tuple[float, float] = (1.0, 1.0),
    slope: float = 1.0,
    intercept: float = -1024.0,
    instance: int = 1,
    **tags: Any,
) -> Path:
    """One slice of stored values (rows, columns), int16 or uint16; ``pixel_spacing`` is (row, column)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), Dataset(), file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.InstanceNumber = instance
    data.ImagePositionPatient = [f"{v:.10g}" for v in position]
    data.ImageOrientationPatient = [f"{v:.10g}" for v in orientation]
    data.PixelSpacing = list(pixel_spacing)
    data.SliceThickness = 99.0  # wrong on purpose: thickness is not the distance of slices
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = int(stored.dtype == np.int16)
    data.RescaleSlope = slope
    data.RescaleIntercept = intercept
    data.PixelData = np.ascontiguousarray(stored).tobytes()
    for name, value in {**series, **tags}.items():
        setattr(data, name, value)
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    hu: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    direction: np.ndarray | None = None,
    series: dict[str, Any] | None = None,
    skip: tuple[int, ...] = (),
    shuffle: int | None = 0,
    **tags: Any,
) -> Path:
    """A volume in whole HU (D, H, W) as a folder of slices, named in an order that says nothing.

    ``direction`` columns are the index axes (right-handed), as in ITK. ``skip`` leaves slices out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if direction is None else np.asarray(direction, dtype=float)
    shared = new_series() if series is None else series
    order = np.arange(len(hu))
    if shuffle is not None:
        order = np.random.default_rng(shuffle).permutation(order)
    for name, k in enumerate(order):
        if k in skip:
            continue
        position = np.asarray(origin) + axes[:, 2] * spacing[2] * k
        write_slice(
            folder / f"{shared['SeriesNumber']}_{name:04d}.dcm",
            (hu[k] + 1024).astype(np.int16),
            series=shared,
            position=tuple(position),
            orientation=(*axes[:, 0], *axes[:, 1]),
            pixel_spacing=(spacing[1], spacing[0]),
            instance=int(k) + 1,
            **tags,
        )
    return folder
