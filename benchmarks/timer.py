"""A callback that says how long the parts of a run take."""

import json
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch


def _wait(trainer: pl.Trainer) -> None:
    """Until a GPU has done what it was given: it works on while the program does."""
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize()


class Timer(pl.Callback):
    """Writes seconds as JSON: of the whole fit, of its first step, of each epoch with its validation, of the test; and
    what came out.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.found: dict[str, Any] = {"epochs": []}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.found["first_batch_at"] = time.time()
        self._fit_began = self._epoch_began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if "first_step" not in self.found:
            _wait(trainer)
            self.found["first_step"] = time.perf_counter() - self._fit_began

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _wait(trainer)
        now = time.perf_counter()
        self.found["epochs"].append(now - self._epoch_began)
        self._epoch_began = now

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _wait(trainer)
        self.found |= {"fit": time.perf_counter() - self._fit_began, "steps": trainer.global_step}
        self._write()

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._test_began = time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.found |= {"test": time.perf_counter() - self._test_began}
        self.found |= {"accuracy": trainer.callback_metrics["test/acc"].item()}
        self._write()

    def _write(self) -> None:
        self.path.write_text(json.dumps(self.found))
