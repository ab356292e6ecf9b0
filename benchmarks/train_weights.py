"""Train the networks that ship with the package, and judge them on patients they never saw.

    python benchmarks/train_weights.py RUN_FOLDER [--budget MINUTES] [--device cuda] [--workers N]    train, or go on training
    python benchmarks/train_weights.py RUN_FOLDER --test            judge the weights of the folder
    python benchmarks/train_weights.py RUN_FOLDER --release FOLDER  judge them, and write them with their card

Real anatomy and real motion are read from ``LUNGMORPH_DATA`` (or ``../shared/data``). The split is by
patient and by motion: what the network is judged on, it was never shown. In the last stage every output counts, so the first two
levels alone are the network with two levels.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch
from torch import nn

from lungmorph.files import read_image
from lungmorph.networks import (
    MultiLevel,
    MultiLevelConfig,
    RegistrationNetwork,
    load_model,
    save_model,
    two_level,
)
from lungmorph.registration.lungs import lung_mask
from lungmorph.simulate import Anatomy, Motion, TrainingPairs, load_motion, real_anatomy
from lungmorph.training import DeviceConfig, LossWeights, StageConfig, TrainingConfig, evaluate, run
from splits import ANATOMIES, MOTIONS, data_folder

SPACING = 4.0
#: The third looks once more at what the second did.
LEVELS = (*two_level().levels, two_level().levels[-1])
SCHEME = "level 1 alone; level 2 with level 1 frozen; level 3 with both frozen; all joined, the output of each counting"

SEEDS = {"train": 1, "validation": 1001, "test": 2001}


def _data() -> Path:
    found = data_folder()
    if found is None:
        raise SystemExit("no real data; set LUNGMORPH_DATA")
    return found


def motions(split: str) -> list[Motion]:
    return [load_motion(_data() / "motion" / name) for name in MOTIONS[split]]


def anatomies(split: str) -> list[Anatomy]:
    volumes = [read_image(_data() / "chest_ct" / f"{name}.nii.gz") for name in ANATOMIES[split]]
    return [real_anatomy(volume, lung_mask(volume)) for volume in volumes]


def pairs(split: str, procedural: float = 0.5, **options: object) -> TrainingPairs:
    return TrainingPairs(
        SEEDS[split],
        SPACING,
        anatomies(split),
        motions(split),
        procedural=procedural,
        sizes=(56, 96),
        mean_displacement=(2.0, 16.0),
        collapse=0.1 if split == "train" else 0.0,
        **options,
    )


def stage(
    name: str,
    levels: int,
    minutes: float,
    learning_rate: float,
    frozen: tuple[int, ...] = (),
    output_weights: tuple[float, ...] = (),
) -> StageConfig:
    """A stage that ends with its minutes; what is kept is what was best in validation."""
    return StageConfig(
        name=name,
        levels=levels,
        frozen=frozen,
        output_weights=output_weights,
        max_steps=1_000_000,
        max_minutes=minutes,
        learning_rate=learning_rate,
        patience=None,
        watch="error",
    )


def config(budget: float, device: str, workers: int) -> TrainingConfig:
    """Each level alone with those before it frozen, then all of them, within so many minutes."""
    model = MultiLevelConfig(spacing_mm=SPACING, levels=LEVELS)
    stages = (
        stage("level 1", 1, 0.14 * budget, 1e-3),
        stage("level 2", 2, 0.18 * budget, 1e-3, frozen=(0,)),
        stage("level 3", 3, 0.14 * budget, 1e-3, frozen=(0, 1)),
        stage("joint", 3, 0.54 * budget, 6e-4, output_weights=(0.3, 0.6, 1.0)),
    )
    return TrainingConfig(
        model=model,
        loss=LossWeights(lncc=0.0, diffusion=0.3, displacement=0.3, jacobian=0.0),
        stages=stages,
        device=DeviceConfig(accelerator=device),
        validate_every=200 if device == "cpu" else 500,
        average_decay=0.995 if device == "cpu" else 0.999,
        workers=workers,
        tensorboard=False,
    )


def levels_of(network: nn.Module) -> list[nn.Module]:
    """Its levels, coarse first."""
    assert isinstance(network, MultiLevel)
    return list(network.levels)


def test(network: RegistrationNetwork, count: int) -> dict[str, object]:
    """Mean error over the lung before and after, on real anatomy and on invented, both unseen."""
    out: dict[str, object] = {}
    for name, procedural in (("real anatomy", 0.0), ("invented anatomy", 1.0)):
        source = pairs("test", procedural, pool=count)
        cases = [source.pair(step) for step in range(count)]
        for levels in range(1, len(levels_of(network)) + 1):
            found = evaluate(network, cases, levels=levels)
            assert found.error_mm is not None
            assert found.start_mm is not None
            out[f"{name}, {levels} level(s)"] = {
                "before_mm": round(found.start_mm, 2),
                "after_mm": round(found.error_mm, 2),
                "down_percent": round(100 * (1 - found.error_mm / found.start_mm), 1),
                "folded_percent": round(100 * found.folded, 4),
            }
    return out


def release(weights: Path, folder: Path) -> None:
    """Two files: all levels, and the first two."""
    network, whole, trained = load_model(weights)
    assert isinstance(whole, MultiLevelConfig)
    card = {
        "what": "coarse displacement between two pre-aligned chest CTs of one patient",
        "data": {
            "real anatomy": ANATOMIES["train"],
            "real motion": "keypoints 1-12 and COPDgene landmarks 1-3 of the development data",
            "invented": "procedural thorax, breathing and random motion (lungmorph.simulate)",
        },
        "scheme": SCHEME,
        "training": trained["training"],
        "unseen patients and motions, network alone, mean error over the lung": test(network, 24),
        "limits": "lungs of adults; affine pre-alignment first; research use, not a medical device",
        "licence": "Apache-2.0",
    }
    print(json.dumps(card, indent=2))
    for count, name in ((2, "two-level"), (3, "three-level")):
        part = whole.model_copy(update={"levels": whole.levels[:count]})
        prefix = MultiLevel(part)
        prefix.load_state_dict(network.state_dict(), strict=count == len(whole.levels))
        file = folder / f"{name}.safetensors"
        save_model(prefix, part, {"name": name, **card}, file, dtype=torch.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--budget", type=float, default=135.0, help="minutes of training, in all")
    parser.add_argument("--minutes", type=float, help="stop after so many, to go on another time")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=0, help="processes that make pairs")
    parser.add_argument("--test", action="store_true", help="only judge the weights of the folder")
    parser.add_argument("--release", type=Path, help="folder for the judged weights")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    weights = Path(options.folder) / "weights.safetensors"
    if options.release:
        release(weights, options.release)
        return
    if not options.test:
        held_out = pairs("validation", 1.0, pool=12)
        validation = [held_out.pair(step) for step in range(12)]
        result = run(
            config(options.budget, options.device, options.workers),
            pairs("train"),
            validation,
            options.folder,
            minutes=options.minutes,
        )
        print(f"{result.steps} steps, finished: {result.finished}")
        if not result.finished:
            return
    print(json.dumps(test(load_model(weights)[0], 24), indent=2))


if __name__ == "__main__":
    main()
