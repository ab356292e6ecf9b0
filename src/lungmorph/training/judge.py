"""The network alone on cases that nothing was learned from, as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..files import replacing
from ..networks import RegistrationNetwork
from .data import JudgedPairs
from .objective import prepared
from .outcome import answers, measured
from .prepared import load_pair

COLUMNS = ("dataset", "case", "start_mm", "error_mm", "lncc", "folded")


@torch.no_grad()
def judge(
    network: RegistrationNetwork,
    groups: Sequence[JudgedPairs],
    lncc_radius: int,
    progress: Callable[[str, float], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> list[dict[str, Any]]:
    """One row for each pair: landmark distance error before and after (where it has landmarks), LNCC, folding.

    The error before is that after the affine pre-alignment. There is no refinement: ``lungmorph
    evaluate --model`` judges the whole registration. Where ``stop``, asked before each pair, says so, there are
    no rows at all.
    """
    device = next(network.parameters()).device
    rows: list[dict[str, Any]] = []
    total = sum(len(group.pairs) for group in groups)
    for group in groups:
        for pair in group.pairs:
            if stop is not None and stop():
                return []
            if progress:
                progress(f"judge {pair.name}", len(rows) / total)
            ready = prepared(load_pair(pair.path), network.config, device)
            output = answers(network, ready, None, both_ways=False)[-1]
            found = measured(output, ready, network.config.spacing_mm, lncc_radius)
            rows.append({"dataset": group.name, "case": pair.name, **found})
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means by dataset, over the cases that have the figure."""
    out = []
    for name in dict.fromkeys(row["dataset"] for row in rows):
        here = [row for row in rows if row["dataset"] == name]
        means: dict[str, Any] = {"dataset": name, "pairs": len(here)}
        for column in COLUMNS[2:]:
            values = [row[column] for row in here if column in row]
            means[column] = sum(values) / len(values) if values else None
        out.append(means)
    return out


def save_judgement(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """``judged.csv`` and, with the means, ``judged.json``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
    )
    for name, content in (
        ("judged.csv", text.getvalue()),
        ("judged.json", json.dumps({"means": summary(rows), "pairs": rows}, indent=2) + "\n"),
    ):
        with replacing(folder / name) as temporary:
            temporary.write_text(content)
