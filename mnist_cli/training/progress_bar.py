"""The progress bar."""

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar


class DigitProgressBar(RichProgressBar):
    """Lightning's bar, drawn four times a second rather than every few steps.

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
