"""Settings are read strictly, and renamed from older versions."""

import pytest

from mnist_cli.errors import UserError
from mnist_cli.runs.settings import load_settings, modernize


def test_numbers_in_scientific_notation_are_numbers():
    assert load_settings("model: {lr: 1e-3, std: 2.5E+1}", "file") == {"model": {"lr": 0.001, "std": 25.0}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("data: {a: 1, a: 2}", "line 1: this is not valid YAML .*the key 'a' occurs twice"),
        ("data: [3", "line 2: this is not valid YAML"),
        ("just words", "has no settings"),
        ("trainer: 3", "trainer needs settings below it, not '3'"),
        ("data: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_what_holds_no_settings_is_refused(text, problem):
    with pytest.raises(UserError, match=problem):
        load_settings(text, "file")


def test_old_names_become_those_of_today_and_the_old_logger_goes():
    loggers = [{"class_path": "mnist_cli.loggers.EpochCSVLogger"}, {"class_path": "TensorBoardLogger"}]
    old = {"model": {"net": {"class_path": "mnist_cli.networks.MLP"}}, "trainer": {"logger": loggers}}
    assert modernize(old) == {"model": {"net": {"class_path": "mnist_cli.MLP"}}, "trainer": {"logger": loggers[1:]}}


def test_the_old_place_of_checkpoints_goes_and_a_place_of_the_users_stays():
    old = {"checkpoint": {"class_path": "mnist_cli.RunCheckpoint", "init_args": {"dirpath": None, "filename": "best"}}}
    assert modernize(old)["checkpoint"]["init_args"] == {}
    old["checkpoint"]["init_args"] = {"filename": "mine", "mode": "max"}
    assert modernize(old) == old
