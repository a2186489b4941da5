"""The progress bar, and the table of metrics in the run directory."""

import csv
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only


class DigitProgressBar(RichProgressBar):
    """Lightning's bar, drawn four times a second rather than every few steps, and without the version number.

    Lightning's own hook costs more than a training step of a small network, whatever its refresh rate.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)  # times a second: at the end its thread sleeps on for one interval
        self._next_update = 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() >= self._next_update or batch_idx + 1 == trainer.num_training_batches:
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

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}


class EpochCSVLogger(Logger):
    """metrics.csv with a row an epoch, and a last row for the test; values of single steps stay out.

    Args:
        path: The file; by default metrics.csv in the run directory.
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__()
        self._path = Path(path or "metrics.csv")
        self._rows: dict[str, dict[str, Any]] = {}

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        metrics = {name: value for name, value in metrics.items() if not name.endswith("_step")}
        if "epoch" not in metrics or len(metrics) == 1:  # without an epoch they are values of a step too
            return
        row = "test" if any(name.startswith("test/") for name in metrics) else str(metrics["epoch"])
        self._rows.setdefault(row, {}).update(metrics, step=step)
        names = ("epoch", "step", *sorted({name for row in self._rows.values() for name in row} - {"epoch", "step"}))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._rows.values())

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml has them all."""
