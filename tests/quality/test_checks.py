from pathlib import Path

import pytest
import yaml

from lungmorph.errors import InputError
from lungmorph.quality import check_all, load_tolerances
from lungmorph.quality.tolerances import NAMES

GOOD = {
    "landmark_error_mm": 1.0, "landmark_p95_mm": 2.0, "predicted_error_mm": None, "inverse_consistency_mm": 0.5,
    "surface_mm": 0.7, "dice": 0.97, "folded_percent": 0.0, "jacobian_low": 0.7, "jacobian_high": 1.4,
    "outside_percent": 0.0,
}  # fmt: skip


def verdict(voxel: float = 1.0, **changed: float | None):
    return check_all({**GOOD, **changed}, {}, load_tolerances(), voxel)


def test_all_good_passes():
    found = verdict()
    assert found.verdict == "pass"
    assert found.why == ()
    assert len(found.checks) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("landmark_error_mm", 2.0, "pass"),
        ("landmark_error_mm", 2.1, "review"),
        ("landmark_error_mm", 5.1, "fail"),
        ("dice", 0.9, "pass"),
        ("dice", 0.89, "review"),
        ("dice", 0.79, "fail"),
        ("folded_percent", 1e-6, "review"),
        ("folded_percent", 0.02, "fail"),
        ("jacobian_low", 0.3, "review"),
        ("jacobian_low", -0.1, "fail"),
        ("jacobian_high", 6.0, "fail"),
        ("outside_percent", 0.5, "review"),
        ("undecided_percent", 1.0, "pass"),
        ("undecided_percent", 100.0, "review"),
    ],
)
def test_each_limit_decides_the_whole_and_says_why(name, value, expected):
    found = verdict(**{name: value})
    assert found.verdict == expected
    (check,) = (c for c in found.checks if c.name == name)
    assert check.verdict == expected
    assert bool(found.why) == (expected != "pass")
    if found.why:
        assert f"{value:.4g}" in found.why[0]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("undecided_percent", 1.00003, "1.00003 %"),
        ("landmark_error_mm", 5.00001, "5.00001 mm"),
        ("dice", 0.8999999, "0.8999999"),
    ],
)
def test_no_value_is_rounded_onto_the_limit_that_it_misses(name, value, said):
    found = verdict(**{name: value})
    assert f": {said}; at " in found.why[0]
    (check,) = (c for c in found.checks if c.name == name)
    assert check.verdict != "pass"
    assert check.found != check.passes.removeprefix("≤ ").removeprefix("≥ ")


def test_what_never_fails_says_so():
    found = verdict(undecided_percent=7.0)
    assert found.why[0].endswith("7 %; at most 1 % passes, all else is to be reviewed.")


@pytest.mark.parametrize(
    ("voxel", "expected"), [(1.0, "review"), (2.4, "review"), (2.6, "pass"), (10.0, "pass")]
)
def test_thick_slices_are_allowed_their_thickness(voxel, expected):
    assert verdict(voxel, landmark_error_mm=2.5).verdict == expected


def test_but_not_more_than_the_most():
    assert verdict(10.0, landmark_error_mm=3.1).verdict == "review"


@pytest.mark.parametrize(
    "name", ["inverse_consistency_mm", "surface_mm", "dice", "folded_percent", "outside_percent"]
)
def test_what_was_not_computed_never_passes(name):
    found = verdict(**{name: None})
    assert found.verdict == "review"
    assert "not computed" in found.why[0]


def test_an_error_has_to_be_known_measured_or_predicted():
    neither = verdict(landmark_error_mm=None, landmark_p95_mm=None)
    assert neither.verdict == "review"
    assert "The error is not known" in neither.why[0]
    predicted = verdict(landmark_error_mm=None, landmark_p95_mm=None, predicted_error_mm=1.0)
    assert predicted.verdict == "pass"


def test_checks_as_people_read_them():
    """With the side on which it passes, and digits enough not to lie on the limit."""
    found = {check.name: check for check in verdict(landmark_error_mm=2.004).checks}
    assert (found["landmark_error_mm"].found, found["landmark_error_mm"].passes) == (
        "2.004 mm",
        "≤ 2 mm",
    )
    assert (found["dice"].found, found["dice"].passes) == ("0.97", "≥ 0.9")
    assert found["predicted_error_mm"].found == ""


def test_a_failure_comes_first_in_the_reasons():
    found = verdict(dice=0.85, folded_percent=1.0)
    assert found.verdict == "fail"
    assert found.why[0].startswith("Folded")
    assert found.why[1].startswith("Overlap")


def test_every_tolerance_names_its_source():
    assert all(len(t.source) > 20 for t in load_tolerances().values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("dice"), "missing or unknown: dice"),
        (lambda t: t.update(dise={}), "missing or unknown: dise"),
        (lambda t: t["dice"].update({"pass": "much"}), "dice.pass"),
        (lambda t: t["dice"].update({"pass": 0.7}), "review lies on the good side of pass"),
        (lambda t: t["surface_mm"].update(review=1.0), "review lies on the good side of pass"),
        (lambda t: t["dice"].update(colour="red"), "dice.colour"),
        (lambda t: t["dice"].update({"pass": 90}), "dice.pass up to 1"),
        (lambda t: t["dice"].update({"at_least": False, "review": None}), "dice.at_least: true"),
        (lambda t: t["dice"].update(required=False), "dice.required: true"),
        (lambda t: t["dice"].update(title=""), "dice.title"),
        (lambda t: t["surface_mm"].update({"unit": "cm", "pass": 0.2}), "surface_mm.unit: 'mm'"),
        (lambda t: t["surface_mm"].update({"pass": float("nan")}), "surface_mm.pass"),
        (lambda t: t["surface_mm"].update(review=float("inf")), "surface_mm.review"),
        (lambda t: t["surface_mm"].update({"pass": True}), "surface_mm.pass"),
        (lambda t: t["surface_mm"].update({"pass": -1.0}), "surface_mm.pass"),
        (lambda t: t["surface_mm"].update(voxel_up_to=50.0), "voxel_up_to lies above review"),
        (lambda t: t["surface_mm"].update(voxel_up_to=0.1), "voxel_up_to lies below pass"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, change, said):
    import lungmorph.quality.tolerances as module

    table = yaml.safe_load((Path(module.__file__).parent / "tolerances.yaml").read_text())
    change(table)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(table))
    with pytest.raises(InputError) as caught:
        load_tolerances(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_said_twice_is_refused(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("dice: {}\ndice: {}\n")
    with pytest.raises(InputError, match="dice is there twice") as caught:
        load_tolerances(path)
    assert "\n" not in str(caught.value)


def test_no_file():
    with pytest.raises(InputError, match=r"none.yaml: expected a YAML file"):
        load_tolerances("none.yaml")
