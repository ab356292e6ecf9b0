"""DICOM registrations, written tag by tag and read by the formula of the standard (PS3.3, C.20.2 and C.20.3)."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from lungmorph.cli.info import kind_of
from lungmorph.errors import InputError
from lungmorph.files import read_transform
from lungmorph.space import Affine, Composite, DisplacementField

DEFORMABLE, RIGID = "1.2.840.10008.5.1.4.1.1.66.3", "1.2.840.10008.5.1.4.1.1.66.1"
SIZE, SPACING, FIRST = (5, 7, 4), (3.0, 2.0, 6.5), np.array([-30.0, 12.0, -210.5])
AXES = Rotation.from_euler("xyz", [12, -25, 40], degrees=True).as_matrix()
OFFSETS = np.random.default_rng(5).normal(0, 5, (4, 7, 5, 3)).astype(np.float32)


def rigid(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-9, 9, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.uniform(-4, 4, 3)
    return matrix


def item(**tags) -> Dataset:
    made = Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def matrix_item(matrix: np.ndarray) -> Dataset:
    numbers = [f"{value:.10f}"[:16] for value in matrix.ravel()]
    return item(
        FrameOfReferenceTransformationMatrix=numbers,
        FrameOfReferenceTransformationMatrixType="RIGID",
    )


def grid_item(order: str = "<", offsets: np.ndarray = OFFSETS, **tags) -> Dataset:
    return item(
        ImagePositionPatient=[*FIRST],
        ImageOrientationPatient=[f"{v:.12f}" for v in (*AXES[:, 0], *AXES[:, 1])],
        GridDimensions=list(SIZE),
        GridResolution=list(SPACING),
        VectorGridData=offsets.astype(f"{order}f4").tobytes(),
        **tags,
    )  # fmt: skip


def write(path: Path, kind: str, syntax=ExplicitVRLittleEndian, **tags) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = kind, syntax
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = item(
        SOPClassUID=kind, SOPInstanceUID=meta.MediaStorageSOPInstanceUID, Modality="REG", **tags
    )
    data.file_meta = meta
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def deformable(path: Path, *items: Dataset, **more) -> Path:
    return write(path, DEFORMABLE, DeformableRegistrationSequence=list(items), **more)


def by_the_standard(i: int, j: int, k: int, before: np.ndarray, after: np.ndarray):
    """A centre of the grid, which lies in the Registered frame, and where equation C.20.3-1 puts it."""
    center = FIRST + AXES @ (np.asarray(SPACING) * (i, j, k))
    moved = (before @ [*center, 1])[:3] + OFFSETS[k, j, i]
    return center, (after @ [*moved, 1])[:3]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_deformable_with_a_matrix_before_and_after(tmp_path, syntax):
    before, after = rigid(1), rigid(2)
    before[:3, 3] += (150, -220, 310)
    path = deformable(
        tmp_path / "REG.1.2.3",
        item(
            SourceFrameOfReferenceUID="1.2",
            PreDeformationMatrixRegistrationSequence=[matrix_item(before)],
            PostDeformationMatrixRegistrationSequence=[matrix_item(after)],
            DeformableRegistrationGridSequence=[grid_item("<" if syntax == ExplicitVRLittleEndian else ">")],
        ),
        syntax=syntax,
    )  # fmt: skip
    read = read_transform(path)
    assert isinstance(read, Composite)
    indices = [(1, 1, 1), (3, 5, 2), (2, 4, 1), (1, 3, 2)]
    starts, ends = zip(*(by_the_standard(*index, before, after) for index in indices), strict=True)
    np.testing.assert_allclose(read.apply(np.array(starts)), ends, atol=1e-4)
    # the frames of the two scans may lie far apart
    beyond = FIRST + 500.0
    np.testing.assert_allclose(read.apply(beyond), (after @ before @ [*beyond, 1])[:3], atol=1e-3)
    assert kind_of(str(path)) == "transform"


def test_frame_that_stays_does_not_count(tmp_path):
    stays = item(
        SourceFrameOfReferenceUID="1.1",
        PreDeformationMatrixRegistrationSequence=[matrix_item(np.eye(4))],
    )
    moved = item(SourceFrameOfReferenceUID="1.2", DeformableRegistrationGridSequence=[grid_item()])
    read = read_transform(deformable(tmp_path / "reg.dcm", stays, moved))
    assert isinstance(read, DisplacementField)
    np.testing.assert_array_equal(read.data.numpy(), np.moveaxis(OFFSETS, -1, 0))
    np.testing.assert_allclose(read.grid.to_world([4, 6, 3]), FIRST + AXES @ [12, 12, 19.5])


def test_rigid_leads_from_the_source_and_is_turned_round(tmp_path):
    """Its matrices take the Source frame (moving) to the Registered frame (fixed), the first of them first."""
    one, two = rigid(3), rigid(4)

    def frame(uid: str, *matrices: np.ndarray) -> Dataset:
        steps = [matrix_item(matrix) for matrix in matrices]
        return item(
            FrameOfReferenceUID=uid, MatrixRegistrationSequence=[item(MatrixSequence=steps)]
        )

    path = write(
        tmp_path / "reg.dcm", RIGID, RegistrationSequence=[frame("1", np.eye(4)), frame("2", one, two)]
    )  # fmt: skip
    moving = np.array([[10.0, -20, 30], [-5, 6, 170]])
    fixed = np.array([(two @ one @ [*point, 1])[:3] for point in moving])
    read = read_transform(path)
    assert isinstance(read, Affine)
    np.testing.assert_allclose(read.apply(fixed), moving, atol=1e-4)


def test_what_is_no_single_whole_registration_is_refused(tmp_path):
    moved = item(SourceFrameOfReferenceUID="1.2", DeformableRegistrationGridSequence=[grid_item()])
    with pytest.raises(InputError, match="2 frames that are moved"):
        read_transform(deformable(tmp_path / "two.dcm", moved, moved))
    holes = OFFSETS.copy()
    holes[1, 2, 3] = np.nan
    torn = item(DeformableRegistrationGridSequence=[grid_item(offsets=holes)])
    with pytest.raises(InputError, match="1 of 140 undefined"):
        read_transform(deformable(tmp_path / "holes.dcm", torn))
    short = item(DeformableRegistrationGridSequence=[grid_item(offsets=OFFSETS[:2])])
    with pytest.raises(InputError, match="210 numbers"):
        read_transform(deformable(tmp_path / "short.dcm", short))
    with pytest.raises(InputError, match="breaks off"):
        read_transform(
            deformable(tmp_path / "bare.dcm", item(DeformableRegistrationGridSequence=[item()]))
        )
    with pytest.raises(InputError, match="DICOM of another kind"):
        read_transform(write(tmp_path / "none.dcm", RIGID))
