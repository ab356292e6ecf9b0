import shutil
import warnings

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag
from pydicom.uid import (
    JPEGLosslessSV1,
    RLELossless,
    RTDoseStorage,
    RTPlanStorage,
    generate_uid,
)

from lungmorph.errors import InputError
from lungmorph.files import read_grid, read_image, read_phase
from lungmorph.files.dicom_folder import find_phases
from replicas import dicom_4d as scanners
from replicas.dicom_4d import ORIGIN, PERCENTS, SIZE, SPACING, phase_hu, series, study, write_scan

FIVE = (0, 20, 40, 60, 80)
TEN = tuple(f"{p} %" for p in PERCENTS)


def one(folder, **options):
    """The only 4D CT in a folder, in which nothing is wrong."""
    found = find_phases(folder, **options)
    (ct,) = found.ct
    assert found.problems == []
    return ct


def check_content(ct, percents=PERCENTS):
    """Phases in order, by their voxels, which are drawn from their percent; all on the right grid."""
    assert tuple(phase.percent for phase in ct.phases) == tuple(float(p) for p in percents)
    for phase, percent in zip(ct.phases, percents, strict=True):
        np.testing.assert_array_equal(phase.load().data.numpy(), phase_hu(percent))
        np.testing.assert_allclose(phase.grid.spacing, SPACING, atol=1e-6)
        last = np.asarray(ORIGIN) + np.asarray(SPACING) * (SIZE[2] - 1, SIZE[1] - 1, SIZE[0] - 1)
        np.testing.assert_allclose(phase.grid.to_world((6, 4, 4)), last, atol=1e-6)


def a_series_a_phase(folder, words="4D {p}%", percents=PERCENTS, shared=None, first=1, **tags):
    """Series of one study; ``words`` and tags may have {p} (percent) and {k} (number from 0)."""
    shared = study() if shared is None else shared
    for k, p in enumerate(percents):
        filled = {n: v.format(p=p, k=k) if isinstance(v, str) else v for n, v in tags.items()}
        described = words if words is None else words.format(p=p, k=k)
        own = series(shared, SeriesNumber=first + k, SeriesDescription=described, **filled)
        write_scan(folder, phase_hu(p), own)
    return shared


