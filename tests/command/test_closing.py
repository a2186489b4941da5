"""What a fit says at its end is what happened."""

import json
import re
import shlex

import pytest
from helpers import BARE, QUICK, RUN, metrics

from mnist_cli.runs.checkpoints import open_checkpoint


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


TINY = ["--trainer.limit_train_batches=2", "--model.net.hidden_sizes=[16]", "--evaluation.name=odd"]


def test_a_loss_that_is_not_finite_ends_the_fit_with_a_sentence_and_no_test(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, "--model.optimizer=SGD", "--model.optimizer.lr=1e6") == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"mnist: error: (train|val)/loss is (nan|inf) in epoch 1, step 40: the network has diverged; "
        r"the learning rate was 1e\+06, choose a lower one\.",
        said,
    ), said
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_fit_that_diverges_later_names_its_last_good_checkpoint(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    rises = ["--model.lr_scheduler=ExponentialLR", "--model.lr_scheduler.gamma=1e30", "--trainer.max_epochs=3"]
    assert mnist("fit", *QUICK, *TINY, *rises, "--model.optimizer=SGD", "--model.optimizer.lr=0.01") == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert " in epoch 2, step 4: the network has diverged; the learning rate was 1e+28, choose a lower one; " in said
    good = RUN / "checkpoints/last.ckpt"
    assert said.endswith(f"the last good checkpoint is {good}.")
    assert open_checkpoint(good).describe().endswith("after epoch 1)")
    assert json.loads((RUN / "run.json").read_text())["state"] == "failed"
    assert not (RUN / "odd.json").exists()
    assert {row["epoch"] for row in metrics()} == {"1"}


_SECOND = "--trainer.max_time=00:00:00:01"


@pytest.mark.parametrize(
    ("limit", "more"),
    [
        (["--trainer.max_steps=3"], "--trainer.max_steps 6"),
        (["--trainer.max_steps=3", "--trainer.max_epochs=2"], "--trainer.max_steps 6 --trainer.max_epochs 4"),
        ([_SECOND, "--early_stopping=null"], "--trainer.max_time null"),
        (
            [_SECOND, "--early_stopping=null", "--trainer.max_epochs=-1"],
            "--trainer.max_time null --trainer.max_epochs N",
        ),
        (["--trainer.max_time=00:01:00:00", "--trainer.max_epochs=1"], "--trainer.max_epochs 2"),
        (["--early_stopping.patience=1", "--model.optimizer.lr=0"], "--early_stopping null"),
    ],
)
def test_what_ended_a_fit_is_what_is_given_to_go_on(tmp_path, monkeypatch, mnist, capfd, limit, more):
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.limit_train_batches=2", "--trainer.max_epochs=1000", *BARE, "--test_after_fit=false"]
    assert mnist("fit", *QUICK, *short, *limit) == 0
    said = capfd.readouterr().out.splitlines()[-1]
    more = more.replace("N", str(2 * int(metrics()[-1]["epoch"])))
    assert said == f"Train it on:   mnist fit --ckpt_path lightning_logs/version_0 {more}"
    assert mnist("fit", "--ckpt_path=last") == 2
    assert re.search("that run is complete|has used up its --trainer.max_time", capfd.readouterr().err)
    end = [] if "max_epochs" in more else [f"--trainer.max_epochs={int(metrics()[-1]['epoch']) + 2}"]
    assert mnist("fit", *shlex.split(said.partition("mnist fit ")[2]), *end) == 0
    assert len(metrics("lightning_logs/version_1")) > len(metrics())
