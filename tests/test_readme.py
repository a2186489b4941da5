"""Every command of the README and of docs/ is understood, and the two commands of set-up are the ones that CI runs."""

import re
import shlex
import sys
from types import ModuleType

import pytest
from helpers import ROOT

from mnist_cli.__main__ import PLAIN, main
from mnist_cli.command.completion import SHELLS
from mnist_cli.model.networks import MLP

README = (ROOT / "README.md").read_text()
PAGES = [README, *(page.read_text() for page in sorted((ROOT / "docs").glob("*.md")))]
LINES = [line for page in PAGES for line in page.splitlines() if line.startswith("    mnist ")]
COMMANDS = list(dict.fromkeys(" ".join(line.split("#")[0].split(">")[0].split()) for line in LINES))


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
    if name.startswith("--print_"):  # tests/command/test_completion.py asks the shells themselves
        assert (name, *options) in [("--print_schema",), *(("--print_completion", one) for one in SHELLS)]
        return
    if name in (*PLAIN, "search"):
        assert main([name, "--help"]) == 0
        known = capsys.readouterr().out
        unknown = [option for option in options if option.startswith("--") and option.partition("=")[0] not in known]
        assert not [option for option in unknown if name != "search" or "." not in option]
        if unknown:  # a search takes the options of fit too
            assert main(["fit", *options[options.index(unknown[0]) :][:2], "--print_config"]) == 0
        return
    options = [option for option in shlex.split(command)[1:] if option != "--print_config"]
    assert main([*options, "--print_config"]) == 0
    assert "seed_everything" in capsys.readouterr().out


def test_every_recipe_is_in_the_readme():
    for config in (ROOT / "configs").glob("*.yaml"):
        assert f"`{config.name}`" in README


def test_every_file_that_a_page_names_is_there():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for place in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / place).exists(), f"{page.name}: {place}"


def test_every_place_in_the_code_that_the_page_on_lightningcli_names_is_there():
    page = (ROOT / "docs" / "lightningcli.md").read_text()
    places = re.findall(r"`([\w/]+\.py)`(?: \(`(\w+)`)?", page)
    assert len(places) > 15
    for file, name in places:
        assert name in (ROOT / "mnist_cli" / file).read_text(), f"{file}: {name}"
