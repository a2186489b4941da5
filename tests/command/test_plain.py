"""Commands that need no Trainer: quick to start, and their mistakes are sentences."""

import re
import subprocess
import sys

import pytest

from mnist_cli.__main__ import PLAIN, main


@pytest.mark.parametrize("command", PLAIN)
def test_help_needs_no_torch_and_explains_every_option(command):
    code = "import sys; from mnist_cli.__main__ import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True)
    assert f"mnist {command}" in done.stdout
    assert ("--by-seed" if command == "runs" else "--trainer.default_root_dir") in done.stdout
    assert done.stdout.rstrip().endswith("False"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "--prot", "1"], "there is no option --prot; did you mean --port?"),
        (["demo", "--port", "many"], "--port: 'many' cannot be used; give a whole number."),
        (["export", "--output"], "--output needs a value; `mnist export --help` shows which."),
        (["export", "--xyz"], "there is no option --xyz; mnist export takes"),
        (["export", "digits.onnx"], "unexpected argument 'digits.onnx'; a file to write is given with --output"),
        (["demo", "surplus"], "there is no option surplus"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, says, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mnist: error: {says}")
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", PLAIN)
def test_every_misspelt_option_gets_a_sentence(command, capsys):
    assert main([command, "--help"]) == 0
    options = set(re.findall(r"(?<= )--[\w.-]+", capsys.readouterr().out)) - {"--help"}
    assert options
    for option in options:
        assert main([command, f"{option}s", "1"]) == 2
        assert capsys.readouterr().err == f"mnist: error: there is no option {option}s; did you mean {option}?\n"
