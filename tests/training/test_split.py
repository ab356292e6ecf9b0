"""Who is trained on, who is not: patients are never in two parts."""

from pathlib import Path

import pytest

from lungmorph.datasets import Case, Dataset
from lungmorph.errors import InputError
from lungmorph.training.data_config import Split
from lungmorph.training.split import split_cases


def dataset(patients: int = 6, visits: int = 2, owner: dict[str, str] | None = None) -> Dataset:
    """Each patient comes several times, the cases of all patients mixed."""
    cases = tuple(
        Case(f"p{p}-v{v}", f"p{p}", (), "a", "b", split=(owner or {}).get(f"p{p}"))
        for v in range(visits)
        for p in range(patients)
    )
    return Dataset("table", "a table", Path("/data"), cases)


def patients(cases: tuple[Case, ...]) -> set[str]:
    return {case.patient for case in cases}


def test_shares_deal_patients_out_with_all_their_visits() -> None:
    data = dataset()
    for seed in range(5):
        parts = split_cases(data, Split(validation=0.3, test=0.3, seed=seed))
        groups = [patients(p) for p in (parts.train, parts.validation, parts.test)]
        assert [len(g) for g in groups] == [2, 2, 2]
        assert len(set.union(*groups)) == 6
        assert len(parts.train) == 4


def test_seed_decides_and_decides_alike() -> None:
    data = dataset()
    found = [split_cases(data, Split(validation=0.5, seed=s)).validation for s in (1, 1, 2, 3, 4)]
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_named_case_brings_its_patient_and_the_rest_is_shared() -> None:
    parts = split_cases(dataset(), Split(validation=("p3-v1",), test=0.2))
    assert patients(parts.validation) == {"p3"}
    assert len(parts.validation) == 2
    assert len(patients(parts.test)) == 1
    assert "p3" not in patients(parts.train) | patients(parts.test)
    assert len(patients(parts.train)) == 4


def test_named_training_patients_leave_the_others_out() -> None:
    parts = split_cases(dataset(), Split(train=("p0",), validation=("p1",)))
    assert (patients(parts.train), patients(parts.validation)) == ({"p0"}, {"p1"})
    assert parts.test == ()
    # a share is of those in no list
    parts = split_cases(dataset(), Split(train=("p0", "p1"), validation=0.5))
    assert patients(parts.train) == {"p0", "p1"}
    assert len(patients(parts.validation)) == 2
    assert not patients(parts.validation) & {"p0", "p1"}


def test_owner_decides_where_asked() -> None:
    owner = {"p0": "test", "p1": "validation", "p2": "train"}
    parts = split_cases(dataset(4, owner=owner), Split(by_owner=True))
    assert patients(parts.test) == {"p0"}
    assert patients(parts.validation) == {"p1"}
    assert patients(parts.train) == {"p2", "p3"}
    assert patients(split_cases(dataset(4, owner=owner), Split()).train) == {"p0", "p1", "p2", "p3"}


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (Split(validation=("p9",)), "did you mean"),
        (Split(validation=("p1",), test=("p1-v0",)), "'p1' in validation and in test"),
        (Split(validation=("p0", "p1"), test=("p2", "p3", "p4", "p5")), "'train'"),
        (Split(train=()), "'train'"),
        (Split(validation=tuple(f"p{n}" for n in range(5)), test=0.9), "'train'"),
        (Split(train=tuple(f"p{n}" for n in range(6)), validation=0.5), "'validation'"),
    ],
)
def test_splits_that_cannot_be_are_told(split: Split, told: str) -> None:
    with pytest.raises(InputError, match=told):
        split_cases(dataset(), split)
