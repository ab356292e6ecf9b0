"""All methods on all cases: register, judge, keep; what is done is not done again."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from ..datasets import Case
from ..datasets.learn2reg_submission import write_submission
from ..files import read_transform
from .inputs import Inputs, identity, prepare
from .judge import judge
from .methods import Method, PairFiles
from .process import Measured, measured
from .records import DONE, FAILED, SKIPPED, Record, file_name, read_record, write_record
from .trouble import MethodError, failure, one_line

#: Raised when the meaning of a figure in a record changes: older records are then made anew.
RECORD_FORMAT = 2


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        backward: register also moving to fixed, independently, for the inverse consistency; None: where
            there are no landmarks. Never part of the time.
        repeats: seconds are the median of so many registrations.
        threads: for every method.
        keep: leave input files and results in ``work/``.
        submission: folder for the fields of LungMorph as the Learn2Reg challenge takes them, one folder a preset.
    """

    backward: bool | None = None
    repeats: int = 1
    threads: int = 1
    keep: bool = False
    submission: Path | None = None


@dataclass(frozen=True)
class Progress:
    """Where an evaluation stands.

    Attributes:
        case, method: being registered now.
        done, total: of all pairs of a case and a method.
        seconds_left: as far as can be told from the registrations so far.
        finished: the record that has just been made.
    """

    case: str
    method: str
    done: int
    total: int
    seconds_left: float | None = None
    finished: Record | None = None


