"""Checkpoints of earlier versions are still tested, resumed and repeated.

run_0.1.0 has the old paths of the classes. run_0.2.0 was stopped by SIGTERM in its second epoch, at step 130; it has
averaged weights, a schedule by step, augmentation and dropout.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers import ROOT, RUN, metrics

from mnist_cli.errors import UserError
from mnist_cli.runs.checkpoints import open_checkpoint

OLD = ROOT / "tests/fixtures/run_0.1.0"
STOPPED = ROOT / "tests/fixtures/run_0.2.0"


@pytest.fixture
def old_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLD, "old")
    return Path("old")


def test_an_old_checkpoint_is_read_with_the_names_of_today():
    chosen = open_checkpoint(OLD / "checkpoints/best.ckpt")
    assert chosen.settings("test")["model"]["net"]["class_path"] == "mnist_cli.CNN"
    assert chosen.epochs_done == 2
    assert "after epoch 2, val/loss 0.4088" in chosen.describe()


def test_an_old_run_gives_the_figures_that_it_gave_then(old_run, mnist):
    assert mnist("test", "--ckpt_path", "old", "--figures=null") == 0
    report = json.loads((old_run / "test.json").read_text())
    assert (report["errors"], report["images"]) == (935, 10_000)


def test_an_old_run_goes_on(old_run, mnist):
    more = ["--trainer.max_epochs=3", "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", "--ckpt_path", "old", *more) == 0
    assert [row["epoch"] for row in metrics()] == ["1", "2", "3"]


@pytest.fixture
def two_threads():
    """As many as the old run had: with another number sums have another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("two_threads")
def test_the_settings_of_an_old_run_repeat_it(old_run, mnist):
    assert mnist("fit", "--config", "old/config.yaml", "--test_after_fit=false", "--figures=null") == 0
    # Only one processor gives the same digits: version 0.1.0 itself differs by up to 6 % on one without AVX-512.
    for new, old in zip(metrics(), metrics(old_run), strict=False):
        assert all(float(new[name]) == pytest.approx(float(old[name]), rel=0.1) for name in new if "/" in name)


@pytest.fixture
def stopped_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(STOPPED, RUN)
    return RUN


def test_a_run_of_0_2_0_gives_the_figures_that_it_gave_then(stopped_run, mnist):
    file = stopped_run / "test.json"
    then = json.loads(file.read_text())
    file.unlink()
    assert mnist("test", "--ckpt_path", "kept", "--figures=null") == 0
    now = json.loads(file.read_text())
    assert (now["errors"], now["images"]) == (then["errors"], then["images"]) == (1407, 10_000)
    assert now["confusion_matrix"] == then["confusion_matrix"]
    assert now["loss"] == pytest.approx(then["loss"], rel=1e-5)


def test_a_run_of_0_2_0_that_was_stopped_in_an_epoch_goes_on(stopped_run, mnist):
    assert open_checkpoint(stopped_run / "checkpoints/last.ckpt").content["global_step"] == 130
    assert mnist("fit", "--ckpt_path", "last", "--test_after_fit=false") == 0
    new = Path("lightning_logs/version_1")
    last = open_checkpoint(new / "checkpoints/last.ckpt")
    assert (last.epochs_done, last.content["global_step"]) == (3, 360)
    assert last.content["averaging_state"]
    assert [row["epoch"] for row in metrics(new)] == ["1", "2", "3"]
    assert metrics(new)[0] == metrics(stopped_run)[0]
    assert float(metrics(new)[-1]["val/acc"]) > float(metrics(stopped_run)[0]["val/acc"])


@pytest.mark.parametrize(("max_epochs", "problem"), [(2, "that run is complete, 2 of 2 epochs"), (-1, ""), (3, "")])
def test_a_run_goes_on_only_if_epochs_are_left(max_epochs, problem):
    chosen = open_checkpoint(OLD / "checkpoints/last.ckpt")
    if not problem:
        chosen.check_going_on({"max_epochs": max_epochs})
        return
    with pytest.raises(UserError, match=problem):
        chosen.check_going_on({"max_epochs": max_epochs})
