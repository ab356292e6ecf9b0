"""Paired tests against scipy called directly, and when there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import wilcoxon
from tests.evaluation.made import failed, record

from lungmorph.errors import InputError
from lungmorph.evaluation.compare import compare, compare_methods

ERRORS_A = [1.0, 1.2, 0.9, 1.5, 2.0, 1.1, 1.05, 1.31]
ERRORS_B = [1.3, 1.1, 1.25, 1.9, 2.2, 1.15, 1.45, 1.4]


def side(errors: list[float], method: str, **changed: object) -> list[dict]:
    return [record(f"c{n}", method, [value], **changed) for n, value in enumerate(errors, 1)]


def test_is_the_signed_rank_test_of_the_case_means() -> None:
    found = compare(side(ERRORS_A, "a"), side(ERRORS_B, "b"))
    lde = found["quantities"]["lde_mm"]
    difference = np.array(ERRORS_A) - ERRORS_B
    assert lde["difference"] == pytest.approx(difference.mean())
    assert lde["low"] < lde["difference"] < lde["high"] < 0
    assert lde["p"] == pytest.approx(wilcoxon(ERRORS_A, ERRORS_B).pvalue)
    assert (lde["wins_a"], lde["wins_b"], lde["ties"]) == (7, 1, 0)
    assert (lde["mean_a"], lde["mean_b"]) == pytest.approx((np.mean(ERRORS_A), np.mean(ERRORS_B)))
    assert lde["rows"][0] == {"case": "c1", "a": 1.0, "b": 1.3, "difference": pytest.approx(-0.3)}
    assert "n = 8" in lde["test"]
    assert (found["a"], found["b"]) == ("A", "B")
    json.dumps(found, allow_nan=False)
    back = compare(side(ERRORS_B, "b"), side(ERRORS_A, "a"))["quantities"]["lde_mm"]
    assert back["difference"] == pytest.approx(-lde["difference"])
    assert back["p"] == pytest.approx(lde["p"])


def test_higher_wins_where_higher_is_better() -> None:
    a, b = side(ERRORS_A, "a"), side(ERRORS_B, "b")
    a[0]["judged"]["overlap"]["dice_after"] = 0.99
    found = compare(a, b)["quantities"]
    assert (found["dice"]["wins_a"], found["dice"]["wins_b"], found["dice"]["ties"]) == (1, 0, 7)
    spread = found["sd_log_jacobian"]  # neither way is better
    assert (spread["wins_a"], spread["wins_b"], spread["ties"]) == (None, None, None)


@pytest.mark.parametrize(("count", "tested"), [(5, False), (6, True)])
def test_too_few_cases_are_not_tested(count: int, tested: bool) -> None:
    lde = compare(side(ERRORS_A[:count], "a"), side(ERRORS_B[:count], "b"))["quantities"]["lde_mm"]
    assert (lde["p"] is not None) is tested
    if not tested:
        assert "too few cases" in lde["test"]
        assert "n = 5" in lde["test"]


def test_equal_values_do_not_count_as_pairs() -> None:
    found = compare(side(ERRORS_A, "a"), side(ERRORS_A, "b"))["quantities"]["lde_mm"]
    assert found["p"] is None
    assert "8 without a difference" in found["test"]
    assert (found["low"], found["high"], found["ties"]) == (0.0, 0.0, 8)


def test_cases_of_one_patient_are_one_pair() -> None:
    a, b = side(ERRORS_A, "a"), side(ERRORS_B, "b")
    for rows in (a, b):
        for number, row in enumerate(rows):
            row["patient"] = f"p{number // 2}"
    found = compare(a, b)["quantities"]["lde_mm"]
    assert (found["n"], found["patients"], found["p"]) == (8, 4, None)


def test_only_common_cases_are_compared() -> None:
    a = [*side(ERRORS_A, "a")[1:], failed("c1", "a")]
    b = [*side(ERRORS_B, "b"), record("c9", "b", [1.0])]
    found = compare(a, b)
    assert found["cases"] == [f"c{n}" for n in range(2, 9)]
    assert (found["only_a"], found["only_b"]) == ([], ["c1", "c9"])
    with pytest.raises(InputError, match="none in common"):
        compare([failed("c1", "a")], b)
    with pytest.raises(InputError, match="records of one method"):
        compare(a + b, b)
    with pytest.raises(InputError, match="no record"):
        compare([], b)


def test_one_method_against_all_others() -> None:
    rows = [*side(ERRORS_A, "a"), *side(ERRORS_B, "b"), failed("c1", "never")]
    assert [(c["a"], c["b"]) for c in compare_methods(rows, "b")] == [("B", "A")]
    with pytest.raises(InputError, match="one of a, b, never"):
        compare_methods(rows, "c")


def test_without_landmarks_the_rest_is_compared() -> None:
    rows = [[record(f"c{n}", m, seconds=s + n) for n in range(7)] for m, s in (("a", 1), ("b", 9))]
    found = compare(*rows)["quantities"]
    assert "lde_mm" not in found
    assert found["seconds"]["difference"] == pytest.approx(-8.0)
    # equal differences are ties, and still as clear as seven cases can be
    assert found["seconds"]["p"] < 0.05
