"""Every option with odd values: works, or one sentence and status 2; tests/odd_values.py does it."""

import re
import subprocess
import sys

import pytest
import yaml
from helpers import CONFIGS, ROOT
from odd_values import PLAIN, SECONDS, VALUES, options_of, problem

from mnist_cli.command.parser import _leaves
from mnist_cli.command.parts import OPTIONS, PARTS

GROUPS = ["trainer", "model", "data", *PARTS, *OPTIONS, "seed_everything", "config", "ckpt_path"]
FEW = ["0", "-1", "1000000000000", ".nan", "", "[[[0]]]", "{a: {b: [1]}}"]  # fit has tried the others


def walk(*arguments):
    done = subprocess.run(
        [sys.executable, ROOT / "tests/odd_values.py", *arguments], capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    tried, worked, refused = map(int, re.findall(r"(\d+) (?:tried|worked|refused)", done.stdout))
    assert tried == worked + refused
    return tried


@pytest.mark.slow
def test_the_names_of_runs_take_odd_values_or_refuse_them():
    assert walk("fit", "--only", "name") == len(VALUES)


def test_every_option_is_walked_over():
    names = {name.rstrip("+") for name, *_ in options_of("fit")}
    assert {name.partition(".")[0] for name in names} == set(GROUPS)
    settings = set()
    for path in CONFIGS:
        settings |= {name for name, _ in _leaves("", yaml.safe_load(path.read_text())) if "class_path" not in name}
    assert len(settings) > 40
    assert settings <= names


@pytest.mark.parametrize(
    ("status", "said", "found"),
    [
        (0, "", None),
        (2, "mnist: error: --name x: give another one.\n", None),
        (2, "mnist: error: --name x: give another one\n", "not one sentence"),
        (2, "something else\nmnist: error: --name x: give another one.\n", "not one sentence"),
        (2, "Traceback (most recent call last):\n", "status 2"),
        (1, "", "status 1"),
        (-9, "", "status -9"),
        (None, "", f"did not end in {SECONDS} s"),
    ],
)
def test_what_neither_works_nor_is_refused_is_noticed(status, said, found, tmp_path):
    (tmp_path / "err.txt").write_text(said)
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
        pass
    assert problem(tmp_path, process.pid, status) == found


def test_a_number_that_is_none_and_a_process_left_behind_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("odd_values.NOTICED", 2)
    (tmp_path / "err.txt").write_text("")
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        assert problem(tmp_path, process.pid, 0) == "left processes running"
    (tmp_path / "test.json").write_text('{"loss": NaN}')
    assert problem(tmp_path, process.pid, 0) == "test.json has a number that is none"


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_every_option_of_fit_takes_odd_values_or_refuses_them(group):
    walk("fit", "--only", group)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_every_option_of_the_other_commands_takes_odd_values_or_refuses_them(command):
    walk(command, "--values", *FEW)


@pytest.mark.slow
@pytest.mark.parametrize("command", PLAIN)
def test_the_commands_without_trainer_take_odd_values_or_refuse_them(command):
    walk(command)
