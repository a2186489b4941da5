"""The parser of a command knows its options, and what the user gave."""

import sys
from pathlib import Path
from typing import Union

import pytest
import yaml
from helpers import QUICK, ROOT

from mnist_cli.command.parser import DigitArgumentParser, _given
from mnist_cli.errors import UserError


def test_what_was_given_is_known_by_the_name_of_its_option():
    settings = "model: {net: {class_path: CNN, init_args: {channels: [8]}}}"
    given = _given(
        ["--config", settings, "--data.batch_size", "3", "--data.val_size=0.1", "--trainer.callbacks+=Timer"]
    )
    assert given["model.net.channels"] == [8]
    assert given["model.net.class_path"] == "CNN"
    assert (given["data.batch_size"], given["data.val_size"], given["trainer.callbacks"]) == ("3", "0.1", "Timer")


def test_flags_win_over_files():
    assert _given(["--data.batch_size=4", "--config", "data: {batch_size: 3}"])["data.batch_size"] == "4"


def test_options_are_not_abbreviated(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--data.batch", "3") == 2
    assert "there is no option --data.batch; did you mean --data.batch_size" in capfd.readouterr().err


def test_a_mistake_is_an_exception_that_names_the_option(tmp_path, monkeypatch):
    from mnist_cli.command.cli import DigitCLI

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"data\.batch_size: expected a whole number of at least 1, got 'x'"):
        DigitCLI(["fit", "--data.batch_size=x"])


def test_a_network_of_the_users_own_takes_over_the_arguments_that_it_shares_with_the_recipes(
    tmp_path, monkeypatch, mnist, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("with_channels.py").write_text(
        "from mnist_cli import CNN\n\n\nclass Own(CNN):\n"
        "    def __init__(self, channels: list[int | list[int]] = [1], dropout: float = 0.0):\n"
        "        super().__init__(channels, dropout=dropout)\n"
    )
    recipe = ["--config", str(ROOT / "configs/cnn.yaml"), "--model.net=with_channels.Own"]
    assert mnist("fit", *recipe, "--print_config") == 0
    network = yaml.safe_load(capfd.readouterr().out)["model"]["net"]
    assert network == {
        "class_path": "with_channels.Own",
        "init_args": {"channels": [32, [64, 96]], "dropout": 0.3},
    }
    assert (
        mnist(
            "fit", *recipe, *QUICK, "--trainer.limit_train_batches=2", "--data.batch_size=8", "--test_after_fit=false"
        )
        == 0
    )
    assert mnist("test", "--trainer.limit_test_batches=1", "--model.tta=0") == 0


@pytest.mark.parametrize("kind", [Union[float, int, None], Union[int, float, None], float | int])  # noqa: UP007
def test_a_whole_number_is_an_int_in_whatever_order_python_keeps_a_union(kind):
    parser = DigitArgumentParser()
    parser.add_argument("--number", type=kind)
    values = [parser.parse_command([f"--number={text}"]).number for text in ("1", "1.0", "0.5")]
    assert [type(value) for value in values] == [int, float, float]
