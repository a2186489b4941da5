"""A run in figures, read from the files of its directory alone; what cannot be read is named, the rest is shown."""

import csv
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mnist_cli.errors import UserError
from mnist_cli.runs.directory import Run
from mnist_cli.runs.record import Record, read_record

Row = dict[str, float]
_GROUPS = ("data", "model", "trainer", "checkpoint", "evaluation")


@dataclass
class TestResult:
    """What the newest evaluation on the test set found.

    Attributes:
        accuracy: Share in [0, 1].
        interval: The 95 % interval of that share; None if the number of images is not known.
        errors: Images read incorrectly.
        images: All images.
    """

    __test__ = False  # pytest would take it for a test
    accuracy: float
    interval: tuple[float, float] | None = None
    errors: int | None = None
    images: int | None = None


@dataclass
class RunSummary:
    """What is known of a run.

    Attributes:
        run: Its directory.
        label: What a table calls it: its number, after its root where there are several.
        record: What run.json says; None where there is none, as for an ensemble.
        settings: All settings, as in config.yaml.
        rows: The history: "epoch" counts from 1.
        test: Its test, if there was one.
        problems: What is damaged, as sentences without a full stop.
        notes: What has to be known to interpret the figures.
        written: When a file of the run was last written, in seconds since 1970.
    """

    run: Run
    label: str
    record: Record | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    test: TestResult | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    written: float = 0.0

    @property
    def state(self) -> str:
        """running, finished, stopped, failed; unknown (on another machine), unrecorded or damaged.

        Unrecorded is what has no run.json: an ensemble, a run of a plain Trainer, and one of version 0.1.0.
        """
        if self.problems:
            return "damaged"
        return self.record.current_state() if self.record else "unrecorded"

    @property
    def started(self) -> float:
        """In seconds since 1970."""
        return datetime.fromisoformat(self.record.started).timestamp() if self.record else self.written

    @property
    def seconds(self) -> float | None:
        """How long it ran: until its end, or until it last wrote something if it was killed."""
        if self.record is None:
            return None
        if self.record.ended:
            return datetime.fromisoformat(self.record.ended).timestamp() - self.started
        return (time.time() if self.state == "running" else self.written) - self.started

    @property
    def network(self) -> str | None:
        """Short name of the network's class."""
        net = (self.settings.get("model") or {}).get("net")
        path = net.get("class_path") if isinstance(net, dict) else net
        return str(path).rpartition(".")[2] if path else None

    @property
    def epochs(self) -> int:
        """How many were finished."""
        whole = [row for row in self.rows if any(name.startswith("train/") for name in row)]
        return int(max((row["epoch"] for row in whole or self.rows), default=0))

    @property
    def best(self) -> Row:
        """The row of the epoch that the run itself takes for its best; without validation its last."""
        usual = {"init_args": {"monitor": "val/loss", "mode": "min"}}
        chosen = (self.settings.get("checkpoint", usual) or {}).get("init_args") or {}
        return best_row(self.rows, chosen.get("monitor"), chosen.get("mode") or "min")


def best_row(rows: Sequence[Row], monitor: str | None, mode: str) -> Row:
    """The row with the best value of a metric; the last one if there is none, or no row has it; empty without rows."""
    known = [row for row in rows if monitor in row] or rows[-1:]
    sign = -1 if mode == "max" else 1
    return min(known, key=lambda row: sign * row.get(monitor or "", 0.0), default={})


