"""Totals by hand: means of cases, pooled landmarks, intervals over patients, and who failed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.evaluation.made import failed, judged, record

from lungmorph.errors import InputError
from lungmorph.evaluation.bootstrap import interval
from lungmorph.evaluation.quantities import BY_KEY, QUANTITIES
from lungmorph.evaluation.summary import summarize

FEW, MANY = [1.0, 3.0], [6.0] * 8


def total(summary: dict, method: str = "a", group: str | None = None) -> dict:
    found = [t for t in summary["totals"] if (t["method"], t["group"]) == (method, group)]
    assert len(found) == 1
    return found[0]


def test_means_of_cases_and_pooled_landmarks_are_two_things() -> None:
    summary = summarize(
        [
            record("c1", errors=FEW, seconds=10.0, peak_mb=500.0),
            record("c2", errors=MANY, seconds=40.0, peak_mb=800.0),
            record("c3", errors=FEW, seconds=13.0, peak_mb=700.0),
        ]
    )
    figures, pooled = total(summary)["figures"], total(summary)["pooled"]
    assert figures["lde_mm"]["value"] == pytest.approx((2 + 6 + 2) / 3)
    assert figures["lde_sd_mm"]["value"] == pytest.approx((1 + 0 + 1) / 3)
    assert figures["lde_median_mm"]["value"] == pytest.approx((2 + 6 + 2) / 3)
    assert figures["lde_max_mm"]["value"] == pytest.approx((3 + 6 + 3) / 3)
    assert figures["lde_snapped_mm"]["value"] == pytest.approx(0.9 * 10 / 3)
    assert figures["lde_before_mm"]["value"] == pytest.approx(10.0)
    assert figures["over_5mm_percent"]["value"] == pytest.approx(100 / 3)
    assert figures["seconds"]["value"] == 13.0  # median
    assert figures["peak_mb"]["value"] == 800.0  # maximum
    assert (figures["peak_mb"]["low"], figures["peak_mb"]["high"]) == (None, None)
    together = np.array(FEW + MANY + FEW)
    assert pooled["count"] == 12
    for name, value in (
        ("mean", together.mean()), ("sd", together.std()), ("median", 6.0), ("max", 6.0),
        ("p95", np.percentile(together, 95)), ("over_5mm_percent", 100 * 8 / 12),
        ("over_2mm_percent", 100 * 10 / 12),
    ):  # fmt: skip
        assert pooled[name] == pytest.approx(value), name
    assert total(summary)["steps"] == {"network": 1.0, "refine": 4.0}


def test_every_section_of_the_judge_is_read() -> None:
    consistency = {"mean": 0.4, "p95": 1.0, "max": 2.0, "counted_percent": 99.0}
    whole = record("c", errors=FEW, judged=judged(FEW, inverse_consistency_mm=consistency))
    assert [quantity.key for quantity in QUANTITIES if quantity.of(whole) is None] == []
    assert BY_KEY["both_ways_mm"].of(whole) == 0.4
    assert BY_KEY["surface_p95_mm"].of(whole) == 1.5


def test_intervals_draw_patients_and_not_cases() -> None:
    values = [1.0, 1.0, 1.0, 1.0, 5.0]
    own = interval(values, list("abcde"))
    shared = interval(values, list("aaaab"))
    assert own is not None
    assert shared is not None
    # of two patients one draw in four has only the second: the interval reaches its value
    assert shared == (1.0, 5.0)
    assert own[0] == 1.0
    assert 2.0 < own[1] < 5.0
    assert interval(values, list("aaaaa")) is None
    assert interval(values, list("abcde")) == own


def test_an_interval_is_that_of_a_direct_bootstrap() -> None:
    rng = np.random.default_rng(5)
    values = rng.gamma(2.0, 1.0, 12)
    means = [rng.choice(values, 12).mean() for _ in range(4000)]
    for statistic, expected in (("mean", means), ("median", None)):
        low, high = interval(values, [str(i) for i in range(12)], statistic) or (0, 0)  # type: ignore[arg-type]
        if expected is None:
            expected = [np.median(rng.choice(values, 12)) for _ in range(4000)]
        assert (low, high) == pytest.approx(tuple(np.percentile(expected, [2.5, 97.5])), abs=0.15)


def test_weights_of_a_pooled_mean_are_landmarks() -> None:
    ends = interval([2.0, 6.0], ["p", "q"], weights=[2, 8])
    assert ends == (2.0, 6.0)
    three = interval([0.0, 10.0, 0.0], list("pqr"), weights=[1, 100, 1])
    equal = interval([0.0, 10.0, 0.0], list("pqr"))
    assert three is not None
    assert equal is not None
    assert three[1] == equal[1] == 10.0
    rows = [
        record("c1", errors=[1.0] * 2, patient="p"),
        record("c2", errors=[5.0] * 98, patient="p"),
        record("c3", errors=[1.0] * 10, patient="q"),
    ]
    # the highest of all draws is the first patient twice
    assert total(summarize(rows))["pooled"]["high"] == pytest.approx((2 * 1 + 98 * 5) / 100)


def test_one_patient_has_no_interval_however_many_cases() -> None:
    rows = [record(f"c{n}", errors=[float(n)], patient="p") for n in range(1, 5)]
    found = total(summarize(rows))
    assert found["patients"] == 1
    assert found["figures"]["lde_mm"]["low"] is None
    assert found["pooled"]["low"] is None


def test_failed_cases_are_named_and_do_not_count() -> None:
    rows = [
        record("c1", errors=FEW), failed("c2"), record("c1", "b", MANY), record("c2", "b", FEW),
        failed("c3", "b", "no such program") | {"status": "skipped"},
    ]  # fmt: skip
    summary = summarize(rows)
    a, b = total(summary), total(summary, "b")
    assert (a["done"], a["cases"], b["done"], b["cases"]) == (1, 2, 2, 3)
    assert [f["case"] for f in a["failed"]] == ["c2"]
    assert a["figures"]["lde_mm"] == {
        "value": 2.0, "low": None, "high": None, "n": 1, "statistic": "mean",
    }  # fmt: skip
    assert [(f["case"], f["method"], f["status"], f["message"]) for f in summary["failed"]] == [
        ("c2", "a", "failed", "out of memory"),
        ("c3", "b", "skipped", "no such program"),
    ]
    # the means above are of other cases: those of the common ones are comparable
    common = summary["common"]
    assert common["cases"] == ["c1"]
    assert [t["figures"]["lde_mm"]["value"] for t in common["totals"]] == [2.0, 6.0]
    assert summarize([record("c1", m, FEW) for m in "ab"])["common"] is None


def test_groups_are_summed_up_on_their_own_and_rows_are_in_order() -> None:
    rows = [
        record("case10", errors=[4.0], group="thick"),
        record("case2", errors=[2.0], group="thick"),
        record("case1", errors=[9.0], group="thin"),
    ]
    summary = summarize(rows)
    assert [row["case"] for row in summary["cases"]] == ["case2", "case10", "case1"]
    assert total(summary, group="thick")["figures"]["lde_mm"]["value"] == 3.0
    assert total(summary, group="thin")["figures"]["lde_mm"]["value"] == 9.0
    assert total(summary)["figures"]["lde_mm"]["value"] == 5.0


def test_missing_figures_are_none_and_all_is_json() -> None:
    rows = [record("c1"), record("c2", errors=FEW), failed("c3")]
    rows[0]["judged"]["overlap"]["surface_mean_mm"] = None
    summary = summarize(rows)
    json.dumps(summary, allow_nan=False)
    figures = total(summary)["figures"]
    assert figures["surface_mm"]["n"] == 1
    assert figures["lde_mm"]["n"] == 1
    assert figures["both_ways_mm"]["value"] is None
    assert total(summarize([record("c1")]))["pooled"] is None
    assert total(summarize([failed("c1")]))["figures"]["seconds"]["value"] is None
    assert summarize([])["totals"] == []


def test_a_case_twice_is_refused() -> None:
    with pytest.raises(InputError, match="c1 of a twice"):
        summarize([record("c1"), record("c1")])
