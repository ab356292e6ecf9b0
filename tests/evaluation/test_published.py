"""Published figures agree with themselves, say their definition and their source."""

from __future__ import annotations

import pytest

from lungmorph.datasets.readers import READERS
from lungmorph.evaluation.published import TRAP, published

KINDS = ("dirlab-4dct", "dirlab-copd")


@pytest.mark.parametrize("kind", KINDS)
def test_means_are_those_of_their_cases(kind: str) -> None:
    assert kind in READERS
    found = published(kind)
    assert found is not None
    for row in found.rows:
        if row.cases_mm is not None:
            assert len(row.cases_mm) == 10
            mean = row.mean_of(range(1, 11))
            assert mean is not None
            if f"cases average {mean:.2f}" not in row.note:
                assert mean == pytest.approx(row.mean_mm, abs=0.011), row.method  # both rounded
        assert row.definition in ("continuous", "snapped", "not stated")
        assert row.source
    assert len({(row.method, row.definition) for row in found.rows}) == len(found.rows)


def test_figures_are_those_of_the_literature() -> None:
    ct, copd = (published(kind) for kind in KINDS)
    assert ct is not None
    assert copd is not None
    assert ct.before.cases_mm == (3.89, 4.34, 6.94, 9.83, 7.48, 10.89, 11.03, 14.99, 7.92, 7.30)
    assert ct.before.mean_mm == pytest.approx(8.46, abs=0.005)
    assert copd.before.mean_mm == pytest.approx(23.36, abs=0.005)
    by_name = {(row.method, row.definition): row for row in ct.rows}
    assert by_name["pTVreg", "snapped"].cases_mm == (
        0.77, 0.75, 0.93, 1.26, 1.07, 0.83, 0.80, 1.01, 0.91, 0.84,
    )  # fmt: skip
    assert by_name["GraphRegNet", "not stated"].mean_mm == 1.39
    assert {row.method: row.mean_mm for row in copd.rows}["RRN"] == 0.83


def test_the_trap_is_in_the_table_itself() -> None:
    found = published("dirlab-4dct")
    assert found is not None
    both = {row.definition: row for row in found.rows if row.method == "VROC"}
    assert both["snapped"].mean_mm < both["continuous"].mean_mm
    assert f"{both['snapped'].mean_mm} and {both['continuous'].mean_mm} mm" in TRAP


def test_means_of_some_cases_and_unknown_datasets() -> None:
    found = published("dirlab-copd")
    assert found is not None
    by_name = {row.method: row for row in found.rows}
    assert by_name["pTVreg"].mean_of([1, 2]) == pytest.approx((0.71 + 1.91) / 2)
    assert by_name["RRN"].mean_of([1, 2]) is None
    assert by_name["pTVreg"].mean_of([]) is None
    assert published("folder") is None
