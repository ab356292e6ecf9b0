"""Rivals: what they are given, and whether what they give comes out as mm along the world axes.

The tools themselves are not in the environment of the tests. Where a tool's own frame is turned to that of the world, a
stand-in answers in the tool's frame; the tools are run by the slow test, if LUNGMORPH_RIVALS_PYTHON names an
interpreter that has them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from tests.evaluation.pairs import SHIFT, SIZE, SPACING, TURN, write_case, write_rival

from lungmorph.evaluation.methods import PairFiles, rival_methods
from lungmorph.evaluation.rivals import NAMES, convexadam, niftyreg
from lungmorph.evaluation.rivals.pair import Pair, load, total_displacement
from lungmorph.files import write_image
from lungmorph.simulate import Breath, Draw, SimulatedPair, breathing_field, simulate_pair, thorax
from lungmorph.space import Affine, Grid

FILES = ("fixed", "moving", "fixed_mask", "moving_mask")
PYTHON = os.environ.get("LUNGMORPH_RIVALS_PYTHON", "")


def files_of(folder: Path) -> PairFiles:
    names = write_case(folder)
    return PairFiles(*(folder.parent / names[part] for part in FILES), masks_given=True)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    found = files_of(tmp_path / "case")
    names = (found.fixed, found.moving, found.fixed_mask, found.moving_mask)
    return load(*map(str, names), tmp_path, 1)  # type: ignore[arg-type]


def run(tool: str, pair: PairFiles, out: Path, python: str = sys.executable) -> sitk.Image:
    (method,) = rival_methods([tool], python)
    assert method.missing == ""
    done = subprocess.run(method.command(pair, out, 1), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sitk.ReadImage(str(method.transform(out)))


def same_place(a: sitk.Image, b: sitk.Image) -> bool:
    places = [[*i.GetSize(), *i.GetSpacing(), *i.GetOrigin(), *i.GetDirection()] for i in (a, b)]
    return bool(np.allclose(*places, atol=1e-5))


def test_every_tool_names_itself() -> None:
    for method in rival_methods(NAMES):
        assert method.title
        assert method.settings["settings"], method.name
        assert method.missing == "" or "(pip install " in method.missing


def test_a_field_on_any_grid_comes_out_on_the_fixed_grid_with_the_start_added(
    tmp_path: Path,
) -> None:
    files = files_of(tmp_path / "case")
    # its zero field, of another grid, plus a constant along the axes of the world
    tool = write_rival(tmp_path / "mine.py")
    text = Path(tool).read_text().replace("np.zeros(", "np.array([1.0, -2.0, 3.0]) + np.zeros(")
    Path(tool).write_text(text)
    found = run(tool, files, tmp_path / "out")
    assert same_place(found, sitk.ReadImage(str(files.fixed)))
    vectors = sitk.GetArrayFromImage(found)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(
        vectors, np.broadcast_to(np.add(SHIFT, [1, -2, 3]), vectors.shape), atol=1e-3
    )


def test_a_tool_gets_images_that_lie_on_one_another(pair: Pair) -> None:
    np.testing.assert_allclose(pair.shift, SHIFT, atol=1e-6)
    assert same_place(pair.fixed, pair.moving)
    assert same_place(pair.fixed, pair.metric_mask)
    fixed = sitk.GetArrayFromImage(pair.fixed)
    assert fixed.min() >= -1000.0
    assert fixed.max() <= 200.0
    lungs, grown = (sitk.GetArrayFromImage(m) for m in (pair.fixed_mask, pair.metric_mask))
    assert 0 < lungs.sum() < grown.sum() < grown.size
    assert same_place(sitk.ReadImage(pair.path("moving")), pair.moving)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return sitk.GetImageFromArray(np.full((3, 3, 3, 3), np.nan), isVector=True)", "no numbers"),
        ("return None", "no image of 3 components, but NoneType"),
        ("return pair.fixed", "no image of 3 components, but one of 1"),
        ("raise SystemExit(4)", ""),
        ("import no_such_tool", "no_such_tool"),
    ],
)  # fmt: skip
def test_a_tool_that_fails_says_so_and_leaves_no_field(
    tmp_path: Path, body: str, said: str
) -> None:
    (method,) = rival_methods([write_rival(tmp_path / "mine.py", body=body)])
    command = method.command(files_of(tmp_path / "case"), tmp_path / "out", 1)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in done.stderr.strip().split("\n")[-1]
    assert not method.transform(tmp_path / "out").exists()


def test_a_file_without_the_function_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("TITLE = 'Mine'\n")
    (method,) = rival_methods([str(tmp_path / "mine.py")])
    assert method.missing == "mine.py has no function register(pair)"


def test_convexadam_answers_in_voxels_of_a_common_grid(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = convexadam.common_grid(pair)
    assert all(size % 2 == 0 for size in grid.GetSize())
    np.testing.assert_allclose(grid.GetDirection(), TURN.ravel(), atol=1e-6)
    for mask in (pair.fixed_mask, pair.moving_mask):
        points = np.argwhere(sitk.GetArrayFromImage(mask) > 0)[:, ::-1]
        for index in points[:: max(1, len(points) // 50)].tolist():
            at = grid.TransformPhysicalPointToContinuousIndex(
                mask.TransformIndexToPhysicalPoint(index)
            )
            assert np.all(np.array(at) > 7)
            assert np.all(np.array(at) < np.array(grid.GetSize()) - 8)

    voxels = np.array([1.0, -2.0, 0.5])
    seen: dict[str, object] = {}

    def answers(fixed, moving, **options):  # type: ignore[no-untyped-def]
        seen.update(fixed=fixed.shape, moving=moving.shape, **options)
        return np.broadcast_to(voxels, (*fixed.shape, 3)).astype(np.float32)

    module = ModuleType("convexAdam.convex_adam_MIND")
    module.convex_adam_pt = answers  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "convexAdam", ModuleType("convexAdam"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    field = total_displacement(convexadam.register(pair), pair)
    assert seen["fixed"] == seen["moving"] == grid.GetSize()
    expected = SHIFT + TURN @ (voxels * SPACING)
    np.testing.assert_allclose(sitk.GetArrayFromImage(field)[6, 9, 10], expected, atol=1e-3)


def test_niftyreg_answers_in_ras(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def answers(command: list[str], check: bool) -> None:
        ran.append(Path(command[0]).name)
        if ran[-1] == "reg_transform":
            shape = (3, 1, *SIZE[::-1])  # 5D: (x, y, z, time, component)
            ras = np.broadcast_to(np.array([1.0, 2.0, 3.0])[:, None, None, None, None], shape)
            sitk.WriteImage(sitk.GetImageFromArray(ras.copy(), isVector=False), command[-1])

    monkeypatch.setattr(niftyreg.subprocess, "run", answers)
    monkeypatch.setattr(
        niftyreg.importlib.util,
        "find_spec",
        lambda name: SimpleNamespace(origin="/x/niftyreg/__init__.py"),
    )
    field = total_displacement(niftyreg.register(pair), pair)
    assert ran == ["reg_f3d", "reg_transform"]
    vectors = sitk.GetArrayFromImage(field)
    np.testing.assert_allclose(
        vectors, np.broadcast_to(np.add(SHIFT, [-1, -2, 3]), vectors.shape), atol=1e-4
    )


# ------------------------------------------------------------------ the tools themselves


@pytest.fixture(scope="module")
def breath() -> SimulatedPair:
    """A breath of an invented patient; the fixed scan is oblique, the moving one in another frame."""
    grid = Grid((104, 84, 100), (3.0, 3.0, 3.0), (-154.5, -124.5, -148.5))
    anatomy = thorax(7, grid)
    field = breathing_field(Draw(5, 1), anatomy.lungs, Breath(diaphragm=28.0, front=6.0, sides=3.0))
    corner = TURN @ np.array(grid.origin)
    oblique = Grid(grid.size, grid.spacing, tuple(corner), tuple(map(tuple, TURN)))
    return simulate_pair(
        anatomy,
        field,
        3,
        noise_hu=15.0,
        offset=Affine.from_parts(np.eye(3), SHIFT),
        fixed_grid=oblique,
    )


@pytest.mark.slow
@pytest.mark.parametrize("tool", NAMES)
def test_every_tool_finds_a_known_motion(tmp_path: Path, breath: SimulatedPair, tool: str) -> None:
    if not PYTHON:
        pytest.skip("LUNGMORPH_RIVALS_PYTHON names no interpreter with the rivals")
    (method,) = rival_methods([tool], PYTHON)
    if method.missing:
        pytest.skip(method.missing)
    files = PairFiles(*(tmp_path / f"{name}.nii.gz" for name in FILES), masks_given=True)
    volumes = (breath.fixed, breath.moving, breath.fixed_lungs, breath.moving_lungs)
    for volume, path in zip(
        volumes, (files.fixed, files.moving, files.fixed_mask, files.moving_mask), strict=True
    ):
        write_image(volume, path)
    found = sitk.DisplacementFieldTransform(
        sitk.Cast(run(tool, files, tmp_path / "out", PYTHON), sitk.sitkVectorFloat64)
    )
    fixed, moving = breath.fixed_landmarks.points, breath.moving_landmarks.points
    after = np.array([found.TransformPoint(point) for point in fixed.tolist()])
    start = np.linalg.norm(moving - fixed - (moving - fixed).mean(axis=0), axis=1).mean()
    assert start > 3
    assert np.linalg.norm(after - moving, axis=1).mean() < 0.35 * start
