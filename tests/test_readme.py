"""Every command of the README is understood, and its two commands of set-up are the ones that CI runs."""

import shlex
import sys
from types import ModuleType

import pytest
from helpers import ROOT

from mnist_cli.__main__ import PLAIN, main
from mnist_cli.model.networks import MLP

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.strip().split("#")[0].split(">")[0].strip() for line in README.splitlines() if line.startswith("    mnist ")
]


def test_the_two_commands_of_set_up_are_there():
    assert "    pip install -e . && mnist fit --config configs/default.yaml\n" in README
    assert "    pip install -e '.[dev]' && pytest\n" in README
    assert "grep -m1 -F \"pip install -e '.[dev]'\" README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_understood(command, workplace, monkeypatch, capsys):
    (workplace / "configs").symlink_to(ROOT / "configs")
    package = ModuleType("my_package")
    package.MyNet = MLP
    monkeypatch.setitem(sys.modules, "my_package", package)
    name, *options = shlex.split(command)[1:]
    if name in (*PLAIN, "search"):
        assert main([name, "--help"]) == 0
        known = capsys.readouterr().out
        assert all(option in known for option in options if option.startswith("--"))
        return
    options = [option for option in shlex.split(command)[1:] if option != "--print_config"]
    assert main([*options, "--print_config"]) == 0
    assert "seed_everything" in capsys.readouterr().out


def test_every_recipe_is_in_the_readme():
    for config in (ROOT / "configs").glob("*.yaml"):
        assert f"`{config.name}`" in README
