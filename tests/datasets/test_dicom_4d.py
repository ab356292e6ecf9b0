"""4D CT in DICOM as cases: phases, pairs, treatments, and the structures that were drawn on them."""

import os
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from lungmorph.datasets import dicom_4d, open_dataset
from lungmorph.datasets.check import check
from lungmorph.datasets.lung_names import lung_regions, lung_side
from lungmorph.errors import InputError
from lungmorph.files.dicom_header import read_header
from replicas import dicom_4d as scanners
from replicas.dicom_4d import ORIGIN, SPACING, phase_hu, series, study, write_scan
from replicas.rtstruct import write_structures

OBLIQUE = Rotation.from_euler("xyz", [12, -25, 40], degrees=True).as_matrix()
NAMES = tuple(f"T{p:02d}" for p in scanners.PERCENTS)


def write_4d(folder, percents=(0, 50), shared=None, first=1, direction=None, **tags):
    """A series a phase; returns the tags of the study and the slices of every phase, from the feet up."""
    shared = study() if shared is None else shared
    slices = {}
    for k, p in enumerate(percents):
        own = series(shared, SeriesNumber=first + k, SeriesDescription=f"4D {p}%", **tags)
        made = write_scan(folder / f"{first + k}", phase_hu(p), own, direction=direction)
        read = [pydicom.dcmread(path, stop_before_pixels=True) for path in made.iterdir()]
        read.sort(key=lambda data: data.InstanceNumber)
        slices[p] = read
    return shared, slices


def box(header, low, high):
    """A rectangle in the plane of a slice, between voxel indices (i, j) and (i, j)."""
    axes = np.reshape(header.ImageOrientationPatient, (2, 3)).astype(float)
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    steps = np.asarray(corners) * SPACING[:2]
    return np.asarray(header.ImagePositionPatient, float) + steps @ axes


def drawn(slices, low=(0.5, 0.5), high=(3.5, 2.5), named=True):
    """The same rectangle on several slices."""
    return [(box(h, low, high), str(h.SOPInstanceUID) if named else None) for h in slices]


def where(mask):
    """Voxels (i, j, k) of a mask."""
    return {tuple(int(v) for v in index[::-1]) for index in np.argwhere(mask.data.numpy())}


RECTANGLE = {(i, j) for i in (1, 2, 3) for j in (1, 2)}


def on(*slices):
    return {(i, j, k) for i, j in RECTANGLE for k in slices}


# ------------------------------------------------------------------ cases


def test_a_slice_that_is_missing_at_an_end_is_a_warning(tmp_path):
    _, slices = write_4d(tmp_path, (0, 25, 50, 75))
    Path(slices[25][-1].filename).unlink()
    (report,) = check(open_dataset(tmp_path), quick=True)
    (line,) = report.warnings
    assert line.startswith(f"{tmp_path / '2'}, T25: expected 5 slices, as in most phases, found 4;")
    assert report.problems == ()


def test_one_slice_is_enough_to_know_it_by(tmp_path, monkeypatch):
    scanners.ge(tmp_path)
    read = []
    monkeypatch.setattr(
        dicom_4d, "read_header", lambda path: read.append(path) or read_header(path)
    )
    assert dicom_4d.recognises(tmp_path)
    assert len(read) == 1


def test_a_4d_ct_is_a_case(tmp_path):
    scanners.siemens(tmp_path)
    dataset = open_dataset(tmp_path)
    assert (dataset.kind, dataset.title) == ("dicom-4d", "4D CT in DICOM")
    (case,) = dataset.cases
    assert (case.id, case.patient, case.group) == ("P1", "P1", "")
    assert tuple(scan.name for scan in case.scans) == NAMES
    assert [scan.percent for scan in case.scans] == list(scanners.PERCENTS)
    assert (case.fixed, case.moving) == ("T00", "T50")
    assert case.complete
    assert case.problems == dataset.problems == ()
    for scan in case.scans:
        image = scan.load()
        np.testing.assert_array_equal(image.data.numpy(), phase_hu(scan.percent))
        assert image.grid == scan.grid
        assert scan.lungs is None
    assert sum("left out" in note for note in case.notes) == 4


