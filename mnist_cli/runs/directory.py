"""The run directory: its layout, and which run is chosen. The names of its files are here.

lightning_logs/version_7/
    config.yaml             complete: `mnist fit --config` on it repeats the run
    run.json                name, recipe, state, times, process and versions, and the settings once more
    checkpoints/best.ckpt   monitored (val/loss by default), replaced in place
    checkpoints/last.ckpt   every epoch, unmonitored
    metrics.csv             a row an epoch; the test row last
    events.out.tfevents.*   TensorBoard, with hparams.yaml
    figures/*.png           what the run looks like
    test.json               the newest evaluation on the test set (validate.json: on the validation split)
    predictions.csv         the newest predictions, and predictions.png, the least certain of them
"""

import difflib
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mnist_cli.errors import UserError
from mnist_cli.runs.record import Record, read_record
from mnist_cli.runs.short_names import Settings

RUNS = "lightning_logs"
_NUMBER = re.compile(r"(?:version_)?(\d{1,9})", re.ASCII)
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Run:
    """One training run and what it left.

    Attributes:
        path: The run directory.
    """

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def record_file(self) -> Path:
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.csv"

    @property
    def contact_sheet(self) -> Path:
        return self.path / "predictions.png"

    def settings(self) -> Settings:
        """What config.yaml says; nothing if it is not there."""
        from mnist_cli.runs.settings import read_settings  # with YAML, which `mnist runs` can do without

        return read_settings(self.config, str(shown(self.config))) if self.config.is_file() else {}

    def record(self) -> Record | None:
        """What run.json says; None if it is not there or damaged, as in runs of version 0.1.0."""
        try:
            return read_record(self.record_file)
        except (OSError, UserError):
            return None

    @property
    def name(self) -> str | None:
        """What the user called it."""
        record = self.record()
        return record.name if record else None

    def checkpoint(self, name: str) -> Path:
        """The file of the checkpoint `best` or `last`."""
        return self.checkpoints / f"{name}.ckpt"

    def foreign_checkpoint(self) -> Path | None:
        """The newest checkpoint of a run that a Trainer made without `mnist fit`, under other names; else None."""
        own = (self.config, self.record_file, self.checkpoint("best"), self.checkpoint("last"))
        if any(file.exists() for file in own):
            return None
        return max(self.checkpoints.glob("*.ckpt"), key=lambda file: file.stat().st_mtime, default=None)

    def discard_if_empty(self) -> None:
        """Remove the directory of a run that ended before there was anything to go on from."""
        if not any(self.checkpoints.glob("*.ckpt")) and not self.metrics.exists():
            shutil.rmtree(self.path, ignore_errors=True)


def reserve_run(root: Path) -> Run:
    """Make the next free run directory; two processes at once never get the same one.

    Args:
        root: Folder that holds, or is to hold, `lightning_logs`.

    Raises:
        UserError: If the directory cannot be made.
    """
    logs = root / RUNS
    try:
        logs.mkdir(parents=True, exist_ok=True)
        number = max(_numbers(logs), default=-1) + 1
        while True:
            try:
                (logs / f"version_{number}").mkdir()  # fails where another process was faster
            except FileExistsError:
                number += 1
            else:
                return Run(logs / f"version_{number}")
    except OSError as error:
        raise UserError(
            f"no run directory can be made in {logs} ({error.strerror}); "
            "choose another place with --trainer.default_root_dir."
        ) from error


