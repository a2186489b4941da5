"""Runs are grouped if nothing but the seed, the name, the place and an interruption differs; each seed counts once."""

from pathlib import Path

from mnist_cli.runs.directory import Run
from mnist_cli.runs.record import Process, Record
from mnist_cli.runs.seeds import group_by_seed, seeds_table
from mnist_cli.runs.summary import RunSummary, TestResult


def run(label, seed, *, accuracy=0.9, lr=0.1, name=None, state="finished"):
    settings = {"seed_everything": seed, "model": {"lr": lr}, "name": name, "ckpt_path": f"{label}/last.ckpt"}
    record = Record("2026-11-24T10:00:00+00:00", Process.this(), name=name, settings=settings, state=state)
    return RunSummary(Run(Path()), label, record=record, settings=settings, test=TestResult(accuracy))


def labels(summaries):
    return [summary.label for summary in summaries]


def test_each_finished_seed_counts_once():
    runs = [run("5", 1), run("4", 2, name="b"), run("3", 1), run("2", 3, state="stopped"), run("1", 1, lr=0.2)]
    same, other = group_by_seed(runs)
    assert (labels(same.counted), labels(same.left_out)) == (["5", "4"], ["3", "2"])
    assert labels(other.counted) == ["1"]


def test_runs_without_a_seed_are_all_counted():
    (group,) = group_by_seed([run("1", False), run("0", False)])
    assert labels(group.counted) == ["1", "0"]


def test_mean_and_deviation_are_those_of_a_sample():
    lines = seeds_table(group_by_seed([run("1", 1, accuracy=0.98), run("2", 2, accuracy=0.96)]), None).splitlines()
    assert "97.00 ± 1.41 %" in lines[1]
    assert "98.00 % (1)  96.00 % (2)" in lines[1]
