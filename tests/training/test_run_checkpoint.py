"""The best checkpoint of a run, also of one that goes on in a new directory."""

import shutil
from pathlib import Path

import pytest
import torch
from helpers import QUICK, RUN


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
