import re

import numpy as np
import pytest

from lungmorph.files.phase_order import ordered, unevenness
from lungmorph.files.phase_text import kind_of, labels_of, without_phase


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("T=0%", "0%"),
        ("0% EX", "0% Ex"),
        ("CT 0 %", "0%"),
        ("Gated, 10.0%", "10%"),
        ("P4^P100^S300^I00003, Gated, 90.0%A", "90%"),
        ("Thorax 4D 2.0 B30f 70% Ex", "70% Ex"),
        ("Thorax^4D_RESP 1.5 Br38 S3 20%", "20%"),
        ("12,5 %", "12.5%"),
        ("In 25%", "25% In"),
        ("Inh_20%", "20% In"),
        ("50Ex", "50% Ex"),
        ("4D 25% Inspi", "25% In"),
        ("75% Expi", "75% Ex"),
        ("50% Expiratoire", "50% Ex"),
        ("20% Ein", "20% In"),
        ("40% Ausatmung", "40% Ex"),
        ("Einatmung 60%", "60% In"),
        ("50% Eingang", "50%"),
        ("4D 25% inspirazione", "25% In"),
        ("4D 75% espirazione", "75% Ex"),
        ("50% Inspiración", "50% In"),
        ("Expiração 20%", "20% Ex"),
        ("25% inademing", "25% In"),
        ("25% Uitademing", "25% Ex"),
        ("50% utandning", "50% Ex"),
        ("25% wydech", "25% Ex"),
        ("4D 75% вдох", "75% In"),
        ("呼气 20%", "20% Ex"),
        ("40% EXTREMITY", "40%"),
        ("30% ASIR T=50%", "50%"),
        ("ASiR-V 40% 4D 60%", "60%"),
        ("4D iDose (3) 20%", "20%"),
        ("2024-10-05 20%", "20%"),
        ("4D contrast 120kV 80%", "80%"),
        ("Phase 3/10", "3/10"),
        ("Resp phase 3 of 10", "3/10"),
        ("4D_T50", "50"),
        ("Phase 70", "70"),
        # numbers that are no phase
        ("Thorax 4D 2.0 B30f", None),
        ("ASIR 30%", None),
        ("ASIR-V40%", None),
        ("Thorax 75% BestDiast", None),
        ("BestSyst 35 %", None),
        ("50% dose", None),
        ("DS_4D_Resp 2.0 Br38 S3", None),
        ("Topogram 0.6 T80s", None),
        ("scan of 5/10/2020", None),
        ("recon 300%", None),
        ("AX CT 1.25mm", None),
        ("0% to 90%", None),
        ("AveCT 0-100%", None),
        ("Thorax contrast 100%", None),
        ("4D contrast 100%", "100%"),
        ("ASIR 30%-50%", "50%"),
        ("", None),
    ],
)
def test_the_phase_in_a_description(text, phase):
    (label,) = labels_of([text])
    assert (None if label is None else str(label)) == phase


def test_a_percentage_that_all_scans_have_is_none():
    texts = [f"4D 30% {10 * k}% lung" for k in range(10)]
    assert [label.value for label in labels_of(texts)] == [10.0 * k for k in range(10)]


def test_phases_beside_a_percentage_that_is_none():
    texts = [f"4D 3mm 50% overlap T{10 * k:02d}" for k in range(10)]
    assert [str(label) for label in labels_of([*texts, "4D AVG"])] == [
        *(str(10 * k) for k in range(10)),
        "None",
    ]
    assert [str(label) for label in labels_of(["4D 50%", "4D 50% thin"])] == ["50%", "50%"]


def test_numbers_without_a_sign_only_if_they_are_even_steps_of_a_breath():
    texts = [f"4DCT 3.0 {10 * k:02d} lung" for k in range(10)]
    assert [label.value for label in labels_of(texts)] == [10.0 * k for k in range(10)]
    assert labels_of([f"scan {k}" for k in range(1, 11)]) == [None] * 10
    assert labels_of([f"lung {k} of {k + 1}" for k in range(0, 100, 10)]) == [None] * 10


