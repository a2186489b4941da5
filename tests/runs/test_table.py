"""Values are written as a person would write them, and a table fits the terminal."""

from pathlib import Path

import pytest

from mnist_cli.runs.directory import Run
from mnist_cli.runs.summary import RunSummary
from mnist_cli.runs.table import Column, differing_settings, fit_table, show_seconds, show_value

AFFINE = {"class_path": "kornia.augmentation.RandomAffine", "init_args": {"degrees": 10.0}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1e-3, "0.001"),
        ([512, 256], "[512, 256]"),
        ([AFFINE], "[RandomAffine(degrees=10)]"),
    ],
)
def test_a_value_is_short(value, text):
    assert show_value(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.4, "0s"), (59.6, "1m00s"), (78, "1m18s"), (7380, "2h03m")]
)
def test_a_length_of_time_is_short(seconds, text):
    assert show_seconds(seconds) == text


def test_arguments_of_another_class_are_listed_only_on_demand():
    nets = [{"class_path": "MLP", "init_args": {"dropout": 0.1}}, {"class_path": "CNN", "init_args": {"channels": [2]}}]
    runs = [RunSummary(Run(Path()), "0", settings={"model": {"net": net}, "name": str(net)}) for net in nets]
    assert differing_settings(runs) == {"net": ["MLP", "CNN"]}
    assert list(differing_settings(runs, whole=True)) == ["net", "net.dropout", "net.channels"]


def test_columns_go_below_their_row_only_where_the_terminal_is_too_narrow():
    run, name, state = Column("run", ["1"]), Column("name", ["x" * 20], text=True), Column("state", ["finished"])
    assert fit_table([run, name, state], [[name]], None) == [
        f"run  {'name':20}     state",
        f"  1  {'x' * 20}  finished",
    ]
    assert fit_table([run, name, state], [[name]], 30) == ["run     state", "  1  finished", f"     name {'x' * 20}"]
