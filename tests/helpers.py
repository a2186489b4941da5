"""What tests of several parts use: short runs, and readers of what a run leaves."""

import csv
import os
import signal
from pathlib import Path

import lightning.pytorch as pl
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_cli.command.parts import PARTS

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.yaml") if not path.stem.startswith("search_"))
RUN = Path("lightning_logs/version_0")
# A tenth of an epoch of the 60,000, then a test on all 10,000: enough to read most digits.
SHORT = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "40", "--trainer.enable_progress_bar", "false"]
QUICK = [*SHORT, "--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
# Without the callbacks that only show something.
BARE = [f"--{name}=null" for name in PARTS if name not in ("checkpoint", "early_stopping")]

# The smallest search: its options, and its space.
TINY = [
    "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=5",
    "--trainer.limit_val_batches=1",
    "--trainer.limit_test_batches=1",
    "--trainer.logger=false",
    "--figures=null",
    "--model.net.hidden_sizes=[16]",
]
SPACE = "space: {model.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}, data.batch_size: {values: [64, 128]}}"


def rows(path):
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def metrics(run=RUN):
    """Rows of a run's metrics.csv."""
    return rows(Path(run) / "metrics.csv")


def events(run):
    """What a run wrote for TensorBoard."""
    accumulator = EventAccumulator(str(run), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    return accumulator.Reload()


class StopAt(pl.Callback):
    """Sends the process a signal after a step, once."""

    def __init__(self, step: int, number: int = int(signal.SIGTERM)) -> None:
        self.step = step
        self.number = number

    @property
    def state_key(self) -> str:
        return f"StopAt {self.step}"

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step and not trainer.fit_loop._should_accumulate():
            os.kill(os.getpid(), self.number)


class StopInValidation(StopAt):
    """Sends the process a signal in the validation after a step."""

    on_train_batch_end = pl.Callback.on_train_batch_end

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        if trainer.global_step == self.step and batch_idx == 0:
            os.kill(os.getpid(), self.number)


def stop_at(*steps, kind="StopAt"):
    """The entry of --trainer.callbacks that stops a fit and those that go on with it."""
    return ", ".join(f"{{class_path: helpers.{kind}, init_args: {{step: {step}}}}}" for step in steps)
