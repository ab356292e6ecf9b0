"""What `error_network.py` measured, as tables and curves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr

from lungmorph.quality.calibration import Reliability, auc, reliability

Float = NDArray[np.float32]
#: Points of the lung of one registration that are looked at.
POINTS = 20_000
OWN = "LungMorph"


@dataclass(frozen=True)
class Judged:
    """One registration: true error and what is said of it, at the same points (N,)."""

    case: str
    group: str
    method: str
    seconds: float
    truth: Float
    predicted: Float
    over2: Float
    over5: Float
    wrong: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    images_alone: Float | None
    way_back: Float
    difference: Float

    @property
    def own(self) -> bool:
        """Whether LungMorph made it."""
        return self.method.startswith(OWN.lower())


@dataclass(frozen=True)
class Planted:
    """The perfect registration of a case, as it is and wrong in one place on purpose.

    Attributes:
        false_ml: volume of the places that are called wrong in the perfect one.
        undecided_ml: volume that is undecided in it.
        lung_ml: of the lungs.
        off_mm: from the planted place to the nearest doubted one; infinite if there is none.
        said_mm: error that is predicted in the middle of the planted place.
    """

    case: str
    false_ml: float
    undecided_ml: float
    lung_ml: float
    off_mm: float
    said_mm: float


#: A ball is displaced by so much; the displacement fades away in a rim around it. All in mm.
PLANTED_MM, BALL_MM, RIM_MM = 5.0, 20.0, 8.0
#: Nearer, a planted place counts as found, mm.
NEAR_MM = 10.0


def rows(found: list[Judged], title: str) -> str:
    """One line of the table for a group of registrations."""
    truth = np.concatenate([one.truth for one in found])
    predicted = np.concatenate([one.predicted for one in found])

    def area(name: str, over: float = 2.0) -> str:
        scores = [getattr(one, name) for one in found]
        if any(score is None for score in scores):
            return ""
        value = auc(np.concatenate(scores), truth > over)
        return "" if np.isnan(value) else f"{value:.3f}"

    small = truth < 5
    miss = float(np.abs(predicted - truth)[small].mean())
    calibration = [
        reliability(np.concatenate([getattr(one, name) for one in found]), truth > over)
        for name, over in (("over2", 2.0), ("over5", 5.0))
    ]
    true_means = [float(one.truth.mean()) for one in found]
    said_means = [float(one.predicted.mean()) for one in found]
    rank = float(spearmanr(true_means, said_means).statistic) if len(found) > 3 else float("nan")
    cells = [
        title,
        str(len(found)),
        f"{truth.mean():.2f}",
        f"{100 * (truth > 2).mean():.1f}",
        area("over2"),
        area("images_alone"),
        area("way_back"),
        area("difference"),
        area("over5", 5.0),
        f"{miss:.2f}",
        *(f"{one.expected_error:.3f}" for one in calibration),
        "" if np.isnan(rank) else f"{rank:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def planted_rows(found: list[Planted]) -> list[str]:
    """What is doubted in perfect registrations, and what is found of a failure that was planted in them."""
    near = sum(one.off_mm < NEAR_MM for one in found)
    lines = [
        "",
        f"**A failure planted.** In the perfect registration of each case, a ball of {BALL_MM:g} mm somewhere in the lung is displaced "
        f"by {PLANTED_MM:g} mm (with a rim of {RIM_MM:g} mm). Found within {NEAR_MM:g} mm: {near} of {len(found)}. Called wrong, and "
        "undecided: what is told of the perfect registration as it is.",
        "",
        "| case | lung mL | called wrong, mL | undecided, mL | planted place missed by, mm | error said there, mm |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.case} | {one.lung_ml:.0f} | {one.false_ml:.1f} | {one.undecided_ml:.1f} | {one.off_mm:.1f} | {one.said_mm:.1f} |"
        for one in found
    ]
    return lines


def alarm_rows(groups: list[tuple[str, list[Judged]]]) -> list[str]:
    """What is called wrong and what is undecided, of the points that are and of those that are not."""
    lines = [
        "",
        "**Called wrong, and undecided**, % of the points of the lung with so large an error:",
        "",
        "| registrations of | over 2 mm: wrong | undecided | over 5 mm: wrong | undecided | up to 2 mm: wrong | undecided |",
        "| --- |" + " ---: |" * 6,
    ]
    for title, kept in groups:
        truth, wrong, undecided = (
            np.concatenate([getattr(one, name) for one in kept])
            for name in ("truth", "wrong", "undecided")
        )
        cells = [title]
        for part in (truth > 2, truth > 5, truth <= 2):
            for told in (wrong, undecided):
                cells.append(f"{100 * told[part].mean():.2f}" if part.any() else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def section(found: list[Judged], planted: list[Planted], command: str) -> str:
    """The whole as Markdown."""
    names = sorted({one.method for one in found})
    heads = (
        "registrations of", "n", "error mm", "> 2 mm %", "AUC > 2 mm", "images alone", "way back", "grey values",
        "AUC > 5 mm", "MAE mm", "ECE > 2 mm", "ECE > 5 mm", "rank",
    )  # fmt: skip
    groups = [(name, [one for one in found if one.method == name]) for name in names]
    groups += [
        (f"all, {name}", [one for one in found if one.group == name])
        for name in dict.fromkeys(one.group for one in found)
    ]
    groups += [
        ("**LungMorph**", [one for one in found if one.own]),
        ("**other tools**", [one for one in found if not one.own]),
        ("**all**", found),
    ]
    cases = len({one.case for one in found})
    seconds = np.array([one.seconds for one in found])
    lines = [
        f"## The error network on tools, patients and motions it has not seen, {date.today()}",
        f"`{command}`: {cases} simulated cases, true errors at {POINTS} points of the lung of each registration.",
        "",
        "| " + " | ".join(heads) + " |",
        "| --- |" + " ---: |" * (len(heads) - 1),
        *(rows(kept, title) for title, kept in groups if kept),
        "",
        "AUC: how well places with an error over 2 mm are told from the others, by the network; by the same network that sees the two "
        "images alone (after Galib et al. 2020, who report 0.88 on data of their own); by inverse consistency alone; and by the local "
        "difference of grey values alone. MAE: of the predicted error where the true one is below 5 mm. ECE: expected calibration "
        "error of the probabilities. Rank: Spearman correlation of predicted and true mean error of registrations.",
        "",
        f"Seconds of the features and the network, with {torch.get_num_threads()} threads: median {np.median(seconds):.1f}, at most "
        f"{seconds.max():.1f}. The two other registrations that it goes by take longer, and are made once a pair.",
        *alarm_rows([(title, kept) for title, kept in groups if kept]),
        *planted_rows(planted),
    ]
    return "\n".join(lines) + "\n"


def draw(found: list[Judged], path: Path) -> None:
    """Reliability of both thresholds, and predicted against true mean error of every registration."""
    figure = Figure(figsize=(11, 3.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    groups = (("LungMorph", True, "#1b6ca8"), ("other tools", False, "#c8553d"))
    for axes, name, over in ((left, "over2", 2.0), (middle, "over5", 5.0)):
        axes.plot([0, 1], [0, 1], color="#999999", lw=1)
        for title, own, colour in groups:
            kept = [one for one in found if one.own == own]
            if not kept:
                continue
            truth = np.concatenate([one.truth for one in kept])
            curve: Reliability = reliability(
                np.concatenate([getattr(one, name) for one in kept]), truth > over
            )
            said = f"{title} (ECE {curve.expected_error:.3f})"
            axes.plot(curve.predicted, curve.happened, "o-", ms=4, color=colour, label=said)
        axes.set(
            xlabel=f"predicted probability of an error over {over:g} mm",
            ylabel="how often it was",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        axes.legend(frameon=False, fontsize=8)
    for title, own, colour in groups:
        kept = [one for one in found if one.own == own]
        right.loglog(
            [one.truth.mean() for one in kept],
            [one.predicted.mean() for one in kept],
            "o", ms=5, color=colour, label=title, alpha=0.75,
        )  # fmt: skip
    ends = [0.1, 12]
    right.plot(ends, ends, color="#999999", lw=1)
    right.set(xlabel="true mean error of a registration, mm", ylabel="predicted, mm")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