def change(folder, edit, where=lambda data: True):
    """Rewrite the files of a folder that ``where`` picks."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = pydicom.dcmread(path)
        if where(data):
            edit(data)
            data.save_as(path)


def of_phase(percent, instance=None):
    return lambda data: (
        f" {percent}%" in str(data.get("SeriesDescription"))
        and instance in (None, data.InstanceNumber)
    )


# ------------------------------------------------------------------ how vendors write


@pytest.fixture(scope="module")
def siemens(tmp_path_factory):
    """A folder that no test changes."""
    folder = tmp_path_factory.mktemp("siemens")
    scanners.siemens(folder)
    return folder


def test_siemens(siemens):
    ct = one(siemens)
    check_content(ct)
    assert (ct.patient, ct.date, ct.inhale, ct.exhale) == ("P1", "20240311", "0 %", "50 %")
    assert ct.notes[0] == "phases from SeriesDescription"
    left = [note for note in ct.notes if note.startswith("left out")]
    for kind, words in (
        ("average", "AVG"),
        ("maximum intensity projection", "MIP"),
        ("localizer", "Topogram"),
        ("another scan", "Thorax 3.0 B31f 120kV"),
    ):
        assert any(kind in note and words in note for note in left)
    assert len(left) == 4


def test_ge(tmp_path):
    scanners.ge(tmp_path)
    ct = one(tmp_path)
    assert [phase.percent for phase in ct.phases] == list(PERCENTS)
    for phase in ct.phases:
        expected = phase_hu(phase.percent)
        expected[:, 0, 0] = -1024  # padding
        np.testing.assert_array_equal(phase.load().data.numpy(), expected)
    assert sum(note.startswith("left out") for note in ct.notes) == 3


WAYS = {
    "NominalPercentageOfRespiratoryPhase": (
        lambda p, k: {"NominalPercentageOfRespiratoryPhase": float(p)},
        None,
    ),
    "SeriesDescription": (lambda p, k: {"SeriesDescription": f"4D Thorax {p}%"}, None),
    "ImageComments": (lambda p, k: {"ImageComments": f"Gated, {p}%"}, None),
    "ImageType": (
        lambda p, k: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", f"RESP_{p}"]},
        None,
    ),
    "ProtocolName": (lambda p, k: {"ProtocolName": f"4D {p}%"}, None),
    "NominalPercentageOfCardiacPhase": (
        lambda p, k: {"NominalPercentageOfCardiacPhase": float(p)},
        None,
    ),
    "TemporalPositionIdentifier": (
        lambda p, k: {"TemporalPositionIdentifier": k + 1, "NumberOfTemporalPositions": 5},
        "number i of 5",
    ),
    "TemporalPositionIndex": (lambda p, k: {"TemporalPositionIndex": k + 1}, "number i of 5"),
    "AcquisitionNumber": (lambda p, k: {"AcquisitionNumber": k + 3}, "order of 5 phases"),
    "TriggerTime": (lambda p, k: {"TriggerTime": 380.0 * k}, "order of 5 phases"),
    "AcquisitionTime": (lambda p, k: {"AcquisitionTime": f"1015{k:02d}.5"}, "order of 5 phases"),
    "ContentTime": (lambda p, k: {"ContentTime": f"1015{k:02d}.5"}, "order of 5 phases"),
}


@pytest.mark.parametrize("tag", WAYS)
def test_all_phases_in_one_series(tmp_path, tag):
    tags_of, assumed = WAYS[tag]
    scanners.philips(tmp_path, tags_of, FIVE)
    ct = one(tmp_path)
    check_content(ct, FIVE)
    assert ct.notes[0] == f"phases from {tag}"
    assert f"divided by {tag}" in ct.notes[1]
    assert [assumed in note for note in ct.notes[2:]] == ([True] if assumed else [])


@pytest.mark.parametrize("kind", ["number", "words"])
def test_phases_in_a_private_tag(tmp_path, kind):
    scanners.philips(tmp_path, lambda p, k: {"InstanceCreationDate": f"2024{k + 1:02d}01"}, FIVE)

    def add(data):
        k = int(data.InstanceCreationDate[4:6]) - 1
        block = data.private_block(0x01F1, "ELSCINT1", create=True)
        block.add_new(0x10, "FL", 3.0 * k)  # another number that differs
        if kind == "number":
            block.add_new(0x41, "FL", 20.0 * k)
        else:
            block.add_new(0x41, "LO", f"RESP {20 * k}%")

    change(tmp_path, add)
    ct = one(tmp_path)
    check_content(ct, FIVE)
    assert ct.notes[0] == "phases from the private tag (01F1,1041) ELSCINT1"


def test_tcia_4d_lung(tmp_path):
    scanners.tcia_4d_lung(tmp_path)
    ct = one(tmp_path)
    check_content(ct)
    assert ct.date == "20030701"  # of the images: TCIA takes the study date out
    assert "10 of cone-beam CT" in ct.notes[-1]
    with_beam = find_phases(tmp_path, cone_beam=True).ct
    assert sorted(c.phases[0].grid.size for c in with_beam) == [(3, 3, 4), (7, 5, 5)]


@pytest.mark.parametrize("tags", [{"ImageComments": "{p}%"}, {"TemporalPositionIdentifier": "{k}"}])
def test_series_without_description(tmp_path, tags):
    a_series_a_phase(tmp_path, None, FIVE, **tags)
    check_content(one(tmp_path), FIVE)


def test_phases_named_by_their_folders_alone(tmp_path):
    shared = study()
    for k, p in enumerate(PERCENTS):
        own = series(shared, SeriesNumber=k, SeriesDescription="4D Thorax")
        write_scan(tmp_path / f"Phase_{p:03d}", phase_hu(p), own)
    ct = one(tmp_path)
    check_content(ct)
    assert ct.notes[0] == "phases from the name of the folder"


def test_phases_named_by_the_folders_above(tmp_path):
    shared = study()
    for p in FIVE:
        own = series(shared, SeriesDescription="4D")
        write_scan(tmp_path / f"{p}%" / "DICOM", phase_hu(p), own)
    ct = one(tmp_path)
    check_content(ct, FIVE)
    assert ct.notes[0] == "phases from the name of the folder"


def test_two_patients_with_the_same_uids(tmp_path):
    """As some anonymisers make them: one on top of the other, they would look like one longer scan."""
    tags = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    for k, name in enumerate(("A", "B")):
        for p in (0, 50):
            own = {"SeriesInstanceUID": f"1.2.5.{p}", "SOPInstanceUID": f"1.2.6.{p}.1000"}
            own["SeriesDescription"] = f"{p}%"
            place = (*ORIGIN[:2], ORIGIN[2] + k * SIZE[0] * SPACING[2])
            shared = study(PatientID=name, PatientName=name, **tags)
            folder = tmp_path / name / str(p)
            write_scan(folder, phase_hu(p + k), series(shared, **own), origin=place)
    found = find_phases(tmp_path)
    assert found.problems == []
    assert [ct.patient for ct in found.ct] == ["A", "B"]
    for k, ct in enumerate(found.ct):
        for phase, p in zip(ct.phases, (0, 50), strict=True):
            np.testing.assert_array_equal(phase.load().data.numpy(), phase_hu(p + k))


def test_enhanced_ct_on_an_oblique_grid(tmp_path, oblique):
    scanners.enhanced(tmp_path / "4d.dcm", (0, 20, 40, 60, 80), oblique)
    ct = one(tmp_path)
    assert [phase.percent for phase in ct.phases] == [0, 20, 40, 60, 80]
    for phase in ct.phases:
        # half of the frames have another slope
        np.testing.assert_allclose(
            phase.load().data.numpy(), phase_hu(phase.percent), rtol=0, atol=1e-3
        )
        last = oblique @ (np.asarray(SPACING) * (6, 4, 4)) + ORIGIN
        np.testing.assert_allclose(phase.grid.to_world((6, 4, 4)), last, atol=1e-6)


def test_enhanced_ct_may_be_compressed(tmp_path, capfd):
    path = scanners.enhanced(tmp_path / "4d.dcm", (0, 25, 50, 75))
    data = pydicom.dcmread(path)
    data.compress(RLELossless, generate_instance_uid=False)
    data.save_as(path)
    np.testing.assert_array_equal(read_phase(tmp_path, "50").data.numpy(), phase_hu(50))
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(InputError, match=r"unknown compression \(RLE Lossless\); export"):
        read_phase(tmp_path, "50")
    assert capfd.readouterr() == ("", "")


def test_enhanced_ct_without_the_places_of_its_frames_is_one_line(tmp_path):
    path = scanners.enhanced(tmp_path / "4d.dcm", (0, 50))
    data = pydicom.dcmread(path)
    del data.PerFrameFunctionalGroupsSequence
    data.save_as(path)
    (line,) = find_phases(tmp_path).problems
    assert line.startswith(f"{path}: expected frames of which each has its position")
    assert "found a multi-frame file of 10 frames without; export it again" in line
    with pytest.raises(InputError, match="multi-frame file of 10 frames"):
        read_image(tmp_path)


def test_enhanced_ct_of_one_scan(tmp_path, oblique):
    path = scanners.enhanced(tmp_path / "3d.dcm", (50,), oblique)
    for where in (path, tmp_path):
        image = read_image(where)
        np.testing.assert_allclose(image.data.numpy(), phase_hu(50), rtol=0, atol=1e-3)
        assert read_grid(where) == image.grid
    last = oblique @ (np.asarray(SPACING) * (6, 4, 4)) + ORIGIN
    np.testing.assert_allclose(image.grid.to_world((6, 4, 4)), last, atol=1e-6)


def test_phases_of_another_spacing_or_orientation_are_noted(tmp_path):
    shared = study()
    for k, p in enumerate((0, 50)):
        own = series(shared, SeriesNumber=k, SeriesDescription=f"4D {p}%")
        prone = np.diag([-1.0, -1.0, 1.0]) if k else None
        steps = (0.9 + 0.1 * k, 1.1, 2.5)
        write_scan(tmp_path, phase_hu(p), own, spacing=steps, direction=prone)
    notes = one(tmp_path).notes
    assert "phases differ in their spacing: 0 % 0.9x1.1x2.5, 50 % 1x1.1x2.5 mm" in notes
    assert "phases differ in their orientation: 50 % from 0 %" in notes


def test_oblique_series_in_any_order(tmp_path, oblique):
    shared = study()
    for k, p in enumerate((50, 0)):
        own = series(shared, SeriesNumber=k, SeriesDescription=f"4D {p}%")
        write_scan(tmp_path, phase_hu(p), own, direction=oblique)
    ct = one(tmp_path)
    assert [phase.name for phase in ct.phases] == ["0 %", "50 %"]
    for phase in ct.phases:
        np.testing.assert_array_equal(phase.load().data.numpy(), phase_hu(phase.percent))
        last = oblique @ (np.asarray(SPACING) * (6, 4, 4)) + ORIGIN
        np.testing.assert_allclose(phase.grid.to_world((6, 4, 4)), last, atol=1e-6)


# ------------------------------------------------------------------ several 4D CTs


def test_two_kernels_are_two_4d_cts(tmp_path):
    shared = a_series_a_phase(tmp_path, percents=FIVE, ConvolutionKernel="B30f")
    a_series_a_phase(tmp_path, percents=FIVE, shared=shared, first=101, ConvolutionKernel="B70f")
    found = find_phases(tmp_path)
    assert found.problems == []
    assert [ct.apart for ct in found.ct] == ["kernel B30f", "kernel B70f"]
    for ct in found.ct:
        check_content(ct, FIVE)
        numbers = {int(phase.headers[0]["SeriesNumber"]) > 100 for phase in ct.phases}
        assert numbers == {ct.apart == "kernel B70f"}
    np.testing.assert_array_equal(read_phase(tmp_path, "20", "B70f").data.numpy(), phase_hu(20))
    with pytest.raises(InputError, match=r"kernel B30f.*kernel B70f"):
        read_phase(tmp_path, "20")


def test_two_kernels_in_one_series(tmp_path):
    own, shared = generate_uid(), study()
    for name in ("sharp", "soft"):
        (tmp_path / name).mkdir()
        scanners.philips(
            tmp_path / name,
            lambda p, k, name=name: {
                "SeriesInstanceUID": own,
                "ConvolutionKernel": name,
                "ImageComments": f"{p}%",
            },
            FIVE,
            **shared,
        )
    found = find_phases(tmp_path)
    assert [ct.apart for ct in found.ct] == ["kernel sharp", "kernel soft"]
    for ct in found.ct:
        check_content(ct, FIVE)
        assert {phase.headers[0]["ConvolutionKernel"] for phase in ct.phases} == {
            ct.apart.removeprefix("kernel ")
        }


def test_an_average_in_the_series_of_the_phases_is_left_out(tmp_path):
    own = generate_uid()
    scanners.philips(
        tmp_path, lambda p, k: {"SeriesInstanceUID": own, "SeriesDescription": f"4D {p}%"}
    )
    average = series(study(), SeriesInstanceUID=own, SeriesDescription="4D AVG", SeriesNumber=9)
    write_scan(tmp_path, phase_hu(500), average)
    ct = one(tmp_path)
    check_content(ct)
    assert "average" in ct.notes[-1]


def test_an_average_that_only_its_comment_names_is_left_out(tmp_path):
    """In one series with the phases; its slices are more than a tenth of them."""
    comments = {p: f"{p}%" for p in FIVE} | {500: "AVG"}  # as many slices as a phase
    scanners.philips(tmp_path, lambda p, k: {"ImageComments": comments[p]}, tuple(comments))
    ct = one(tmp_path)
    check_content(ct, FIVE)
    assert "average" in ct.notes[-1]


def test_phases_that_are_called_averages_of_slices(tmp_path):
    """GE workstations write "REFORMATTED\\AVERAGE" of slices made of several thin ones."""
    shared = study(Manufacturer="GE MEDICAL SYSTEMS")
    kind = ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]
    for k, percent in enumerate(PERCENTS):
        own = series(shared, SeriesNumber=300 + k, SeriesDescription=f"CINE 4D T={percent}%")
        write_scan(tmp_path / f"{k}", phase_hu(percent), own, ImageType=kind)
    average = series(shared, SeriesNumber=400, SeriesDescription="CINE 4D AVG")
    write_scan(tmp_path / "avg", phase_hu(333), average, ImageType=kind)
    ct = one(tmp_path)
    check_content(ct)
    assert "all phases are called average: taken as phases, for there are no others" in ct.notes
    assert any("left out: average, series 400" in note for note in ct.notes)
    # beside phases that are called nothing, they stay what they are called
    for k, percent in enumerate(PERCENTS):
        own = series(shared, SeriesNumber=500 + k, SeriesDescription=f"4D thin T={percent}%")
        write_scan(tmp_path / f"thin{k}", phase_hu(percent), own)
    ct = one(tmp_path)
    assert {phase.headers[0].SeriesDescription[:7] for phase in ct.phases} == {"4D thin"}


def test_phases_after_a_protocol_that_is_called_mip(tmp_path):
    shared = a_series_a_phase(tmp_path, "4D MIP {p}%")
    for number, words in ((90, "4D MIP"), (91, "4D MIP AVG")):
        own = series(shared, SeriesNumber=number, SeriesDescription=words)
        write_scan(tmp_path, phase_hu(number + 0.5), own)
    ct = one(tmp_path)
    check_content(ct)
    assert any("are called maximum intensity projection: taken" in note for note in ct.notes)
    assert sum(note.startswith("left out") for note in ct.notes) == 2
    # a projection of slices by its ImageType is none
    change(tmp_path, lambda data: setattr(data, "ImageType", ["DERIVED", "SECONDARY", "MIP"]))
    assert not find_phases(tmp_path).ct


def test_a_gated_heart_beside_the_phases(tmp_path):
    shared = a_series_a_phase(tmp_path)
    for number, words in ((77, "CorCTA 75% BestDiast"), (78, "Cor 75%")):
        write_scan(
            tmp_path,
            phase_hu(75),
            series(shared, SeriesNumber=number, SeriesDescription=words),
        )
    ct = one(tmp_path)
    check_content(ct)
    assert sum("Cor" in note for note in ct.notes) == 2


@pytest.mark.parametrize(
    "words",
    [
        "DIBH 80% insp 1.0 B30",
        "Thorax Insp 100%",
        "Thorax contrast 100%",
        "Thorax 100%",
        "AverageCT 100%",
        "tMIP 100%",
        "AveCT 0-100%",
    ],
)
def test_one_scan_with_a_percent_beside_a_whole_4d_ct(tmp_path, words):
    shared = a_series_a_phase(tmp_path, "4D Resp {p}%", FIVE)
    own = series(shared, SeriesNumber=77, SeriesDescription=words)
    write_scan(tmp_path, phase_hu(77), own)
    ct = one(tmp_path)
    check_content(ct, FIVE)
    (note,) = [note for note in ct.notes if note.startswith("left out")]
    assert words in note


def test_a_phase_that_is_called_otherwise_and_fills_a_gap(tmp_path):
    shared = a_series_a_phase(tmp_path, "4D Resp {p}%", FIVE[:-1])
    own = series(shared, SeriesNumber=77, SeriesDescription="Thorax again 80%")
    write_scan(tmp_path, phase_hu(80), own)
    check_content(one(tmp_path), FIVE)


def test_series_without_date_and_patient_belong_to_their_study(tmp_path):
    shared = study()
    a_series_a_phase(tmp_path, percents=FIVE[::2], shared=shared)
    bare = {**shared, "StudyDate": None, "PatientID": None, "PatientName": None}
    a_series_a_phase(tmp_path, percents=FIVE[1::2], shared=bare, first=11)
    check_content(one(tmp_path), FIVE)


def test_studies_and_frames_of_reference_of_their_own(tmp_path):
    for p in PERCENTS:
        a_series_a_phase(tmp_path, percents=(p,), first=p, shared=study())
    ct = one(tmp_path)
    check_content(ct)
    assert any("different FrameOfReferenceUIDs" in note for note in ct.notes)


def test_studies_of_their_own_without_any_date(tmp_path):
    for p in PERCENTS:
        shared = {**study(), "StudyDate": None}
        a_series_a_phase(tmp_path, percents=(p,), first=p, shared=shared)
    check_content(one(tmp_path))


def test_two_4d_cts_of_a_patient_without_any_date_stay_two(tmp_path):
    for first in (1, 21):
        a_series_a_phase(
            tmp_path, percents=FIVE, shared={**study(), "StudyDate": None}, first=first
        )
    found = find_phases(tmp_path)
    assert found.problems == []
    for ct in found.ct:
        check_content(ct, FIVE)
    assert len({ct.study for ct in found.ct}) == len(found.ct) == 2


def test_a_series_of_inhale_and_one_of_exhale(tmp_path):
    shared = study()
    for number, (words, p) in enumerate((("Thorax END EXP", 50), ("Thorax END INSP", 0))):
        own = series(shared, SeriesNumber=number, SeriesDescription=words)
        write_scan(tmp_path, phase_hu(p), own)
    ct = one(tmp_path)
    check_content(ct, (0, 50))
    assert "the names only say inhale and exhale: taken as 0 % and 50 %" in ct.notes


# ------------------------------------------------------------------ what is not decided


def test_tags_that_contradict_one_another_are_listed_and_not_decided(tmp_path):
    a_series_a_phase(tmp_path, percents=FIVE, ImageComments="{p}% gated")
    change(tmp_path, lambda data: setattr(data, "ImageComments", "60% gated"), of_phase(40))
    found = find_phases(tmp_path)
    assert found.ct == []
    (line,) = found.problems
    for words in ("SeriesDescription and ImageComments", "40% is 60%", "phase_tag"):
        assert words in line
    check_content(one(tmp_path, phase_tag="SeriesDescription"), FIVE)


def test_order_of_two_counters_that_differ(tmp_path):
    scanners.philips(
        tmp_path, lambda p, k: {"AcquisitionNumber": k + 1, "TriggerTime": 900 - p}, FIVE
    )
    found = find_phases(tmp_path)
    assert found.ct == []
    (line,) = found.problems
    assert "AcquisitionNumber" in line
    assert "TriggerTime" in line
    check_content(one(tmp_path, phase_tag="AcquisitionNumber"), FIVE)


def test_a_counter_that_contradicts_the_percent(tmp_path):
    a_series_a_phase(tmp_path, percents=FIVE)
    order = [1, 4, 2, 5, 3]
    for k, p in enumerate(FIVE):
        change(
            tmp_path,
            lambda data, k=k: setattr(data, "TemporalPositionIdentifier", order[k]),
            of_phase(p),
        )
    (line,) = find_phases(tmp_path).problems
    assert "TemporalPositionIdentifier" in line
    assert "20% is 4" in line


def test_a_counter_that_starts_elsewhere_in_the_breath_is_no_contradiction(tmp_path):
    a_series_a_phase(tmp_path, percents=FIVE)
    for k, p in enumerate(FIVE):
        change(
            tmp_path,
            lambda data, k=k: setattr(data, "TemporalPositionIdentifier", (k + 3) % 5 + 1),
            of_phase(p),
        )
    check_content(one(tmp_path), FIVE)


@pytest.mark.parametrize("how", ["one series", "five series"])
def test_phases_that_nothing_tells_apart(tmp_path, how):
    if how == "one series":
        scanners.philips(tmp_path, lambda p, k: {}, FIVE)
    else:
        a_series_a_phase(tmp_path, "4D Thorax", FIVE)
    found = find_phases(tmp_path)
    assert found.ct == []
    (line,) = found.problems
    assert "4D Thorax" in line
    assert "SeriesDescription" in line
    if how == "one series":
        assert "25 slices at 5 positions (5 to 5 each)" in line


def test_one_phase_twice(tmp_path):
    shared = a_series_a_phase(tmp_path)
    write_scan(tmp_path, phase_hu(51), series(shared, SeriesNumber=77, SeriesDescription="4D 50%"))
    found = find_phases(tmp_path)
    (ct,) = found.ct
    check_content(ct, [p for p in PERCENTS if p != 50])
    (line,) = ct.problems
    for words in ("phase 50 %", "series 6", "series 77"):
        assert words in line
    assert ct.exhale == "50 %"  # not quietly another


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("how", ["a series a phase", "one series"])
def test_missing_slice_of_one_phase(tmp_path, how):
    if how == "one series":
        scanners.philips(tmp_path, lambda p, k: {"SeriesDescription": f"4D {p}%"})
    else:
        a_series_a_phase(tmp_path)
    before = None
    for path in sorted(tmp_path.iterdir()):
        data = pydicom.dcmread(path)
        if of_phase(30, 3)(data):
            path.unlink()
        elif of_phase(30, 2)(data):
            before = path.name
    found = find_phases(tmp_path)
    (ct,) = found.ct
    check_content(ct, [p for p in PERCENTS if p != 30])
    (line,) = ct.problems
    for words in ("phase 30 %", "1 missing, between 35.50 and 40.50 mm", f"after {before}"):
        assert words in line
    with pytest.raises(InputError, match="1 missing"):
        read_phase(tmp_path, "30")


@pytest.mark.parametrize("how", ["a series a phase", "one series"])
def test_another_slice_at_the_same_position(tmp_path, how):
    if how == "one series":
        scanners.philips(tmp_path, lambda p, k: {"SeriesDescription": f"4D {p}%"})
    else:
        a_series_a_phase(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        data = pydicom.dcmread(path)
        if of_phase(30, 3)(data):
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            data.save_as(tmp_path / "again.dcm")
    (ct,) = find_phases(tmp_path).ct
    check_content(ct, [p for p in PERCENTS if p != 30])
    (line,) = ct.problems
    assert "phase 30 %" in line
    assert "2 at 38.00 mm" in line


def test_a_private_tag_or_the_folder_as_the_phase(tmp_path):
    own = series(study(), SeriesDescription="4D")
    for k, p in enumerate(FIVE):
        write_scan(
            tmp_path / f"{(80 - p):02d}%",
            phase_hu(p),
            own,
            InstanceCreationDate=f"2024{k + 1:02d}01",
        )

    def add(data):
        k = int(data.InstanceCreationDate[4:6]) - 1
        block = data.private_block(0x0045, "ACME", create=True)
        block.add_new(0x30, "DS", str(20 * k))
        block.add_new(0x20, "DS", str(20 * (3 * k % 5)))

    change(tmp_path, add)
    check_content(one(tmp_path, phase_tag="(0045,1030)"), FIVE)
    folders = one(tmp_path, phase_tag="folder")
    np.testing.assert_array_equal(folders.phases[0].load().data.numpy(), phase_hu(80))
    np.testing.assert_array_equal(read_phase(tmp_path, "20@0045,1030").data.numpy(), phase_hu(20))


def test_how_one_phase_is_read_where_tags_contradict_one_another(tmp_path):
    a_series_a_phase(tmp_path, percents=FIVE, ImageComments="{k}0%")
    with pytest.raises(InputError, match="as in 40@SeriesDescription"):
        read_phase(tmp_path, "40")
    np.testing.assert_array_equal(
        read_phase(tmp_path, "40@SeriesDescription").data.numpy(), phase_hu(40)
    )


@pytest.mark.parametrize("tag", ["AcquisitionNumber", "TriggerTime"])
def test_an_order_of_time_has_to_be_confirmed(tmp_path, tag):
    scanners.philips(tmp_path, lambda p, k: {tag: k + 1}, FIVE)
    (line,) = one(tmp_path).problems
    assert f"only the order of {tag}" in line
    assert f"phase_tag={tag}" in line
    assert one(tmp_path, phase_tag=tag).problems == ()
    with pytest.raises(InputError, match=f"with the phase 40@{tag}"):
        read_phase(tmp_path, "40")
    np.testing.assert_array_equal(read_phase(tmp_path, f"40@{tag}").data.numpy(), phase_hu(40))


def test_whole_stacks_that_are_counted_through_have_to_be_confirmed(tmp_path):
    """A series without any telling tag, as anonymisers leave it."""
    scanners.philips(tmp_path, lambda p, k: {"AcquisitionNumber": k + 1}, FIVE)

    def count_through(data):
        data.InstanceNumber += SIZE[0] * (data.AcquisitionNumber - 1)
        del data.AcquisitionNumber

    change(tmp_path, count_through)
    (line,) = one(tmp_path).problems
    assert "only the order of InstanceNumber" in line
    assert one(tmp_path, phase_tag="InstanceNumber").problems == ()
    check_content(one(tmp_path, phase_tag="InstanceNumber"), FIVE)

    def count_place_by_place(data):
        k, stack = (data.InstanceNumber - 1) % SIZE[0], (data.InstanceNumber - 1) // SIZE[0]
        data.InstanceNumber = len(FIVE) * k + stack + 1

    change(tmp_path, count_place_by_place)  # of a cine, in which each place has its own time
    assert find_phases(tmp_path).ct == []


def test_as_many_acquisitions_as_a_breath_has_phases_are_taken_for_them_with_a_note(tmp_path):
    percents = tuple(range(0, 100, 10))
    scanners.philips(tmp_path, lambda p, k: {"AcquisitionNumber": k + 1}, percents)
    found = one(tmp_path)
    assert found.problems == ()
    assert found.notes[0] == "phases from AcquisitionNumber"
    assert [phase.percent for phase in found.phases] == list(percents)


def test_repeated_scans_are_no_4d_ct_unless_confirmed(tmp_path):
    a_series_a_phase(tmp_path, "Biopsy Thorax 3.0", FIVE, AcquisitionNumber="{k}")
    assert "only the order of AcquisitionNumber" in one(tmp_path).problems[0]


def test_slices_of_one_uid_with_other_voxels_are_no_copies(tmp_path):
    shared = study()
    own = series(shared, SeriesDescription="4D", SOPInstanceUID=generate_uid())
    for p in FIVE:
        hu = phase_hu(p)
        hu[0] = phase_hu(0)[0]  # where nothing moves
        write_scan(tmp_path / f"phase_{p}", hu, own)
    ct = one(tmp_path)
    assert [phase.percent for phase in ct.phases] == list(FIVE)
    for phase in ct.phases:
        assert phase.grid.size[2] == SIZE[0]
        np.testing.assert_array_equal(phase.load().data.numpy()[1:], phase_hu(phase.percent)[1:])


def test_copies_are_counted_without_a_4d_ct_too(tmp_path):
    write_scan(tmp_path / "a", phase_hu(0), series(study(), SeriesDescription="Thorax"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    found = find_phases(tmp_path)
    assert found.ct == []
    assert found.notes == [
        "5 slices are there twice, the same by SOPInstanceUID: one of each is read"
    ]


def test_folders_that_tell_two_exports_apart_are_named_below_the_root(tmp_path):
    shared = study()
    for name in "ab":
        a_series_a_phase(tmp_path / name, percents=FIVE, shared=shared)
    assert [ct.apart for ct in find_phases(tmp_path).ct] == ["folder a", "folder b"]


def test_the_same_files_twice_count_once(siemens, tmp_path):
    for name in "ab":
        shutil.copytree(siemens, tmp_path / name)
    ct = one(tmp_path)
    check_content(ct)
    assert any("50 slices are there twice" in note for note in ct.notes)


def test_a_missing_phase(tmp_path):
    percents = [p for p in PERCENTS if p != 30]
    scanners.philips(tmp_path, lambda p, k: {"TemporalPositionIdentifier": p // 10 + 1}, percents)
    (ct,) = find_phases(tmp_path).ct
    check_content(ct, percents)
    assert "every 10 %, found none at 30 %" in ct.problems[0]


def test_a_missing_phase_before_the_first_is_named_by_its_percent(tmp_path):
    a_series_a_phase(tmp_path, percents=PERCENTS[1:])
    (ct,) = find_phases(tmp_path).ct
    assert "every 10 %, found none at 0 %" in ct.problems[0]


@pytest.mark.parametrize("first", [0, 1])
def test_a_missing_phase_of_those_that_are_counted(tmp_path, first):
    percents = [p for p in PERCENTS if p != 40]
    shared = study()
    for p in percents:
        own = series(shared, SeriesNumber=p, SeriesDescription=f"4D phase {p // 10 + first}")
        write_scan(tmp_path, phase_hu(p), own)
    (ct,) = find_phases(tmp_path).ct
    check_content(ct, percents)
    assert "every 10 %, found none at 40 %" in ct.problems[0]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (bytes(999), "zeros"),
        (b"<html><title>503 Service Unavailable", "begins with b'<html>"),
        (b"\x1f\x8b\x08\x00" + bytes(999), "other content"),
    ],
)
def test_slices_without_content_are_named(tmp_path, content, found):
    a_series_a_phase(tmp_path, percents=(0, 50))
    blank = next(p for p in tmp_path.iterdir() if of_phase(50, 5)(pydicom.dcmread(p)))
    blank.write_bytes(content)
    (line,) = find_phases(tmp_path).problems
    assert blank.name in line
    assert found in line
    with pytest.raises(InputError, match=f"{blank.name}: expected a DICOM slice"):
        read_image(tmp_path, "4D 50%")


def test_other_objects_without_file_meta(tmp_path):
    a_series_a_phase(tmp_path, percents=(0, 50))
    data = pydicom.dcmread(next(tmp_path.iterdir()))
    data.Modality, data.SOPClassUID, data.SOPInstanceUID = "RTPLAN", RTPlanStorage, generate_uid()
    del data.Rows, data.Columns, data.PixelData
    del data.file_meta.MediaStorageSOPClassUID
    pydicom.dcmwrite(tmp_path / "plan.dcm", data, enforce_file_format=False)
    check_content(one(tmp_path), (0, 50))
    np.testing.assert_array_equal(read_image(tmp_path, "4D 0%").data.numpy(), phase_hu(0))


def test_fewer_slices_and_another_matrix_are_noted(tmp_path):
    shared = a_series_a_phase(tmp_path, percents=PERCENTS[:-1])
    own = series(shared, SeriesNumber=99, SeriesDescription="4D 90%")
    write_scan(tmp_path, phase_hu(90, (5, 4, 4)), own)
    for path in sorted(tmp_path.iterdir()):
        if of_phase(30, 5)(pydicom.dcmread(path)):
            path.unlink()
    ct = one(tmp_path)
    assert [phase.name for phase in ct.phases] == list(TEN)
    assert ct.phases[3].grid.size == (7, 5, 4)
    assert ct.phases[9].grid.size == (4, 4, 5)
    assert "phase 30 % has 4 slices, others 5" in ct.notes
    assert any("90 % 4x4" in note for note in ct.notes)


def test_mixed_orientation_and_a_truncated_slice(tmp_path):
    a_series_a_phase(tmp_path)
    turned = [0.999391, 0.0349, 0, -0.0349, 0.999391, 0]
    change(tmp_path, lambda d: setattr(d, "ImageOrientationPatient", turned), of_phase(30, 4))
    cut = next(p for p in sorted(tmp_path.iterdir()) if of_phase(60, 5)(pydicom.dcmread(p)))
    cut.write_bytes(cut.read_bytes()[:300])
    found = find_phases(tmp_path)
    (ct,) = found.ct
    assert [phase.name for phase in ct.phases] == [n for n in TEN if n != "30 %"]
    assert "one orientation" in ct.problems[0]
    assert "phase 30 %" in ct.problems[0]
    assert "phase 60 % has 4 slices, others 5" in ct.notes
    assert [cut.name in line for line in found.problems] == [True]


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageComments"])
def test_one_slice_without_a_tag_costs_one_phase(tmp_path, tag):
    scanners.philips(tmp_path, lambda p, k: {"ImageComments": f"{p}%"}, FIVE)
    change(
        tmp_path,
        lambda data: delattr(data, tag),
        lambda data: data.ImageComments == "40%" and data.InstanceNumber == 3,
    )
    found = find_phases(tmp_path)
    (ct,) = found.ct
    check_content(ct, [p for p in FIVE if p != 40])
    assert "1 missing" in ct.problems[0]
    (line,) = found.problems
    assert "left out" in line
    assert any(path.name in line for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("ImagePositionPatient", b"nan\\nan\\nan"),
        ("PixelSpacing", b"1,5\\1,25"),
        ("RescaleSlope", b"1,0"),
        ("RescaleIntercept", b"-1024\\-1024"),
        ("RescaleIntercept", b"nan"),
        ("Rows", b"\x05\x00\x05\x00"),
        ("NumberOfFrames", b"1\\1"),
    ],
)
def test_a_value_that_is_no_number_names_the_slice_and_costs_one_phase(tmp_path, tag, value):
    a_series_a_phase(tmp_path, percents=FIVE)
    broken = next(p for p in sorted(tmp_path.iterdir()) if of_phase(40, 3)(pydicom.dcmread(p)))
    data = pydicom.dcmread(broken)
    element = data[tag] if tag in data else DataElement(tag, "IS", "1")
    raw = RawDataElement(element.tag, element.VR, len(value), value, 0, False, True)
    data._dict[element.tag] = raw
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.save_as(broken)
    found = find_phases(tmp_path)
    (ct,) = found.ct
    check_content(ct, [p for p in FIVE if p != 40])
    (line,) = found.problems
    assert broken.name in line
    assert tag in line


def test_a_story_that_is_no_number_is_none(tmp_path):
    a_series_a_phase(tmp_path, percents=FIVE)
    path = sorted(tmp_path.iterdir())[3]
    data = pydicom.dcmread(path)
    for tag in ("AcquisitionNumber", "InstanceNumber"):
        data._dict[Tag(tag)] = RawDataElement(Tag(tag), "IS", 3, b"inf", 0, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.save_as(path)
    check_content(one(tmp_path), FIVE)


@pytest.mark.parametrize("tag", ["RescaleIntercept", "RescaleSlope"])
def test_one_slice_without_rescale_is_not_read_among_others(tmp_path, tag):
    a_series_a_phase(tmp_path, percents=FIVE)
    change(tmp_path, lambda data: delattr(data, tag), of_phase(20, 2))
    (ct,) = find_phases(tmp_path).ct
    check_content(ct, [p for p in FIVE if p != 20])
    (line,) = ct.problems
    assert f"{tag} in every slice" in line
    assert any(path.name in line for path in tmp_path.iterdir())


def test_slices_that_differ_or_are_doubled_are_named(tmp_path):
    a_series_a_phase(tmp_path, percents=FIVE)
    paths = sorted(tmp_path.iterdir())
    other = next(p for p in paths if of_phase(20, 1)(pydicom.dcmread(p)))
    change(tmp_path, lambda data: setattr(data, "PixelSpacing", [3, 3]), of_phase(20, 1))
    again = next(p for p in paths if of_phase(60, 2)(pydicom.dcmread(p)))
    data = pydicom.dcmread(again)
    data.SOPInstanceUID = generate_uid()
    data.save_as(tmp_path / "another.dcm")
    first, second = find_phases(tmp_path).ct[0].problems
    assert other.name in first
    assert again.name in second
    assert "another.dcm" in second


def test_a_tilt_in_the_tag_alone_is_noted(tmp_path):
    a_series_a_phase(tmp_path, percents=FIVE, GantryDetectorTilt=10)
    ct = one(tmp_path)
    check_content(ct, FIVE)
    assert any("GantryDetectorTilt is 10 degrees" in note for note in ct.notes)


def test_values_that_may_be_no_hu_are_noted(tmp_path):
    """Scanners write electron densities and energies of their own in the same way as HU."""
    a_series_a_phase(tmp_path, percents=(0, 50), RescaleType="HU_MOD")
    assert any("RescaleType is HU_MOD" in note for note in one(tmp_path).notes)
    change(tmp_path, lambda data: setattr(data, "RescaleType", "HU"))
    assert not any("RescaleType" in note for note in one(tmp_path).notes)


def test_what_weaker_tags_say_otherwise_is_noted(tmp_path):
    for k, p in enumerate(FIVE):
        own = tmp_path / f"{(p + 40) % 100}%"
        a_series_a_phase(
            own, percents=(p,), first=k, shared=study(), TemporalPositionIndex=(k + 2) % 5
        )
    ct = one(tmp_path)
    check_content(ct, FIVE)
    said = [note for note in ct.notes if "has it otherwise" in note]
    assert ["folder" in note for note in said] == [True, False]
    assert "TemporalPositionIndex" in said[1]


# ------------------------------------------------------------------ oddities


@pytest.mark.parametrize("tag", ["ImageComments", "AcquisitionNumber"])
def test_positions_that_shake_are_put_in_their_places(tmp_path, tag):
    rng = np.random.default_rng(5)
    scanners.philips(tmp_path, lambda p, k: {tag: f"{p}%" if tag == "ImageComments" else k}, FIVE)

    def shake(data):
        moved = np.asarray(data.ImagePositionPatient, float) + rng.uniform(-0.1, 0.1, 3)
        data.ImagePositionPatient = [f"{v:.3f}" for v in moved]

    change(tmp_path, shake)
    ct = one(tmp_path)
    assert [phase.percent for phase in ct.phases] == list(FIVE)
    for phase in ct.phases:
        np.testing.assert_array_equal(phase.load().data.numpy(), phase_hu(phase.percent))
        for index in [(0, 0, 0), (6, 4, 4)]:
            true = np.asarray(ORIGIN) + np.asarray(SPACING) * index
            np.testing.assert_allclose(phase.grid.to_world(index), true, atol=0.12)


def test_one_slice_off_its_place_does_not_move_the_others(tmp_path):
    write_scan(tmp_path, phase_hu(0), series(study(), SeriesDescription="4D 0%"))

    def down(data):
        data.ImagePositionPatient[2] = float(data.ImagePositionPatient[2]) - 0.15

    change(tmp_path, down, lambda data: data.InstanceNumber == 1)
    grid = read_image(tmp_path).grid
    for k in range(SIZE[0]):  # the straight line through five heights leaves 0.09 mm of it
        assert grid.to_world((0, 0, k))[2] == pytest.approx(ORIGIN[2] + 2.5 * k, abs=0.0901)


def test_two_distances_between_slices_are_not_called_missing_slices(tmp_path):
    own = series(study(), SeriesDescription="Thorax")
    write_scan(tmp_path, phase_hu(0, (10, 3, 3)), own)

    def spread(data):
        k = int(data.InstanceNumber) - 1
        data.ImagePositionPatient[2] = 6.0 * k + 6.0 * min(k, 4)

    change(tmp_path, spread)
    with pytest.raises(InputError, match="4 steps of 12 mm in a row beside steps of 6 mm"):
        read_image(tmp_path)


def test_slices_too_far_from_their_places_are_refused(tmp_path):
    own = series(study(), SeriesDescription="4D 0%")
    write_scan(tmp_path, phase_hu(0), own)

    def sideways(data):
        data.ImagePositionPatient[0] = float(data.ImagePositionPatient[0]) + 0.7

    change(tmp_path, sideways, lambda data: data.InstanceNumber == 3)
    with pytest.raises(InputError, match="mm beside it"):
        read_image(tmp_path)


def test_phases_whose_slices_lie_between_one_another(tmp_path):
    own = series(study(), SeriesDescription="4D")
    for k, p in enumerate(PERCENTS):
        start = (*ORIGIN[:2], ORIGIN[2] + 0.25 * k)
        made = write_scan(tmp_path / "x", phase_hu(p), own, origin=start, ImageComments=f"{p}%")
        made.rename(tmp_path / str(k))
    ct = one(tmp_path)
    for k, phase in enumerate(ct.phases):
        np.testing.assert_array_equal(phase.load().data.numpy(), phase_hu(PERCENTS[k]))
        assert phase.grid.origin[2] == pytest.approx(ORIGIN[2] + 0.25 * k)


def test_other_files_names_and_missing_preambles(siemens, tmp_path):
    shutil.copytree(siemens, tmp_path, dirs_exist_ok=True)
    for n, path in enumerate(sorted(tmp_path.glob("*.dcm"))):
        if n % 3 == 1:
            path.rename(path.with_suffix(""))
        elif n % 3 == 2:
            raw = path.read_bytes()
            path.with_suffix(".IMA").write_bytes(raw[132:])  # no preamble, no mark
            path.unlink()
    (tmp_path / "notes.txt").write_text("not DICOM " * 50)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "junk").write_bytes(b"\x08\x00\x05\x00CS" + bytes(range(256)) * 2)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(100))
    template = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    for name, storage in (("RTDOSE", RTDoseStorage), ("RTPLAN", RTPlanStorage)):
        data = template.copy()
        data.Modality, data.SeriesInstanceUID = name, generate_uid()
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = storage
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        if name == "RTPLAN":
            del data.Rows, data.Columns, data.PixelData
        data.save_as(tmp_path / f"{name}.dcm")
    check_content(one(tmp_path))


def test_another_rescale_a_slice(tmp_path):
    a_series_a_phase(tmp_path, percents=(0, 50))
    values = {}

    def rescale(data):
        k = int(data.InstanceNumber)
        data.RescaleSlope, data.RescaleIntercept = 0.5 * k, -1000 - k
        stored = data.pixel_array.astype(float)
        values[of_phase(0)(data), k] = stored * 0.5 * k - 1000 - k

    change(tmp_path, rescale)
    for phase in one(tmp_path).phases:
        for k, plane in enumerate(phase.load().data.numpy(), 1):
            np.testing.assert_allclose(plane, values[phase.percent == 0, k], rtol=1e-6)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1])
def test_compressed_without_loss(tmp_path, syntax):
    shared = study()
    hu = {p: np.clip(phase_hu(p, (3, 64, 48)), -1000, 1200) for p in (0, 50)}
    for k, p in enumerate(hu):
        own = series(shared, SeriesNumber=k, SeriesDescription=f"4D {p}%")
        write_scan(tmp_path, hu[p], own)

    def compress(data):
        if syntax == RLELossless:
            data.compress(RLELossless)
            return
        encoded = tmp_path.parent / "encoded.dcm"
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(encoded))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(sitk.GetImageFromArray(data.pixel_array.astype(np.uint16)[None]))
        made = pydicom.dcmread(encoded)
        assert made.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data.PixelRepresentation = 0
            data["PixelData"] = made["PixelData"]
            data.file_meta.TransferSyntaxUID = JPEGLosslessSV1

    change(tmp_path, compress)
    ct = one(tmp_path)
    for phase in ct.phases:
        np.testing.assert_array_equal(phase.load().data.numpy(), hu[phase.percent])


# ------------------------------------------------------------------ one phase by its name


def test_read_phase(siemens):
    for name in ("50", "50%", "50 %", "T50", "050", "50.0"):
        np.testing.assert_array_equal(read_phase(siemens, name).data.numpy(), phase_hu(50))


def test_read_phase_by_the_name_of_a_bin(tmp_path):
    names = ["0% In", "50% In", "100% Ex", "50% Ex"]
    scanners.philips(tmp_path, lambda p, k: {"ImageComments": names[k]}, (0, 10, 20, 30))
    for name, p in (("50% In", 10), ("50Ex", 30), ("100 % ex", 20)):
        np.testing.assert_array_equal(read_phase(tmp_path, name).data.numpy(), phase_hu(p))
    with pytest.raises(InputError, match="a phase '50', found 100 % Ex, 50 % Ex, 0 % In, 50 % In"):
        read_phase(tmp_path, "50")


@pytest.mark.parametrize("how", ["siemens", "philips"])
def test_read_image_lists_the_phases_in_one_line(siemens, tmp_path, how):
    if how == "philips":
        scanners.philips(tmp_path, lambda p, k: {"TemporalPositionIdentifier": k + 1})
    with pytest.raises(InputError) as caught:
        read_image(siemens if how == "siemens" else tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    for words in (", ".join(TEN), "--phase", "--moving-phase", "such as 0 and 50"):
        assert words in line


def test_one_series_of_a_4d_ct_can_still_be_read(siemens):
    np.testing.assert_array_equal(read_image(siemens, "AVG").data.numpy(), phase_hu(320))


def test_no_4d_ct(tmp_path):
    write_scan(tmp_path, phase_hu(0), series(study(), SeriesDescription="Thorax 3.0 B30f"))
    with pytest.raises(InputError, match="a 4D CT, found none"):
        read_phase(tmp_path, "0")
    with pytest.raises(InputError, match="a DICOM folder"):
        read_phase(next(tmp_path.iterdir()), "0")
