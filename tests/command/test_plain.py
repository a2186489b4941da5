"""Commands that need no Trainer: quick to start, and their mistakes are sentences."""

import subprocess
import sys

import pytest

from mnist_cli.__main__ import PLAIN, main


@pytest.mark.parametrize("command", PLAIN)
def test_help_needs_no_torch_and_explains_every_option(command):
    code = "import sys; from mnist_cli.__main__ import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True)
    assert f"mnist {command}" in done.stdout
    assert "--ckpt_path" in done.stdout
    assert done.stdout.rstrip().endswith("False"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "--prot", "1"], "there is no option --prot; did you mean --port?"),
        (["demo", "--port", "many"], "--port: 'many' cannot be used; give a whole number."),
        (["export", "--output"], "--output needs a value; `mnist export --help` shows which."),
        (["export", "--xyz"], "there is no option --xyz; mnist export takes"),
        (["export", "surplus"], "there is no option surplus"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, says, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mnist: error: {says}")
    assert error.count("\n") == 1
