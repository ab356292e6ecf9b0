import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Outline
from scipy.spatial.transform import Rotation

from lungmorph.errors import InputError
from lungmorph.files.contour_mask import fill_contours, inside_polygon, place_contours
from lungmorph.files.rtstruct import read_structures, region_mask
from lungmorph.space import Grid
from replicas.dicom_4d import study
from replicas.rtstruct import write_structures

OBLIQUE = Grid(
    (60, 50, 9),
    (1.3, 0.9, 2.5),
    (-40.0, 55.0, -310.0),
    Rotation.from_euler("xyz", [12, -25, 40], degrees=True).as_matrix(),
)


def ring(grid: Grid, k: float, radius: float, center=(39.2, 22.3), n: int = 400) -> np.ndarray:
    """A circle in the plane of slice ``k``, mm; ``center`` in mm along the axes of the slice."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    plane = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) + center
    return grid.to_world(np.column_stack([plane / grid.spacing[:2], np.full(n, k)]))


def square(grid: Grid, k: float, low: float, high: float) -> np.ndarray:
    """A square between two indices, in the plane of slice ``k``."""
    return grid.to_world([(low, low, k), (high, low, k), (high, high, k), (low, high, k)])


def test_circle_on_an_oblique_anisotropic_grid():
    radius, center = 17.0, np.array([39.2, 22.3])
    contours = [ring(OBLIQUE, k, radius) for k in (2, 3, 4)]
    placed = place_contours(contours, OBLIQUE)
    mask = fill_contours(placed, OBLIQUE).data.numpy()
    j, i = np.mgrid[:50, :60]
    distance = np.hypot(i * 1.3 - center[0], j * 0.9 - center[1])
    sure = (
        np.abs(distance - radius) > 0.01
    )  # the polygon of 400 corners is 0.0005 mm off the circle
    assert sure.mean() > 0.99
    for k in range(9):
        inside = (distance < radius) if k in (2, 3, 4) else np.zeros_like(sure)
        np.testing.assert_array_equal(mask[k][sure], inside[sure])
    area = mask[3].sum() * 1.3 * 0.9
    assert area == pytest.approx(np.pi * radius**2, rel=0.01)
    assert (placed.between, placed.outside, placed.tilted, placed.skipped_slices) == ((), 0, 0, 0)


@pytest.mark.parametrize("turned", [False, True])
def test_hole_as_a_second_contour_and_as_a_keyhole(turned):
    outer, inner = square(OBLIQUE, 5, 4.5, 40.5), square(OBLIQUE, 5, 10.5, 20.5)
    if turned:
        inner = inner[::-1]
    nested = fill_contours(place_contours([outer, inner], OBLIQUE), OBLIQUE).data.numpy()
    keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])
    joined = fill_contours(place_contours([keyhole], OBLIQUE), OBLIQUE).data.numpy()
    expected = np.zeros((50, 60), bool)
    expected[5:41, 5:41] = True
    expected[11:21, 11:21] = False
    np.testing.assert_array_equal(nested[5], expected)
    np.testing.assert_array_equal(joined[5], expected)
    assert nested.sum() == joined.sum() == 36**2 - 10**2


def test_any_polygon_as_matplotlib_fills_it():
    rng = np.random.default_rng(1)
    j, i = np.mgrid[:50, :60]
    for _ in range(20):
        corners = rng.uniform(-10, 70, (rng.integers(3, 30), 2))  # crosses itself and the border
        outline = Outline(np.vstack([corners, corners[:1]]), closed=True)
        filled = outline.contains_points(np.column_stack([i.ravel(), j.ravel()])).reshape(50, 60)
        # matplotlib fills by the even-odd rule too
        np.testing.assert_array_equal(inside_polygon(corners, (50, 60)), filled)


def test_polygons_with_a_common_edge_share_no_voxel():
    left = np.array([[2.0, 2.0], [10.0, 2.0], [10.0, 9.0], [2.0, 9.0]])
    right = left + np.array([8.0, 0.0])
    one, other = (inside_polygon(p, (20, 30)) for p in (left, right))
    assert not (one & other).any()
    assert (one | other).sum() == 16 * 7


@pytest.mark.parametrize("again", [lambda c: c[::-1], lambda c: np.roll(c, 7, axis=0)])
def test_a_contour_drawn_again_the_other_way_round_makes_no_hole(again):
    contour = ring(OBLIQUE, 4, 10)
    once = fill_contours(place_contours([contour], OBLIQUE), OBLIQUE).data
    twice = fill_contours(place_contours([contour, again(contour)], OBLIQUE), OBLIQUE).data
    assert bool(once.any())
    assert (once == twice).all()


def test_contours_off_the_slices_are_reported():
    contours = [
        ring(OBLIQUE, 2.1, 10),  # a quarter of a millimetre off: of slice 2
        ring(OBLIQUE, 3.48, 10),
        ring(OBLIQUE, 4, 10),
        ring(OBLIQUE, 4, 10),  # the same again
        ring(OBLIQUE, 9, 10),
        ring(OBLIQUE, -1, 10),
    ]
    tilted = ring(OBLIQUE, 5, 10)
    tilted[0] += 2.0 * np.asarray(OBLIQUE.direction)[:, 2]
    placed = place_contours([*contours, tilted], OBLIQUE)
    assert sorted(placed.by_slice) == [2, 4]
    assert len(placed.by_slice[4]) == 1
    assert placed.between == (pytest.approx(0.48 * 2.5),)
    assert (placed.outside, placed.tilted, placed.skipped_slices) == (2, 1, 1)


def test_file_of_structures(tmp_path):
    shared = study()
    regions = {
        "Lung_L": [(ring(OBLIQUE, k, 8), f"1.2.{k}") for k in (3, 4)],
        "Heart": [(ring(OBLIQUE, 3, 5, (20, 20)), None)],
    }
    path = write_structures(tmp_path / "rs.dcm", regions, shared, series="1.9", images=["1.2.3"])
    read = read_structures(path)
    assert [region.name for region in read.regions] == ["Heart", "Lung_L"]
    assert read.patient == "P1"
    assert read.images == {("1.2.3", None)}
    assert read.series == {"1.9"}
    assert read.frames == {shared["FrameOfReferenceUID"]}
    assert read.drawn_on == {("1.2.3", None), ("1.2.4", None)}
    np.testing.assert_allclose(
        read.region("Heart").contours[0].points, ring(OBLIQUE, 3, 5, (20, 20)), atol=1e-4
    )
    both = region_mask(path, ["Lung_L", "Heart"], OBLIQUE).data.numpy()
    lung = region_mask(path, ["Lung_L"], OBLIQUE).data.numpy()
    heart = region_mask(path, ["Heart"], OBLIQUE).data.numpy()
    np.testing.assert_array_equal(both, lung | heart)
    only = region_mask(path, ["Lung_L"], OBLIQUE, frozenset({("1.2.4", None)})).data.numpy()
    assert only[4].any()
    assert not only[3].any()
    with pytest.raises(InputError, match="found Heart, Lung_L"):
        region_mask(path, ["Liver"], OBLIQUE)
    elsewhere = OBLIQUE.crop((0, 0, 20), (60, 50, 5))
    with pytest.raises(
        InputError, match="contours of Heart on the slices of the image, found none"
    ):
        region_mask(path, ["Heart"], elsewhere)


def test_what_is_no_closed_contour_is_not_filled(tmp_path):
    regions = {"Wire": [(ring(OBLIQUE, 3, 8), None)], "Iso": [(np.zeros((1, 3)), None)]}
    read = read_structures(write_structures(tmp_path / "a", regions, study(), kind="OPEN_PLANAR"))
    assert [(region.contours, region.open) for region in read.regions] == [((), 1), ((), 1)]


@pytest.mark.parametrize(
    "what", ["another kind", "junk", "half a point", "words", "nan", "no number", "cut off"]
)
def test_bad_files_are_one_line(tmp_path, what):
    path = write_structures(tmp_path / "rs.dcm", {"A": [(ring(OBLIQUE, 3, 8), None)]}, study())
    raw = path.read_bytes()
    data = pydicom.dcmread(path)
    contour = data.ROIContourSequence[0].ContourSequence[0]
    if what == "another kind":
        del data.StructureSetROISequence, data.ROIContourSequence
        data.save_as(path)
    elif what == "junk":
        path.write_bytes(b"\x00\x01junk" * 300)
    elif what == "half a point":
        contour.ContourData = list(contour.ContourData)[:-1]
        data.save_as(path)
    elif what in ("words", "nan"):
        first = str(next(iter(contour.ContourData))).encode()
        other = b"nan".ljust(len(first)) if what == "nan" else b"x" * len(first)
        path.write_bytes(raw.replace(first, other, 1))
    elif what == "no number":
        data.ROIContourSequence[0].ReferencedROINumber = None
        data.save_as(path)
    elif what == "cut off":
        path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError) as caught:
        read_structures(path)
    assert "rs.dcm" in str(caught.value)
    assert "\n" not in str(caught.value)