def evaluate(
    cases: Sequence[Case],
    methods: Sequence[Method],
    out: str | Path,
    options: Options | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[Record]:
    """Register the default pair of every case with every method, in turn, and judge the results.

    Methods alternate within a case, so that a machine that gets slower does so for all. Every registration is a
    process of its own on the same files. Records (see :mod:`.records`) are written into ``out`` one by
    one; those that are done already, with the same settings, versions and inputs, are taken from there.
    What goes wrong with a case or a method becomes its record, and the rest goes on.

    Returns:
        One record for each case and method, in this order.

    Raises:
        InputError: nothing can be written into ``out``.
    """
    run = _Run(Path(out), tuple(methods), options or Options(), progress, len(cases))
    try:
        return [record for case in cases for record in run.case(case)]
    finally:
        with suppress(OSError):
            (run.out / "work").rmdir()  # unless something was to be kept


@dataclass
class _Run:
    out: Path
    methods: tuple[Method, ...]
    options: Options
    progress: Callable[[Progress], None] | None
    cases: int
    done: int = 0
    #: wall seconds of all that was done for a case, by method
    spent: dict[str, list[float]] = field(default_factory=dict)

    def case(self, case: Case) -> list[Record]:
        """The records of all methods on a case."""
        records: dict[str, Record] = {}
        keys: dict[str, str] = {}
        trouble = ""
        try:
            inputs = identity(case)
            keys = {method.name: self._key(case, method, inputs) for method in self.methods}
        except Exception as error:
            trouble = one_line(error)
        for method in self.methods:
            found = read_record(self.out, case.id, method.name)
            if found and self._stands(method, found, keys.get(method.name)):
                records[method.name] = found
                self._tell(case, method, None)
            elif method.missing:
                # what it did while it was installed stays
                keep = found is not None and found["status"] == DONE
                self._finish(case, method, records, keep, status=SKIPPED, message=method.missing)
        todo = [method for method in self.methods if method.name not in records]
        folder = self.out / "work" / file_name(case.id)
        try:
            if todo and not trouble:
                try:
                    ready = prepare(case, folder)
                except Exception as error:
                    trouble = one_line(error)
                else:
                    self._register(case, todo, ready, folder, keys, records)
            if trouble:
                for method in todo:
                    self._finish(case, method, records, status=FAILED, message=trouble)
        finally:
            if not self.options.keep:
                shutil.rmtree(folder, ignore_errors=True)
        return [records[method.name] for method in self.methods]

    def _register(
        self,
        case: Case,
        todo: Sequence[Method],
        ready: Inputs,
        folder: Path,
        keys: dict[str, str],
        records: dict[str, Record],
    ) -> None:
        """All methods in turn, as often as asked; each is judged after its last time."""
        runs: dict[str, list[Measured]] = {method.name: [] for method in todo}
        for turn in range(1, self.options.repeats + 1):
            for method in todo:
                if method.name in records:
                    continue  # failed in an earlier turn
                began = time.perf_counter()
                self._tell(case, method, None, begins=True)
                try:
                    out = folder / method.name
                    runs[method.name].append(self._once(case, method, ready.files, out))
                    if turn < self.options.repeats:
                        continue
                    made = self._judged(case, method, ready, out)
                except Exception as error:
                    made = {"status": FAILED, "message": self._explained(error, ready)}
                finally:
                    self.spent.setdefault(method.name, []).append(time.perf_counter() - began)
                self._finish(
                    case, method, records, key=keys[method.name], runs=runs[method.name],
                    masks="dataset" if ready.files.masks_given else "automatic", **made,
                )  # fmt: skip
                if not self.options.keep:
                    shutil.rmtree(folder / method.name, ignore_errors=True)

    def _once(self, case: Case, method: Method, files: PairFiles, out: Path) -> Measured:
        shutil.rmtree(out, ignore_errors=True)
        command = method.command(files, out, self.options.threads)
        log_file = self.out / "logs" / file_name(case.id) / f"{out.name}.txt"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        found = measured(command, log_file, threads=self.options.threads)
        if found.code != 0:
            raise MethodError(failure(method, found, log_file))
        return found

    def _judged(self, case: Case, method: Method, ready: Inputs, out: Path) -> dict[str, Any]:
        backward = None
        if self._backward(case):
            back = out.with_name(f"{out.name}-back")
            try:
                self._once(case, method, ready.files.swapped(), back)
                backward = read_transform(method.transform(back))
            finally:
                if not self.options.keep:
                    shutil.rmtree(back, ignore_errors=True)
        transform = read_transform(method.transform(out))
        found = judge(
            ready.fixed,
            ready.moving,
            ready.fixed_lungs,
            ready.moving_lungs,
            transform,
            landmarks=ready.landmarks,
            backward=backward,
        )
        made = {"status": DONE, "judged": found, "steps": method.steps(out)}
        if self.options.submission and method.own:
            folder = self.options.submission / method.name
            made["submitted"] = write_submission(folder, case, transform).name
        return made

    def _stands(self, method: Method, found: Record, key: str | None) -> bool:
        """Whether a record needs nothing more."""
        if found["status"] != DONE or found.get("key") != key:
            return False
        if not (self.options.submission and method.own):
            return True
        name = found.get("submitted")
        return bool(name) and (self.options.submission / method.name / str(name)).is_file()

    def _backward(self, case: Case) -> bool:
        if self.options.backward is not None:
            return self.options.backward
        return case.landmarks(case.fixed, case.moving) is None

    def _key(self, case: Case, method: Method, inputs: dict[str, Any]) -> str:
        options = {**asdict(self.options), "backward": self._backward(case)}
        del options["keep"], options["submission"]  # what is left of a run, not what it finds
        parts = [RECORD_FORMAT, method.settings, method.versions, inputs, options]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def _finish(
        self,
        case: Case,
        method: Method,
        records: dict[str, Record],
        keep: bool = False,
        *,
        status: str,
        message: str = "",
        key: str = "",
        runs: Sequence[Measured] = (),
        masks: str | None = None,
        steps: dict[str, float] | None = None,
        judged: dict[str, Any] | None = None,
        submitted: str | None = None,
    ) -> None:
        seconds = [round(one.seconds, 3) for one in runs]
        record: Record = {
            "case": case.id,
            "group": case.group,
            "patient": case.patient,
            "method": method.name,
            "title": method.title,
            "status": status,
            "message": message,
            "seconds": median(seconds) if seconds else None,
            "all_seconds": seconds,
            "peak_mb": round(max(one.peak_mb for one in runs), 1) if runs else None,
            "steps": steps or {},
            "settings": method.settings,
            "versions": method.versions,
            "masks": masks,
            "threads": self.options.threads,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "judged": judged,
            "submitted": submitted,
            "key": key,
        }
        if not keep:
            write_record(self.out, record)
        records[method.name] = record
        self._tell(case, method, record)

    def _tell(
        self, case: Case, method: Method, finished: Record | None, begins: bool = False
    ) -> None:
        self.done += not begins
        if self.progress is None:
            return
        total = self.cases * len(self.methods)
        self.progress(
            Progress(case.id, method.title, self.done, total, self._seconds_left(), finished)
        )

    def _seconds_left(self) -> float | None:
        """Every method takes as long as it did so far; those that are new, as long as all."""
        if not self.spent:
            return None
        usual = {name: mean(seconds) for name, seconds in self.spent.items()}
        round_of_all = sum(
            0.0 if m.missing else usual.get(m.name, mean(usual.values())) for m in self.methods
        )
        left = self.cases - self.done / len(self.methods)
        return left * round_of_all * self.options.repeats

    def _explained(self, error: Exception, ready: Inputs) -> str:
        text = one_line(error)
        for path, source in ready.sources.items():
            text = text.replace(path, source)
        return text
