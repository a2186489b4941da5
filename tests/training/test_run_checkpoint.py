"""The best checkpoint of a run, also of one that goes on in a new directory."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers import QUICK, RUN, SHORT

from mnist_cli.use.reader import load_reader


def test_a_resumed_run_keeps_the_best_checkpoint_so_far(workplace, mnist):
    before = Path("lightning_logs/version_0/checkpoints/best.ckpt").read_bytes()
    ruin = ["--model.optimizer.lr=50", "--trainer.max_epochs=3", "--test_after_fit=false"]
    Path("elsewhere").mkdir()
    shutil.move("lightning_logs/version_0", "elsewhere/moved")
    assert mnist("fit", "--ckpt_path", "elsewhere/moved/checkpoints/last.ckpt", *ruin) == 0
    assert Path("elsewhere/moved/checkpoints/best.ckpt").read_bytes() == before
    kept = torch.load("lightning_logs/version_0/checkpoints/best.ckpt", weights_only=True)
    assert kept["epoch"] == 1


@pytest.mark.parametrize("option", ["filename=mine", "filename=last", "dirpath=elsewhere"])
def test_the_place_of_the_best_checkpoint_is_no_option(tmp_path, monkeypatch, mnist, capfd, option):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, f"--checkpoint.{option}") == 2
    said = capfd.readouterr().err
    assert f"there is no setting checkpoint.{option.partition('=')[0]}: RunCheckpoint takes monitor, mode." in said
    assert not list(tmp_path.iterdir())


def test_without_a_metric_the_best_is_the_newest(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    options = ["--checkpoint.monitor=null", "--trainer.max_epochs=2", "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", *QUICK, *options) == 0
    best, last = (torch.load(RUN / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["epoch"] == last["epoch"] == 1


def test_averaged_weights_are_those_that_are_saved_tested_and_go_on(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    average = "--trainer.callbacks=[{class_path: EMAWeightAveraging, init_args: {decay: 0.9}}]"
    assert mnist("fit", *SHORT, average, "--figures=null") == 0
    tested = json.loads((RUN / "test.json").read_text())
    checkpoint = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)
    current = checkpoint["current_model_state"]
    assert any(not torch.equal(weight, current[name]) for name, weight in checkpoint["state_dict"].items())
    (RUN / "test.json").unlink()
    assert mnist("test", "--ckpt_path", "best", "--figures=null") == 0
    again = json.loads((RUN / "test.json").read_text())
    assert (again["loss"], again["accuracy"]) == (tested["loss"], tested["accuracy"])
    assert load_reader(RUN).network(torch.zeros(1, 1, 28, 28)).shape == (1, 10)
    options = ["--trainer.max_epochs=2", "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", "--ckpt_path", "last", *options) == 0


@pytest.mark.parametrize(("mode", "best_epoch", "same"), [("min", 1, True), ("max", 0, False)])
def test_an_epoch_that_is_the_best_is_copied_and_goes_on(tmp_path, monkeypatch, mnist, mode, best_epoch, same):
    monkeypatch.chdir(tmp_path)
    options = ["--trainer.max_epochs=2", f"--checkpoint.mode={mode}", "--early_stopping=null", "--test_after_fit=false"]
    assert mnist("fit", *SHORT, *options) == 0
    files = [RUN / f"checkpoints/{name}.ckpt" for name in ("best", "last")]
    best, last = (torch.load(file, weights_only=True) for file in files)
    assert (best["epoch"], last["epoch"]) == (best_epoch, 1)
    assert (files[0].read_bytes() == files[1].read_bytes()) is same
    assert not files[0].samefile(files[1])  # who writes into one leaves the other
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=3", "--test_after_fit=false") == 0
    went_on = [
        torch.load(tmp_path / f"lightning_logs/version_1/checkpoints/{name}.ckpt", weights_only=True)["epoch"]
        for name in ("best", "last")
    ]
    assert went_on == [2 if same else 0, 2]
