"""What a transform that does not fit may have been meant as."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lungmorph.quality.assess import assess
from lungmorph.quality.misread import (
    IN_VOXELS,
    INVERSE,
    OTHER_ORDER,
    POSITIONS,
    RAS,
    better_reading,
)
from lungmorph.simulate import Breath, Draw, breathing_field, simulate_pair, thorax
from lungmorph.space import Affine, Composite, DisplacementField, Grid, Landmarks
from lungmorph.space.sampling import world_points

GRID = Grid((72, 56, 72), (4.0, 4.5, 4.0), (-142.0, -124.0, -142.0))
TURN = tuple(map(tuple, Rotation.from_euler("xyz", [9, -7, 12], degrees=True).as_matrix()))
#: Oblique and anisotropic, as scans are.
SCAN = Grid((72, 60, 50), (4.0, 4.4, 5.5), (-150.0, -125.0, -130.0), TURN)
FAR = Affine.from_parts(np.eye(3), (60.0, -40.0, 130.0))


@pytest.fixture(scope="module")
def pair():
    """A deep breath, so that its inverse is far from it; scanner frames 150 mm apart."""
    body = thorax(5, GRID)
    field = breathing_field(Draw(2), body.lungs, Breath(diaphragm=40.0, front=14.0, sides=8.0))
    return simulate_pair(body, field, 1, fixed_grid=SCAN, offset=FAR)


def wrong(pair, change):
    """The truth with its displacements changed: (3, D, H, W) mm to the same."""
    return DisplacementField(change(pair.truth.data).contiguous(), pair.truth.grid)


def reading(pair, transform):
    return better_reading(pair.fixed, pair.moving, pair.fixed_lungs, transform)


def inverse_of(pair):
    return pair.truth.inverse(pair.moving.grid)


def ras(pair):
    return wrong(pair, lambda u: u * torch.tensor([-1.0, -1.0, 1.0])[:, None, None, None])


def voxels(pair):
    turn = torch.tensor(np.asarray(SCAN.direction).T / np.asarray(SCAN.spacing)[:, None]).float()
    return wrong(pair, lambda u: torch.einsum("ab,bdhw->adhw", turn, u))


def positions(pair, turn=(1.0, 1.0, 1.0)):
    """As SPM and NiftyReg keep them, in LPS; or in RAS."""
    at = world_points(pair.truth.grid).movedim(-1, 0)
    return wrong(pair, lambda u: (u + at) * torch.tensor(turn)[:, None, None, None])


def positions_in_ras(pair):
    return positions(pair, (-1.0, -1.0, 1.0))


def wrong_way_round(pair):
    return Composite([shift_by(pair), wrong(pair, lambda u: u - mean_of(u))])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (inverse_of, INVERSE),
        (ras, RAS),
        (voxels, IN_VOXELS),
        (positions, POSITIONS),
        (positions_in_ras, POSITIONS),
        (wrong_way_round, OTHER_ORDER),
    ],
)
def test_it_is_told_what_the_transform_may_be(pair, make, name):
    found = reading(pair, make(pair))
    assert found is not None
    assert found.name == name
    assert found.correlation > 0.8 > found.as_given + 0.15
    assert f"{found.correlation:.2f} instead of {found.as_given:.2f}" in found.said


def test_an_affine_in_ras(pair):
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    small = Affine.from_parts(
        Rotation.from_euler("z", 8, degrees=True).as_matrix(), (25.0, -30.0, 130.0)
    )
    moved = replace(pair, moving=replace(pair.fixed, grid=placed(pair.fixed.grid, small)))
    assert reading(moved, small) is None
    assert reading(moved, Affine(turn @ small.matrix @ turn)).name == RAS


def placed(grid: Grid, by: Affine) -> Grid:
    turned = tuple(map(tuple, by.linear @ np.asarray(grid.direction)))
    return Grid(grid.size, grid.spacing, tuple(by.apply([grid.origin])[0]), turned)


@pytest.mark.parametrize("what", ["right", "a stop halfway", "in parts"])
def test_what_is_right_or_merely_bad_is_not_read_otherwise(pair, what):
    transform = {
        "right": pair.truth,
        "a stop halfway": Composite(
            [wrong(pair, lambda u: 0.5 * (u + mean_of(u))), Affine.identity()]
        ),
        "in parts": Composite([wrong(pair, lambda u: u - mean_of(u)), shift_by(pair)]),
    }[what]
    assert reading(pair, transform) is None


def test_it_is_told_what_landmarks_may_be(pair):
    images = pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs
    right = pair.fixed_landmarks, pair.moving_landmarks

    def why(marks):
        found = assess(*images, pair.truth, landmarks=marks).verdict
        return next((line for line in found.why if line.startswith("Landmark error, mean")), "")

    turned = [Landmarks(m.points * [-1, -1, 1], m.frame) for m in right]
    assert re.search(r"mm \(taken as points in RAS, it would be 0(\.\d+)? mm\);", why(turned))
    swapped = Landmarks(right[1].points, "fixed"), Landmarks(right[0].points, "moving")
    assert "(taken as those of the two scans swapped, it would be" in why(swapped)
    assert why(right) == ""
    far = Landmarks(right[0].points + np.array([9, 0, 0]), "fixed")
    assert "taken as" not in why((far, right[1]))


def mean_of(u):
    return u.mean(dim=(1, 2, 3), keepdim=True)


def shift_by(pair):
    return Affine.from_parts(np.eye(3), pair.truth.data.double().mean(dim=(1, 2, 3)).numpy())


def test_a_failed_verdict_says_so_and_a_good_one_has_nothing_to_say(pair):
    both = (pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)
    bad = assess(*both, inverse_of(pair)).verdict
    assert bad.verdict == "fail"
    assert INVERSE in bad.why[-1]
    assert not any("Taken as" in reason for reason in assess(*both, pair.truth).verdict.why)
