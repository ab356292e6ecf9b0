"""A pair that is changed stays a pair: what warps one image onto the other is changed with them.

The images are smooth functions of the place, so that reading them between voxels is all but exact; the
warp that checks them is scipy's.
"""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from lungmorph.simulate import Draw
from lungmorph.space import Affine
from lungmorph.training.augment import augmented, crop_to_lung, flipped, moved
from lungmorph.training.data_config import Augmentation

SHAPE = (22, 26, 30)  # (z, y, x)


def places() -> np.ndarray:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    return np.stack([x, y, z])


def shift(p: np.ndarray) -> np.ndarray:
    x, y, z = p
    return np.stack([1.5 + 0.05 * y, -1.0 + 0.6 * np.sin(z / 6), 0.04 * x - 0.5])


def tissue(p: np.ndarray) -> np.ndarray:
    """HU of the moving image."""
    x, y, z = p
    return -500 + 150 * np.sin(x / 5 + 0.3) * np.cos(y / 6) + 100 * np.cos(z / 5 + x / 11)


def pair() -> dict[str, torch.Tensor]:
    p = places()
    u = shift(p)
    mask = np.zeros(SHAPE, bool)
    mask[6:-6, 7:-7, 8:-8] = True
    points = np.random.default_rng(0).uniform(8, 14, (9, 3))
    arrays = {
        "fixed": tissue(p + u)[None, None],
        "moving": tissue(p)[None, None],
        "displacement": u[None],
        "fixed_points": points,
        "moving_points": points + shift(points.T).T,
    }
    out = {name: torch.as_tensor(a, dtype=torch.float32) for name, a in arrays.items()}
    for name in ("fixed_mask", "moving_mask"):
        out[name] = torch.as_tensor(mask)[None, None]
    return out


def read(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Of (D, H, W), at (x, y, z) in voxels."""
    return map_coordinates(image, at[::-1], order=1, mode="nearest")


def check(found: dict[str, torch.Tensor], hu: float = 25.0) -> None:
    """The displacement takes every landmark to its partner, and the moving image to the fixed one."""
    u = found["displacement"][0].numpy().astype(float)
    points, partners = (found[f"{s}_points"].numpy().astype(float) for s in ("fixed", "moving"))
    taken = points + np.stack([read(c, points.T) for c in u], axis=1)
    assert len(points) > 0
    np.testing.assert_allclose(taken, partners, atol=0.05)
    mask = found["fixed_mask"][0, 0].numpy()
    assert mask.sum() > 50
    z, y, x = np.nonzero(mask)
    at = np.stack([x, y, z]).astype(float) + u[:, mask]
    warped = read(found["moving"][0, 0].numpy(), at)
    missed = np.abs(warped - found["fixed"][0, 0].numpy()[mask])
    assert np.percentile(missed, 95) < hu
    assert np.mean(missed) < hu / 3


def turned(degrees: float, scale: float, by: tuple[float, float, float]) -> Affine:
    """About the middle, oblique: about all three axes, scaled unlike along them."""
    middle = (np.array(SHAPE[::-1]) - 1) / 2
    a, b = np.deg2rad([degrees, degrees / 2])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    linear = about_z @ about_x @ np.diag([1 + scale, 1.0, 1 - scale])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, middle + by - linear @ middle
    return Affine(matrix)


def test_pair_of_these_tests_is_a_pair() -> None:
    check(pair())


def test_moved_by_two_affines() -> None:
    given = pair()
    given["stretch"] = torch.tensor(1.3)
    a, b = turned(14, 0.1, (0.5, -0.7, 1)), turned(-9, 0.04, (-1, 0.4, 0.3))
    found = moved(given, a, b)
    # T' = B^-1 T A, and T = det(T') det(B) / det(A)
    assert float(found["stretch"]) == pytest.approx(
        1.3 * np.linalg.det(b.linear) / np.linalg.det(a.linear), rel=1e-5
    )
    assert abs(float(found["stretch"]) - 1.3) > 0.005
    assert not torch.allclose(found["fixed"], given["fixed"], atol=20)
    check(found)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirrored(axis: int) -> None:
    given = pair()
    found = flipped(given, axis)
    assert torch.equal(found["fixed"], given["fixed"].flip(4 - axis))
    check(found)
    assert flipped({**given, "stretch": torch.tensor(1.3)}, axis)["stretch"] == 1.3
    for name, value in flipped(found, axis).items():
        assert torch.allclose(value.float(), given[name].float()), name


def test_crop_keeps_what_lies_in_it_and_no_voxel_whose_partner_does_not() -> None:
    found = crop_to_lung(pair(), [12, 13, 14], Draw(3))
    assert found["fixed"].shape[2:] == (12, 13, 14)
    check(found)
    u = found["displacement"][0].numpy()
    z, y, x = np.nonzero(found["fixed_mask"][0, 0].numpy())
    at = np.stack([x, y, z]) + u[:, z, y, x]
    assert at.min() >= 0
    assert (at.max(axis=1) <= [13, 12, 11]).all()
    for name in ("fixed_points", "moving_points"):
        points = found[name].numpy()
        assert points.min() >= 0
        assert (points.max(axis=0) <= [13, 12, 11]).all()


def test_crop_larger_than_the_pair_changes_nothing() -> None:
    given = pair()
    found = crop_to_lung(given, 64, Draw(3))
    assert all(torch.equal(found[name], given[name]) for name in given)


@pytest.mark.parametrize("step", range(6))
def test_all_geometry_together(step: int) -> None:
    how = Augmentation(intensity=0, noise_hu=0, resolution_mm=0, flip=0.9, crop=0.5, shift_mm=4)
    check(augmented(pair(), how, Draw(0, step), spacing_mm=4.0))


def nothing(**changes: float) -> Augmentation:
    names = (
        "degrees",
        "scale",
        "shift_mm",
        "intensity",
        "noise_hu",
        "resolution_mm",
        "crop",
        "flip",
    )
    return Augmentation(**(dict.fromkeys(names, 0.0) | changes))


def test_zeros_leave_the_pair_as_it_is() -> None:
    given = pair()
    found = augmented(given, nothing(), Draw(0, 1), spacing_mm=4.0)
    for name, value in found.items():
        assert torch.allclose(value.float(), given[name].float(), atol=1e-2), name


def test_noise_contrast_and_slices_change_the_images_alone() -> None:
    given = pair()
    for change, least in ((nothing(noise_hu=40), 1), (nothing(intensity=0.2), 1), (nothing(resolution_mm=20), 0.5)):  # fmt: skip
        found = augmented(given, change, Draw(0, 2), spacing_mm=4.0)
        for name in ("displacement", "fixed_points", "moving_points"):
            assert torch.allclose(found[name], given[name], atol=1e-3)
        difference = (found["fixed"] - given["fixed"]).std()
        assert least < float(difference) < 120
        # each image is a scan of its own
        other = (found["moving"] - given["moving"]).std()
        assert abs(float(difference - other)) > 1e-3


def test_same_number_same_change() -> None:
    a, b = (augmented(pair(), Augmentation(), Draw(1, 5), 4.0) for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    c = augmented(pair(), Augmentation(), Draw(1, 6), 4.0)
    assert a["fixed"].shape != c["fixed"].shape or not torch.equal(a["fixed"], c["fixed"])
