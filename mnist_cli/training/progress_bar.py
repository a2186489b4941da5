"""What a run shows while it works: a bar on a terminal, a line an epoch in a pipe or a log file."""

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import BatchesProcessedColumn
from lightning.pytorch.utilities import rank_zero_only
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from mnist_cli.runs.history import history_of


class DigitProgressBar(RichProgressBar):
    """Lightning's bar in one line of 80 columns, drawn four times a second rather than every few steps.

    Lightning's own hook costs more than a training step of a small network, whatever its refresh rate.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)  # times a second: at the end its thread sleeps on for one interval
        self._next_update = 0.0
        self._loss: float | None = None

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        return [
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            BatchesProcessedColumn(style=self.theme.batch_progress),
            TimeElapsedColumn(),
        ]

    def _get_train_description(self, current_epoch: int) -> str:
        """Epochs count from 1."""
        planned = self.trainer.max_epochs
        return f"Epoch {current_epoch + 1}" + (f"/{planned}" if planned and planned > 0 else "")

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The loss of the newest step, and the accuracy of the newest validation."""
        known = trainer.callback_metrics
        metrics: dict[str, Any] = {} if self._loss is None else {"loss": self._loss}
        return metrics | {name: known[name].item() for name in ("val/acc",) if name in known}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() >= self._next_update or batch_idx + 1 == trainer.num_training_batches:
            self._loss = outputs["loss"].item() if isinstance(outputs, dict) and "loss" in outputs else None
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_test_end(trainer, pl_module)
        self._stop_progress()  # what is printed from here on stands below the bar

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_predict_end(trainer, pl_module)
        self._stop_progress()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "validate":
            self._stop_progress()

    def refresh(self, hard: bool = False) -> None:
        now = time.monotonic()
        if hard or now >= self._next_update:
            super().refresh(hard)
            self._next_update = now + 0.25


class EpochLines(Callback):
    """Prints a line for every epoch, where no bar can be drawn."""

    def __init__(self) -> None:
        self._began = 0.0
        self._shown: int | None = None  # the last epoch that needs no line any more

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began, self._shown = time.monotonic(), trainer.current_epoch  # a resumed fit has epochs of another

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._print(trainer)
        self._began = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._print(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._print(trainer)  # an epoch that was stopped in its validation, which is finished first

    def _print(self, trainer: pl.Trainer) -> None:
        """Print the epoch that has ended."""
        epoch, planned = trainer.current_epoch, trainer.max_epochs
        if self._shown in (None, epoch):
            return
        row = next(reversed(history_of(trainer).rows), {})
        known = [name for name in ("train/loss", "train/acc", "val/loss", "val/acc") if name in row]
        if known and row["epoch"] == epoch:
            figures = ", ".join(f"{name} {row[name]:.4f}" for name in known)
            seconds = time.monotonic() - self._began
            of_all = f"/{planned}" if planned and planned > 0 else ""
            rank_zero_only(print)(f"epoch {epoch}{of_all}: {seconds:.1f} s, {figures}", flush=True)
            self._shown = epoch
