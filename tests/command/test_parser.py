"""The parser of a command knows its options, and what the user gave."""

from typing import Union

import pytest

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


@pytest.mark.parametrize("kind", [Union[float, int, None], Union[int, float, None], float | int])  # noqa: UP007
def test_a_whole_number_is_an_int_in_whatever_order_python_keeps_a_union(kind):
    parser = DigitArgumentParser()
    parser.add_argument("--number", type=kind)
    values = [parser.parse_command([f"--number={text}"]).number for text in ("1", "1.0", "0.5")]
    assert [type(value) for value in values] == [int, float, float]
