"""Which elements of a DICOM file are read as its header."""

from __future__ import annotations

from pydicom.tag import Tag

#: A value of these that cannot be parsed makes the file unusable: so many decimal numbers ...
DECIMAL = {
    "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6,
    "PixelSpacing": 2,
    "GantryDetectorTilt": 1,
    "RescaleSlope": 1,
    "RescaleIntercept": 1,
}
#: ... or one whole number.
WHOLE = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "BitsAllocated",
)
PLACE_TAGS = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "Modality",
    *DECIMAL,
    *WHOLE,
)
#: What these say is a story: `text` and `number` of the header take a broken value as none.
STORY_TAGS = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientName",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "StudyDescription",
    "SeriesDescription",
    "SeriesNumber",
    "Manufacturer",
    "ManufacturerModelName",
    "ImageType",
    "ImageComments",
    "PhotometricInterpretation",
    "RescaleType",
    "ProtocolName",
    "AcquisitionProtocolDescription",
    "DerivationDescription",
    "ScanOptions",
    "ConvolutionKernel",
    "SliceThickness",
    "InstanceNumber",
    "NominalPercentageOfRespiratoryPhase",
    "NominalPercentageOfCardiacPhase",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NumberOfTemporalPositions",
    "AcquisitionNumber",
    "TriggerTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)
FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
#: All of them.
READ_TAGS = [Tag(name) for name in (*PLACE_TAGS, *STORY_TAGS, *FRAMES)]
