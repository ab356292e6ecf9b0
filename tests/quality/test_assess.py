import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lungmorph.quality import assess, lung_regions
from lungmorph.quality.error_network import OFFSET_MM
from lungmorph.quality.predict import PredictedError
from lungmorph.space import Affine, DisplacementField, Grid, Volume

TURN = Rotation.from_euler("xyz", [9, -7, 200], degrees=True).as_matrix()
#: Oblique and anisotropic, stored so that the first axis runs to the patient's right.
GRID = Grid((40, 30, 32), (6.0, 7.0, 8.0), (120.0, 90.0, -300.0), tuple(map(tuple, TURN)))


def world():
    k, j, i = np.meshgrid(*(np.arange(n) for n in GRID.shape), indexing="ij")
    return GRID.to_world(np.stack([i, j, k], -1))


def two_lungs():
    at = world() - GRID.center
    left = (((at - [55, 0, 0]) / [40, 60, 95]) ** 2).sum(-1) < 1
    right = (((at - [-55, 0, 0]) / [45, 60, 95]) ** 2).sum(-1) < 1
    return left, right


def test_regions_are_sides_and_thirds_of_the_patient():
    left, right = two_lungs()
    found = lung_regions(Volume(torch.from_numpy(left | right), GRID))
    assert set(found) == {
        f"{s} {t}" for s in ("left", "right") for t in ("lower", "middle", "upper")
    }
    at = world() - GRID.center
    for name, part in found.items():
        side, third = name.split()
        assert not (part & (right if side == "left" else left)).any()
        z = at[part][:, 2].mean()
        assert z == pytest.approx({"lower": -60, "middle": 0, "upper": 60}[third], abs=14)
    total = sum(part.astype(int) for part in found.values())
    np.testing.assert_array_equal(total, (left | right).astype(int))


def test_one_lung_is_not_given_a_side():
    left, _ = two_lungs()
    assert {n.split()[0] for n in lung_regions(Volume(torch.from_numpy(left), GRID))} == {"lung"}


def test_lungs_in_pieces_have_their_sides():
    left, right = two_lungs()
    z = (world() - GRID.center)[..., 2]
    band = np.abs(z - 10) < 14  # a fissure, or a dense part across a lung
    alone = lung_regions(Volume(torch.from_numpy(left & ~band), GRID))
    assert {name.split()[0] for name in alone} == {"lung"}
    both = lung_regions(Volume(torch.from_numpy((left | right) & ~band), GRID))
    assert {name.split()[0] for name in both} == {"left", "right"}
    for name, part in both.items():
        assert not (part & (right if name.startswith("left") else left)).any()


@pytest.fixture(scope="module")
def stretched():
    """The moving lungs are the fixed ones stretched by 1.2 along the patient's z, their mass kept."""
    left, right = two_lungs()
    lungs = left | right
    at = world() - GRID.center
    noise = np.random.default_rng(0).normal(0, 20, lungs.shape)
    fixed = np.where(lungs, -800.0, 40.0) + noise
    shift = np.zeros((3, *lungs.shape), np.float32)
    shift[2] = 0.2 * at[..., 2]
    back = at / [1, 1, 1.2]
    inside = [
        (((back - [s * 55, 0, 0]) / [w, 60, 95]) ** 2).sum(-1) < 1 for s, w in ((1, 40), (-1, 45))
    ]
    moving_lungs = inside[0] | inside[1]
    moving = np.where(moving_lungs, -1000 + 200 / 1.2, 40.0)
    volumes = [Volume(torch.from_numpy(a).float(), GRID) for a in (fixed, moving)]
    masks = [Volume(torch.from_numpy(a), GRID) for a in (lungs, moving_lungs)]
    transform = DisplacementField(torch.from_numpy(shift), GRID)
    return volumes, masks, transform, assess(*volumes, *masks, transform)


