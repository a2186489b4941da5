"""A mistake of the user ends the command with its sentence, and nothing else does."""

import pytest

from mnist_cli.__main__ import SUBCOMMANDS, main
from mnist_cli.command import cli
from mnist_cli.errors import UserError


def test_the_sentence_is_all_that_a_user_sees(monkeypatch, capsys):
    def refuse(args):
        raise UserError("--data.batch_size 0: there must be at least 1.")

    monkeypatch.setattr(cli, "run", refuse)
    assert main([next(iter(SUBCOMMANDS))]) == 2
    assert capsys.readouterr().err == "mnist: error: --data.batch_size 0: there must be at least 1.\n"


def test_a_mistake_of_the_program_keeps_its_traceback(monkeypatch):
    def fail(args):
        raise KeyError("a bug")

    monkeypatch.setattr(cli, "run", fail)
    with pytest.raises(KeyError, match="a bug"):
        main(["fit"])
