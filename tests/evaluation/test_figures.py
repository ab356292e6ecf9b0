"""The pictures show the numbers, for few and many, with and without landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from tests.evaluation.made import failed, record

from lungmorph.evaluation.figures import (
    draw_all,
    errors_by_case,
    errors_by_displacement,
    errors_cumulative,
    time_and_accuracy,
)
from lungmorph.evaluation.looks import COLOURS

NAMES = {
    "errors_by_case.png", "errors_by_displacement.png", "errors_cumulative.png",
    "time_and_accuracy.png",
}  # fmt: skip


def many(cases: int, methods: int, landmarks: int = 40) -> list[dict]:
    rng = np.random.default_rng(0)
    return [
        record(
            f"case{n}",
            f"m{m}",
            rng.gamma(2, 0.2 + 0.1 * m, landmarks).tolist(),
            seconds=10.0 * (m + 1),
        )
        for n in range(1, cases + 1)
        for m in range(methods)
    ]


@pytest.mark.parametrize(("cases", "methods"), [(1, 1), (3, 4), (20, 8), (1, 9)])
def test_all_are_drawn_and_none_is_blank(cases: int, methods: int, tmp_path: Path) -> None:
    written = draw_all(many(cases, methods), tmp_path)
    assert {path.name for path in written} == NAMES
    assert {path.name for path in tmp_path.iterdir()} == NAMES  # nothing temporary left
    for path in written:
        pixels = imread(path)[..., :3]
        assert 0.01 < (pixels.min(axis=-1) < 0.9).mean() < 0.6
        # nothing is cut off: the outermost pixels are paper
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert edge.min() > 0.9


def test_without_landmarks_only_time_is_left(tmp_path: Path) -> None:
    rows = [record("c1"), record("c1", "b"), failed("c2")]
    assert [path.name for path in draw_all(rows, tmp_path)] == ["time_and_accuracy.png"]
    figure = time_and_accuracy(rows)
    assert figure is not None
    assert "surface distance" in figure.axes[0].get_ylabel()
    assert draw_all([failed("c1")], tmp_path) == []
    assert draw_all([], tmp_path) == []


def test_the_cumulative_curve_is_the_share_of_landmarks() -> None:
    figure = errors_cumulative([record("c1", errors=[0.5, 1.5, 1.5, 4.0])])
    assert figure is not None
    axes = figure.axes[0]
    x, y = axes.get_lines()[0].get_data()

    def share(limit: float) -> float:
        return float(np.asarray(y)[np.asarray(x) <= limit][-1])

    assert [share(v) for v in (0.4, 0.5, 1.5, 2.0, 5.0)] == [0, 25, 75, 75, 100]
    limits = {line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1}
    assert {2.0, 5.0} <= limits


def colour_of(figure: Figure | None, title: str) -> str:
    assert figure is not None
    legend = figure.legends[0]
    labels = [text.get_text() for text in legend.get_texts()]
    number = next(n for n, label in enumerate(labels) if label.startswith(title))
    return to_hex(legend.legend_handles[number].get_color()).upper()  # type: ignore[union-attr]


def test_a_method_keeps_its_colour_when_others_failed() -> None:
    rows = [failed("c1", "a"), record("c1", "b", [1.0]), record("c1", "c", [2.0])]
    for figure in (errors_by_case(rows), errors_cumulative(rows), time_and_accuracy(rows)):
        assert colour_of(figure, "B") == COLOURS[1]
        assert colour_of(figure, "C") == COLOURS[2]


def test_points_stand_at_their_displacement_and_error() -> None:
    row = record("c1", errors=[1.0, 2.0, 3.0])
    figure = errors_by_displacement([row])
    assert figure is not None
    points = figure.axes[0].collections[0].get_offsets()
    assert np.allclose(points, [[8.0, 1.0], [10.0, 2.0], [12.0, 3.0]])
    assert figure.axes[0].get_ylabel().endswith("[mm]")
    assert figure.axes[0].get_xlabel().endswith("[mm]")


def test_boxes_have_a_tick_for_every_case_in_order() -> None:
    figure = errors_by_case(many(12, 8))
    assert figure is not None
    ticks = [text.get_text() for axes in figure.axes for text in axes.get_xticklabels()]
    assert ticks == [f"case{n}" for n in range(1, 13)]
