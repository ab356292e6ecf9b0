"""Pairs of real scans, prepared: all pairs of phases, their lattice, their landmarks, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.replicas import own
from tests.training.made import SIZE, SPACING, write_dirlab, write_table

from lungmorph.datasets import open_dataset
from lungmorph.errors import InputError
from lungmorph.networks import LevelConfig, MultiLevelConfig, build
from lungmorph.space import Affine
from lungmorph.training import TrainingConfig, evaluate
from lungmorph.training.cases import CasePairs, pairs_of
from lungmorph.training.data import plan
from lungmorph.training.data_config import Augmentation
from lungmorph.training.patients import check_patients, save_patients
from lungmorph.training.prepared import load_pair, prepare_pairs

MODEL = {
    "kind": "multilevel",
    "spacing_mm": 8.0,
    "levels": [{"downsamplings": 1, "entry": [4], "body": [4]}],
}


@pytest.fixture
def no_alignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests whose subject it is not: it takes seconds."""
    monkeypatch.setattr("lungmorph.registration.prealign.prealign", lambda *_: Affine.identity())


def planned(folder: Path, *sources: dict, judge: tuple = (), **model: object):
    return plan(
        TrainingConfig(model=MODEL | model, data={"sources": sources, "judge": judge}), folder
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("table"), patients=4, visits=2)


@pytest.fixture(scope="module")
def breathing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dirlab(tmp_path_factory.mktemp("dirlab") / "DIR-Lab", (1, 2))


def test_all_ordered_pairs_of_the_phases_of_the_training_patients(
    breathing: Path, tmp_path: Path
) -> None:
    options = {"size": list(SIZE), "spacing": list(SPACING)}
    source = {"kind": "cases", "path": breathing, "reader": "dirlab-4dct", "options": options}
    found = planned(tmp_path, source | {"split": {"validation": ["case2"]}})
    names = {(p.fixed, p.moving) for p in found.train[0]}
    phases = [f"T{n:02d}" for n in range(0, 100, 10)]
    assert names == {(a, b) for a in phases for b in phases if a != b}
    assert len(found.train[0]) == 90
    assert {p.case.id for p in found.train[0]} == {"case1"}
    assert [(p.case.id, {p.fixed, p.moving}) for p in found.validation] == [
        ("case2", {"T00", "T50"})
    ]
    default = planned(tmp_path, source | {"split": {"validation": ["case2"]}, "pairs": "default"})
    assert {frozenset((p.fixed, p.moving)) for p in default.train[0]} == {frozenset(("T00", "T50"))}
    assert len(default.train[0]) == 2


def test_visits_of_one_patient_stay_together(table: Path, tmp_path: Path) -> None:
    source = {"kind": "cases", "path": table, "split": {"validation": 0.25, "test": 0.25}}
    found = planned(tmp_path, source)
    groups = [found.train[0], found.validation, found.judged[0].pairs]
    patients = [{p.case.patient for p in group} for group in groups]
    assert [len(p) for p in patients] == [2, 1, 1]
    assert len(set.union(*patients)) == 4
    assert [len(g) for g in groups] == [8, 2, 2]


