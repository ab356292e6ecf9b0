"""Memory and time of a training step: stage by stage, with gradient checkpointing, and on patches.

    python benchmarks/training_memory.py [--size 80] [--threads 1] [--save FILE]

Each setting trains a few steps in a process of its own, on whole pairs of one size at the 4 mm of the configs. What counts is
the peak of the process less that of one that only makes the pairs.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import median

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
STEPS = 6
PATCH = 48
#: Title, config, stage of it, overrides.
SETTINGS = (
    ("multi-level, level 1 alone", "multilevel.yaml", 0, ()),
    ("multi-level, level 2, level 1 frozen", "multilevel.yaml", 1, ()),
    ("multi-level, both joined", "multilevel.yaml", 2, ()),
    ("multi-level, both joined, recompute", "multilevel.yaml", 2, ("recompute=true",)),
    (f"multi-level, both joined, patch of {PATCH}", "multilevel.yaml", 2, (f"data.patch={PATCH}",)),
    ("VoxelMorph", "voxelmorph.yaml", 0, ()),
    ("VoxelMorph, recompute", "voxelmorph.yaml", 0, ("recompute=true",)),
)


def child(number: int, size: int, threads: int) -> None:
    """Train one setting; print its bytes and seconds."""
    import torch

    from lungmorph.training import load_config, train
    from lungmorph.training.simulated import training_pairs

    torch.set_num_threads(threads)
    _, name, stage, overrides = SETTINGS[number]
    config = load_config(
        CONFIGS / name,
        [
            *overrides,
            f"stages.{stage}.max_steps={STEPS}",
            "data.sources.0.validation.pairs=0",
            f"data.sources.0.options={{pool: 1, sizes: [{size}, {size}]}}",
            "log_every=1",
            "workers=0",
            "tensorboard=false",
            "device.accelerator=cpu",
        ],
    )
    config = config.model_copy(update={"stages": (config.stages[stage],)})
    source = config.data.sources[0]
    pairs = training_pairs(
        source, 0, config.model.spacing_mm, config.data.augmentation, None, "cpu"
    )
    pairs.pair(0)
    del pairs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder) / "run")
        with open(Path(folder) / "run" / "train.csv", encoding="utf-8") as stream:
            rates = [float(row["pairs_per_second"]) for row in csv.DictReader(stream)]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"bytes": 1024 * (after - before), "seconds": 1 / median(rates[1:])}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=80, help="voxels along each axis")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path, help="file for the table")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        child(given.child, given.size, given.threads)
        return
    lines = [
        f"## A training step, {date.today()}",
        f"`python benchmarks/training_memory.py --size {given.size} --threads {given.threads}`",
        "",
        "| | MB | seconds |",
        "| --- | ---: | ---: |",
    ]
    for number, (title, *_) in enumerate(SETTINGS):
        own = [sys.executable, __file__, "--child", str(number)]
        own += ["--size", str(given.size), "--threads", str(given.threads)]
        said = subprocess.run(own, check=True, capture_output=True, text=True).stdout
        found = json.loads(said.splitlines()[-1])
        lines.append(f"| {title} | {found['bytes'] / 1e6:.0f} | {found['seconds']:.2f} |")
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if given.save:
        given.save.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