def test_scans_of_one_folder_have_sources_of_their_own(tmp_path):
    # kept lung masks are found by the source, so no two scans may share one
    scanners.philips(tmp_path, lambda p, k: {"ImageComments": f"{p}%"}, (0, 50))
    write_4d(tmp_path / "later", shared=study(StudyDate="20250101"))
    scans = [scan for case in open_dataset(tmp_path, follow_up=False).cases for scan in case.scans]
    assert len({scan.source for scan in scans}) == len(scans) == 4
    assert [scan.source.is_dir() for scan in scans] == [False, False, True, True]


def test_nothing_is_read_before_a_scan_is_asked_for(tmp_path, monkeypatch):
    write_4d(tmp_path)
    monkeypatch.setattr("lungmorph.files.breathing_ct.read_stack", lambda *_: 1 / 0)
    (case,) = open_dataset(tmp_path).cases
    with pytest.raises(ZeroDivisionError):
        case.scans[0].load()


def test_default_pair_without_50_percent(tmp_path):
    write_4d(tmp_path, (0, 20, 40, 60, 80))
    (case,) = open_dataset(tmp_path).cases
    assert (case.fixed, case.moving) == ("T00", "T40")
    assert any("no phase 50 %" in note for note in case.notes)


def test_bins_of_amplitude_keep_their_names(tmp_path):
    names = ["0% In", "50% In", "100% Ex", "50% Ex"]
    scanners.philips(tmp_path, lambda p, k: {"ImageComments": names[k]}, (0, 10, 20, 30))
    (case,) = open_dataset(tmp_path).cases
    assert [scan.name for scan in case.scans] == ["100Ex", "50Ex", "0In", "50In"]
    assert [scan.percent for scan in case.scans] == [None] * 4
    assert (case.fixed, case.moving) == ("100Ex", "0In")
    np.testing.assert_array_equal(case.scan("50Ex").load().data.numpy(), phase_hu(30))


def test_bins_of_amplitude_without_a_side_are_called_so(tmp_path):
    names = ["100%", "50%Ex", "0%", "50%In"]
    scanners.philips(tmp_path, lambda p, k: {"ImageComments": names[k]}, (0, 10, 20, 30))
    (case,) = open_dataset(tmp_path).cases
    assert [scan.name for scan in case.scans] == ["amp100", "50Ex", "amp0", "50In"]
    assert (case.fixed, case.moving) == ("amp100", "amp0")
    assert not any("no phase" in note for note in case.notes)


def test_a_broken_phase_leaves_the_rest(tmp_path):
    write_4d(tmp_path / "a", (0, 50))
    _, slices = write_4d(tmp_path / "b", (0, 25, 50, 75), study(PatientID="P2"))
    os.unlink(slices[50][2].filename)
    whole, broken = open_dataset(tmp_path).cases
    assert whole.complete
    assert whole.problems == ()
    assert (broken.id, broken.moving, broken.complete) == ("P2", "T50", False)
    assert [scan.name for scan in broken.scans] == ["T00", "T25", "T75"]
    (line,) = broken.problems
    assert "phase 50 %" in line
    assert "1 missing" in line
    with pytest.raises(InputError, match="1 missing"):
        broken.scan("T50")


def test_a_patient_that_cannot_be_decided_leaves_the_others(tmp_path):
    write_4d(tmp_path / "a")
    (tmp_path / "b").mkdir()
    scanners.philips(tmp_path / "b", lambda p, k: {}, PatientID="P2")
    dataset = open_dataset(tmp_path)
    assert [case.patient for case in dataset.cases] == ["P1"]
    assert "divides into phases" in dataset.problems[0]


def test_folder_without_4d_ct(tmp_path):
    write_scan(tmp_path, phase_hu(0), series(study(), SeriesDescription="Thorax 3.0"))
    with pytest.raises(InputError, match=r"no 4D CT; left out: another scan.*'Thorax 3\.0'"):
        open_dataset(tmp_path)