def test_volume_air_and_mass_of_a_known_stretch(stretched):
    found = stretched[3]
    row = found.ventilation["all"]
    assert row.fixed_ml == pytest.approx(4 / 3 * np.pi * 60 * 95 * 85 / 1000, rel=0.02)
    assert row.volume_change_percent == pytest.approx(20.0, abs=0.1)
    assert row.moving_ml == pytest.approx(1.2 * row.fixed_ml, rel=1e-3)
    # 1.2 (1 - 0.2 / 1.2) / 0.8 = 1.25: all that is new is air
    inner = found.ventilation["left middle"]
    assert inner.air_change_percent == pytest.approx(25.0, abs=3)
    assert abs(inner.mass_change_percent) < 12
    # of 0.8 mL of air in each mL, 0.2 mL more
    gained, (left, right) = found.air_change.resample(GRID, fill=0.0).data.numpy(), two_lungs()
    middle = left & (np.abs(world() - GRID.center)[..., 2] < 60)
    assert np.median(gained[middle]) == pytest.approx(0.2, abs=0.02)
    assert not gained[~(left | right)].any()


@pytest.mark.parametrize("kept", [0.8, 0.4])
def test_of_lung_that_the_moving_scan_does_not_show_no_air_is_invented(stretched, kept):
    (fixed, moving), masks, transform, whole = stretched
    # the scan, whose third axis runs to the head, begins above the bases
    first = round((1 - kept) * GRID.size[2])
    x, y, z = GRID.to_world(np.array([[0, 0, first]]))[0]
    part = Grid((*GRID.size[:2], GRID.size[2] - first), GRID.spacing, (x, y, z), GRID.direction)
    cut = Volume(moving.data[first:], part)
    found = assess(fixed, cut, *masks, transform)
    low, high = (found.ventilation[f"left {third}"] for third in ("lower", "upper"))
    assert high.shown_percent > 99
    before = whole.ventilation["left upper"].air_change_percent
    assert high.air_change_percent == pytest.approx(before, abs=0.01)
    assert low.volume_change_percent == pytest.approx(20.0, abs=0.1)
    if kept == 0.4:
        assert low.shown_percent < 1
        assert low.air_change_percent is low.mass_change_percent is None
        assert found.ventilation["all"].air_change_percent is None
    else:
        assert 50 < low.shown_percent < 99
        # all of it with invented air would be 39
        assert 10 < low.air_change_percent < 26
    gained = found.air_change.data
    assert bool(gained.isfinite().all())
    # 1.2 of pure air instead of 0.8 would be 0.4 more
    assert float(gained.quantile(0.999)) < 0.35


def test_a_good_one_is_good_but_for_what_is_not_known(stretched):
    found = stretched[3]
    verdicts = {check.name: check.verdict for check in found.verdict.checks}
    assert verdicts["folded_percent"] == verdicts["dice"] == verdicts["jacobian_high"] == "pass"
    assert verdicts["landmark_error_mm"] == verdicts["inverse_consistency_mm"] == "not computed"
    assert found.verdict.verdict == "review"
    for row in found.regions.values():
        assert (row["p1"], row["p99"]) == pytest.approx((1.2, 1.2), abs=1e-3)


@pytest.mark.parametrize(
    ("off_mm", "known", "value", "said"),
    [
        (0.5, 1.0, 0.5, "whose it is"),
        # what is right for a half of the lung does not pass for all of it
        (0.5, 0.5, None, "% of the lung stays inside both transforms, by 0.5 mm"),
        (4.0, 0.5, 4.0, "% of the lung stays inside both transforms"),
        (0.5, 0.0, None, "no place of the lung stays inside both transforms"),
    ],
)
def test_there_and_back_counts_for_what_is_known(stretched, off_mm, known, value, said):
    volumes, masks, transform, _ = stretched
    low, high = GRID.bounds()
    low[2] = high[2] - max(known, 0.01) * (high[2] - low[2])
    grid = Grid.covering(low, high, 6.0)
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    at = grid.to_world(np.stack([i, j, k], -1))
    shift = np.zeros((3, *grid.shape), np.float32)
    shift[2] = (at[..., 2] - GRID.center[2]) * (1 / 1.2 - 1)
    shift[0] = off_mm
    back = DisplacementField(torch.from_numpy(shift), grid)
    found = assess(*volumes, *masks, transform, backward=back, backward_is="whose it is")
    check = next(c for c in found.verdict.checks if c.name == "inverse_consistency_mm")
    assert check.value == (None if value is None else pytest.approx(value, abs=0.05))
    assert said in check.why