@pytest.mark.parametrize(
    ("text", "image_type", "kind"),
    [
        ("Thorax 4D 2.0 B30f AVG", "", "average"),
        ("4D Ave-IP", "", "average"),
        ("4DCT_AIP", "", "average"),
        ("AVG 0%-90%", "", "average"),
        ("4DMIP", "", "maximum intensity projection"),
        ("MIP 0-90%", "", "maximum intensity projection"),
        ("MinIP_4D", "", "minimum intensity projection"),
        ("Min IP", "", "minimum intensity projection"),
        ("tMinIP 100%", "", "minimum intensity projection"),
        ("tMIP 100%", "", "maximum intensity projection"),
        ("4D MIPs", "", "maximum intensity projection"),
        ("AverageCT 100%", "", "average"),
        ("4D AVGCT", "", "average"),
        ("tAverage", "", "average"),
        ("Topogram 0.6 T20f", "", "localizer"),
        ("whatever", "ORIGINAL\\PRIMARY\\LOCALIZER", "localizer"),
        ("whatever", "DERIVED\\PRIMARY\\VOLUME\\MEAN", "average"),
        ("4DCBCT, Gated, 50.0%A", "", "cone-beam CT"),
        ("P4^P100^S100^I0, Gated, 0.0%", "", "cone-beam CT"),
        ("P4^P100^S300^I00003, Gated, 0.0%A", "", ""),
        ("4DFBCT, Gated, 50.0%A", "", ""),
        ("Thorax 4D 50%", "DERIVED\\SECONDARY\\AXIAL", ""),
        ("Maximum inspiration", "", ""),
        ("Lung wave 3.0", "", ""),
        ("Stave 3.0", "", ""),
    ],
)
def test_what_else_a_scan_is(text, image_type, kind):
    assert kind_of(text, image_type) == kind


def test_a_description_without_its_phase():
    assert without_phase("ASIR 30%  4D_T=50%") == without_phase("ASIR 30% 4D T=10%")
    assert without_phase("B30f 50%") != without_phase("B70f 50%")
    assert without_phase("I00003, 50%", blur=True) == without_phase("I00004, 0%", blur=True)


def in_order(names: list[str]) -> tuple[list[str], object]:
    """Names that were shuffled, in the order of the breath."""
    names = list(np.random.default_rng(4).permutation(names))
    found = ordered(labels_of(names), "SeriesDescription")
    return [str(names[i]) for i in found.order], found


@pytest.mark.parametrize(
    ("names", "percents"),
    [
        ([f"T={10 * k}%" for k in range(10)], [10.0 * k for k in range(10)]),
        ([f"{12.5 * k:g}%" for k in range(8)], [12.5 * k for k in range(8)]),
        ([f"{p}%" for p in (0, 17, 33, 50, 67, 83)], [0, 17, 33, 50, 67, 83]),
        ([f"Phase {k + 1}/10" for k in range(10)], [10.0 * k for k in range(10)]),
        ([f"Phase {k + 1}" for k in range(5)], [0, 20, 40, 60, 80]),
        ([f"Fase {k + 1} di 5" for k in range(5)], [0, 20, 40, 60, 80]),
        ([f"Phase {k}" for k in range(5)], [0, 20, 40, 60, 80]),
        ([f"Phase {k}" for k in (0, 1, 2, 3, 5, 6, 7, 8, 9)], [0, 10, 20, 30, 50, 60, 70, 80, 90]),
        ([f"Phase {10 * k}" for k in range(10)], [10.0 * k for k in range(10)]),
        ([f"Phase {k + 1}/6" for k in range(6)], [0, 16.7, 33.3, 50, 66.7, 83.3]),
        (["100%", *(f"{10 * k}%" for k in range(1, 10))], [10.0 * k for k in range(10)]),
        ([f"{10 * k}% Ex" for k in range(10)], [10.0 * k for k in range(10)]),
        (
            [*(f"{10 * k}% Ex" for k in range(5)), *(f"{10 * k}% In" for k in range(5, 10))],
            [10.0 * k for k in range(10)],
        ),
    ],
)
def test_phases_in_order(names, percents):
    got, found = in_order(names)
    assert got == names
    np.testing.assert_allclose(found.percents, percents)
    assert unevenness(labels_of(names)) == 0
    assert abs(found.percents[found.inhale]) < 1
    assert abs(found.percents[found.exhale] - 50) <= 10


def test_bins_that_are_called_amplitude_are_no_percent_of_time():
    names = [f"{p}%, Amplitude" for p in (100, 80, 60, 40, 20, 0)]
    got, found = in_order(names)
    assert got == names
    assert found.percents == (None,) * 6
    assert found.names[found.inhale], found.names[found.exhale] == ("amp 100 %", "amp 0 %")
    assert "how full the lungs are" in found.notes[0]
    assert "could as well be read" in found.notes[0]
    names = [f"Ampl {10 * k}%" for k in range(10)]
    got, found = in_order(names)
    assert got == names
    assert "the names say amplitude" in found.notes[0]