def test_what_is_recognised(tmp_path):
    data = pydicom.dcmread(next(write_scan(tmp_path / "x", phase_hu(0), series(study())).iterdir()))
    data.Modality = "MR"
    data.save_as(tmp_path / "report")
    report = (tmp_path / "report").read_bytes()
    shutil.rmtree(tmp_path / "x")
    (tmp_path / "report").unlink()
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no DICOM " * 30)
    assert not dicom_4d.recognises(tmp_path)
    for name in ("fixed", "moving"):  # a pair of single scans is for another reader
        own = series(study(), SeriesDescription="Thorax 3.0 B30f")
        write_scan(tmp_path / "pair" / name, phase_hu(0), own)
    assert not dicom_4d.recognises(tmp_path / "pair")
    write_4d(tmp_path / "4d")
    assert dicom_4d.recognises(tmp_path / "4d")
    for n in range(400):  # objects of other kinds do not count, nor do links hide a folder
        other = tmp_path / "many" / f"{n // 20}"
        other.mkdir(parents=True, exist_ok=True)
        (other / f"{n}").write_bytes(report)
    (tmp_path / "many" / "zz").symlink_to(tmp_path / "4d")
    (tmp_path / "many" / "zz" / "round").symlink_to(tmp_path / "many")
    assert dicom_4d.recognises(tmp_path / "many")
    (case,) = open_dataset(tmp_path / "many").cases
    assert [scan.name for scan in case.scans] == ["T00", "T50"]
    (tmp_path / "one").mkdir()
    scanners.philips(tmp_path / "one", lambda p, k: {"AcquisitionNumber": k + 1}, (0, 50))
    assert dicom_4d.recognises(tmp_path / "one")


def test_tags_to_choose_from(tmp_path):
    scanners.philips(
        tmp_path,
        lambda p, k: {"SeriesDescription": f"{p}%", "ImageComments": f"{80 - p}%"},
        (0, 20, 40, 60, 80),
    )
    with pytest.raises(InputError, match="SeriesDescription and ImageComments"):
        open_dataset(tmp_path)
    (case,) = open_dataset(tmp_path, phase_tag="ImageComments").cases
    np.testing.assert_array_equal(case.scan("T20").load().data.numpy(), phase_hu(60))
    with pytest.raises(InputError, match=r"one of NominalPercentageOfRespiratoryPhase, .*'Words'"):
        open_dataset(tmp_path, phase_tag="Words")


# ------------------------------------------------------------------ treatments


def test_before_and_after_treatment(tmp_path):
    write_4d(tmp_path / "x", (0, 50), study(StudyDate="20240601"))
    write_4d(tmp_path / "y", (5, 55), study(StudyDate="20240311"))
    write_4d(tmp_path / "z", (0, 50), study(PatientID="P2"))
    cases = {case.id: case for case in open_dataset(tmp_path).cases}
    assert list(cases) == ["P1_20240311", "P1_20240311_to_20240601", "P1_20240601", "P2"]
    pair = cases["P1_20240311_to_20240601"]
    assert (pair.patient, pair.group) == ("P1", "follow-up")
    assert (pair.fixed, pair.moving) == ("first", "later")
    np.testing.assert_array_equal(pair.scan("first").load().data.numpy(), phase_hu(5))
    np.testing.assert_array_equal(pair.scan("later").load().data.numpy(), phase_hu(0))
    assert pair.notes == (
        "fixed: T05 of P1_20240311",
        "moving: T00 of P1_20240601",
    )
    assert len(open_dataset(tmp_path, follow_up=False).cases) == 3


def test_follow_up_of_a_broken_phase_says_so(tmp_path):
    write_4d(tmp_path / "x", (0, 50))
    _, slices = write_4d(tmp_path / "y", (0,), study(StudyDate="20250101"))
    write_4d(tmp_path / "w", (50,), study(StudyDate="20250101"))
    os.unlink(slices[0][2].filename)
    pair = open_dataset(tmp_path).cases[1]
    assert pair.group == "follow-up"
    assert [scan.name for scan in pair.scans] == ["first", "later"]
    assert "moving: T50" in pair.notes[1]  # the nearest that is there, and said
    assert not open_dataset(tmp_path).cases[2].complete


def test_two_reconstructions_are_two_cases_of_a_patient(tmp_path):
    shared, _ = write_4d(tmp_path / "a", ConvolutionKernel="B30f")
    write_4d(tmp_path / "b", (0, 50), shared, first=11, ConvolutionKernel="B70f")
    cases = open_dataset(tmp_path).cases
    assert [case.id for case in cases] == ["P1_kernel-B30f", "P1_kernel-B70f"]
    assert {case.patient for case in cases} == {"P1"}
    assert "another 4D CT of the same day: kernel B70f" in cases[0].notes


