"""A run in figures: the epoch that it takes for its best, and how long it ran."""

from pathlib import Path

import pytest
from helpers import ROOT, RUN, metrics

from mnist_cli.runs.directory import Run
from mnist_cli.runs.summary import RunSummary, figure_of, summarize

ROWS = [
    {"epoch": n, "val/loss": loss, "val/acc": acc} for n, loss, acc in ((1, 0.3, 0.9), (2, 0.2, 0.91), (3, 0.25, 0.92))
]


def test_a_real_run_is_read_whole(trained):
    summary = summarize(Run(trained / RUN), "0")
    best = min(metrics(trained / RUN)[:2], key=lambda row: float(row["val/loss"]))
    assert figure_of(summary, "val/loss") == float(best["val/loss"])
    assert summary.test.accuracy == figure_of(summary, "test/acc")
    assert summary.test.interval[0] < summary.test.accuracy < summary.test.interval[1]
    assert (summary.state, summary.epochs, summary.network, summary.problems) == ("finished", 2, "MLP", [])
    assert summary.seconds > 0


def test_the_best_epoch_is_by_the_run_s_own_measure():
    for monitor, mode, epoch in (("val/loss", "min", 2), ("val/acc", "max", 3)):
        checkpoint = {"init_args": {"monitor": monitor, "mode": mode}}
        summary = RunSummary(Run(Path()), "0", settings={"checkpoint": checkpoint}, rows=ROWS)
        assert summary.best["epoch"] == epoch


@pytest.mark.parametrize("checkpoint", [None, {"init_args": {"monitor": None}}])
def test_a_run_that_chose_no_epoch_has_its_last_one(checkpoint):
    assert RunSummary(Run(Path()), "0", settings={"checkpoint": checkpoint}, rows=ROWS).best["epoch"] == 3


def test_a_run_of_version_0_1_0_is_read_as_far_as_it_says():
    summary = summarize(Run(ROOT / "tests/fixtures/run_0.1.0"), "old")
    assert (summary.state, summary.network, summary.epochs, summary.seconds) == ("unrecorded", "CNN", 2, None)
    assert [row["epoch"] for row in summary.rows] == [1, 2]
    assert figure_of(summary, "test/acc") == 0.906499981880188
