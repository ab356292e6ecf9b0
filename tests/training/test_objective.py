"""Every term of the loss against a formula written out in numpy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from lungmorph.networks import LevelConfig, MultiLevelConfig
from lungmorph.training import LossWeights, Objective

SHAPE = (8, 10, 12)
#: 5 mm voxels; the first level computes its field in blocks of two of them.
MODEL = MultiLevelConfig(
    spacing_mm=5.0,
    levels=(
        LevelConfig(reduce=1, downsamplings=1, entry=(4,), body=(4,)),
        LevelConfig(downsamplings=1, entry=(4,), body=(4,)),
    ),
)


def smooth(channels: int, size: float, seed: int, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    """(1, C, D, H, W), a few waves."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.arange(n) / 4 for n in shape), indexing="ij")
    waves = [
        sum(np.sin(rng.uniform(0.4, 1.2) * a + rng.uniform(0, 6)) for a in axes)
        for _ in range(channels)
    ]
    return torch.as_tensor(size * np.stack(waves)[None] / 3, dtype=torch.float32)


@pytest.fixture
def pair() -> dict[str, torch.Tensor]:
    mask = torch.zeros(1, 1, *SHAPE, dtype=torch.bool)
    mask[..., 2:-2, 2:-2, 2:-2] = True
    return {
        "fixed": 0.5 + smooth(1, 0.4, 0),
        "moving": 0.5 + smooth(1, 0.4, 1),
        "fixed_mask": mask,
        "displacement": smooth(3, 1.5, 2),
        "fixed_points": torch.tensor([[3.2, 4.5, 2.0], [7.0, 5.25, 4.75]]),
        "moving_points": torch.tensor([[4.0, 4.0, 3.0], [6.0, 6.0, 4.0]]),
    }