def test_scans_of_nobody_make_no_follow_up(tmp_path):
    nobody = {"PatientID": None, "PatientName": None}
    for date in ("20200101", "20210202"):
        write_4d(tmp_path / date, shared=study(StudyDate=date, **nobody))
    cases = open_dataset(tmp_path).cases
    assert [case.id for case in cases] == ["patient_20200101", "patient_20210202"]
    assert len({case.patient for case in cases}) == 2
    assert all(any("no PatientID" in note for note in case.notes) for case in cases)


# ------------------------------------------------------------------ structures


def test_tcia_4d_lung_with_a_structure_set_a_phase(tmp_path):
    shared = scanners.tcia_4d_lung(tmp_path, (0, 50))
    for k, p in enumerate((0, 50)):
        uid = shared["series"][p]
        every = [pydicom.dcmread(path) for path in (tmp_path / "ct").rglob("*.dcm")]
        own = [h for h in every if uid == h.SeriesInstanceUID]
        own.sort(key=lambda h: h.InstanceNumber)
        regions = {
            f"LLung_c{p:02d}": drawn(own[1:3]),
            f"RLung_c{p:02d}": drawn(own[k : k + 1], (3.5, 0.5), (5.5, 2.5)),
            f"Tumor_c{p:02d}": drawn(own[3:4]),
        }
        images = [str(h.SOPInstanceUID) for h in own]
        write_structures(tmp_path / f"RTS{p}.dcm", regions, shared, series=uid, images=images)
    (case,) = open_dataset(tmp_path).cases
    assert case.problems == ()
    for k, (name, p) in enumerate((("T00", 0), ("T50", 50))):
        scan = case.scan(name)
        assert list(scan.structures) == [f"Tumor_c{p:02d}", f"RLung_c{p:02d}", f"LLung_c{p:02d}"]
        right = {(i, j, k) for i in (4, 5) for j in (1, 2)}
        assert where(scan.lungs()) == on(1, 2) | right
        assert where(scan.structures[f"Tumor_c{p:02d}"]()) == on(3)
        assert scan.lungs().grid == scan.grid
    assert any("cone-beam CT" in note for note in case.notes)


def test_structures_of_an_oblique_scan(tmp_path):
    shared, slices = write_4d(tmp_path, (0, 50), direction=OBLIQUE)
    write_structures(tmp_path / "rs.dcm", {"Lungs": drawn(slices[50][2:4])}, shared)
    (case,) = open_dataset(tmp_path).cases
    scan = case.scan("T50")
    assert where(scan.lungs()) == on(2, 3)
    middle = scan.grid.to_world(np.mean(list(where(scan.lungs())), axis=0))
    expected = OBLIQUE @ (np.asarray(SPACING) * (2, 1.5, 2.5)) + ORIGIN
    np.testing.assert_allclose(middle, expected, atol=1e-6)
    assert case.scan("T00").lungs is None


def test_which_phase_of_one_series_was_drawn_on(tmp_path):
    shared = scanners.philips(tmp_path, lambda p, k: {"ImageComments": f"{p}%"}, (0, 50))
    read = [pydicom.dcmread(path) for path in tmp_path.iterdir()]
    own = sorted(
        (h for h in read if h.ImageComments == "50%"), key=lambda h: h.ImagePositionPatient[2]
    )
    write_structures(
        tmp_path / "rs.dcm",
        {"Lungs": drawn(own[:1]), "ITV": drawn(own[1:2])},
        shared,
        series=str(own[0].SeriesInstanceUID),
    )
    (case,) = open_dataset(tmp_path).cases
    assert case.scan("T00").structures == {}
    assert where(case.scan("T50").lungs()) == on(0)
    assert where(case.scan("T50").structures["ITV"]()) == on(1)


def test_one_set_drawn_on_several_phases(tmp_path):
    shared, slices = write_4d(tmp_path)
    both = {"GTV": [*drawn(slices[0][1:2]), *drawn(slices[50][3:4])]}
    write_structures(tmp_path / "rs.dcm", both, shared)
    (case,) = open_dataset(tmp_path).cases
    assert where(case.scan("T00").structures["GTV"]()) == on(1)
    assert where(case.scan("T50").structures["GTV"]()) == on(3)


