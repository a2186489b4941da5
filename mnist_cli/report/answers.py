"""What the network answered in a test or validation: collected and evaluated once, for all who show it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mnist_cli.data.batches import DigitBatches
from mnist_cli.data.datamodule import data_of
from mnist_cli.report.evaluation import EvaluationReport, evaluate
from mnist_cli.runs.directory import run_of


class Answers(Callback):
    """Keeps the logits of a test or validation, and makes the report of them before the other callbacks' end hooks.

    Args:
        changed: Settings of the network, loss and data set that are not those of the run, by short names.

    Attributes:
        report: The evaluation; on the main process only, once the test or validation has ended.
        images: What was read, uint8, shape (N, 28, 28).
        labels: The true classes, int64, shape (N,).
        probabilities: float32, shape (N, 10).
        places: Where each image is found, as in `test[17]`.
    """

    report: EvaluationReport
    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    places: Sequence[str]

    def __init__(self, changed: dict[str, Any] | None = None) -> None:
        self._changed = changed or {}
        self._batches: list[tuple[Tensor, Tensor]] = []

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.state.fn != "fit":
            self._batches.append((outputs.cpu(), batch[1].cpu()))

    on_validation_batch_end = on_test_batch_end

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluate(trainer, "test", "test/loss", data_of(trainer).test_set)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._evaluate(trainer, "validate", "val/loss", data_of(trainer).val_set)

    def _evaluate(self, trainer: pl.Trainer, stage: str, loss: str, digits: DigitBatches) -> None:
        batches, self._batches = self._batches, []
        logits, labels = gather(batches)
        if not trainer.is_global_zero:
            return
        probabilities = logits.float().softmax(1)
        self.images, self.places = digits.images[: len(labels)].squeeze(1).numpy(), digits.names
        self.labels, self.probabilities = labels.numpy(), probabilities.numpy()
        self.report = evaluate(
            probabilities,
            labels,
            stage=stage,
            checkpoint=str(trainer.ckpt_path) if trainer.ckpt_path else None,
            changed=self._changed,
            run=_run_name(trainer),
            dataset=data_of(trainer).dataset,
            loss=trainer.callback_metrics[loss].item(),
        )


def _run_name(trainer: pl.Trainer) -> str | None:
    """What the run of the tested weights is called: version_3, and the name that its user gave it."""
    run = run_of(Path(str(trainer.ckpt_path))) if trainer.ckpt_path else None
    return " ".join(filter(None, (run.path.name, run.name))) if run else None


def answers_of(trainer: pl.Trainer) -> Answers:
    """The trainer's collector; everything that shows an evaluation needs one before it in the list of callbacks."""
    return next(callback for callback in trainer.callbacks if isinstance(callback, Answers))  # type: ignore[attr-defined]


def collect_answers(trainer: Any) -> None:
    """Give a trainer that was not made by `mnist` a collector, before those that need it."""
    if not any(isinstance(callback, Answers) for callback in trainer.callbacks):
        trainer.callbacks = [Answers(), *trainer.callbacks]


def gather(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Join the batches of all processes, in the order of the data set.

    Each process has every world_size-th example (UnrepeatedDistributedSampler).

    Args:
        batches: What this process has: pairs of tensors of shapes (B, ...) and (B,).

    Returns:
        Tensors of shapes (N, ...) and (N,), the same on every process.
    """
    parts = [batches]
    if dist.is_available() and dist.is_initialized():
        parts = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(parts, batches)
    values, labels = (torch.cat([batch[i] for part in parts for batch in part]) for i in (0, 1))
    order = torch.cat([torch.arange(rank, len(labels), len(parts)) for rank in range(len(parts))]).argsort()
    return values[order], labels[order]
