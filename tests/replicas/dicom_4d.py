"""Write 4D CT as scanners and archives do, in small: for tests of the readers.

Every phase has other voxels, drawn from its percent, so that an order can be checked by content.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from .dicom import new_series, write_slice

PERCENTS = tuple(range(0, 100, 10))
SPACING = (0.9, 1.1, 2.5)
ORIGIN = (-120.5, -90.25, 33.0)
SIZE = (5, 5, 7)  # slices, rows, columns


def phase_hu(phase: float, size: tuple[int, int, int] = SIZE) -> np.ndarray:
    """The voxels of a phase, whole HU, (D, H, W)."""
    return (
        np.random.default_rng(int(1000 + 10 * phase)).integers(-1000, 1200, size).astype(np.int16)
    )


def study(**tags: Any) -> dict[str, Any]:
    """What all series of one study share."""
    shared = {
        "StudyInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "PatientID": "P1",
        "PatientName": "Replica^One",
        "StudyDate": "20240311",
        "Modality": "CT",
    }
    return {**shared, **tags}


def series(shared: dict[str, Any], **tags: Any) -> dict[str, Any]:
    """One series of a study; a tag that is None is not written."""
    made = {**new_series(), "SeriesInstanceUID": generate_uid(), **shared, **tags}
    return {name: value for name, value in made.items() if value is not None}


def write_scan(
    folder: Path,
    hu: np.ndarray,
    tags: dict[str, Any],
    *,
    spacing: tuple[float, float, float] = SPACING,
    origin: tuple[float, float, float] = ORIGIN,
    direction: np.ndarray | None = None,
    **more: Any,
) -> Path:
    """A scan, by default on the grid of the phases, in files whose names are in an order that says nothing.

    The first slice is written by pydicom, the others are its bytes with other values in four places.
    """
    folder.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if direction is None else np.asarray(direction)
    stored = (hu + 1024).astype(np.int16)
    blank = np.full(stored.shape[1:], 23130, np.int16)
    places = ("-111111.1111111", "-222222.2222222", "-333333.3333333")
    shared = {"SOPInstanceUID": generate_uid(), **tags, **more}
    first = write_slice(
        folder / "template",
        blank,
        series=shared,
        position=(0, 0, 0),
        orientation=(*axes[:, 0], *axes[:, 1]),
        pixel_spacing=(spacing[1], spacing[0]),
        instance=-98765,  # six bytes that stand in no UID
        **{**more, "ImagePositionPatient": list(places)},
    )
    raw = first.read_bytes()
    first.unlink()
    uid = shared["SOPInstanceUID"].encode()
    for name, k in enumerate(np.random.default_rng(0).permutation(len(hu))):
        own = raw.replace(blank.tobytes(), stored[k].tobytes())
        own = own.replace(uid, uid[:-3] + f"{k:03d}".encode())
        own = own.replace(b"-98765", f"{k + 1:<6d}".encode())
        position = np.asarray(origin) + axes[:, 2] * spacing[2] * k
        for place, value in zip(places, position, strict=True):
            own = own.replace(place.encode(), f"{value:<15.8f}".encode()[:15])
        (folder / f"{shared['SeriesNumber']}_{name:04d}.dcm").write_bytes(own)
    return folder


def siemens(folder: Path, percents: Any = PERCENTS, **tags: Any) -> dict[str, Any]:
    """A series a phase with a telling description; projections, topogram and a plain scan beside."""
    shared = study(Manufacturer="SIEMENS", ManufacturerModelName="SOMATOM Definition AS", **tags)
    kernel = {"ConvolutionKernel": "B30f", "SliceThickness": 2.0, "ProtocolName": "4D_Thorax"}
    numbers = np.random.default_rng(3).permutation(len(percents)) + 301
    for number, percent in zip(numbers, percents, strict=True):
        words = f"Thorax 4D  2.0  B30f  {percent}%"
        own = series(shared, SeriesNumber=int(number), SeriesDescription=words, **kernel)
        write_scan(folder, phase_hu(percent), own)
    for number, words, kind in (
        (320, "Thorax 4D 2.0 B30f AVG", ["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 SPI"]),
        (321, "Thorax 4D 2.0 B30f MIP 50%", ["DERIVED", "SECONDARY", "AXIAL"]),
        (3, "Thorax 3.0 B31f 120kV", ["ORIGINAL", "PRIMARY", "AXIAL"]),
    ):
        own = series(shared, SeriesNumber=number, SeriesDescription=words, **kernel)
        write_scan(folder, phase_hu(number), own, ImageType=kind)
    topogram = series(shared, SeriesNumber=1, SeriesDescription="Topogram 0.6 T20f")
    write_slice(
        folder / "topogram.IMA",
        phase_hu(0)[0],
        series=topogram,
        position=(0, 0, 500),
        orientation=(0, 1, 0, 0, 0, -1),
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER", "CT_SOM5 TOP"],
    )
    return shared


def ge(folder: Path, percents: Any = PERCENTS, **tags: Any) -> dict[str, Any]:
    """A series a phase, "T=30%", instance numbers from the head down, padding and ASIR in the words."""
    shared = study(Manufacturer="GE MEDICAL SYSTEMS", ManufacturerModelName="Discovery RT", **tags)
    for k, percent in enumerate(percents):
        words = f"4D ASIR 30% T={percent}%"
        own = series(shared, SeriesNumber=1000 + k, SeriesDescription=words)
        hu = phase_hu(percent)
        target = write_scan(folder / f"s{k}", hu, own, ImageType=["DERIVED", "SECONDARY", "AXIAL"])
        for path in target.iterdir():
            data = pydicom.dcmread(path)
            stored = data.pixel_array.copy()
            stored[0, 0] = -2000
            data.PixelData = stored.tobytes()
            data.add(DataElement("PixelPaddingValue", "SS", -2000))
            data.InstanceNumber = SIZE[0] + 1 - int(data.InstanceNumber)
            data.save_as(path)
    for k, words in enumerate(("MIP", "Ave-IP", "Min IP")):
        own = series(shared, SeriesNumber=1100 + k, SeriesDescription=f"4D {words}")
        write_scan(folder / words, phase_hu(200 + k), own)
    return shared


def philips(
    folder: Path,
    tags_of: Any,
    percents: Any = PERCENTS,
    words: str | None = "4D Thorax",
    **tags: Any,
) -> dict[str, Any]:
    """All phases in one series; ``tags_of(percent, number from 0)`` are the tags of the slices of one."""
    shared = study(Manufacturer="Philips", ManufacturerModelName="Brilliance Big Bore", **tags)
    own = series(shared, SeriesNumber=5, SeriesDescription=words)
    for k in np.random.default_rng(8).permutation(len(percents)):
        made = write_scan(folder / "x", phase_hu(percents[k]), own, **tags_of(percents[k], int(k)))
        for path in sorted(made.iterdir()):
            path.rename(folder / f"{k}_{path.name}")
        made.rmdir()
    return shared


def tcia_4d_lung(folder: Path, percents: Any = PERCENTS, **tags: Any) -> dict[str, Any]:
    """As TCIA distributes 4D-Lung: no study date, series all numbered 1, a counter in the description."""
    shared = study(StudyDate=None, ContentDate="20030701", PatientID="100_HM10395", **tags)
    uids = {}
    for k, percent in enumerate(percents):
        words = f"P4^P100^S300^I{3 + k:05d}, Gated, {percent}.0%A"
        own = series(shared, SeriesNumber=1, SeriesDescription=words)
        uids[percent] = own["SeriesInstanceUID"]
        write_scan(
            folder / "ct" / f"1.000000-P4P100S300I{3 + k:05d} Gated {percent}.0A",
            phase_hu(percent),
            own,
        )
        beam = series(
            shared, SeriesNumber=500 + k, SeriesDescription=f"P4^P100^S100^I0, Gated, {percent}.0%"
        )
        write_scan(folder / "cbct" / f"{k}", phase_hu(300 + percent, (4, 3, 3)), beam)
    return {**shared, "series": uids}


def enhanced(path: Path, percents: Any = PERCENTS, direction: np.ndarray | None = None) -> Path:
    """All phases as the frames of one enhanced CT file, in an order that says nothing."""
    axes = np.eye(3) if direction is None else direction
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), Dataset(), file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = EnhancedCTImageStorage
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    for name, value in series(study(), SeriesDescription="4D", SeriesNumber=7).items():
        setattr(data, name, value)
    data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    data.Rows, data.Columns = SIZE[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 1
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = [SPACING[1], SPACING[0]]
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [
        f"{v:.10g}" for v in (*axes[:, 0], *axes[:, 1])
    ]
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames, stored = [], []
    places = [(p, k) for p in percents for k in range(SIZE[0])]
    for at in np.random.default_rng(2).permutation(len(places)):
        percent, k = places[at]
        slope = 1.0 if k % 2 else 0.5  # every frame has its own
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([Dataset()])
        position = np.asarray(ORIGIN) + axes[:, 2] * SPACING[2] * k
        frame.PlanePositionSequence[0].ImagePositionPatient = [f"{v:.10g}" for v in position]
        frame.PixelValueTransformationSequence = Sequence([Dataset()])
        frame.PixelValueTransformationSequence[0].RescaleSlope = slope
        frame.PixelValueTransformationSequence[0].RescaleIntercept = -1024
        frame.RespiratorySynchronizationSequence = Sequence([Dataset()])
        frame.RespiratorySynchronizationSequence[0].NominalPercentageOfRespiratoryPhase = percent
        frames.append(frame)
        stored.append(((phase_hu(percent)[k] + 1024) / slope).astype(np.int16))
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.NumberOfFrames = len(frames)
    data.PixelData = np.stack(stored).tobytes()
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path
