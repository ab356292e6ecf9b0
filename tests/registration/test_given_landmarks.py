"""Landmarks in another frame or unit are refused before anything is computed."""

import logging

import numpy as np
import pytest
from tests.geometry import OBLIQUE

from lungmorph.errors import InputError
from lungmorph.registration.given_landmarks import check_landmarks
from lungmorph.space import Grid, Landmarks

FAR = Grid(OBLIQUE.size, OBLIQUE.spacing, (500.0, 40.0, 900.0), OBLIQUE.direction)
INDEX = np.random.default_rng(2).uniform(1, 15, (20, 3))


def pair(fixed: np.ndarray, moving: np.ndarray) -> tuple[Landmarks, Landmarks]:
    return Landmarks(fixed, "fixed"), Landmarks(moving, "moving")


def test_each_set_lies_in_its_own_oblique_scan(caplog):
    check_landmarks(pair(OBLIQUE.to_world(INDEX), FAR.to_world(INDEX)), OBLIQUE, FAR)
    check_landmarks(pair(np.zeros((0, 3)), np.zeros((0, 3))), OBLIQUE, FAR)
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("voxel indices", lambda points: INDEX),
        ("RAS", lambda points: points * [-1, -1, 1]),
        ("another scan", lambda points: FAR.to_world(INDEX)),
    ],
)
def test_of_another_frame_or_unit(name, turn):
    there = FAR.to_world(INDEX)
    with pytest.raises(InputError, match=r"inside the fixed scan, found 20 of 20 outside; .*RAS"):
        check_landmarks(pair(turn(OBLIQUE.to_world(INDEX)), there), OBLIQUE, FAR)
    with pytest.raises(InputError, match=r"inside the moving scan, found 20 of 20 outside"):
        check_landmarks(pair(OBLIQUE.to_world(INDEX), turn(there) + 3000), OBLIQUE, FAR)


def test_a_few_outside_are_told(caplog):
    fixed = OBLIQUE.to_world(INDEX)
    fixed[:3] += 900
    with caplog.at_level(logging.WARNING):
        check_landmarks(pair(fixed, FAR.to_world(INDEX)), OBLIQUE, FAR)
    assert "found 3 of 20 outside" in caplog.text


def test_not_as_many():
    with pytest.raises(InputError, match="found 20 and 19"):
        check_landmarks(pair(OBLIQUE.to_world(INDEX), FAR.to_world(INDEX[1:])), OBLIQUE, FAR)