def find_checkpoint(wanted: str, root: Path, *, resume: bool = False) -> Path:
    """Turn what the user gave for `--ckpt_path` into a file.

    Args:
        wanted: `best` or `last` (of the newest run that has a checkpoint), a file, a run directory, or a run by its
            name, by its number or as `version_3`; of several runs with one name the newest that has a checkpoint.
        root: Folder that holds `lightning_logs`.
        resume: Of a run take the last checkpoint, not the best.

    Raises:
        UserError: If there is no such checkpoint.
    """
    if not wanted:  # as a path it would be the current folder
        raise UserError("--ckpt_path is empty; give best, last, a run or a file, or leave it out.")
    if wanted in ("best", "last"):
        for run in runs_in(root):
            # A run without validation has nothing to choose by: its last checkpoint is its best. A run that was killed
            # between the two files of its first epoch has the best only: it is its last too.
            for name in dict.fromkeys([wanted, "last", "best"]):
                if run.checkpoint(name).is_file():
                    return run.checkpoint(name)
        raise UserError(
            f"--ckpt_path {wanted}: no run in {root / RUNS} has a checkpoint; "
            "train one with `mnist fit --config configs/default.yaml`, or give a checkpoint file or a run directory."
        )
    path = Path(wanted)
    if path.is_file():
        return path
    called = find_runs(wanted, root)
    for run in (Run(path), *called):
        for name in ("last", "best") if resume else ("best", "last"):
            for file in (run.checkpoint(name), run.path / f"{name}.ckpt"):
                if file.is_file():
                    return file
    if called:
        foreign = called[0].foreign_checkpoint()
        remedy = f"no best.ckpt; give its file, {shown(foreign)}." if foreign else "no checkpoint; give another run."
        raise UserError(f"--ckpt_path {wanted}: run {called[0].path.name} has {remedy}")
    if path.is_dir():
        raise UserError(
            f"--ckpt_path {wanted}: the directory has no checkpoints/best.ckpt; give a run directory or a file."
        )
    if near := nearest_run(wanted, root):
        raise UserError(f"--ckpt_path {wanted}: there is no such file or run; did you mean {near}?")
    raise UserError(
        f"--ckpt_path {wanted}: there is no such file or run; give best, last, a checkpoint file, a run directory, "
        "or the name or number of a run."
    )


def runs_in(root: Path) -> Iterator[Run]:
    """The runs in `lightning_logs`, the newest first."""
    return (Run(root / RUNS / f"version_{number}") for number in sorted(_numbers(root / RUNS), reverse=True))


def find_runs(wanted: str, root: Path) -> list[Run]:
    """The run with a number (`3` or `version_3`), or the runs with a name, the newest first."""
    if found := _NUMBER.fullmatch(wanted):
        return [run for run in runs_in(root) if run.path.name == f"version_{int(found[1])}"]
    return [run for run in runs_in(root) if run.name == wanted]


def nearest_run(wanted: str, root: Path) -> str | None:
    """The name, or `version_3`, that was probably meant."""
    runs = list(runs_in(root))
    names = [run.name for run in runs if run.name] + [run.path.name for run in runs]
    return next(iter(difflib.get_close_matches(wanted, names, n=1)), None)


def check_name(name: str) -> None:
    """Check that a run can be called so, and be found by it.

    Raises:
        UserError: If the name means something else for `--ckpt_path`, or would look odd in a table.
    """
    if name in ("best", "last") or _NUMBER.fullmatch(name):
        raise UserError(f"--name {name}: for --ckpt_path that word means something else; choose another name.")
    if not re.fullmatch(r"\w[\w.,+=@ -]*", name) or name.endswith((" ", ".ckpt")) or len(name) > _LONGEST_NAME:
        raise UserError(
            f"--name {name[:100]!r}: give letters, digits and any of _-.,+=@ between them, at most {_LONGEST_NAME}, "
            "such as warmup-test."
        )


def shown(path: Path) -> Path:
    """A path as the user would write it: from the current folder, if it lies there."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path


def ckpt_option(run: Run, file: Path | None = None) -> str:
    """How a command of the user's finds a run, or a file of it, from the current folder; as a shell reads it."""
    logs = run.path.absolute().parent
    names = {"--ckpt_path": shown(file or run.path)}
    if logs.name == RUNS and logs.parent != Path.cwd():
        names["--trainer.default_root_dir"] = shown(logs.parent)
    return " ".join(f"{name} {shlex.quote(str(path))}" for name, path in names.items())


def run_of(checkpoint: Path) -> Run | None:
    """The run that a checkpoint lies in, or None for a file outside any run."""
    folder = checkpoint.absolute().parent
    run = Run(folder.parent)
    return run if folder == run.checkpoints else None


def is_own(checkpoint: Path, root: Path) -> bool:
    """Whether a checkpoint lies in a run of this folder; elsewhere it may be a stranger's."""
    return Path(os.path.abspath(checkpoint)).is_relative_to(os.path.abspath(root / RUNS))  # noqa: PTH100  without ..


def _numbers(logs: Path) -> list[int]:
    names = (path.name.removeprefix("version_") for path in logs.glob("version_*"))
    return [int(name) for name in names if name.isdecimal()]
