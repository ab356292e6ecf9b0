"""Simulated pairs as a config asks for them: lattice, patches, coarser lattices, held-out patients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lungmorph.errors import InputError
from lungmorph.training.data_config import Augmentation, Simulated
from lungmorph.training.simulated import check, held_out_pairs, training_pairs

SPACING = 12.0


def source(patch: int | None = None, **changes: object):
    entry = Simulated(**({"options": {"pool": 1}} | changes))
    return training_pairs(entry, 0, SPACING, Augmentation(), patch, "cpu")


def test_lattice_holds_a_chest_whatever_the_spacing() -> None:
    shape = source().pair(0)["fixed"].shape[2:]
    assert all(190 <= n * SPACING <= 390 for n in shape)
    own = source(options={"pool": 1, "sizes": [16, 16]}).pair(0)["fixed"].shape[2:]
    assert tuple(own) == (16, 16, 16)


def test_coarser_pair_is_made_of_the_same_region() -> None:
    fine, coarse = (s.pair(3) for s in (source(), source().at(2)))
    for a, b in zip(fine["fixed"].shape[2:], coarse["fixed"].shape[2:], strict=True):
        assert abs(a / 2 - b) <= 8
    lungs = [float(p["fixed_mask"].sum()) * s**3 for p, s in ((fine, 12), (coarse, 24))]
    assert lungs[0] == pytest.approx(lungs[1], rel=0.35)
    # displacements are in voxels of their own lattice
    length = [
        s * float(p["displacement"].square().sum(1).sqrt()[p["fixed_mask"][:, 0]].mean())
        for p, s in ((fine, 12), (coarse, 24))
    ]
    assert length[0] == pytest.approx(length[1], rel=0.5)


def test_patches_are_no_larger_than_asked_for_on_any_lattice() -> None:
    cut = source(patch=16)
    for n in range(3):
        assert max(cut.pair(n)["fixed"].shape[2:]) <= 16
        assert max(cut.at(2).pair(n)["fixed"].shape[2:]) <= 8
    assert torch.equal(cut.pair(1)["fixed"], source(patch=16).pair(1)["fixed"])


def test_augmented_only_where_asked_for() -> None:
    plain, changed = source().pair(2), source(augment=True).pair(2)
    assert plain["fixed"].shape != changed["fixed"].shape or not torch.equal(
        plain["fixed"], changed["fixed"]
    )
    assert set(plain) == set(changed)


def test_held_out_patients_are_not_those_of_training() -> None:
    entry = Simulated(options={"pool": 2}, validation={"pairs": 2})
    held = held_out_pairs(entry, 0, SPACING, "cpu")
    assert len(held) == 2
    again = held_out_pairs(entry, 0, SPACING, "cpu")
    assert all(torch.equal(a["fixed"], b["fixed"]) for a, b in zip(held, again, strict=True))
    shown = [source(options={"pool": 2}).pair(n)["fixed"] for n in range(4)]
    for pair in held:
        for image in shown:
            same = image.shape == pair["fixed"].shape
            assert not same or np.abs((image - pair["fixed"]).numpy()).mean() > 20


def test_options_that_cannot_be_are_refused() -> None:
    for options, told in (
        ({"pool": "many"}, "pool"),
        ({"sizes": 64}, "sizes"),
        ({"prealigned": True}, "prealigned"),
        ({"device": "cuda"}, "device"),
        ({"pool": 0}, "at least 1"),
        ({"pool": 2.5}, "a whole number"),
        ({"renew_every": 0}, "at least 1"),
        ({"prealigned": 7}, "from 0 to 1"),
        ({"mean_displacement": [0, 5]}, "from 0.1"),
        ({"mean_displacement": [14, 2]}, "least, most"),
        ({"sizes": [8, 9, 10]}, "least, most"),
        ({"collapse": float("nan")}, "from 0 to 1"),
    ):
        with pytest.raises(InputError, match=told):
            check(Simulated(options=options), 4.0, 8)
    with pytest.raises(InputError, match="at least 128 voxels of 4 mm a side for these levels"):
        check(Simulated(), 4.0, 128)
    with pytest.raises(InputError, match=r"at most 20 mm for simulated pairs, found 32 mm"):
        check(Simulated(), 32.0, 2)
    check(Simulated(), 8.0, 16)


def test_file_on_both_sides_is_refused() -> None:
    with pytest.raises(ValueError, match="training and of validation"):
        Simulated(motions=["a.csv"], validation={"motions": ["a.csv"]})
