"""The help of a command is a page; everything else is one option further."""

import pytest

from mnist_cli.__main__ import PLAIN, SUBCOMMANDS, main


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_the_help_of_a_command_is_a_page_of_80_columns(command, mnist, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert mnist(command, "--help") == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) < 66
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert ("--ckpt_path" in text) == (command not in ("search", "runs", "ensemble"))
    if command in (*PLAIN, "search"):
        return
    assert "--data.batch_size              Images per training step [64]" in text
    assert "--model.net " in text
    assert "[MLP]" in text
    assert "required" not in text


def test_all_options_are_one_word_further(mnist, capfd):
    assert mnist("fit", "--help=all") == 0
    text = " ".join(capfd.readouterr().out.split())
    assert "or that between the probabilities and the one-hot label" in text
    assert "--trainer.reload_dataloaders_every_n_epochs" in text


def test_the_options_of_a_network_are_listed_by_its_name(capfd):
    assert main(["fit", "--model.net.help", "CNN"]) == 0
    assert "--model.net.channels" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("model.net", {"CNN", "MLP"}),
        ("model.optimizer", {"Adam", "SGD"}),
        ("trainer.callbacks", {"EarlyStopping"}),
        ("data.augment", {"RandomDistortion", "RandomAddedStrokes"}),
    ],
)
def test_help_without_a_name_lists_what_can_be_named(capfd, option, names):
    assert main(["fit", f"--{option}.help"]) == 0
    out = capfd.readouterr().out
    found = out.split("one of: ")[1].split("\n")[0].split(", ")
    assert names <= set(found)
    assert len(found) < 100


def test_help_for_an_option_without_a_class_is_refused(mnist, capfd):
    assert mnist("fit", "--model.optimzer.help") == 2
    assert "takes no class; did you mean --model.optimizer.help?" in capfd.readouterr().err
