"""The evaluation's numbers are those of torchmetrics, scikit-learn and the books."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from helpers import metrics
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_calibration_error

from mnist_cli.report.evaluation import evaluate, wilson_interval


def report_of(probabilities, labels):
    found = evaluate(probabilities, labels, stage="test", checkpoint="best.ckpt", dataset="MNIST", loss=0.1)
    return dataclasses.asdict(found)


@pytest.fixture(scope="module")
def answers():
    """Probabilities like a network's: mostly right, sure of itself."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 10, (5000,), generator=generator)
    logits = torch.randn(5000, 10, generator=generator)
    logits[torch.arange(5000), labels] += 3
    return logits.softmax(1), labels


def test_every_class_has_scikit_learns_precision_recall_and_f1(answers):
    probabilities, labels = answers
    report = report_of(probabilities, labels)
    expected = precision_recall_fscore_support(labels, probabilities.argmax(1))
    for k, row in enumerate(report["classes"]):
        ours = [row[name] for name in ("precision", "recall", "f1", "images")]
        assert ours == pytest.approx([theirs[k] for theirs in expected])


def test_errors_confusions_and_matrix_agree(answers):
    probabilities, labels = answers
    report = report_of(probabilities, labels)
    matrix = confusion_matrix(labels, probabilities.argmax(1))
    assert report["confusion_matrix"] == matrix.tolist()
    assert report["errors"] == 5000 - matrix.trace() == round(5000 * (1 - report["accuracy"]))
    matrix[range(10), range(10)] = 0
    counts = [confusion["count"] for confusion in report["confusions"]]
    assert counts == sorted(matrix.flatten(), reverse=True)[:3]
    assert all(matrix[c["true"], c["read_as"]] == c["count"] for c in report["confusions"])


def test_the_calibration_error_is_torchmetrics(answers):
    expected = multiclass_calibration_error(*answers, num_classes=10, n_bins=15).item()
    assert report_of(*answers)["expected_calibration_error"] == expected


def test_perfect_answers_have_no_confusions():
    report = report_of(torch.eye(10), torch.arange(10))
    assert report["errors"] == 0
    assert report["confusions"] == []
    assert report["accuracy_interval_95"][1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(9852, 10_000, 0.98264, 0.98739), (0, 10, 0.0, 0.27754), (10, 10, 0.72246, 1.0), (5, 10, 0.23659, 0.76341)],
)
def test_the_interval_is_wilsons(right, total, low, high):
    assert wilson_interval(right, total) == pytest.approx((low, high), abs=2e-5)


def test_a_second_test_replaces_the_first_and_another_name_stands_beside_it(workplace, mnist, capfd):
    run = Path("lightning_logs/version_0")
    first = json.loads((run / "test.json").read_text())
    assert first["images"] == 10_000
    assert f"{first['accuracy']:.6f}" == f"{float(metrics()[-1]['test/acc']):.6f}"
    assert mnist("test", "--ckpt_path", "last", "--evaluation.name", "last", figures=True) == 0
    assert json.loads((run / "test.json").read_text()) == first
    assert json.loads((run / "last.json").read_text())["checkpoint"].endswith("last.ckpt")
    assert (run / "figures/last-confusion.png").exists()
    assert mnist("test", "--ckpt_path", "last") == 0
    assert json.loads((run / "test.json").read_text())["checkpoint"].endswith("last.ckpt")
    out = capfd.readouterr().out
    assert "95 % interval" in out
    assert "most frequent confusions" in out
