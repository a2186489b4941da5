"""The run directory: its layout, and which run is chosen. Nothing else knows the names of its files.

lightning_logs/version_7/
    config.yaml             complete: `mnist fit --config` on it repeats the run
    checkpoints/best.ckpt   monitored (val/loss by default), replaced in place
    checkpoints/last.ckpt   every epoch, unmonitored
    metrics.csv             a row an epoch; the test row last
    events.out.tfevents.*   TensorBoard, with hparams.yaml
    figures/*.png           what the run looks like
    test.json               the newest evaluation on the test set (validate.json: on the validation split)
    predictions.csv         the newest predictions, and predictions.png, the least certain of them
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from mnist_cli.errors import UserError
from mnist_cli.runs.settings import Settings, load_settings

RUNS = "lightning_logs"


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
        return load_settings(self.config.read_text(), str(shown(self.config))) if self.config.is_file() else {}

    def checkpoint(self, name: str) -> Path:
        """The file of the checkpoint `best` or `last`."""
        return self.checkpoints / f"{name}.ckpt"

    def discard_if_empty(self) -> None:
        """Remove the directory of a run that ended before its first epoch did."""
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
        wanted: `best` or `last` (of the newest run that has a checkpoint), a file, or a run directory.
        root: Folder that holds `lightning_logs`.
        resume: Of a run directory take the last checkpoint, not the best.

    Raises:
        UserError: If there is no such checkpoint.
    """
    if wanted in ("best", "last"):
        logs = root / RUNS
        for number in sorted(_numbers(logs), reverse=True):
            # A run without validation has nothing to choose by: its last checkpoint is its best.
            for name in dict.fromkeys([wanted, "last"]):
                file = Run(logs / f"version_{number}").checkpoint(name)
                if file.is_file():
                    return file
        raise UserError(
            f"--ckpt_path {wanted}: no run in {logs} has a checkpoint; "
            "train one with `mnist fit --config configs/default.yaml`, or give a checkpoint file or a run directory."
        )
    path = Path(wanted)
    if path.is_file():
        return path
    if path.is_dir():
        for name in ("last", "best") if resume else ("best", "last"):
            for file in (Run(path).checkpoint(name), path / f"{name}.ckpt"):
                if file.is_file():
                    return file
        raise UserError(
            f"--ckpt_path {wanted}: the directory has no checkpoints/best.ckpt; give a run directory or a file."
        )
    raise UserError(
        f"--ckpt_path {wanted}: there is no such file; give best, last, a checkpoint file or a run directory."
    )


def shown(path: Path) -> Path:
    """A path as the user would write it: from the current folder, if it lies there."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path


def run_of(checkpoint: Path) -> Run | None:
    """The run that a checkpoint lies in, or None for a file that stands alone."""
    folder = checkpoint.absolute().parent
    run = Run(folder.parent)
    return run if folder == run.checkpoints else None


def _numbers(logs: Path) -> list[int]:
    names = (path.name.removeprefix("version_") for path in logs.glob("version_*"))
    return [int(name) for name in names if name.isdecimal()]
