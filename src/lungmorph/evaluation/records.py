"""What is known of one method on one case, kept as ``records/<case>/<method>.json``.

A record is a JSON object:

- ``case``, ``group``, ``patient``, ``method``, ``title`` (of the method);
- ``status``: "done", "failed" or "skipped" (not installed), with a ``message`` of one line;
- ``seconds`` of the whole process (median of ``all_seconds``), ``peak_mb``, ``steps`` (the method's own clock);
- ``settings``, ``versions``, ``masks`` ("dataset" or "automatic": what rivals and judge used), ``date``;
- ``judged``: what :func:`.judge.judge` found, None unless done;
- ``submitted``: name of the file for a challenge, or None;
- ``key``: changes with settings, versions and inputs; a record that is done and has the same key stands.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..files import replacing

Record = dict[str, Any]
DONE, FAILED, SKIPPED = "done", "failed", "skipped"


def write_record(out: Path, record: Record) -> None:
    """Write a record into the folder of an evaluation, whole or not at all.

    Raises:
        InputError: nothing can be written there.
    """
    path = record_path(out, record["case"], record["method"])
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record(out: Path, case: str, method: str) -> Record | None:
    """The record of a method on a case, or None if there is none that can be read."""
    return _read(record_path(out, case, method))


def read_records(out: Path) -> list[Record]:
    """All records in the folder of an evaluation, sorted by case and method."""
    paths = sorted((out / "records").glob("*/*.json"))
    return [record for path in paths if (record := _read(path)) is not None]


def record_path(out: Path, case: str, method: str) -> Path:
    """Where a record lies."""
    return out / "records" / file_name(case) / f"{file_name(method)}.json"


def file_name(name: str) -> str:
    """A name of a case as the name of a file or folder."""
    return quote(name, safe=" +,=@()")


def _read(path: Path) -> Record | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "status" in record else None
