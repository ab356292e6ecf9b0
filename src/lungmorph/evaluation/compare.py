"""Whether one run is better than another, case by case."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..space.grid import Float
from .bootstrap import interval
from .quantities import QUANTITIES, Quantity, Record, checked, is_done, methods_of, titles_of
from .summary import patient_of

#: With fewer pairs that differ no result of the signed-rank test can have p < 0.05.
LEAST_PAIRS = 6


def compare(
    records_a: Iterable[Record], records_b: Iterable[Record], names: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Two methods, or two runs of one, paired over the cases that both finished.

    Args:
        records_a, records_b: of one method each (see :mod:`.quantities`).
        names: what to call them; the titles of their methods by default.

    Returns:
        JSON-ready::

            {"a", "b": names, "cases": common ones, "only_a", "only_b": finished by one side only,
             "quantities": {<key>: {"better", "n", "patients", "mean_a", "mean_b",
                            "difference": mean of a - b, "low", "high": its 95 % bootstrap interval,
                            "wins_a", "wins_b", "ties" (None where neither way is better),
                            "p", "test": what was tested, or why nothing was,
                            "rows": [{"case", "a", "b", "difference"}]}}}

        p is that of Wilcoxon's signed-rank test (1945), two-sided, over patients: differences of several
        cases of one patient are averaged first. Many quantities are tested and none is corrected
        for it: choose the one that counts (the mean landmark error) before looking.

    Raises:
        InputError: no record on one side, several methods in one, or no common case.
    """
    a, b = _one_method(records_a, "first run"), _one_method(records_b, "second run")
    done_a, done_b = ({str(r["case"]): r for r in side if is_done(r)} for side in (a, b))
    common = [case for case in done_a if case in done_b]
    called = names or (_title(a), _title(b))
    if not common:
        raise InputError(
            f"comparison of {called[0]} and {called[1]}",
            expected="cases that both finished",
            found=f"{len(done_a)} and {len(done_b)} finished, none in common",
        )
    pairs = [(done_a[case], done_b[case]) for case in common]
    quantities = {}
    for quantity in QUANTITIES:
        if quantity.tested and (found := _paired(pairs, quantity)) is not None:
            quantities[quantity.key] = found
    return {
        "a": called[0],
        "b": called[1],
        "cases": common,
        "only_a": [case for case in done_a if case not in done_b],
        "only_b": [case for case in done_b if case not in done_a],
        "quantities": quantities,
    }


def compare_methods(records: Iterable[Record], reference: str) -> list[dict[str, Any]]:
    """:func:`compare` of one method of a run with each of the others, where they have common cases.

    Raises:
        InputError: no record of ``reference``.
    """
    found = checked(records)
    sides = {m: [r for r in found if r["method"] == m] for m in methods_of(found)}
    if reference not in sides:
        raise InputError("method", expected=f"one of {', '.join(sides)}", found=repr(reference))
    finished = {m: {str(r["case"]) for r in side if is_done(r)} for m, side in sides.items()}
    return [
        compare(sides[reference], side)
        for method, side in sides.items()
        if method != reference and finished[method] & finished[reference]
    ]


def _one_method(records: Iterable[Record], name: str) -> list[Record]:
    found = checked(records)
    methods = methods_of(found)
    if len(methods) != 1:
        raise InputError(
            name, expected="records of one method", found=", ".join(methods) or "no record"
        )
    return found


def _title(records: Sequence[Record]) -> str:
    return next(iter(titles_of(records).values()))


def _paired(pairs: Sequence[tuple[Record, Record]], quantity: Quantity) -> dict[str, Any] | None:
    known = [
        (str(a["case"]), patient_of(a), one, other)
        for a, b in pairs
        if (one := quantity.of(a)) is not None and (other := quantity.of(b)) is not None
    ]
    if not known:
        return None
    patients = [patient for _, patient, _, _ in known]
    left = np.array([one for *_, one, _ in known], dtype=np.float64)
    right = np.array([other for *_, other in known], dtype=np.float64)
    difference = left - right
    ends = interval(difference, patients)
    p, test = _signed_rank(_by_patient(difference, patients))
    lower, higher, ties = (int(v) for v in ((difference < 0).sum(), (difference > 0).sum(), (difference == 0).sum()))  # fmt: skip
    wins = {None: (None, None), "low": (lower, higher), "high": (higher, lower)}[quantity.better]
    return {
        "better": quantity.better,
        "n": len(known),
        "patients": len(set(patients)),
        "mean_a": float(left.mean()),
        "mean_b": float(right.mean()),
        "difference": float(difference.mean()),
        "low": ends[0] if ends else None,
        "high": ends[1] if ends else None,
        "wins_a": wins[0],
        "wins_b": wins[1],
        "ties": ties if quantity.better else None,
        "p": p,
        "test": test,
        "rows": [
            {"case": case, "a": one, "b": other, "difference": one - other}
            for case, _, one, other in known
        ],
    }


def _by_patient(difference: Float, patients: Sequence[str]) -> Float:
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    means: Float = np.bincount(member, difference) / np.bincount(member)
    return means


def _signed_rank(difference: Float) -> tuple[float | None, str]:
    """Two-sided p of Wilcoxon's test and what it is of; None and the reason where there is none."""
    from scipy.stats import wilcoxon

    differing = difference[difference != 0]
    n = len(differing)
    if n < LEAST_PAIRS:
        equal = len(difference) - n
        same = f", {equal} without a difference" if equal else ""
        return (
            None,
            f"too few cases for a test (n = {len(difference)}{same}; it takes {LEAST_PAIRS})",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ties need the normal approximation: said below
        p = float(wilcoxon(differing, method="auto").pvalue)
    ties = ", with ties" if len(np.unique(np.abs(differing))) < n else ""
    return p, f"Wilcoxon signed-rank, two-sided, n = {n}{ties}"