def test_what_was_judged_is_kept(stretched):
    volumes, masks, transform, _ = stretched
    found = assess(*volumes, *masks, transform, judged={"fixed": "a.nii.gz"})
    assert found.as_dict()["judged"] == {"fixed": "a.nii.gz"}


def test_a_mirrored_one_is_judged_in_numbers(stretched):
    volumes, masks, _, _ = stretched
    mirrored = Affine.from_parts(np.diag([-1.0, 1.0, 1.0]), [2 * GRID.center[0], 0, 0])
    found = assess(*volumes, *masks, mirrored)
    assert found.verdict.verdict == "fail"
    assert all(row["voxels"] > 0 for row in found.regions.values())
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_fold_is_found_in_its_region(stretched):
    volumes, masks, transform, _ = stretched
    data = transform.data.clone()
    at = torch.from_numpy(world() - GRID.center)
    spot = (at - torch.tensor([55.0, 0.0, 60.0])).square().sum(-1) < 20**2
    data[2][spot] -= 40.0
    found = assess(*volumes, *masks, DisplacementField(data, GRID))
    folded = {name for name, row in found.regions.items() if row["voxels"]}
    assert "left upper" in folded
    assert not any(name.startswith("right") for name in folded)
    assert found.verdict.verdict == "fail"
    assert any("left upper" in why for why in found.verdict.why)


def predicted(
    left_mm: float,
    left_shown: bool = True,
    others_fit_better: bool = True,
    left_airless: bool = False,
) -> PredictedError:
    """An error in the patient's left half alone, on a lattice of its own."""
    lattice = Grid.covering(*GRID.bounds(), 4.0)
    k, j, i = np.meshgrid(*(np.arange(n) for n in lattice.shape), indexing="ij")
    at = lattice.to_world(np.stack([i, j, k], -1)) - GRID.center
    left = torch.from_numpy(at[..., 0] > 0)
    error = torch.where(left, torch.tensor(left_mm), torch.tensor(0.0))
    inside = np.minimum(
        (((at - [55, 0, 0]) / [40, 60, 95]) ** 2).sum(-1),
        (((at - [-55, 0, 0]) / [45, 60, 95]) ** 2).sum(-1),
    )
    lungs = torch.from_numpy(inside < 1)
    spread = torch.full(lattice.shape, 0.3)
    shown = ~left | left_shown
    gain = torch.full(lattice.shape, 0.2 if others_fit_better else -0.02)
    airless = left & left_airless
    between = torch.ones_like(lungs)
    return PredictedError(
        (error + OFFSET_MM).log(), spread, lungs, shown, between, airless, gain, lattice
    )


def test_a_predicted_error_counts(stretched):
    volumes, masks, transform, _ = stretched
    found = assess(*volumes, *masks, transform, predicted=predicted(9.0))
    assert found.regions["left lower"]["predicted_mm"]["mean"] == pytest.approx(9.0, abs=0.01)
    assert found.regions["right lower"]["predicted_mm"]["p95"] == pytest.approx(0, abs=1e-5)
    assert found.verdict.verdict == "fail"
    told = found.as_dict()["predicted"]
    assert told["p95_mm"] == pytest.approx(9.0, abs=0.01)
    assert len(told["places"]) == 1
    x, y, z = np.array(told["places"][0]["at"]) - GRID.center
    assert (x, y, z) == pytest.approx((55, 0, 0), abs=20)
    left_ml = 4 / 3 * np.pi * 40 * 60 * 95 / 1000
    assert told["places"][0]["ml"] == pytest.approx(left_ml, rel=0.03)
    check = next(c for c in found.verdict.checks if c.name == "wrong_place_ml")
    assert (check.value, check.verdict) == (told["places"][0]["ml"], "fail")


