"""Runs side by side fit the terminal."""

from pathlib import Path

from mnist_cli.runs.compare import comparison_table
from mnist_cli.runs.directory import Run
from mnist_cli.runs.summary import RunSummary


def test_long_values_are_folded_and_nothing_of_them_is_lost():
    long = [[n * 1000 + place for place in range(30)] for n in (1, 2)]
    runs = [RunSummary(Run(Path()), f"{n}", settings={"model": {"net.sizes": sizes}}) for n, sizes in enumerate(long)]
    text = comparison_table(runs, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert all(str(size) in text for sizes in long for size in sizes)


def test_runs_with_the_same_settings_are_said_to_be_so():
    runs = [RunSummary(Run(Path()), f"{n}", settings={"model": {"lr": 1}}) for n in range(2)]
    assert comparison_table(runs, None).endswith("All settings are the same.")
