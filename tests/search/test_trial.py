"""One trial of a search: a fit that reports, can be stopped, and leaves a whole run."""

import pytest
from helpers import TINY, metrics

from mnist_cli.command.silence import silence
from mnist_cli.errors import UserError
from mnist_cli.runs.directory import Run
from mnist_cli.search.trial import finished, score_of, train


def test_a_trial_that_is_told_to_stop_leaves_a_whole_run(tmp_path, monkeypatch, data_dir, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    reported, runs = [], []

    def report(epoch, value):
        reported.append((epoch, value))
        return epoch == 1

    options = [*TINY, "--data.data_dir", data_dir, "--trainer.max_epochs=4", "--test_after_fit=false"]
    outcome = train([*options, "--trainer.enable_progress_bar=false"], "val/acc", runs.append, report)
    assert (outcome.epochs, outcome.stopped, outcome.test_acc) == (2, True, None)
    assert runs == [outcome.run]
    assert [value for _, value in reported] == [float(row["val/acc"]) for row in metrics(outcome.run.path)]
    assert outcome.run.checkpoint("last").exists()
    assert outcome.run.record().state == "stopped"
    assert capfd.readouterr().out == ""
    assert mnist("fit", "--ckpt_path", str(outcome.run.path)) == 0
    assert len([row for row in metrics("lightning_logs/version_1") if row["epoch"]]) == 4


def test_the_score_is_that_of_the_epoch_whose_checkpoint_is_tested():
    rows = [
        {"epoch": 1, "val/loss": 0.3, "val/acc": 0.8},
        {"epoch": 2, "val/loss": 0.1, "val/acc": 0.7},
        {"epoch": 3, "val/loss": 0.2, "val/acc": 0.9},
    ]
    assert score_of(rows, "val/acc", "val/loss", "min") == 0.7
    assert score_of(rows, "val/acc", "val/acc", "max") == 0.9
    assert score_of(rows[:2], "val/acc", None, "min") == 0.7
    with pytest.raises(UserError, match="val/acc was not measured"):
        score_of([{"epoch": 1}], "val/acc", None, "min")


def test_a_finished_run_of_a_process_that_is_gone_counts_without_training(workplace):
    run = Run(workplace / "lightning_logs/version_0")
    best = min(metrics(run.path)[:2], key=lambda row: float(row["val/loss"]))
    with silence():
        outcome = finished(run, "val/acc")
    assert outcome.score == float(best["val/acc"])
    assert outcome.test_acc == pytest.approx(float(metrics(run.path)[-1]["test/acc"]))
    run.config.write_text(run.config.read_text().replace("max_epochs: 2", "max_epochs: 3"))
    assert finished(run, "val/acc") is None


def test_a_run_that_early_stopping_or_its_steps_ended_is_finished_too(tmp_path, monkeypatch, mnist, data_dir):
    monkeypatch.chdir(tmp_path)
    still = ["--trainer.max_epochs=9", "--early_stopping.patience=1", "--model.optimizer.lr=0"]
    assert mnist("fit", *TINY, *still, "--test_after_fit=false") == 0
    run = Run(tmp_path / "lightning_logs/version_0")
    outcome = finished(run, "val/acc")
    assert (outcome.epochs, outcome.stopped, outcome.test_acc) == (2, False, None)
    assert mnist("fit", *TINY, "--trainer.max_epochs=9", "--trainer.max_steps=7", "--test_after_fit=false") == 0
    assert finished(Run(tmp_path / "lightning_logs/version_1"), "val/acc").epochs == 2
    run.checkpoint("last").write_bytes(b"")
    with pytest.raises(UserError, match="is not a checkpoint"):
        finished(run, "val/acc")
