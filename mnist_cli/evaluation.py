"""An honest evaluation: accuracy with its interval, every class, the confusions; as a table and as a file."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from mnist_cli.datamodule import data_of
from mnist_cli.runs import shown
from mnist_cli.sources import NUM_CLASSES, class_names


class OutputCollector(Callback):
    """Keeps what the network answered in `mnist test` and `mnist validate`, for subclasses to use at the end."""

    def __init__(self) -> None:
        self._outputs: list[tuple[Tensor, Tensor]] = []

    def _collect(self, trainer: pl.Trainer, logits: Tensor, labels: Tensor) -> None:
        if not trainer.sanity_checking and trainer.state.fn != "fit":
            self._outputs.append((logits.cpu(), labels.cpu()))

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._collect(trainer, outputs, batch[1])

    on_validation_batch_end = on_test_batch_end

    def take(self) -> tuple[Tensor, Tensor]:
        """Probabilities (N, 10) and labels (N,) of all processes, in the order of the data set; they are given once."""
        batches, self._outputs = self._outputs, []
        logits, labels = gather(batches)
        return logits.float().softmax(1), labels


def gather(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Join the batches of all processes, in the order of the data set.

    Each process has every world_size-th example (UnrepeatedDistributedSampler).
    """
    parts = [batches]
    if dist.is_available() and dist.is_initialized():
        parts = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(parts, batches)
    first, second = (torch.cat([batch[i] for part in parts for batch in part]) for i in (0, 1))
    order = torch.cat([torch.arange(rank, len(second), len(parts)) for rank in range(len(parts))]).argsort()
    return first[order], second[order]


class Evaluation(OutputCollector):
    """Prints a table of the test or the validation, and writes it as JSON.

    Args:
        name: Name of the file without `.json`, and of the figures; by default test or validate. What has the same name
            from an earlier evaluation is replaced.
        dirpath: Folder of the file; by default the run directory.
    """

    def __init__(self, name: str | None = None, dirpath: str | None = None) -> None:
        super().__init__()
        self.name = name
        self.dirpath = dirpath

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._report(trainer, "test", "test/loss")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._report(trainer, "validate", "val/loss")

    def _report(self, trainer: pl.Trainer, stage: str, loss: str) -> None:
        probabilities, labels = self.take()
        if not trainer.is_global_zero:
            return
        dataset = data_of(trainer).dataset
        report = {
            "stage": stage,
            "checkpoint": str(trainer.ckpt_path),
            "dataset": dataset,
            "loss": trainer.callback_metrics[loss].item(),
            **evaluate(probabilities, labels),
        }
        console = Console()
        with suppress(SystemExit):  # Rich's answer when the reader, such as `head`, has seen enough
            for part in render(report, class_names(dataset)):
                console.print(part, highlight=False, soft_wrap=isinstance(part, str))
        if self.dirpath:
            path = Path(self.dirpath) / f"{self.name or stage}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(report, indent=1) + "\n")
            console.print(f"written to {shown(path)}", highlight=False, soft_wrap=True)


def evaluate(probabilities: Tensor, labels: Tensor) -> dict[str, Any]:
    """Everything that the table shows.

    Args:
        probabilities: Shape (N, 10).
        labels: int64, shape (N,).

    Returns:
        Plain numbers and lists, ready for JSON; shares are in [0, 1].
    """
    counts = multiclass_confusion_matrix(probabilities, labels, NUM_CLASSES)
    precision, recall, f1 = (
        metric(probabilities, labels, NUM_CLASSES, average="none").tolist()
        for metric in (multiclass_precision, multiclass_recall, multiclass_f1_score)
    )
    images, right = int(counts.sum()), int(counts.diag().sum())
    wrong = counts - counts.diag().diag()
    worst = wrong.flatten().argsort(descending=True, stable=True)[:3].tolist()
    return {
        "images": images,
        "errors": images - right,
        "accuracy": right / images,
        "accuracy_interval_95": list(wilson_interval(right, images)),
        "expected_calibration_error": multiclass_calibration_error(
            probabilities, labels, NUM_CLASSES, n_bins=15
        ).item(),
        "classes": [
            {"images": int(counts[k].sum()), "precision": precision[k], "recall": recall[k], "f1": f1[k]}
            for k in range(NUM_CLASSES)
        ],
        "confusions": [
            {"true": at // NUM_CLASSES, "read_as": at % NUM_CLASSES, "count": int(wrong.flatten()[at])}
            for at in worst
            if wrong.flatten()[at]
        ],
        "confusion_matrix": counts.tolist(),
    }


def wilson_interval(right: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    share, z2 = right / total, z * z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def render(report: dict[str, Any], names: list[str]) -> list[str | Table]:
    """The report for a terminal."""
    low, high = (100 * bound for bound in report["accuracy_interval_95"])
    title = {"test": "Test", "validate": "Validation"}[report["stage"]]
    table = Table("class", "images", "precision", "recall", "F1")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in zip(names, report["classes"], strict=True):
        shares = (f"{100 * row[key]:.2f} %" for key in ("precision", "recall", "f1"))
        table.add_row(name, f"{row['images']:,}", *shares)
    confusions = ", ".join(
        f"{names[c['true']]} read as {names[c['read_as']]} ({c['count']})" for c in report["confusions"]
    )
    return [
        f"{title} on {report['images']:,} images of {report['dataset']}: accuracy {100 * report['accuracy']:.2f} % "
        f"(95 % interval {low:.2f} to {high:.2f}), {report['errors']:,} errors",
        f"loss {report['loss']:.4f}, expected calibration error {100 * report['expected_calibration_error']:.2f} %",
        table,
        f"most frequent confusions: {confusions or 'none'}",
    ]