def summarize(run: Run, label: str) -> RunSummary:
    """Read the files of a run."""
    summary = RunSummary(run, label)
    problems = summary.problems
    files = (run.record_file, run.metrics, run.config, run.checkpoint("last"))
    summary.written = max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
    with _noting(problems):
        if run.record_file.exists():
            summary.record = read_record(run.record_file)
            summary.settings = summary.record.settings
    with _noting(problems):
        if run.foreign_checkpoint():
            remedy = "give the file of its checkpoint to --ckpt_path"
            summary.notes.append(f"made by a Trainer without `mnist fit`; {remedy}")
            return summary
        if not run.config.is_file():
            problems.append("there is no config.yaml")
        elif not summary.settings:  # 2 ms, so only where run.json does not have them
            summary.settings = run.settings()
        summary.settings = _sound(summary.settings, problems)
    test_row: Row = {}
    with _noting(problems):
        if run.metrics.exists():
            summary.rows, test_row = _read_rows(run.metrics)
        elif summary.state == "finished":
            problems.append("there is no metrics.csv")
    with _noting(problems):
        _read_test(summary, test_row)
    if summary.state == "unknown" and summary.record:
        when = datetime.fromtimestamp(summary.written).strftime("%Y-%m-%d %H:%M")
        summary.notes.append(f"runs or ran on {summary.record.process.host}, and last wrote something {when}")
    if summary.state == "failed" and summary.record and summary.record.problem:
        summary.notes.append(" ".join(summary.record.problem.split()))
    return summary


def _sound(settings: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """The settings without groups that are none."""

    def is_group(value: Any) -> bool:
        return value is None or (isinstance(value, dict) and isinstance(value.get("init_args") or {}, dict))

    odd = [name for name in _GROUPS if not is_group(settings.get(name))]
    problems += [f"the settings are damaged ({name} is no group of settings)" for name in odd]
    return {name: value for name, value in settings.items() if name not in odd}


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problems.append(f"{Path(str(error.filename)).name} cannot be read ({error.strerror})")
    except UserError as error:
        problems.append(str(error).partition("; correct")[0])


def _read_rows(file: Path) -> tuple[list[Row], Row]:
    """The rows of the epochs, and that of the test."""
    rows: list[Row] = []
    test: Row = {}
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                row = {name: float(value) for name, value in line.items() if value}
                if not math.isfinite(row.get("epoch", 0.0)):
                    raise ValueError(f"epoch {row['epoch']}")
                if any(name.startswith("test/") for name in row):
                    test = row
                else:
                    rows.append({"epoch": row.pop("epoch"), **row})
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"metrics.csv is damaged ({error})") from error
    if rows and rows[0]["epoch"] == 0:  # version 0.1.0 counted from 0
        rows = [{**row, "epoch": row["epoch"] + 1} for row in rows]
    if not rows and not test:
        raise UserError("metrics.csv is damaged (it has no rows)")
    return rows, test


def _read_test(summary: RunSummary, row: Row) -> None:
    evaluation = (summary.settings.get("evaluation") or {}).get("init_args") or {}
    file = summary.run.path / f"{evaluation.get('name') or 'test'}.json"
    own = row.get("test/acc")
    if not file.exists():
        summary.test = None if own is None else TestResult(own)
        return
    try:
        report = json.loads(file.read_text())
        low, high = report["accuracy_interval_95"]
        accuracy, errors, images = float(report["accuracy"]), int(report["errors"]), int(report["images"])
        summary.test = TestResult(accuracy, (float(low), float(high)), errors, images)
        what = f"{Path(report['checkpoint']).stem} on {report['dataset']}"
    except (ValueError, TypeError, KeyError) as error:
        summary.test = None if own is None else TestResult(own)
        raise UserError(f"{file.name} is damaged ({error})") from error
    if own is not None and abs(own - accuracy) > 1e-6:
        summary.notes.append(
            f"the test is a later one, of {what}: {100 * accuracy:.2f} %; that of the fit gave {100 * own:.2f} %"
        )
    elif own is None and what.startswith("last ") and summary.run.checkpoint("best").is_file():
        summary.notes.append(f"the test is of {what}; the other figures are those of the best epoch")


def figure_of(summary: RunSummary, name: str) -> float | None:
    """`test/acc`, or a metric of the run's best epoch; None if it is not known."""
    if name == "test/acc":
        return summary.test.accuracy if summary.test else None
    return summary.best.get(name)