def read(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Channels of (C, D, H, W) at (3, ...) voxels (x, y, z)."""
    return np.stack([map_coordinates(c, at[::-1], order=1, mode="nearest") for c in field])


def places(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    return np.stack([x, y, z])


def loss_of(weights: LossWeights, output: torch.Tensor, pair: dict[str, torch.Tensor]) -> float:
    return float(Objective(weights, MODEL)([output], [1.0], pair)[0])


def only(**weights: float) -> LossWeights:
    return LossWeights(**({"lncc": 0.0, "diffusion": 0.0} | weights))


def rounded(distance: np.ndarray) -> np.ndarray:
    """The distance, rounded off over 0.1 mm."""
    return np.sqrt(distance**2 + 0.01) - 0.1


def test_supervised_displacement(pair) -> None:
    output = smooth(3, 1.0, 5)
    missed = 5.0 * (output - pair["displacement"])[0].numpy()
    length = np.sqrt((missed**2).sum(axis=0))[pair["fixed_mask"][0, 0].numpy()]
    expected = 0.3 * rounded(length).mean()
    assert loss_of(only(displacement=0.3), output, pair) == pytest.approx(expected, rel=1e-4)


def test_landmarks(pair) -> None:
    output = smooth(3, 1.0, 5)
    fixed, moving = (pair[f"{s}_points"].numpy().astype(float) for s in ("fixed", "moving"))
    taken = fixed + read(output[0].numpy(), fixed.T).T
    length = 5.0 * np.linalg.norm(taken - moving, axis=1)
    expected = 0.7 * rounded(length).mean()
    assert loss_of(only(landmarks=0.7), output, pair) == pytest.approx(expected, rel=1e-4)


def test_there_and_back(pair) -> None:
    there, back = smooth(3, 0.8, 5), smooth(3, 0.8, 6)
    first = there[0].numpy().astype(float)
    second = read(back[0].numpy(), places() + first)
    mask = pair["fixed_mask"][0, 0].numpy()
    length = 5.0 * np.sqrt(((first + second) ** 2).sum(axis=0))[mask]
    weights = only(forward_backward=2.0, displacement=1e-9)
    found = loss_of(weights, torch.cat((there, back)), pair)
    assert found == pytest.approx(2.0 * rounded(length).mean(), rel=1e-3)


def test_mass_is_kept_by_tissue_that_thins_as_it_is_stretched(pair) -> None:
    """u = M p: det J is known, and an image that is linear in the place is read without error."""
    matrix = np.array([[0.1, 0.02, 0.0], [0.0, -0.05, 0.03], [0.01, 0.0, 0.15]])
    p = places()
    middle = (np.array(SHAPE[::-1]) - 1) / 2
    u = np.einsum("ij,jdhw->idhw", matrix, p - middle[:, None, None, None])
    determinant = np.linalg.det(np.eye(3) + matrix)

    def moving(at: np.ndarray) -> np.ndarray:
        return 0.2 + 0.01 * at[0] + 0.02 * at[1] - 0.01 * at[2]

    low, high = MODEL.window_hu
    density = (moving(p + u) * (high - low) + low + 1000) / 1000
    kept = ((density * determinant * 1000 - 1000) - low) / (high - low)
    output = torch.as_tensor(u[None], dtype=torch.float32)
    given = pair | {
        "moving": torch.as_tensor(moving(p)[None, None], dtype=torch.float32),
        "fixed": torch.as_tensor(kept[None, None], dtype=torch.float32),
    }
    assert loss_of(only(mass=1.0), output, given) < 1e-8
    # without the change of volume: (1 - det J) of the density is missed
    still = given | {"fixed": torch.as_tensor(moving(p + u)[None, None], dtype=torch.float32)}
    mask = pair["fixed_mask"][0, 0].numpy()
    expected = 3.0 * ((density * (1 - determinant)) ** 2)[mask].mean()
    assert loss_of(only(mass=3.0), output, still) == pytest.approx(expected, rel=1e-3)
    # seen through a pre-alignment that makes three volumes of two, tissue is denser by as much
    dense = (density * determinant * 1.5 * 1000 - 1000 - low) / (high - low)
    seen = given | {
        "fixed": torch.as_tensor(dense[None, None], dtype=torch.float32),
        "stretch": torch.tensor(1.5),
    }
    assert loss_of(only(mass=1.0), output, seen) < 1e-8


def test_similarity_looks_at_the_moving_image_warped(pair) -> None:
    output = smooth(3, 1.0, 5)
    moving = torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(8))
    warped = read(moving[0].numpy(), places() + output[0].numpy())
    fixed = torch.as_tensor(warped[None], dtype=torch.float32)
    alike = pair | {"moving": moving, "fixed": fixed}
    for weights in (only(lncc=1.0), only(mind=1.0)):
        assert loss_of(weights, output, alike) < 0.01
        assert loss_of(weights, -output, alike) > 0.04
        assert loss_of(weights, output, pair) > 0.04


def test_regularity_is_that_of_the_field(pair) -> None:
    """One wave along x, whose energies are sums of differences."""
    wave = np.sin(np.arange(SHAPE[2]) / 2)
    field = np.zeros((1, 3, *SHAPE))
    field[0, 1] = wave
    output = torch.as_tensor(field, dtype=torch.float32)
    base = loss_of(only(displacement=1.0), output, pair)
    slope, bend = np.diff(wave), np.diff(wave, 2) * 5.0 / 25.0
    for weights, expected in (
        (only(displacement=1.0, diffusion=2.0), 2 * (slope**2).mean()),
        (only(displacement=1.0, bending=3.0), 3 * (bend**2).mean()),
        (only(displacement=1.0, tv=2.0), 2 * np.abs(slope).mean()),
        (only(displacement=1.0, jacobian=1.0), 0.0),
    ):
        assert loss_of(weights, output, pair) - base == pytest.approx(expected, abs=3e-3)
    folded = torch.as_tensor(-2.5 * places()[None] * [[[[[1]]], [[[0]]], [[[0]]]]])
    found = loss_of(only(displacement=1e-9, jacobian=1.0), folded.float(), pair)
    assert found == pytest.approx(1.5, abs=1e-4)


def test_pair_that_knows_no_truth_has_no_term_of_it(pair) -> None:
    plain = {name: pair[name] for name in ("fixed", "moving", "fixed_mask")}
    weights = only(lncc=1.0, displacement=1.0, landmarks=1.0)
    loss, parts = Objective(weights, MODEL)([smooth(3, 1.0, 5)], [1.0], plain)
    assert set(parts) == {"lncc"}
    assert float(loss) == pytest.approx(float(parts["lncc"]))


def test_outputs_of_all_levels_count_by_their_weights(pair) -> None:
    outputs = [smooth(3, 1.0, n) for n in (5, 6, 7)]
    weights = only(displacement=1.0)
    each = [loss_of(weights, output, pair) for output in outputs]
    found, parts = Objective(weights, MODEL)(outputs, (0.5, 0.0, 1.0), pair)
    assert float(found) == pytest.approx(0.5 * each[0] + each[2], rel=1e-5)
    assert float(parts["displacement"]) == pytest.approx(each[2], rel=1e-5)


def test_pair_that_knows_nothing_of_what_is_asked_for_changes_nothing(pair) -> None:
    plain = {name: pair[name] for name in ("fixed", "moving", "fixed_mask")}
    output = smooth(3, 1.0, 5).requires_grad_()
    loss, parts = Objective(only(landmarks=1.0), MODEL)([output], [1.0], plain)
    assert parts == {}
    loss.backward()
    assert float(loss.detach()) == 0
    assert not output.grad.any()


@pytest.mark.parametrize("shape", [(24, 30, 63), (31, 32, 31), (8, 16, 15)])
def test_field_on_blocks_of_eight_voxels_the_last_of_which_is_incomplete(shape) -> None:
    """63 voxels are 7 blocks of 8, not of 9."""
    reduced = [n // 8 for n in shape]
    pair = {
        "fixed": torch.rand(1, 1, *shape),
        "moving": torch.rand(1, 1, *shape),
        "fixed_mask": torch.ones(1, 1, *shape, dtype=torch.bool),
        "displacement": torch.full((1, 3, *shape), 8.0),
    }
    level = LevelConfig(downsamplings=0, entry=(), body=(4,), reduce=3)
    model = MultiLevelConfig(spacing_mm=5.0, levels=(level,))
    objective = Objective(only(displacement=1.0), model, at_level=True)
    found = float(objective([torch.zeros(1, 3, *reduced)], [1.0], pair)[0])
    assert found == pytest.approx(8 * 5 * 3**0.5, rel=5e-3)


def blocks(value: torch.Tensor) -> np.ndarray:
    batch, channels, depth, height, width = value.shape
    shape = (batch, channels, depth // 2, 2, height // 2, 2, width // 2, 2)
    return value.numpy().reshape(shape).mean(axis=(3, 5, 7))


@pytest.mark.parametrize("given_coarse", [False, True])
def test_loss_at_the_level_is_in_blocks_of_that_level(pair, given_coarse: bool) -> None:
    """The first level's field lies on 10 mm: its error is the same whether it comes fine or coarse."""
    output = smooth(3, 1.0, 5)
    coarse = blocks(output) / 2
    truth = blocks(pair["displacement"]) / 2
    mask = blocks(pair["fixed_mask"].float())[0, 0] > 0.5
    length = 10.0 * np.sqrt(((coarse - truth)[0] ** 2).sum(axis=0))[mask]
    shown = torch.as_tensor(coarse) if given_coarse else output
    objective = Objective(only(displacement=1.0), MODEL, at_level=True)
    found = float(objective([shown], [1.0], pair)[0])
    assert found == pytest.approx(rounded(length).mean(), rel=1e-4)