@pytest.mark.parametrize("by", ["slices of the set", "series", "frame of reference"])
def test_contours_that_name_no_slice(tmp_path, by):
    own_frame = by == "frame of reference"
    shared, slices = write_4d(tmp_path, (0,))
    other = {**shared, "FrameOfReferenceUID": "1.2.3.4"} if own_frame else shared
    _, more = write_4d(tmp_path, (50,), other, first=11)
    slices |= more
    how = {}
    if by == "slices of the set":
        how["images"] = [str(h.SOPInstanceUID) for h in slices[50]]
    elif by == "series":
        how["series"] = str(slices[50][0].SeriesInstanceUID)
    write_structures(tmp_path / "rs.dcm", {"A": drawn(slices[50][2:3], named=False)}, other, **how)
    (case,) = open_dataset(tmp_path).cases
    assert case.scan("T00").structures == {}
    assert where(case.scan("T50").structures["A"]()) == on(2)


def test_a_set_that_fits_several_phases_is_given_to_none(tmp_path):
    shared, slices = write_4d(tmp_path)
    write_structures(tmp_path / "rs.dcm", {"A": drawn(slices[50][:1], named=False)}, shared)
    (case,) = open_dataset(tmp_path).cases
    assert not any(scan.structures for scan in case.scans)
    (note,) = [note for note in case.notes if "rs.dcm" in note]
    assert "frame of reference is that of the phases 0 %, 50 %" in note


def test_a_set_drawn_on_the_average(tmp_path):
    shared, _ = write_4d(tmp_path)
    average = series(shared, SeriesNumber=9, SeriesDescription="4D AVG")
    made = write_scan(tmp_path / "avg", phase_hu(500), average)
    own = [pydicom.dcmread(path) for path in sorted(made.iterdir())]
    write_structures(tmp_path / "rs.dcm", {"Lungs": drawn(own[:2])}, shared)
    (case,) = open_dataset(tmp_path).cases
    assert all(scan.lungs is None for scan in case.scans)
    (note,) = [note for note in case.notes if "rs.dcm" in note]
    assert "4D AVG" in note
    assert "no phase" in note


def test_contours_between_slices_and_a_broken_set_are_problems(tmp_path):
    shared, slices = write_4d(tmp_path)
    contours = drawn(slices[0][1:3])
    off = contours[0][0] + [0, 0, 1.0]
    write_structures(tmp_path / "rs.dcm", {"A": [*contours, (off, contours[0][1])]}, shared)
    broken = write_structures(tmp_path / "broken.dcm", {"A": contours}, shared)
    broken.write_bytes(broken.read_bytes()[:-60])
    dataset = open_dataset(tmp_path)
    (case,) = dataset.cases
    (line,) = case.problems
    for words in ("rs.dcm", "A, phase 0 %", "1 contours lie between slices", "1.00 mm"):
        assert words in line
    assert where(case.scan("T00").structures["A"]()) == on(1, 2)
    assert any("broken.dcm" in line for line in dataset.problems)


def test_a_structure_set_that_breaks_off(tmp_path):
    shared, slices = write_4d(tmp_path)
    path = write_structures(tmp_path / "rs.dcm", {"A": drawn(slices[0][1:2])}, shared)
    data = pydicom.dcmread(path)
    del data.ROIContourSequence[0].ReferencedROINumber
    data.save_as(path)
    (line,) = open_dataset(tmp_path).problems
    assert line.endswith(
        "expected a whole structure set, found one that breaks off; export it again"
    )


def test_the_newest_lungs_count(tmp_path):
    shared, slices = write_4d(tmp_path)
    for time, k in (("080000", 1), ("200000", 2), ("120000", 3)):
        regions = {"Lungs": drawn(slices[0][k : k + 1])}
        write_structures(tmp_path / f"{time}.dcm", regions, shared, time=time, label=f"at {time}")
    (case,) = open_dataset(tmp_path).cases
    scan = case.scan("T00")
    assert where(scan.lungs()) == on(2)
    assert list(scan.structures) == ["Lungs", "Lungs (at 120000)", "Lungs (at 080000)"]
    assert where(scan.structures["Lungs (at 080000)"]()) == on(1)
    assert sum("older set" in note for note in case.notes) == 2


def test_one_lung_is_not_the_lungs(tmp_path):
    shared, slices = write_4d(tmp_path)
    regions = {"Lung_L": drawn(slices[0][:1]), "Lungs-GTV": drawn(slices[0][1:2])}
    write_structures(tmp_path / "rs.dcm", regions, shared)
    (case,) = open_dataset(tmp_path).cases
    assert case.scan("T00").lungs is None
    assert set(case.scan("T00").structures) == {"Lung_L", "Lungs-GTV"}
    assert any("only the left lung" in note for note in case.notes)