def test_where_only_other_registrations_disagree_it_is_undecided(stretched):
    """The scans are as alike here as where the others lead: no place is called wrong, a person should look."""
    volumes, masks, transform, _ = stretched
    found = assess(*volumes, *masks, transform, predicted=predicted(2.8, others_fit_better=False))
    told = found.as_dict()["predicted"]
    assert told["places"] == []
    assert told["undecided_percent"] == pytest.approx(100 * 40 / (40 + 45), abs=2)
    checks = {check.name: check for check in found.verdict.checks}
    assert checks["wrong_place_ml"].verdict == "pass"
    assert checks["undecided_percent"].verdict == found.verdict.verdict == "review"
    assert checks["undecided_percent"].why in found.verdict.why
    sure = assess(*volumes, *masks, transform, predicted=predicted(2.8)).as_dict()["predicted"]
    assert (len(sure["places"]), sure["undecided_percent"]) == (1, 0)


def test_beside_lung_without_air_images_do_not_decide(stretched):
    volumes, masks, transform, _ = stretched
    found = assess(*volumes, *masks, transform, predicted=predicted(2.8, left_airless=True))
    told = found.as_dict()["predicted"]
    assert told["places"] == []
    assert told["undecided_percent"] == pytest.approx(100 * 40 / (40 + 45), abs=2)
    assert told["airless_ml"] == pytest.approx(4 / 3 * np.pi * 40 * 60 * 95 / 1000, rel=0.03)
    check = next(c for c in found.verdict.checks if c.name == "undecided_percent")
    assert "without air" in check.why
    sure = assess(*volumes, *masks, transform, predicted=predicted(2.8)).as_dict()["predicted"]
    assert sure["airless_ml"] == 0


def test_what_the_moving_scan_does_not_show_is_told_apart(stretched):
    volumes, masks, transform, _ = stretched
    found = assess(*volumes, *masks, transform, predicted=predicted(9.0, left_shown=False))
    told = found.as_dict()["predicted"]
    assert told["places"] == []
    assert told["p95_mm"] == pytest.approx(0, abs=1e-5)
    assert told["not_shown_percent"] == pytest.approx(100 * 40 / (40 + 45), abs=2)
    assert found.regions["left lower"]["predicted_mm"] is None
    check = next(c for c in found.verdict.checks if c.name == "not_shown_percent")
    assert check.verdict == "fail"
    assert "Lung that the moving scan does not show" in check.why
    assert found.regions["right lower"]["predicted_mm"]["p95"] == pytest.approx(0, abs=1e-5)


def test_where_the_moving_scan_shows_nothing_all_is_judged():
    """A wrong frame: the error that is predicted stands, rather than none."""
    some = predicted(9.0)
    nothing = replace(some, shown=torch.zeros_like(some.shown))
    assert nothing.summary["not_shown_percent"] == pytest.approx(100)
    assert nothing.summary["p95_mm"] == pytest.approx(9.0, abs=0.01)
    assert len(nothing.places) == 1


def test_a_small_predicted_error_passes(stretched):
    volumes, masks, transform, _ = stretched
    found = assess(*volumes, *masks, transform, predicted=predicted(0.8))
    verdicts = {check.name: check.verdict for check in found.verdict.checks}
    assert verdicts["predicted_error_mm"] == verdicts["wrong_place_ml"] == "pass"
    assert found.as_dict()["predicted"]["places"] == []
