"""Networks trained alike and judged alike: the multi-level scheme beside VoxelMorph and others, the network alone.

    python benchmarks/comparison.py --work compare --minutes 15 [--only voxelmorph,multilevel-2 [--train-only]] [--save compare/table.md]

Every network gets the same minutes of one thread, the same stream of simulated pairs (real and invented anatomies, real and
invented motions) and the same loss, LNCC in the lungs and smoothness, unless its row says otherwise. Networks that end with a
joint stage have a row for what they were before it, with the minutes they had had by then. What they are judged on, the
test cases of `cases.py`, shares no motion and (but for the coarse scans) no anatomy with that. Training goes on where it stopped, and
what is judged is not judged again; several can be trained side by side with --only and --train-only, one thread each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from torch import nn

from cases import write_dataset
from lungmorph.datasets import Dataset, open_dataset
from lungmorph.evaluation import methods
from lungmorph.evaluation.quantities import BY_KEY
from lungmorph.evaluation.records import DONE, Record
from lungmorph.evaluation.run import Options, evaluate
from lungmorph.networks import MultiLevel, available, load_model
from lungmorph.training import load_config, train
from splits import ANATOMIES, MOTIONS, data_folder

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
#: The group that has a column of its own.
OWN_COLUMN = "breath of 8 to 12 mm"
#: Of one core, that the released weights were trained for.
RELEASED_MINUTES = 135.0
SUPERVISED = "loss={lncc: 0.0, displacement: 0.3, diffusion: 0.3}"


@dataclass(frozen=True)
class Entry:
    """One network of the table.

    Attributes:
        name: on the command line.
        title: in the table.
        config: file in configs/.
        shares: of the minutes, for each stage; later stages of the config are left out.
        overrides: of the config.
        levels: how many are trained; all if None.
        minutes: of training, if not those of the others.
    """

    name: str
    title: str
    config: str
    shares: tuple[float, ...]
    overrides: tuple[str, ...] = ()
    levels: int | None = None
    minutes: float | None = None

    def judged(self, weights: Path) -> list[tuple[str, str, Path]]:
        """Rows of the table, as name, title and weights: before the joint stage, if there is one, and at the end."""
        rows = [(self.name, self.title, weights)]
        before = weights.with_name(f"stage-{len(self.shares) - 1}.safetensors")
        if before.exists():
            rows.insert(0, (f"{self.name}-before", f"{self.title}, before the joint stage", before))
        return rows


ENTRIES = (
    Entry("voxelmorph", "VoxelMorph", "voxelmorph.yaml", (1.0,)),
    Entry("voxelmorph-long", "VoxelMorph, as long as the released weights", "voxelmorph.yaml", (1.0,), minutes=RELEASED_MINUTES),
    Entry("diffeomorphic", "VoxelMorph, diffeomorphic", "diffeomorphic.yaml", (1.0,)),
    Entry("laplacian", "Laplacian pyramid, 3 floors", "laplacian.yaml", (0.2, 0.25, 0.3, 0.25)),
    Entry("multilevel-1", "multi-level, 1 level", "multilevel.yaml", (1.0,), levels=1),
    Entry("multilevel-2", "multi-level, 2 levels", "multilevel.yaml", (0.3, 0.4, 0.3)),
    Entry("multilevel-2-long", "multi-level, 2 levels, as long as the released weights", "multilevel.yaml", (0.3, 0.4, 0.3), minutes=RELEASED_MINUTES),
    Entry("multilevel-3", "multi-level, 3 levels", "three-level.yaml", (0.25, 0.3, 0.2, 0.25)),
    Entry("correlation-2", "multi-level, 2 levels, correlation in place of concatenation", "correlation.yaml", (0.3, 0.4, 0.3)),
    Entry("voxelmorph-known", "VoxelMorph, known displacement", "voxelmorph.yaml", (1.0,), (SUPERVISED,)),
    Entry("correlation-2-known", "correlation, 2 levels, known displacement", "correlation.yaml", (0.3, 0.4, 0.3), (SUPERVISED,)),
)  # fmt: skip


def trained(entry: Entry, work: Path, minutes: float, device: str, workers: int) -> Path:
    """Train an entry for its minutes, or go on; its weights."""
    folder = work / "runs" / entry.name
    minutes = entry.minutes or minutes
    data = data_folder()
    overrides = [
        *entry.overrides,
        "data.sources.0.validation.pairs=6",
        # on a GPU a step takes far less, and looking shall not take more than a tenth of the time
        f"validate_every={100 if device == 'cpu' else 250}",
        f"workers={workers}",
        "tensorboard=false",
        f"device.accelerator={device}",
    ]
    for number, share in enumerate(entry.shares):
        overrides += [
            f"stages.{number}.max_minutes={share * minutes:.4g}",
            f"stages.{number}.patience=null",
            f"stages.{number}.watch=error",
        ]
    if data is not None:
        anatomies = [str(data / "chest_ct" / f"{name}.nii.gz") for name in ANATOMIES["train"]]
        motions = [str(data / "motion" / name) for name in MOTIONS["train"]]
        overrides += [
            f"data.sources.0.anatomies={anatomies}",
            f"data.sources.0.motions={motions}",
            "data.sources.0.procedural=0.5",
        ]
    config = load_config(CONFIGS / entry.config, overrides)
    config = config.model_copy(update={"stages": config.stages[: len(entry.shares)]})
    result = train(config, folder)
    if not result.result.finished:
        raise SystemExit(f"{entry.name}: not finished; the same command goes on")
    return folder / "weights.safetensors"


def judge(name: str, datasets: Sequence[Dataset], work: Path, **options: Any) -> list[Record]:
    """The cases with the network alone."""
    method = methods.lungmorph_methods(["fast"], **options)
    settings = Options(threads=torch.get_num_threads())
    print(f"judging {name}", file=sys.stderr, flush=True)
    cases = [
        case
        for dataset in datasets
        for case in dataset.cases
        if case.landmarks(case.fixed, case.moving)
    ]
    found = evaluate(cases, method, work / "judged" / name, settings)
    return [record for record in found if record["status"] == DONE]


def weights_of(network: nn.Module, levels: int | None = None) -> int:
    """How many a network has in its first levels; in all of it if None."""
    parts = list(network.levels)[:levels] if isinstance(network, MultiLevel) else [network]
    return sum(p.numel() for part in parts for p in part.parameters())


def row(title: str, records: list[Record], parameters: int | None) -> str:
    """A line of the table: all cases, and the group with a column of its own."""

    def values(key: str, kept: list[Record]) -> list[float]:
        found = (BY_KEY[key].of(record) for record in kept)
        return [value for value in found if value is not None]

    before = "lde_before_mm"
    own = [r for r in records if r["group"] == OWN_COLUMN]
    cells = [title, "" if parameters is None else f"{parameters / 1e6:.2f}"]
    cells += [f"{mean(values(key, records)):.2f}" for key in (before, "lde_mm", "lde_median_mm", "lde_p95_mm")]  # fmt: skip
    cells.append(f"{mean(values('lde_mm', own)):.2f}" if own else "")
    cells.append(f"{mean(values('folded_percent', records)):.4f}")
    steps = [record["steps"].get("network", 0.0) for record in records]
    cells += [f"{median(steps):.1f}", f"{max(values('peak_mb', records)):.0f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("compare"))
    parser.add_argument("--minutes", type=float, default=15.0, help="of training, each")
    parser.add_argument("--only", type=lambda text: text.split(","), help="names; only these")
    parser.add_argument("--train-only", action="store_true", help="judge them another time")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="to train on")
    parser.add_argument("--workers", type=int, default=0, help="processes that make pairs, each")
    parser.add_argument("--each", type=int, default=1, help="cases of every group to judge on")
    parser.add_argument("--save", type=Path, help="file for the table")
    given = parser.parse_args()
    names = [entry.name for entry in ENTRIES]
    if unknown := set(given.only or ()) - set(names):
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join(names)}")
    torch.set_num_threads(1)
    weights = {
        entry.name: trained(entry, given.work, given.minutes, given.device, given.workers)
        for entry in ENTRIES
        if given.only is None or entry.name in given.only
    }
    if given.train_only:
        return
    splits = (("test", given.each), ("moderate", None))
    datasets = [
        open_dataset(write_dataset(given.work / split, split, each=each)) for split, each in splits
    ]
    heads = (
        "network alone", "million weights", "before mm", "error mm", "median", "p95", OWN_COLUMN,
        "folded %", "s", "MB",
    )  # fmt: skip
    lines = [
        f"## Networks trained alike, {date.today()}",
        f"`python benchmarks/comparison.py --minutes {given.minutes:g}`: {given.minutes:g} minutes of one thread each, without labels "
        "unless the row says so.",
        "",
        "| " + " | ".join(heads) + " |",
        "| --- |" + " ---: |" * (len(heads) - 1),
        row("affine pre-alignment alone", judge("affine", datasets, given.work, levels=0), None),
    ]
    for entry in ENTRIES:
        rows = entry.judged(weights[entry.name]) if entry.name in weights else []
        for name, title, model in rows:
            network, _, _ = load_model(model)
            records = judge(name, datasets, given.work, model=str(model), levels=entry.levels)
            lines.append(row(title, records, weights_of(network, entry.levels)))
    for name in available():
        network, _, _ = load_model(name)
        records = judge(f"released-{name}", datasets, given.work, model=name)
        lines.append(row(f"released: {name}", records, weights_of(network)))
    text = "\n".join(lines) + "\n"
    print(text)
    if given.save:
        given.save.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
