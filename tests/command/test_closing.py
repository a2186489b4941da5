"""What a fit says at its end is what happened."""

import json

import pytest
from helpers import QUICK, RUN


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--trainer.val_check_interval=0.5", "--early_stopping.patience=1"], "was no better for 1 validation."),
        (["--trainer.val_check_interval=0.5", "--early_stopping.patience=3"], "was no better for 3 validations."),
        (["--early_stopping.stopping_threshold=100"], "after epoch 1: Stopping threshold reached: val/loss"),
        (["--early_stopping.divergence_threshold=0.1"], "after epoch 1: Divergence threshold reached: val/loss"),
    ],
)
def test_the_reason_of_an_early_stop_is_the_one_that_stopped(options, says, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    still = ["--trainer.max_epochs=4", "--trainer.limit_train_batches=2", "--model.optimizer.lr=0", "--figures=null"]
    assert mnist("fit", *QUICK, *still, *options) == 0
    assert says in capfd.readouterr().out


def test_without_a_best_checkpoint_the_last_is_tested_and_named(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, "--checkpoint=null", "--figures=null") == 0
    assert f"Checkpoint {RUN}/checkpoints/last.ckpt (of run version_0, after epoch 1)" in capfd.readouterr().out
    assert json.loads((RUN / "test.json").read_text())["checkpoint"].endswith("checkpoints/last.ckpt")


def test_weights_without_a_file_have_none_in_the_report(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, "--trainer.enable_checkpointing=false", "--figures=null") == 0
    assert json.loads((RUN / "test.json").read_text())["checkpoint"] is None