@pytest.mark.parametrize(
    ("names", "side"),
    [
        ("Lung_L,Lung-Left,LEFT LUNG,L Lung,LLung_c00,Lung Lt,LUNG_LT,Lunge links", "left"),
        ("Lung_R,Lung-Right,right lung,R Lung,RLung_c50,Lung Rt,Lunge re", "right"),
        ("Lungs_50,Lungs 50%,Lung_T00,Lungs 0%,Lung CT50,Lungs phase 30", "both"),
        ("Lung_L_50,L Lung T50,Lung_L^50", "left"),
        (
            "Lungenflügel links,Pulmón Izq,Polmone sx,Pulmão E,Lunga vä,Lunge_ve,Płuco L,左肺",
            "left",
        ),
        ("Polmone destro,Pulmón derecho,Pulmão D,Lunge hø,Płuco P,Легкое правое,右肺", "right"),
        ("Poumons,Polmoni,Pulmões,Lungor,Lunge ges.,Płuca,Лёгкие,肺", "both"),
        ("Lungs_V20,Lungs 20 Gy,Lung 1", ""),
        ("LUNGS,lungs,Lung,total lung,Lung Total,Lungs_Both,TotalLung,Lungen", "both"),
        ("Lungs-GTV,Lung-PTV,PTV lung,lung_tumor,Heart,Lung_L_PRV,zLung,Lungs minus GTV", ""),
        ("Esophagus_c00,Spinal Cord,Liver,GTV_lung_L,lung CTV,ITV Lung Left", ""),
    ],
)
def test_names_of_lungs(names, side):
    assert {name: lung_side(name) for name in names.split(",")} == dict.fromkeys(
        names.split(","), side
    )


def test_which_regions_are_the_lungs():
    assert lung_regions(["Heart", "Lung_L", "Lung_R"]) == (["Lung_L", "Lung_R"], "")
    assert lung_regions(["Lungs", "Lung_L"]) == (["Lungs", "Lung_L"], "")
    assert lung_regions(["Heart"]) == ([], "")
    assert lung_regions(["Lungs_00", "Lungs_50", "Lungs_100"], 0.0)[0] == ["Lungs_00", "Lungs_100"]
    assert lung_regions(["Lungs_00"], None) == (["Lungs_00"], "")
    names, remark = lung_regions(["Lungs_ex", "Lungs_50", "Heart"], 0.0)
    assert names == []
    assert "(Lungs_ex, Lungs_50)" in remark


def test_sets_of_two_patients_with_the_same_uids(tmp_path):
    tags = {
        "StudyInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.4",
        "SOPInstanceUID": "1.2.5.1000",
    }
    for k, name in enumerate(("A", "B")):
        shared = study(PatientID=name, PatientName=name, **tags)
        _, slices = write_4d(tmp_path / name, shared=shared)
        write_structures(tmp_path / f"{name}.dcm", {"GTV": drawn(slices[0][k : k + 1])}, shared)
    for k, case in enumerate(open_dataset(tmp_path).cases):
        assert where(case.scan("T00").structures["GTV"]()) == on(k)


def test_a_set_without_contours_is_told(tmp_path):
    shared, slices = write_4d(tmp_path)
    write_structures(tmp_path / "empty.dcm", {"GTV": []}, shared)
    points = {"Isocentre": drawn(slices[0][1:2])}
    images = [str(slices[0][1].SOPInstanceUID)]
    write_structures(tmp_path / "points.dcm", points, shared, images=images, kind="POINT")
    (case,) = open_dataset(tmp_path).cases
    assert not case.scan("T00").structures
    assert any("empty.dcm: not used, no region in it has contours" in n for n in case.notes)
    assert any("Isocentre, phase 0 %: 1 points or open lines" in n for n in case.notes)


def test_a_region_smaller_than_a_voxel_costs_no_case(tmp_path):
    shared, slices = write_4d(tmp_path)
    regions = {"A": drawn(slices[0][1:3]), "Seed": drawn(slices[0][1:2], (0.3, 0.3), (0.7, 0.7))}
    write_structures(tmp_path / "rs.dcm", regions, shared)
    (case,) = open_dataset(tmp_path).cases
    assert list(case.scan("T00").structures) == ["A"]
    assert not case.problems
    assert any("Seed, phase 0 %: left out, no centre of a voxel" in note for note in case.notes)
