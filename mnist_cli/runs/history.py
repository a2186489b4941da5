"""The history of a run: a row for each validation and epoch, kept in every checkpoint and in metrics.csv."""

import csv
import io
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mnist_cli.files import write_whole
from mnist_cli.runs.summary import Row, best_row


class History(Callback):
    """Keeps the metrics of a fit; curves, TensorBoard's hyperparameters and metrics.csv read them here.

    A resumed fit goes on with the rows of its checkpoint.

    Args:
        path: The CSV file; None keeps the rows in memory.

    Attributes:
        rows: In order; "epoch" counts from 1, "step" is the number of optimizer steps so far, the other names are those
            of the metrics. The last validation of an epoch is in the row of the epoch.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.rows: list[Row] = []
        self._test: Row = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._record(trainer, trainer.current_epoch, "val/")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._record(trainer, trainer.current_epoch - 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._record(trainer, trainer.current_epoch - 1)
        if self.rows:
            self._write(trainer, flush=True)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.fit_loop.epoch_loop.done and not trainer.validating:  # the epoch's own metrics are known
            self._record(trainer, trainer.current_epoch)
        checkpoint["history"] = self.rows

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != "fit":  # the test at the end of a fit loads an earlier epoch
            return
        rows = checkpoint.get("history", [])
        if isinstance(rows, dict):  # version 0.1.0 kept them by their epoch, counted from 0, and without the step
            steps = checkpoint["global_step"] // max(len(rows), 1)
            rows = [{**row, "epoch": n + 1, "step": (n + 1) * steps} for n, row in sorted(rows.items())]
        self.rows = list(rows)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._test = _metrics(trainer, "test/")
        self._write(trainer, flush=True)

    def best_row(self, monitor: str, mode: str) -> Row:
        """The row with the best value of a metric; the last one if none has it, empty without rows."""
        return best_row(self.rows, monitor, mode)

    def _record(self, trainer: pl.Trainer, epoch: int, stage: str = "") -> None:
        metrics = _metrics(trainer, stage)
        if epoch < 0 or not metrics:
            return
        place: Row = {"epoch": epoch + 1, "step": trainer.global_step}
        if not self.rows or self.rows[-1]["step"] != place["step"]:
            self.rows.append(place)
        if metrics.items() <= self.rows[-1].items():
            return
        self.rows[-1].update(metrics)
        self._write(trainer)

    def _write(self, trainer: pl.Trainer, *, flush: bool = False) -> None:
        """Between epochs it is not flushed: the next checkpoint, which is, has the rows of the epoch too."""
        if self.path is None or not trainer.is_global_zero:
            return
        rows = [*self.rows, *([self._test] if self._test else [])]
        names = sorted({name for row in rows for name in row} - {"epoch", "step"})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ("epoch", "step", *names))
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.path, text.getvalue(), flush=flush)


def _metrics(trainer: pl.Trainer, stage: str) -> Row:
    """The metrics that were logged for whole epochs; those of a stage, or all but of the validation.

    Trainer keeps those of the last validation, which may have been epochs ago.
    """
    return {
        name: to_number(value)
        for name, value in trainer.callback_metrics.items()
        if (name.startswith(stage) if stage else not name.startswith("val/")) and not name.endswith("_step")
    }


def to_number(value: Tensor) -> float:
    """A metric as the shortest decimal that 32 bits tell apart: 0.9625, where Python's is 0.9624999761581421."""
    return float(str(np.float32(value.item())))


def history_of(trainer: pl.Trainer) -> History:
    """The trainer's history; an empty one if it keeps none."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, History)), History())