def test_two_scans_that_say_inhale_and_exhale_are_the_ends_of_a_breath():
    for names in (
        ["Inhale", "Exhale"],
        ["END INSP 1.0", "END EXP 1.0"],
        ["Expiration", "Inspiration"],
        ["INSPI", "EXPI"],
        ["EndInh", "EndExh"],
        ["Einatmung 1.0", "Ausatmung 1.0"],
        ["Inspiración", "Espiración"],
        ["胸部 吸気", "胸部 呼気"],
    ):
        labels = labels_of([*names, "Topogram"])
        assert labels[2] is None
        found = {
            bool(re.search("x|aus|esp|呼", name.lower())): label.value
            for name, label in zip(names, labels, strict=False)
        }
        assert found == {True: 50.0, False: 0.0}
        assert "only say inhale and exhale" in ordered(labels[:2], "SeriesDescription").notes[0]
    assert labels_of(["Inhale 1.0", "Inhale 2.0", "Exhale 1.0"]) == [None] * 3
    assert labels_of(["Thorax", "Thorax Insp"]) == [None] * 2
    assert labels_of(["Inhale-Exhale", "Exhale"]) == [None] * 2


def test_ranges_of_one_width_are_called_by_their_lower_end():
    for dash in ("-", "%-", " to "):
        names = [f"4D {10 * k}{dash}{10 * k + 10}%" for k in range(10)]
        got, found = in_order(names)
        assert got == names
        assert found.percents == tuple(10.0 * k for k in range(10))
        assert "called by its lower end" in found.notes[0]
    blends = [f"ASIR 30%-{p}%" for p in (40, 50, 60, 70)]
    assert [label.value for label in labels_of(blends)] == [40, 50, 60, 70]
    assert len({without_phase(text) for text in blends}) == 1
    assert labels_of(["AVG 0-100%", "4D 0%", "4D 50%", "MIP 0-90%"])[0] is None


def test_what_only_counts_is_noted():
    assert "(i - 1) * 100 / 10" in in_order([f"Phase {k + 1}/10" for k in range(10)])[1].notes[0]
    assert "100 % is the same point" in in_order(["100%", "50%"])[1].notes[0]
    assert in_order(["0%", "50%"])[1].notes == ()


@pytest.mark.parametrize(
    ("cycle", "inhale", "exhale", "meaning"),
    [
        # from full inhale over exhale, as the scanner's names say it
        (
            "100% Ex,80% Ex,60% Ex,40% Ex,20% Ex,0% In,20% In,40% In,60% In,80% In",
            "100 % Ex",
            "0 % In",
            "how full",
        ),
        ("100% In,50% Ex,0% Ex,50% In", "100 % In", "0 % Ex", "how full"),
        (
            "100%In/0%Ex,20%Ex,40%Ex,60%Ex,80%Ex,0%In/100%Ex,20%In,40%In,60%In,80%In",
            "100 % In",
            "0 % In",
            "how far",
        ),
    ],
)
def test_bins_of_amplitude_round_the_breath(cycle, inhale, exhale, meaning):
    got, found = in_order(cycle.split(","))
    assert got == cycle.split(",")
    assert set(found.percents) == {None}
    assert (found.names[found.inhale], found.names[found.exhale]) == (inhale, exhale)
    assert f"read as {meaning}" in found.notes[0]
    assert inhale in found.notes[0]


def test_bins_of_amplitude_without_a_side_are_no_percent():
    cycle = ["100%", "75%Ex", "50%Ex", "25%Ex", "0%", "25%In", "50%In", "75%In"]
    got, found = in_order(cycle)
    assert [name.replace(" ", "") for name in got] == cycle
    assert found.names[found.inhale] == "amp 100 %"
    assert found.names[found.exhale] == "amp 0 %"


def test_names_of_amplitude_that_can_be_read_in_several_ways_say_so():
    _, found = in_order(["0% Ex", "50% Ex", "100% Ex", "50% In"])
    assert "could as well be read as" in found.notes[0]


def test_one_side_alone_does_not_make_bins_of_amplitude():
    names = [*(f"{10 * k}%" for k in range(10)), "100% In"]
    _, found = in_order(names)
    assert found.percents == (*(10.0 * k for k in range(10)), None)
    assert unevenness(labels_of([*names[:-1], "80% In"])) == 1  # the second of 80 %
    assert in_order(["0%", "100% In"])[1].percents == (None, None)


def test_doubled_and_foreign_phases_count_as_uneven():
    assert unevenness(labels_of(["0%", "10%", "10%", "20%"])) == 1
    assert unevenness(labels_of([*(f"{10 * k}%" for k in range(10)), "75%"])) == 1
    assert unevenness(labels_of(["0% In", "50% In", "50% Ex", "100% Ex"])) == 0
