"""An evaluation: accuracy with its interval, every class, the confusions. Pure functions from tensors to a report."""

import math
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from mnist_cli.digits import NUM_CLASSES


@dataclass(frozen=True)
class ClassReport:
    """One class: its images, and shares in [0, 1]."""

    images: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Confusion:
    """How many images of the class `true` were read as the class `read_as`."""

    true: int
    read_as: int
    count: int


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found; its fields are the keys of `test.json`.

    Attributes:
        stage: test or validate.
        checkpoint: File of the weights; None for those in memory.
        run: Name of its run; None if it lies in none.
        changed: Settings of the network, loss and data set that are not those of the run, by short names.
        dataset: Name or path of the data set.
        loss: Mean loss.
        images: Number of images.
        errors: Number of images read incorrectly.
        accuracy: Share of images read correctly, in [0, 1].
        accuracy_interval_95: Wilson's interval of that share.
        expected_calibration_error: With 15 bins, in [0, 1].
        classes: One entry per class.
        confusions: The three most frequent ones.
        confusion_matrix: Numbers of images; a row is a true class, a column a predicted one.
    """

    stage: str
    checkpoint: str | None
    run: str | None
    changed: dict[str, Any]
    dataset: str
    loss: float
    images: int
    errors: int
    accuracy: float
    accuracy_interval_95: tuple[float, float]
    expected_calibration_error: float
    classes: list[ClassReport]
    confusions: list[Confusion]
    confusion_matrix: list[list[int]]

    @property
    def source(self) -> str:
        """Stage, data set and run in a line, for the titles of figures."""
        run = f", run {self.run}" if self.run else ""
        return f"{_STAGES[self.stage]} on {self.dataset}{run}"


_STAGES = {"test": "Test", "validate": "Validation"}


def evaluate(
    probabilities: Tensor,
    labels: Tensor,
    *,
    stage: str,
    checkpoint: str | None,
    dataset: str,
    loss: float,
    run: str | None = None,
    changed: dict[str, Any] | None = None,
) -> EvaluationReport:
    """Evaluate the answers to a set of images.

    Args:
        probabilities: float, shape (N, 10), N at least 1.
        labels: The true classes, int64, shape (N,).
        stage: test or validate.
        checkpoint: File of the weights; None for those in memory.
        dataset: Name or path of the data set.
        loss: Mean loss.
        run: Name of the run.
        changed: Settings of the network, loss and data set that are not those of the run, by short names.
    """
    counts = multiclass_confusion_matrix(probabilities, labels, NUM_CLASSES)
    shares = (
        metric(probabilities, labels, NUM_CLASSES, average="none").tolist()
        for metric in (multiclass_precision, multiclass_recall, multiclass_f1_score)
    )
    images, correct = int(counts.sum()), int(counts.diag().sum())
    wrong = (counts - counts.diag().diag()).flatten()
    most = wrong.argsort(descending=True, stable=True)[:3].tolist()
    error = multiclass_calibration_error(probabilities, labels, NUM_CLASSES, n_bins=15).item()
    return EvaluationReport(
        stage=stage,
        checkpoint=checkpoint,
        run=run,
        changed=changed or {},
        dataset=dataset,
        loss=loss,
        images=images,
        errors=images - correct,
        accuracy=correct / images,
        accuracy_interval_95=wilson_interval(correct, images),
        expected_calibration_error=error,
        classes=[ClassReport(*row) for row in zip(counts.sum(1).tolist(), *shares, strict=True)],
        confusions=[Confusion(at // NUM_CLASSES, at % NUM_CLASSES, int(wrong[at])) for at in most if wrong[at]],
        confusion_matrix=counts.tolist(),
    )


def wilson_interval(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    share, z2 = correct / total, z * z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def render(report: EvaluationReport, names: list[str]) -> list[str | Table]:
    """The report for a terminal; *names* are those of the classes."""
    low, high = (100 * bound for bound in report.accuracy_interval_95)
    title = _STAGES[report.stage]
    table = Table("class", "images", "precision", "recall", "F1")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in zip(names, report.classes, strict=True):
        table.add_row(
            name, f"{row.images:,}", *(f"{100 * share:.2f} %" for share in (row.precision, row.recall, row.f1))
        )
    confusions = ", ".join(f"{names[c.true]} read as {names[c.read_as]} ({c.count})" for c in report.confusions)
    changed = ", ".join(f"{name} {value}" for name, value in report.changed.items())
    return [
        *([f"with other settings than the run's: {changed}"] if changed else []),
        f"{title} on {report.images:,} images of {report.dataset}: accuracy {100 * report.accuracy:.2f} % "
        f"(95 % interval {low:.2f} to {high:.2f}), {report.errors:,} errors",
        f"loss {report.loss:.4f}, expected calibration error {100 * report.expected_calibration_error:.2f} %",
        table,
        f"most frequent confusions: {confusions or 'none'}",
    ]
