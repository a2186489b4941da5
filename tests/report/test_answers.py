"""What the network answered, collected and put in order."""

import json

import pytest
import torch
from helpers import RUN, rows

from mnist_cli.report import answers
from mnist_cli.report.answers import gather


def test_the_shares_of_several_processes_are_joined_in_the_order_of_the_data_set(monkeypatch):
    values = torch.arange(7)
    shares = [[(values[rank::3], 10 * values[rank::3])] for rank in range(3)]

    def exchange(parts, own):
        assert own is shares[1]
        parts[:] = shares

    for name, answer in (("is_available", True), ("is_initialized", True), ("get_world_size", 3)):
        monkeypatch.setattr(answers.dist, name, lambda answer=answer: answer)
    monkeypatch.setattr(answers.dist, "all_gather_object", exchange)
    joined, indices = gather(shares[1])
    assert joined.tolist() == values.tolist()
    assert indices.tolist() == (10 * values).tolist()


def test_the_report_counts_what_the_predictions_say(workplace, mnist, test_digits):
    assert mnist("test") == 0
    assert mnist("predict") == 0
    digits = torch.tensor([int(row["digit"]) for row in rows(RUN / "predictions.csv")])
    report = json.loads((RUN / "test.json").read_text())
    assert report["accuracy"] == pytest.approx((digits == test_digits[1]).float().mean().item(), abs=1e-7)
    assert report["errors"] == int((digits != test_digits[1]).sum())
    for digit, row in enumerate(report["classes"]):
        of_class = test_digits[1] == digit
        assert row["recall"] == pytest.approx((digits[of_class] == digit).float().mean().item(), abs=1e-6)
