"""A run has one history: a row for every epoch and validation, in metrics.csv and in its checkpoints."""

from types import SimpleNamespace

import torch
from helpers import QUICK, RUN, metrics

from mnist_cli.runs.history import History, _metrics


def test_every_validation_has_a_row_and_the_last_one_shares_that_of_the_epoch(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    options = ["--trainer.val_check_interval=20", "--trainer.max_epochs=2", "--test_after_fit=false"]
    assert mnist("fit", *QUICK, *options) == 0
    assert [(row["epoch"], row["step"]) for row in metrics()] == [("1", "20"), ("1", "40"), ("2", "60"), ("2", "80")]
    assert all(row["val/loss"] for row in metrics())
    assert [bool(row["train/loss"]) for row in metrics()] == [False, True, False, True]


def test_a_checkpoint_has_the_rows_of_the_table(trained):
    content = torch.load(trained / RUN / "checkpoints/last.ckpt", weights_only=True)
    for kept, written in zip(content["history"], metrics(trained / RUN), strict=False):
        assert all(kept[name] == float(written[name]) for name in kept)
    assert [row["epoch"] for row in content["history"]] == [1, 2]


def test_the_best_row_is_that_of_the_least_or_the_largest_value():
    history = History()
    history.rows = [{"epoch": n, "val/loss": loss} for n, loss in ((1, 0.3), (2, 0.1), (3, 0.2))]
    assert history.best_row("val/loss", "min")["epoch"] == 2
    assert history.best_row("val/loss", "max")["epoch"] == 1
    assert history.best_row("val/acc", "max")["epoch"] == 3
    assert History().best_row("val/acc", "max") == {}


def test_a_metric_is_written_as_the_shortest_number_that_32_bits_tell_apart():
    # 0.90125 is 0.9012500047683716 in 32 bits, which would be 90.13 % in one place and 90.12 in another.
    trainer = SimpleNamespace(callback_metrics={"val/acc": torch.tensor(0.90125), "lr": torch.tensor(0.001)})
    assert _metrics(trainer, "val/") == {"val/acc": 0.90125}
    assert _metrics(trainer, "") == {"lr": 0.001}
