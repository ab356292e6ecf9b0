"""What ``convert`` writes is read back to the same figures, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lungmorph.datasets import Case, Dataset, LandmarkSet, open_dataset
from lungmorph.datasets.check import CaseReport, check
from lungmorph.datasets.convert import Converted, convert
from lungmorph.errors import InputError
from lungmorph.space import Grid, Landmarks, Volume
from replicas import dicom_4d, dirlab, empire10, learn2reg, own, popi, rtstruct

SMALL = Grid((6, 7, 5), (2.0, 1.5, 3.0), (-7.3, 81.25, -1000.1), own.CHEST.direction)


def table_of_phases(root: Path) -> Path:
    """Two cases; four scans, three sets of landmarks and a structure in one, a pair in the other."""
    rng = np.random.default_rng(4)
    lines = [
        "id,scan,phase,role,image,mask,patient,group,split,published_before,"
        "landmarks:Sampled,landmarks:Extreme,keypoints:auto,structure:GTV/left"
    ]
    for n, name in enumerate(("T00", "T20", "T50", "T75.5")):
        hu = rng.integers(-1024, 2000, SMALL.shape).astype(np.int16)
        own.write(root / f"{name}.mha", hu, SMALL)
        own.write_mask(root / f"{name}_m.nii.gz", hu > 0, SMALL)
        for kind, count in (("s", 8), ("e", 12), ("k", 5)):
            index = rng.uniform(0, 4, (count, 3))
            own.write_points(root / f"{name}_{kind}.csv", own.to_world(index, SMALL))
        role = {"T00": "fixed", "T50": "moving"}.get(name, "")
        extreme = f"{name}_e.csv" if role else ""
        gtv = f"{name}_m.nii.gz" if n == 2 else ""
        lines.append(
            f"c2,{name},{name[1:]},{role},{name}.mha,{name}_m.nii.gz,Jo,thin,test,3.89,"
            f"{name}_s.csv,{extreme},{name}_k.csv,{gtv}"
        )
    lines += ["c10,a,,moving,T00.mha,,Al,,,,,,,", "c10,b,,fixed,T50.mha,,Al,,,,,,,"]
    (root / "dataset.csv").write_text("\n".join(lines) + "\n")
    return root


def folder_of_pairs(root: Path) -> Path:
    for case in ("p1", "p2"):
        for name in ("exhale", "inhale"):
            own.write(root / case / f"{name}.nii.gz", own.chest(len(name)))
            own.write_points(
                root / case / f"{name}_landmarks.csv", own.in_lungs(6, len(case + name))
            )
        own.write_mask(root / case / "exhale_mask.nii.gz")
    return root


def dirlab_4dct(root: Path) -> Path:
    dirlab.write_4dct(root, 1, dirlab.ARCHIVE_1)
    return root


def learn2reg_lung_ct(root: Path) -> Path:
    return learn2reg.write_release(root, {1: "Tr", 2: "Tr"}, landmarks=(2,))


def empire(root: Path) -> Path:
    return empire10.write_empire10(root, (1, 12))


def popi_model(root: Path) -> Path:
    return popi.write_2011(root, "Patient1")


def siemens_4d(root: Path) -> Path:
    dicom_4d.siemens(root / "ct")
    return root


KINDS: dict[Callable[[Path], Path], dict[str, object]] = {
    table_of_phases: {},
    folder_of_pairs: {},
    dirlab_4dct: {"size": dirlab.SIZE, "spacing": (1.1, 1.2, 2.5)},
    learn2reg_lung_ct: {},
    empire: {},
    popi_model: {},
    siemens_4d: {},
}


def figures(reports: list[CaseReport]) -> list[dict[str, object]]:
    """All that the two formats have to agree in."""
    return [
        {
            "case": (report.id, report.patient, report.pair, report.landmarks, report.published),
            "names": [(scan.name, scan.percent, scan.grid.size) for scan in report.scans],
            "masks": [(s.lungs is not None, sorted(s.structures)) for s in report.scans],
        }
        for report in reports
    ]


@pytest.mark.parametrize("write", KINDS, ids=lambda write: write.__name__)
def test_a_converted_dataset_reads_back_to_the_same(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    dataset = open_dataset(write(tmp_path / "data"), **KINDS[write])
    done = convert(dataset, tmp_path / "out")
    assert [case.state for case in done] == ["written"] * len(dataset.cases)
    again = open_dataset(tmp_path / "out")
    assert again.kind == "table"
    assert [case.problems for case in again.cases] == [()] * len(again.cases)
    before, after = check(dataset, quick=True), check(again, quick=True)
    assert figures(after) == figures(before)
    assert [r.before for r in after] == [r.before for r in before]
    for old, new in zip(dataset.cases, again.cases, strict=True):
        assert (old.group, old.split) == (new.group, new.split)
        assert [s.expert for s in old.landmark_sets] == [s.expert for s in new.landmark_sets]
        for a, b in zip(old.scans, new.scans, strict=True):
            assert a.grid.same_as(b.grid, 1e-3)
            image = b.load()
            assert float((image.data - a.load().data).abs().max()) <= 0.5  # whole HU
            if a.lungs is not None and b.lungs is not None:
                assert bool((a.lungs().data == b.lungs().data).all())
            for name, load in a.structures.items():
                assert bool((load().data == b.structures[name]().data).all())
        for one, other in zip(old.landmark_sets, new.landmark_sets, strict=True):
            for name in other.points:
                np.testing.assert_array_equal(one.points[name].points, other.points[name].points)


@pytest.fixture
def phases(tmp_path: Path) -> Dataset:
    return open_dataset(table_of_phases(tmp_path / "data"))


def states(done: list[Converted]) -> dict[str, str]:
    return {case.id: case.state for case in done}


@pytest.mark.parametrize(("written", "decimals"), [("7.30", 2), ("6.1", 1)])
def test_a_published_figure_keeps_its_decimals(tmp_path: Path, written: str, decimals: int) -> None:
    table = table_of_phases(tmp_path / "in") / "dataset.csv"
    table.write_text(table.read_text().replace(",3.89,", f",{written},"))
    convert(open_dataset(table), tmp_path / "out", cases=["c2"], phases="pair")
    (case,) = open_dataset(tmp_path / "out").cases
    assert (case.published_before_mm, case.published_decimals) == (float(written), decimals)


def test_what_lies_in_the_folder(phases: Dataset, tmp_path: Path) -> None:
    convert(phases, tmp_path / "out")
    case = tmp_path / "out" / "c2"
    names = {path.relative_to(case).as_posix() for path in case.rglob("*") if path.is_file()}
    assert {"dataset.csv", "landmarks.csv", "T00.nii.gz", "T00_lungs.nii.gz"} <= names
    assert {"T00_Extreme.csv", "T20_Sampled.csv", "T75.5_auto.csv"} <= names
    assert "structures/T50_GTV_left.nii.gz" in names
    assert "T20_Extreme.csv" not in names
    image = sitk.ReadImage(str(case / "T00.nii.gz"))
    assert image.GetPixelID() == sitk.sitkInt16
    # ITK's own reading of the frame
    np.testing.assert_allclose(image.GetOrigin(), SMALL.origin, atol=1e-4)
    np.testing.assert_allclose(image.GetDirection(), np.ravel(SMALL.direction), atol=1e-6)
    # for people and for `register`: the pairs of the best set
    rows = np.genfromtxt(case / "landmarks.csv", delimiter=",", skip_header=2)
    expected = [
        np.genfromtxt(tmp_path / "data" / f"{s}_s.csv", delimiter=",")[1:] for s in ("T00", "T50")
    ]
    np.testing.assert_allclose(rows, np.concatenate(expected, axis=1), atol=1e-9)
    assert open_dataset(case).cases[0].id == "c2"  # one case is a dataset, too


def test_only_the_pair_or_only_some_cases(phases: Dataset, tmp_path: Path) -> None:
    done = convert(phases, tmp_path / "out", cases=["c2"], phases="pair")
    assert states(done) == {"c2": "written"}
    (case,) = open_dataset(tmp_path / "out").cases
    assert [scan.name for scan in case.scans] == ["T00", "T50"]
    assert [marked.name for marked in case.landmark_sets] == ["Sampled", "Extreme", "auto"]
    # the rest comes to the same table
    assert states(convert(phases, tmp_path / "out", phases="pair")) == {
        "c2": "kept",
        "c10": "written",
    }
    assert [case.id for case in open_dataset(tmp_path / "out").cases] == ["c2", "c10"]
    # but more scans of a case that is there do not
    (refused, _) = convert(phases, tmp_path / "out")
    assert refused.state == "failed"
    assert "found T00, T50" in refused.problems[0]
    with pytest.raises(InputError, match="expected a case 'c3', found c2, c10"):
        convert(phases, tmp_path / "out", cases=["c3"])


def test_finished_cases_are_kept_and_not_read_again(phases: Dataset, tmp_path: Path) -> None:
    convert(phases, tmp_path / "out", cases=["c2"])
    written = (tmp_path / "out" / "c2" / "T00.nii.gz").stat().st_mtime_ns

    def refuse() -> Volume:
        raise AssertionError("it was read again")

    blind = [replace(c, scans=tuple(replace(s, load=refuse) for s in c.scans)) if c.id == "c2" else c
             for c in phases.cases]  # fmt: skip
    done = convert(replace(phases, cases=tuple(blind)), tmp_path / "out")
    assert states(done) == {"c2": "kept", "c10": "written"}
    assert (tmp_path / "out" / "c2" / "T00.nii.gz").stat().st_mtime_ns == written


def test_a_case_that_fails_leaves_nothing_and_stops_nobody(phases: Dataset, tmp_path: Path) -> None:
    whole = (tmp_path / "data" / "T20.mha").read_bytes()
    (tmp_path / "data" / "T20.mha").write_bytes(whole[:-20])
    seen: list[tuple[str, float]] = []
    done = convert(
        phases, tmp_path / "out", progress=lambda what, share: seen.append((what, share))
    )
    assert states(done) == {"c2": "failed", "c10": "written"}
    assert "T20.mha" in done[0].problems[0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c10", "dataset.csv"]
    assert seen[0] == ("c2 T00", 0)
    assert seen[-1] == ("c10 b", pytest.approx(3 / 6))
    # an interruption leaves nothing either, and what was done before stays
    (tmp_path / "data" / "T20.mha").write_bytes(whole)

    def interrupted(what: str, share: float) -> None:
        if what == "c2 T50":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(phases, tmp_path / "out", progress=interrupted)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c10", "dataset.csv"]
    assert states(convert(phases, tmp_path / "out")) == {"c2": "written", "c10": "kept"}


def test_cases_with_problems_are_named(phases: Dataset, tmp_path: Path) -> None:
    c2, c10 = phases.cases
    cases = (
        replace(c2, problems=("T60.mha: expected an image, found nothing there",)),
        replace(
            c10, scans=c10.scans[:1], problems=("T50.mha: expected an image, found nothing there",)
        ),
    )
    done = convert(replace(phases, cases=cases), tmp_path / "out")
    assert states(done) == {"c2": "written", "c10": "failed"}
    assert "T60.mha" in done[0].problems[0]
    assert "T50.mha" in done[1].problems[0]


def test_the_folder_of_the_dataset_itself_is_no_place_to_write(tmp_path: Path) -> None:
    dataset = open_dataset(folder_of_pairs(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="expected another folder"):
        convert(dataset, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_nobody_elses_files_are_touched(phases: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "c2").mkdir(parents=True)
    (out / "c2" / "thesis.txt").write_text("mine")
    done = convert(phases, out)
    assert states(done) == {"c2": "failed", "c10": "written"}
    assert (out / "c2" / "thesis.txt").read_text() == "mine"
    # another dataset whose cases are called the same
    done = convert(replace(phases, root=tmp_path / "elsewhere"), out, cases=["c10"])
    assert "another dataset" in done[0].problems[0]
    own_table = tmp_path / "data" / "dataset.csv"
    before = own_table.read_text()
    with pytest.raises(InputError, match="found another table"):
        convert(phases, tmp_path / "data")
    assert own_table.read_text() == before


def test_a_case_made_from_something_else_is_refused_and_says_why(tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "out"
    shared, scans = dicom_4d.study(), []
    for k, p in enumerate((0, 20, 50)):
        words = {"SeriesDescription": f"4D {p}%", "ImageComments": f"{50 - p}%"}
        scans.append(dicom_4d.series(shared, SeriesNumber=k + 1, **words))
        dicom_4d.write_scan(root / str(k), dicom_4d.phase_hu(p), scans[-1])
    (case,) = convert(open_dataset(root, phase_tag="SeriesDescription"), out, phases="pair")
    assert case.state == "written"

    def again(tag: str = "SeriesDescription") -> str:
        (done,) = convert(open_dataset(root, phase_tag=tag), out, phases="pair")
        return "; ".join((done.state, *done.problems))

    assert again() == "kept"
    assert "failed" in (line := again("ImageComments"))
    assert "one with other files; remove this folder" in line
    regions = {"Lungs": [(np.array([[-119.0, -89, 33], [-116, -89, 33], [-116, -86, 33]]), None)]}
    made = rtstruct.write_structures(
        root / "rs.dcm", regions, scans[0], series=scans[0]["SeriesInstanceUID"]
    )
    assert "one with other files, other masks" in again()
    made.unlink()
    assert again() == "kept"
    next(root.rglob("1_0000.dcm")).touch()
    assert "one with other files" in again()


def test_another_pair_other_landmarks_and_tables_of_old_are_refused(
    phases: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    convert(phases, out, cases=["c2"])
    (case, _) = phases.cases

    def again(changed: Case) -> str:
        return convert(replace(phases, cases=(changed,)), out)[0].problems[0]

    assert "other pair" in again(replace(case, moving="T20"))
    assert "other landmarks" in again(replace(case, landmark_sets=case.landmark_sets[1:]))
    table = out / "c2" / "dataset.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if "made from" not in line))
    assert "one that does not say" in again(case)


def test_names_that_are_no_file_names_and_values_beyond_int16(tmp_path: Path) -> None:
    own.write(tmp_path / "a.mha", np.full(SMALL.shape, 70000.4, np.float32), SMALL)
    own.write(tmp_path / "b.mha", np.full(SMALL.shape, -1000.6, np.float32), SMALL)
    (tmp_path / "t.csv").write_text(
        "id,scan,role,image\nc,in/out: 1,fixed,a.mha\nc,in/out? 1,moving,b.mha\n"
    )
    dataset = open_dataset(tmp_path / "t.csv")
    points = {s.name: Landmarks(torch.ones(3, 3).numpy(), s.name) for s in dataset.cases[0].scans}
    case = replace(dataset.cases[0], landmark_sets=(LandmarkSet('odd, "set"', points),))
    convert(replace(dataset, cases=(case,)), tmp_path / "out")
    (again,) = open_dataset(tmp_path / "out").cases
    assert again.problems == ()
    assert [scan.name for scan in again.scans] == ["in/out: 1", "in/out? 1"]
    assert [float(scan.load().data.mean()) for scan in again.scans] == [32767, -1001]
    assert again.landmark_sets[0].name == 'odd, "set"'


def test_the_order_of_landmark_sets_survives(tmp_path: Path) -> None:
    root = table_of_phases(tmp_path / "data")
    dataset = open_dataset(root)
    c2 = dataset.cases[0]
    only_second = replace(c2, id="c1", landmark_sets=c2.landmark_sets[1:])
    convert(replace(dataset, cases=(only_second, c2)), tmp_path / "out")
    first, second = open_dataset(tmp_path / "out").cases
    assert [marked.name for marked in first.landmark_sets] == ["Extreme", "auto"]
    assert [marked.name for marked in second.landmark_sets] == ["Sampled", "Extreme", "auto"]
