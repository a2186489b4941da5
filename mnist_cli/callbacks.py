"""What happens beside the training: progress, the table of metrics, predictions."""

import csv
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from mnist_cli.sources import NUM_CLASSES


class DigitProgressBar(RichProgressBar):
    """Lightning's bar without the version number, which the run directory has."""

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
        if not metrics.keys() - {"epoch"}:
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

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        indices, probabilities = (torch.cat(parts) for parts in gather(self._batches))
        self._batches.clear()
        if not trainer.is_global_zero:
            return
        order = indices.argsort()
        path = Path(self.path or "predictions.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "digit", "probability", *(f"p{digit}" for digit in range(NUM_CLASSES))])
            for index, row in zip(indices[order].tolist(), probabilities[order].tolist(), strict=True):
                best = max(range(NUM_CLASSES), key=row.__getitem__)
                writer.writerow([index, best, f"{row[best]:.6f}", *(f"{p:.6f}" for p in row)])
        print(f"{len(indices):,} predictions are in {path}")


def gather(batches: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """The first and the second tensors of all batches, of all processes."""
    parts = [batches]
    if dist.is_available() and dist.is_initialized():
        parts = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(parts, batches)
    first, second = zip(*(batch for part in parts for batch in part), strict=True)
    return list(first), list(second)
