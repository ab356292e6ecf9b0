"""Tables say what the summary says, whatever is missing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.evaluation.made import failed, judged, record

from lungmorph.errors import InputError
from lungmorph.evaluation.beside import published_sheet
from lungmorph.evaluation.compare import compare
from lungmorph.evaluation.quantities import QUANTITIES
from lungmorph.evaluation.sheet import Sheet
from lungmorph.evaluation.summary import summarize
from lungmorph.evaluation.tables import (
    case_sheet,
    comparison_sheet,
    failed_sheet,
    markdown,
    total_sheets,
    write_cases_csv,
    write_json,
)

ROWS = [
    record("case1", errors=[1.0, 3.0]),
    record("case2", errors=[2.0, 2.5]),
    record("case1", "b", [4.0, 8.0]),
    failed("case2", "b", "killed by [signal] 9 | no memory"),
]


def cell(sheet: Sheet, row: str, head: str) -> str:
    found = [cells for cells in sheet.rows if cells[0] == row]
    assert len(found) == 1, (row, sheet.rows)
    return found[0][sheet.heads.index(head)]


def shown(sheet: Sheet) -> str:
    console = Console(file=io.StringIO(), width=250)
    console.print(sheet.rich())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_cases_show_errors_and_who_failed() -> None:
    sheet = case_sheet(summarize(ROWS))
    assert sheet.heads[:4] == ("case", "method", "before", "error ± SD")
    assert [row[:2] for row in sheet.rows] == [
        ("case1", "A"), ("case1", "B"), ("case2", "A"), ("case2", "B"),
    ]  # fmt: skip
    assert sheet.rows[0][3] == "2.00 ± 1.00"
    assert sheet.rows[3][2:4] == ("failed", "-")
    assert "both ways" not in sheet.heads  # no case has it
    assert {len(row) for row in sheet.rows} == {len(sheet.heads)}
    alone = case_sheet(summarize([record("c")]))
    assert "method" not in alone.heads
    assert "before" not in alone.heads
    assert case_sheet(summarize([failed("c")])).rows == (("c", "failed"),)


def test_totals_put_methods_side_by_side() -> None:
    every, common = total_sheets(summarize(ROWS))
    assert every.heads == ("", "A", "B")
    assert cell(every, "cases done", "B") == "1 of 2"
    assert cell(every, "landmark error [mm]", "A") == "2.12 [2.00, 2.25]"
    assert cell(every, "landmark error [mm]", "B") == "6.00"
    assert cell(every, "all landmarks together", "A") == "4"
    assert "landmarks outside the field" not in {row[0] for row in every.rows}
    assert "1 cases that every method finished" in common.title
    assert cell(common, "landmark error [mm]", "A") == "2.00"
    some = [record("c1", errors=[1.0]), record("c2")]
    some[0]["judged"]["landmarks"]["outside_field"] = 1
    one = total_sheets(summarize(some))[0]
    assert cell(one, "landmark error [mm]", "A") == "1.00, n = 1"
    assert cell(one, "landmarks outside the field", "A") == "1, n = 1"


def test_groups_come_before_the_total() -> None:
    rows = [record("c1", errors=[1.0], group="easy"), record("c2", errors=[3.0], group="hard")]
    titles = [sheet.title for sheet in total_sheets(summarize(rows))]
    assert titles == ["Group easy", "Group hard", "All cases"]


def test_who_failed_is_told_in_markdown_and_on_the_terminal() -> None:
    sheet = failed_sheet(summarize(ROWS))
    assert sheet is not None
    assert "killed by [signal] 9 \\| no memory" in sheet.markdown()
    assert "killed by [signal] 9 | no memory" in shown(sheet)
    assert failed_sheet(summarize(ROWS[:2])) is None


def test_comparisons_say_why_there_is_no_p() -> None:
    sheet = comparison_sheet(compare(ROWS[:2], ROWS[2:]))
    assert sheet.title == "A against B"
    assert cell(sheet, "landmark error [mm]", "difference (95 % interval)") == "-4.00"
    assert cell(sheet, "landmark error [mm]", "p") == "-"
    assert cell(sheet, "landmark error [mm]", "better") == "1 : 0"
    assert any("too few cases" in note for note in sheet.notes)
    assert any("finished by A alone: case2" in note for note in sheet.notes)
    many = [[record(f"c{n}", m, [e + n / 9]) for n in range(12)] for m, e in (("a", 1), ("b", 2))]
    found = comparison_sheet(compare(*many))
    assert cell(found, "landmark error [mm]", "p") in ("< 0.001", "0.002", "0.001")


def test_published_figures_stand_beside_ours_with_their_definition() -> None:
    rows = [record(f"case{n:02d}", errors=[1.0 + n]) for n in (1, 2, 10)] + [failed("case03")]
    rows += [record("case01", "b", [9.0])]
    sheet = published_sheet("dirlab-4dct", summarize(rows))
    assert sheet is not None
    assert sheet.heads[:2] == ("method", "definition")
    assert sheet.heads[2:5] == ("1", "2", "10")
    ours = [row for row in sheet.rows if row[0] == "A"]
    assert [row[1] for row in ours] == ["continuous", "snapped"]
    assert ours[0][2:6] == ("2.00", "3.00", "11.00", "5.33")
    assert ours[0][sheet.heads.index("mean of 10")] == "-"  # three cases are not ten
    assert next(row for row in sheet.rows if row[0] == "B")[5] == "9.00 (n = 1)"
    assert cell(sheet, "pTVreg", "mean of these") == "0.79"
    assert cell(sheet, "pTVreg", "mean of 10") == "0.92"
    assert cell(sheet, "pTVreg", "definition") == "snapped"
    assert cell(sheet, "RegNet", "1") == "-"
    assert cell(sheet, "RegNet", "source") != ""
    assert "snapped to voxel centres is lower" in sheet.notes[0]
    whole = published_sheet(
        "dirlab-copd", summarize([record(f"1copd{n}", errors=[float(n)]) for n in range(1, 11)])
    )
    assert whole is not None
    assert "mean of these" not in whole.heads
    assert next(row for row in whole.rows if row[0] == "A")[-2] == "5.50"
    assert published_sheet("folder", summarize(rows)) is None
    nothing = published_sheet("dirlab-4dct", summarize([record("case1")]))
    assert nothing is not None
    assert {len(row) for row in nothing.rows} == {len(nothing.heads)}


def test_markdown_has_everything_and_survives_nothing() -> None:
    comparison = compare(ROWS[:2], ROWS[2:])
    text = markdown(
        summarize(ROWS), title="DIR-Lab", about=["2 cores"], kind="dirlab-4dct", comparisons=[comparison]
    )  # fmt: skip
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads[0] == "## DIR-Lab"
    for title in ("All cases", "Not finished", "A against B", "Cases"):
        assert f"### {title}" in heads
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if lines and lines[0].startswith("|"):
            assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert markdown(summarize([failed("c")]), title="none done").count("###") == 3


def test_csv_has_every_quantity_of_every_case(tmp_path: Path) -> None:
    consistency = {"mean": 0.123456789, "p95": 1.0, "max": 2.0, "counted_percent": 99.0}
    rows = [record("c1,a", errors=[1.0], judged=judged([1.0], inverse_consistency_mm=consistency))]
    write_cases_csv(summarize([*rows, failed("c2")]), tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert first["case"] == "c1,a"
    assert float(first["both_ways_mm"]) == 0.123456789
    assert all(first[quantity.key] != "" for quantity in QUANTITIES)
    assert (second["status"], second["message"], second["lde_mm"]) == (
        "failed",
        "out of memory",
        "",
    )
    with pytest.raises(InputError, match="a folder to write into"):
        write_cases_csv(summarize(rows), tmp_path / "no" / "cases.csv")


def test_json_holds_all(tmp_path: Path) -> None:
    summary = summarize(ROWS)
    write_json(tmp_path / "all.json", records=ROWS, summary=summary)
    assert json.loads((tmp_path / "all.json").read_text()) == {"records": ROWS, "summary": summary}
