"""A dataset of one's own as a CSV: a row a pair, or a row a scan.

Paths are relative to the CSV. What is wrong with the table itself is refused; what is wrong with the
files of one case becomes a problem of that case.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..files.tables import number_of, read_table
from .case import Case, Dataset, LandmarkSet, Scan, natural_order, noted
from .image_scan import image_scan
from .landmark_files import pair_set, scan_set
from .phases import inhale_and_exhale, percent_of, phase_name
from .table_rows import KEYPOINTS, LANDMARKS, ROLES, STRUCTURE, TABLE_NAME, Row, checked_rows

SPLITS = ("train", "validation", "test")


def recognises(root: Path) -> bool:
    """Whether it is a CSV (or TSV), or a folder with one that is called ``dataset.csv``."""
    if root.is_file():
        return root.suffix.lower() in (".csv", ".tsv")
    return (root / TABLE_NAME).is_file()


def open_dataset(root: Path) -> Dataset:
    """Read a table of pairs (``id``, ``fixed``, ``moving``, ...) or of scans (``id``, ``image``, ...).

    Raises:
        InputError: no table; a column that is missing, unknown or there twice; a line with more cells
            than the header; an id that is missing, that cannot be part of a file name, or, in a table
            of pairs, that is there twice; two scans of one name in a case.
    """
    path = root / TABLE_NAME if root.is_dir() else root
    groups: dict[str, list[Row]] = defaultdict(list)
    pairs, rows = checked_rows(read_table(path))
    for row in rows:
        groups[row.get("id")].append(row)
    made = [_pair_case(rows) if pairs else _scans_case(rows) for rows in groups.values()]
    made.sort(key=lambda case: natural_order(case.id))
    return Dataset("table", "a table of one's own", root, tuple(made))


def _pair_case(rows: list[Row]) -> Case:
    row, *others = rows
    if others:
        raise InputError(
            others[0].where,
            expected="an id of its own",
            found=f"{row.get('id')!r}, as in line {row.line}",
        )
    problems: list[str] = []
    scans = []
    for role in ROLES:
        path = row.path(role)
        if path is None:
            problems.append(_lacks(row, f"a file in the column {role}"))
            continue
        scan = image_scan(
            role,
            path,
            problems,
            series=row.get(f"{role}_series") or None,
            percent=_percent(row, f"{role}_phase", problems),
            lungs=row.path(f"{role}_mask"),
        )
        scans += [scan] if scan else []
    return _case(rows, scans, ROLES, _pair_landmarks(row, scans, problems), problems)


def _pair_landmarks(row: Row, scans: list[Scan], problems: list[str]) -> list[LandmarkSet]:
    files = {role: path for role in ROLES if (path := row.path(f"{role}_landmarks"))}
    pairs = row.path("landmarks")
    if pairs and files:
        problems.append(
            f"{row.where}: expected landmarks, or fixed_landmarks and moving_landmarks, found both"
        )
        return []
    if pairs:
        return pair_set(pairs, *ROLES, problems)
    first = _first_index([row], problems)
    return _scan_set("landmarks", files, first, scans, problems) if files else []


def _scans_case(rows: list[Row]) -> Case:
    problems: list[str] = []
    scans: list[Scan] = []
    lines: dict[str, Row] = {}
    roles: dict[str, str] = {}
    for row in rows:
        percent = _percent(row, "phase", problems)
        name = row.get("scan") or ("" if percent is None else phase_name(percent))
        path = row.path("image")
        if not name or path is None:
            problems.append(
                _lacks(row, "a file in the column image" if name else "a phase, or a name in the column scan")
            )  # fmt: skip
            continue
        if name in lines:
            raise InputError(
                row.where,
                expected=f"one scan {name!r} of the case {row.get('id')}",
                found=f"another in line {lines[name].line}",
            )
        lines[name] = row
        _take_role(row, name, roles, problems)
        scan = image_scan(
            name,
            path,
            problems,
            series=row.get("series") or None,
            percent=percent,
            lungs=row.path("mask"),
            structures={n: row.file(STRUCTURE + n) for n in row.named(STRUCTURE)},
        )
        scans += [scan] if scan else []
    if not roles:
        roles = dict(
            zip(ROLES, inhale_and_exhale({s.name: s.percent for s in scans}) or (), strict=False)
        )
    if set(roles) != set(ROLES):
        problems.append(
            _lacks(rows[0], f"which scan of {rows[0].get('id')} is fixed and which is moving")
            + "; say it in the column role"
        )
    pair = (roles.get("fixed", ""), roles.get("moving", ""))
    return _case(rows, scans, pair, _scan_landmarks(lines, scans, problems), problems)


def _take_role(row: Row, name: str, roles: dict[str, str], problems: list[str]) -> None:
    role = row.get("role")
    if not role:
        return
    if role not in ROLES or role in roles:
        found = f"{role!r}" if role not in ROLES else f"{role} twice"
        problems.append(f"{row.where}: expected one scan fixed and one moving, found {found}")
        return
    roles[role] = name


def _scan_landmarks(
    lines: dict[str, Row], scans: list[Scan], problems: list[str]
) -> list[LandmarkSet]:
    columns = ["landmarks"]
    for row in lines.values():
        for prefix in (LANDMARKS, KEYPOINTS):
            columns += [prefix + name for name in row.named(prefix)]
    first = _first_index(list(lines.values()), problems)
    made = []
    for column in dict.fromkeys(columns):
        files = {scan: row.file(column) for scan, row in lines.items() if row.get(column)}
        made += _scan_set(column, files, first, scans, problems) if files else []
    return made


def _scan_set(
    column: str,
    files: dict[str, Path],
    first: int | None,
    scans: list[Scan],
    problems: list[str],
) -> list[LandmarkSet]:
    grids = {scan.name: scan.grid for scan in scans}
    expert = not column.startswith(KEYPOINTS)
    name = column.removeprefix(LANDMARKS).removeprefix(KEYPOINTS)
    return scan_set(name, files, grids, problems, first=first, expert=expert)


def _case(
    rows: list[Row],
    scans: list[Scan],
    pair: tuple[str, str],
    landmarks: list[LandmarkSet],
    problems: list[str],
) -> Case:
    told = {
        c: _common(rows, c, problems) for c in ("patient", "group", "split", "published_before")
    }
    where, line = rows[0].table, rows[0].line
    problems += _same_scans(rows[0].where, scans)
    split = told["split"].lower() or None
    if split not in (None, *SPLITS):
        problems.append(
            f"{rows[0].where}: expected a split of {', '.join(SPLITS)}, found {split!r}"
        )
        split = None
    published = None
    if told["published_before"]:
        published = noted(problems, partial(number_of, where, line, told["published_before"]))
    case = rows[0].get("id")
    return Case(
        id=case,
        patient=told["patient"] or case,
        scans=tuple(scans),
        fixed=pair[0],
        moving=pair[1],
        landmark_sets=tuple(landmarks),
        group=told["group"],
        split=split,
        published_before_mm=published,
        published_decimals=len(told["published_before"].partition(".")[2]),
        problems=tuple(problems),
        notes=tuple(dict.fromkeys(row.get("comment") for row in rows if row.get("comment"))),
    )


def _same_scans(where: str, scans: list[Scan]) -> list[str]:
    """A line for every scan that is another one once more: registered with itself it would look perfect."""
    names: dict[tuple[Path, str], str] = {}
    lines = []
    for scan in scans:
        first = names.setdefault((scan.source.resolve(), scan.part), scan.name)
        if first != scan.name:
            lines.append(
                f"{where}: expected different scans as {first} and {scan.name}, found {scan.source} twice"
            )
    return lines


def _common(rows: list[Row], column: str, problems: list[str]) -> str:
    """What the rows of a case say of the case; empty cells agree with anything."""
    said = list(dict.fromkeys(row.get(column) for row in rows if row.get(column)))
    if len(said) > 1:
        problems.append(
            f"{rows[0].where}: expected one {column} for the case, found {', '.join(said)}"
        )
    return said[0] if said else ""


def _percent(row: Row, column: str, problems: list[str]) -> float | None:
    cell = row.get(column)
    return noted(problems, partial(percent_of, cell, row.where)) if cell else None


def _first_index(rows: list[Row], problems: list[str]) -> int | None:
    """Where the lists of voxel indices of a case start to count."""
    cell = _common(rows, "first_index", problems) if rows else ""
    if cell not in ("", "0", "1"):
        problems.append(f"{rows[0].where}: expected a first_index of 0 or 1, found {cell!r}")
        return None
    return int(cell) if cell else None


def _lacks(row: Row, what: str) -> str:
    return f"{row.where}: expected {what}, found nothing"
