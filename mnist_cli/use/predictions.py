"""Predictions as a CSV file."""

import csv
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mnist_cli.digits import NUM_CLASSES
from mnist_cli.report.answers import gather
from mnist_cli.runs.directory import shown


class PredictionWriter(Callback):
    """Writes a CSV file: index of the image, digit, its probability, and the ten probabilities.

    Args:
        path: The file; by default predictions.csv in the checkpoint's run directory.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._batches: list[tuple[Tensor, Tensor]] = []

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._batches.append((batch[1].cpu(), outputs.cpu()))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        batches, self._batches = self._batches, []
        indices, probabilities = gather(batches)
        if not trainer.is_global_zero:
            return
        path = Path(self.path or "predictions.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "digit", "probability", *(f"p{digit}" for digit in range(NUM_CLASSES))])
            for index, row in zip(indices.tolist(), probabilities.tolist(), strict=True):
                best = max(range(NUM_CLASSES), key=row.__getitem__)
                writer.writerow([index, best, f"{row[best]:.6f}", *(f"{p:.6f}" for p in row)])
        print(f"{len(indices):,} predictions are in {shown(path)}")
