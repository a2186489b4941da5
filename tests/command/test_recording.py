"""A fit records in its run directory what it is and how it ended."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import BARE, QUICK, RUN

from mnist_cli.command.recording import compared_settings, say_what_next
from mnist_cli.runs.directory import Run
from mnist_cli.runs.record import read_record

RECORD = RUN / "run.json"
FEW = [*QUICK, "--trainer.limit_train_batches=2", *BARE, "--trainer.max_epochs=3"]
ONE = "--trainer.limit_val_batches=1"
CALLBACK = """
from lightning.pytorch.callbacks import Callback
class Ends(Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1:
            {what}
"""


def test_a_finished_run_says_so(trained):
    record = read_record(trained / RECORD)
    assert record.current_state() == "finished"
    assert record.settings["trainer"]["max_epochs"] == 2
    assert record.started < record.ended


@pytest.mark.parametrize(
    ("what", "state", "problem"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", "stopped", None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "stopped", None),
        ("raise ValueError('no more')", "failed", "no more"),
    ],
)
def test_a_run_that_ends_early_says_how(tmp_path, monkeypatch, mnist, what, state, problem):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "ends_early", raising=False)
    Path("ends_early.py").write_text(CALLBACK.format(what=what))
    fit = ["fit", *FEW, "--trainer.callbacks=[ends_early.Ends]"]
    if state == "failed":
        with pytest.raises(ValueError, match="no more"):
            mnist(*fit)
    else:
        assert mnist(*fit) in (130, 143)
    record = read_record(RECORD)
    assert (record.state, record.problem) == (state, problem)
    assert record.ended


def test_a_fit_that_is_killed_reads_as_stopped(tmp_path, data_dir):
    command = [Path(sys.executable).parent / "mnist", "fit", *FEW, "--data.data_dir", data_dir]
    longer = ["--trainer.max_epochs=1000", "--early_stopping=null", "--trainer.enable_progress_bar=true"]
    with subprocess.Popen([*command, *longer], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert any(b"epoch 1/" in line for line in process.stdout)
        assert read_record(tmp_path / RECORD).current_state() == "running"
        os.kill(process.pid, signal.SIGKILL)
    assert read_record(tmp_path / RECORD).current_state() == "stopped"


def test_a_run_is_found_by_its_name_and_goes_on_with_it(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("trainer: {max_epochs: 1}\n")
    fit = ["fit", *FEW, "--test_after_fit=false"]
    assert mnist(*fit[:-1], "--trainer.max_epochs=1", "--config=mine.yaml", "--name", "warmup-test") == 0
    assert mnist(*fit) == 0
    capfd.readouterr()
    for wanted in ("warmup-test", "version_0"):
        assert mnist("validate", "--ckpt_path", wanted, ONE) == 0
        assert "of run version_0 'warmup-test', after epoch 1" in capfd.readouterr().err
    Path("wanted.yaml").write_text("ckpt_path: 0\n")  # a number
    assert mnist("validate", "--config", "wanted.yaml", ONE) == 0
    assert mnist("fit", "--ckpt_path", "warmup-test", "--trainer.max_epochs=2", "--test_after_fit=false") == 0
    resumed = json.loads(Path("lightning_logs/version_2/run.json").read_text())
    assert (resumed["name"], resumed["recipe"]) == ("warmup-test", "mine")
    assert "is there already" not in capfd.readouterr().err
    assert mnist("validate", "--ckpt_path", "warmup-test", ONE) == 0
    assert "of run version_2 'warmup-test'" in capfd.readouterr().err
    assert mnist("fit", "--config", "lightning_logs/version_2/config.yaml", "--ckpt_path=null", *fit[1:]) == 0
    assert "called 'warmup-test' is there already (version_2); --ckpt_path warmup-test means" in capfd.readouterr().err
    assert json.loads(Path("lightning_logs/version_3/run.json").read_text())["recipe"] == "mine"


def test_the_end_of_a_fit_says_where_the_run_is_and_what_can_be_done_with_it(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    short = [*QUICK, "--trainer.limit_train_batches=2", *BARE]
    assert mnist("fit", *short, "--test_after_fit=false") == 0
    *_, place, test, use, more = capfd.readouterr().out.splitlines()
    assert place == f"The run is in {RUN}."  # no figure was drawn
    assert test == f"Test it again: mnist test --ckpt_path {RUN}"
    assert use == f"Use it:        mnist predict PICTURES --ckpt_path {RUN}"
    assert more == f"Train it on:   mnist fit --ckpt_path {RUN} --trainer.max_epochs 2"
    assert mnist("fit", *short, *shlex.split(more.partition("mnist fit ")[2])) == 0
    assert "Use it:" in capfd.readouterr().out


def test_a_run_with_a_schedule_is_not_said_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    say_what_next(Run(tmp_path / RUN), None)
    assert capsys.readouterr().out.splitlines()[-1] == f"Use it:        mnist predict PICTURES --ckpt_path {RUN}"


def test_runs_are_compared_by_a_few_settings_and_by_what_differs_from_the_defaults():
    defaults = {"data": {"batch_size": 64, "val_size": 0.2}, "trainer": {"max_epochs": 10}, "name": None}
    settings = defaults | {"data": {"batch_size": 64, "val_size": 0.1}}
    assert compared_settings(settings, defaults) == {"batch_size": 64, "max_epochs": 10, "val_size": 0.1}


def test_a_run_elsewhere_is_used_with_the_folder_that_it_is_in(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    short = [*QUICK, "--trainer.limit_train_batches=2", *BARE, "--test_after_fit=false"]
    assert mnist("fit", *short, "--trainer.default_root_dir=some where") == 0
    more = capfd.readouterr().out.splitlines()[-1]
    assert more.endswith("--trainer.default_root_dir 'some where' --trainer.max_epochs 2")
    assert mnist("fit", *shlex.split(more.partition("mnist fit ")[2])) == 0
    assert Path("some where/lightning_logs/version_1/checkpoints/last.ckpt").exists()
    assert not Path("lightning_logs").exists()
