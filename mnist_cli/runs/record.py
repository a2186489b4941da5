"""The record of a run, `run.json`: its name, recipe and settings; when, where and with what versions it ran; its state.

`fit` writes it when it starts and when it ends. A process that is killed writes nothing, so whoever reads "running"
asks whether that process still lives.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mnist_cli.errors import UserError
from mnist_cli.files import json_text, write_whole

_PACKAGES = ("torch", "lightning", "mnist-cli")
_STATES = ("running", "finished", "stopped", "failed")
_OPTIONAL = ("name", "recipe", "ended", "problem")


@dataclass(frozen=True)
class Process:
    """A process, distinguished from a later one with the same number.

    Attributes:
        host: Name of the machine.
        machine: Its /etc/machine-id, where there is one.
        boot: The kernel's id of the time since the machine was started; empty on other systems than Linux.
        namespace: Within which its number counts: containers have numbers of their own.
        pid: Its number.
        began: When it began, as the system says it.
    """

    host: str
    machine: str
    boot: str
    namespace: str
    pid: int
    began: str

    @classmethod
    def this(cls) -> "Process":
        """The process that runs this line."""
        return cls(*_place(), os.getpid(), _began(os.getpid()))

    def alive(self) -> bool | None:
        """Whether it still runs; None if that cannot be seen from here, because it belongs to another machine."""
        host, machine, boot, namespace = _place()
        if self.boot != boot and (self.host, self.machine) == (host, machine):
            return False  # this machine has been started again since
        if (self.boot, self.namespace) != (boot, namespace) or (not boot and self.host != host) or not self.began:
            return None
        return self.began == _began(self.pid)


def _place() -> tuple[str, str, str, str]:
    """Host, machine, boot and namespace of this process."""
    machine, boot, namespace = "", "", ""
    with suppress(OSError):
        machine = Path("/etc/machine-id").read_text().strip()
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return os.uname().nodename, machine, boot, namespace


def _began(pid: int) -> str:
    """When a process began, in the system's own words; empty if there is none, or if it has ended."""
    if not Path("/proc/self/stat").exists():
        import subprocess

        with suppress(OSError):
            done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
            return done.stdout.strip()
        return ""
    try:
        # The name, in brackets, may hold blanks and brackets; state and time of start are the 1st and 20th field after.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # Z and X: dead, not yet collected


@dataclass(frozen=True)
class Record:
    """What is known of a run beside its figures.

    Attributes:
        started: When `fit` reserved the directory, ISO 8601 in UTC.
        process: That of the fit; of several the first.
        name: What the user called the run; None if nothing.
        recipe: Name of the file, or files, of settings.
        settings: All settings, as in config.yaml.
        versions: Of torch, lightning and mnist-cli; `commit` is that of the git repository of the current folder, or
            else of this package, with `-dirty` if files had been changed.
        state: running, finished, stopped or failed, as last written; `current_state` is as it is now.
        ended: When the fit ended, ISO 8601 in UTC; None if it runs, or was killed.
        problem: What made it fail.
    """

    started: str
    process: Process
    name: str | None = None
    recipe: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    state: str = "running"
    ended: str | None = None
    problem: str | None = None

    def current_state(self) -> str:
        """running, finished, stopped (also by a kill) or failed; unknown for a run on another machine."""
        if self.state != "running":
            return self.state
        return {True: "running", False: "stopped", None: "unknown"}[self.process.alive()]


_KINDS = {"process": Process, "settings": dict, "versions": dict}  # the others are text


def begin_record(file: Path, *, name: str | None, recipe: str | None, settings: dict[str, Any]) -> None:
    """Write that a run has begun, in this process."""
    versions = {package: version(package) for package in _PACKAGES}
    if commit := _commit():
        versions["commit"] = commit
    _write(file, Record(_now(), Process.this(), name, recipe, settings, versions))


def end_record(file: Path, state: str, problem: str | None = None) -> None:
    """Write how a run ended; where that is impossible, it will read as stopped when this process has gone."""
    with suppress(OSError, UserError):
        _write(file, Record(**{**vars(read_record(file)), "state": state, "ended": _now(), "problem": problem}))


def read_record(file: Path) -> Record:
    """Read a record.

    Raises:
        OSError: If there is none, or it cannot be read.
        UserError: If it is damaged.
    """
    try:
        content = json.loads(file.read_text())
        known = {key: content[key] for key in Record.__dataclass_fields__ if key in content}
        record = Record(**{**known, "process": Process(**known["process"])})
        for key, value in vars(record).items():
            if not isinstance(value, _KINDS.get(key, str)) and not (value is None and key in _OPTIONAL):
                raise ValueError(f"{key} is {value!r}"[:60])
        if record.state not in _STATES:
            raise ValueError(f"state is {record.state!r}"[:60])
        for time in filter(None, (record.started, record.ended)):
            datetime.fromisoformat(time)
        return record
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{file.name} is damaged ({error})") from error


def _write(file: Path, record: Record) -> None:
    write_whole(file, json_text(asdict(record)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _commit() -> str | None:
    import subprocess  # 10 ms, not needed to read records

    for folder in (Path.cwd(), Path(__file__).parent):
        with suppress(OSError, subprocess.SubprocessError):
            command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
            return subprocess.run(command, capture_output=True, text=True, timeout=2, check=True).stdout.strip()
    return None