def test_prepared_pair_is_the_scans_on_the_lattice_with_landmarks_in_their_place(
    table: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(table)
    (pair,) = pairs_of(dataset.cases[:1], "one", 8.0, tmp_path)
    prepare_pairs([pair], 8.0, 4)
    found = load_pair(pair.path)
    points = own.in_lungs(8, 0)
    index = found["fixed_points"].numpy().astype(float)
    # 8 mm lattice along the world's axes: distances of the landmarks are those in mm
    np.testing.assert_allclose(
        np.linalg.norm(index[:, None] - index, axis=2) * 8.0,
        np.linalg.norm(points[:, None] - points, axis=2),
        atol=1e-2,
    )
    # both scans are alike, and so are their points, up to the pre-alignment
    assert np.abs(found["moving_points"].numpy() - index).max() * 8.0 < 1.5
    i, j, k = np.rint(index).astype(int).T
    assert (found["fixed"][0, 0].numpy()[k, j, i] < -500).all()
    assert found["fixed_mask"][0, 0].numpy()[k, j, i].mean() > 0.8
    assert found["fixed_mask"].dtype == torch.bool


def test_landmark_error_is_that_in_the_moving_scan(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network sees the moving scan through the pre-alignment, which stretches distances."""
    affine = Affine.from_parts(np.diag([1.1, 0.9, 1.2]), np.array([3.0, -2.0, 4.0]))
    monkeypatch.setattr("lungmorph.registration.prealign.prealign", lambda *_: affine)
    case = open_dataset(table).cases[0]
    (pair,) = pairs_of([case], "one", 8.0, tmp_path)
    prepare_pairs([pair], 8.0, 4)
    model = MultiLevelConfig(spacing_mm=8.0, levels=(LevelConfig(**MODEL["levels"][0]),))
    found = evaluate(build(model), [load_pair(pair.path)])
    fixed, moving = (marked.points for marked in case.landmarks(pair.fixed, pair.moving))
    expected = np.linalg.norm(affine.apply(fixed) - moving, axis=1).mean()
    assert found.start_mm == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("no_alignment")
def test_kept_pairs_are_used_again_and_made_anew_when_a_scan_changes(
    table: Path, tmp_path: Path
) -> None:
    def path() -> Path:
        (pair,) = pairs_of(open_dataset(table).cases[2:3], "one", 8.0, tmp_path)
        prepare_pairs([pair], 8.0, 4)
        return pair.path

    first = path()
    before = first.stat().st_mtime_ns
    assert path() == first
    assert first.stat().st_mtime_ns == before
    first.write_bytes(first.read_bytes()[:50])  # cut off
    assert load_file(path())["fixed"].ndim == 5
    case = open_dataset(table).cases[2]
    own.write(case.scan(case.fixed).source, own.chest(77))
    assert path() != first


@pytest.mark.usefixtures("no_alignment")
def test_case_pairs_show_every_patient_and_change_what_they_show(
    table: Path, tmp_path: Path
) -> None:
    pairs = pairs_of(open_dataset(table).cases[:4], "one", 8.0, tmp_path)  # two patients
    prepare_pairs(pairs, 8.0, 4)
    plain = CasePairs(pairs, 0, 8.0, None, None)
    shown = {plain.pair(n)["fixed"].sum().item() for n in range(40)}
    assert len(shown) == 4
    changed = CasePairs(pairs, 0, 8.0, Augmentation(), 16)
    found = [changed.pair(n) for n in (3, 3, 4)]
    assert torch.equal(found[0]["fixed"], found[1]["fixed"])
    assert not torch.equal(found[0]["fixed"], found[2]["fixed"])
    assert max(found[0]["fixed"].shape[2:]) <= 16


@pytest.mark.usefixtures("no_alignment")
def test_lungs_too_small_for_the_levels_are_refused(table: Path, tmp_path: Path) -> None:
    pairs = pairs_of(open_dataset(table).cases[:1], "one", 8.0, tmp_path)
    with pytest.raises(InputError, match="at least 128 voxels of 8 mm"):
        prepare_pairs(pairs, 8.0, 128)


def test_data_that_cannot_be_are_refused_before_a_voxel_is_read(
    table: Path, breathing: Path, tmp_path: Path
) -> None:
    source = {"kind": "cases", "path": table}
    with pytest.raises(InputError, match="nowhere"):
        planned(tmp_path, {"kind": "cases", "path": tmp_path / "nowhere"})
    with pytest.raises(InputError, match="none called 'p9'"):
        planned(tmp_path, source | {"leave_out": ["p9"]})
    with pytest.raises(InputError, match="'train'"):
        planned(tmp_path, source | {"split": {"validation": ["p0", "p1", "p2", "p3"]}})
    with pytest.raises(InputError, match="no such file"):
        planned(tmp_path, {"kind": "simulated", "anatomies": [str(tmp_path / "no.nii.gz")]})
    with pytest.raises(InputError, match="did you mean 'pool'"):
        planned(tmp_path, {"kind": "simulated", "options": {"pol": 3}})


def test_patients_are_in_one_part_of_all_sources(table: Path, tmp_path: Path) -> None:
    def cases(path: Path, **more: object) -> dict:
        return {"kind": "cases", "path": path, **more}

    def split(*validation: str) -> dict:
        return {"split": {"validation": list(validation)}}

    rows = table / "dataset.csv"
    judged, image = ({"path": rows},), table / "p2v1_moving.mha"
    for sources, judge, told in (
        ((cases(table, **split("p0")), cases(rows, **split("p1"))), (), "p0v0 in validation and in train"),
        ((cases(table),), judged, "p0v0 in train and in test"),
        ((cases(table, **split("p2")), {"kind": "simulated", "anatomies": [image]}), (), "in validation and in train"),
        (({"kind": "simulated", "anatomies": [image]}, {"kind": "simulated", "validation": {"anatomies": [image]}}), (), "in train and in validation"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"different patients, found (case )?{told}"):
            planned(tmp_path, *sources, judge=judge)
    # a motion is known by its points, in whichever file they are
    many = write_table(tmp_path / "many", patients=3)
    points = own.in_lungs(24, 1)
    own.write_pairs(many / "p1v0.csv", points, points + 1)
    motion = own.write_pairs(tmp_path / "motion.csv", points, points + 1)
    moved = {"kind": "simulated", "motions": [motion]}
    for sources in ((cases(many, **split("p1")), moved), (moved, cases(many, **split("p1")))):
        with pytest.raises(InputError, match="the motion of case p1v0 in validation and in train"):
            planned(tmp_path, *sources)
    planned(tmp_path, cases(many, **split("p2")), moved)
    twice = planned(tmp_path, cases(table, **split("p0")), cases(rows, share=0.5, **split("p0")))
    assert len(twice.train) == 2
    # nothing is learned from what is there to be validated on
    only_looked_at = cases(table, share=0, split={"validation": ["p0", "p1", "p2", "p3"]})
    found = planned(tmp_path, only_looked_at, {"kind": "simulated"})
    assert found.train == ((),)
    assert len(found.validation) == 8


def test_datasets_of_one_kind_are_judged_apart(table: Path, tmp_path: Path) -> None:
    other = write_table(tmp_path / "other", patients=2)
    sources = [
        {"kind": "cases", "path": path, "split": {"test": ["p0"]}} for path in (table, other)
    ]
    found = planned(tmp_path, *sources, judge=({"path": write_table(tmp_path / "third", 1)},))
    assert len({group.name for group in found.judged}) == 3
    assert "(other)" in found.judged[1].name


def test_loss_of_what_no_pair_knows_is_refused(table: Path, tmp_path: Path) -> None:
    def plan_for(loss: dict, *sources: dict) -> None:
        plan(TrainingConfig(model=MODEL, data={"sources": sources}, loss=loss), tmp_path)

    cases, simulated = {"kind": "cases", "path": table}, {"kind": "simulated"}
    with pytest.raises(
        InputError, match=r"landmarks of stage level-1: .* with landmarks, found none"
    ):
        plan_for({"landmarks": 1}, simulated)
    with pytest.raises(InputError, match=r"displacement of stage level-1: .* found none"):
        plan_for({"displacement": 1}, cases, simulated | {"share": 0})
    plan_for({"displacement": 1, "landmarks": 1}, cases, simulated)


def test_run_goes_on_with_the_patients_that_it_began_with(tmp_path: Path) -> None:
    """Shares of a dataset that has grown are other patients."""
    data = write_table(tmp_path / "data", patients=3)
    source = {"kind": "cases", "path": data, "split": {"validation": 0.3}}
    before = planned(tmp_path, source)
    save_patients(tmp_path / "run", before)
    check_patients(tmp_path / "run", planned(tmp_path, source))
    write_table(data, patients=5)
    with pytest.raises(InputError, match="the train patients that the run began with"):
        check_patients(tmp_path / "run", planned(tmp_path, source))
    named = before.validation[0].case.patient
    kept = {"train": sorted({p.case.patient for p in before.train[0]}), "validation": [named]}
    check_patients(tmp_path / "run", planned(tmp_path, source | {"split": kept}))
    save_patients(tmp_path / "none", planned(tmp_path, {"kind": "simulated"}))
    assert not (tmp_path / "none").exists()
    (tmp_path / "run" / "patients.json").write_text("[")
    with pytest.raises(InputError, match="cannot be read"):
        check_patients(tmp_path / "run", before)


def test_case_without_a_partner_is_named(table: Path, tmp_path: Path) -> None:
    copy = write_table(tmp_path / "copy", patients=2)
    (copy / "p1v0_moving.mha").unlink()
    with pytest.raises(InputError, match=r"case p1v0 .* no moving") as caught:
        planned(tmp_path, {"kind": "cases", "path": copy})
    assert "leave_out" in str(caught.value)
    found = planned(tmp_path, {"kind": "cases", "path": copy, "leave_out": ["p1v0"]})
    assert {p.case.id for p in found.train[0]} == {"p0v0"}
    # a folder of a patient with one scan
    for name in ("a/fixed.mha", "a/moving.mha", "b/moving.mha"):
        (tmp_path / "folders" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folders" / name).write_bytes((table / "p0v0_fixed.mha").read_bytes())
    with pytest.raises(
        InputError, match=r"case b: expected two scans, found .*moving\.mha alone.*leave_out"
    ):
        planned(tmp_path, {"kind": "cases", "path": tmp_path / "folders"})
