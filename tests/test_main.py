"""The public face: names that import nothing else, and a `main` that leaves its caller's process as it was."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mnist_cli
from mnist_cli import __main__

RUN_TWICE = """
import gc, json, os, sys, warnings
from pathlib import Path
import torch
from mnist_cli import main

def state():
    denormal = (torch.tensor([1e-40]) * 0.5).item() != 0
    return [dict(os.environ), list(warnings.filters), list(sys.path), gc.isenabled(), gc.get_freeze_count(), denormal]

import lightning.pytorch.cli  # sets a variable when it is imported
before = state()
states = []
for run in sys.argv[1:3]:
    assert main(["test", "--ckpt_path", run, "--figures=null", "--trainer.enable_progress_bar=false",
                 "--trainer.limit_test_batches=1"]) == 0
    assert main(["test", "--ckpt_path", "nowhere"]) == 2
    states.append(state())
after = states[0]
assert states[0] == states[1]
assert "many workers" not in str(after[1])  # libraries imported on the way have filters of their own
del before[1], after[1]
assert before == after, [(a, b) for a, b in zip(before, after) if a != b]
"""


def test_main_tests_two_runs_in_one_process_and_leaves_it_as_it_was(workplace):
    runs = ["lightning_logs/version_0", "lightning_logs/version_1"]
    shutil.copytree(*runs)
    for run in runs:
        (Path(run) / "test.json").unlink()
    command = [sys.executable, "-c", RUN_TWICE, *runs]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    chosen = [line for line in done.stderr.splitlines() if line.startswith("Checkpoint")]
    assert ["of run version_0" in chosen[0], "of run version_1" in chosen[1]] == [True, True]
    assert all((Path(run) / "test.json").exists() for run in runs)


def test_every_public_name_is_there_and_is_known_by_its_short_path():
    for name in mnist_cli.__all__:
        assert getattr(mnist_cli, name).__name__ == name
    assert set(mnist_cli.__all__) <= set(dir(mnist_cli))


def test_names_pull_in_only_what_they_need():
    code = (
        "import sys; from mnist_cli import Run, UserError, main; print({'torch', 'yaml', 'lightning'} & {*sys.modules})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "set()\n"
    code = "import sys; from mnist_cli import MLP, read_digits; print({'lightning', 'kornia'} & {*sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "set()\n"


def test_the_lines_for_a_notebook_train_without_a_warning(tmp_path, data_dir):
    lines = [line[4:] for line in mnist_cli.__doc__.splitlines() if line.startswith("    ")]
    code = "\n".join(lines).replace("batch_size=256", f"batch_size=256, data_dir={data_dir!r}")
    code = code.replace("max_epochs=3", "max_epochs=3, limit_train_batches=20, limit_val_batches=2")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "test/acc" in done.stdout
    assert "Warning" not in done.stderr
    assert "Attribute" not in done.stderr
    assert "LeafSpec" not in done.stderr


@pytest.mark.parametrize(
    ("running", "processors", "ours", "busy"),
    [
        ("11111", 2, 2, False),
        ("22212", 2, 2, True),
        ("12121", 2, 2, False),
        ("22222", 16, 2, True),
        ("11111", 16, 2, False),
        ("x", 2, 2, True),
    ],
)
def test_threads_sleep_while_they_wait_if_others_need_the_processors(monkeypatch, running, processors, ours, busy):
    looks = iter(running)

    class LoadAverage:
        def __init__(self, path):
            assert path == "/proc/loadavg"

        def read_text(self):
            return f"9.00 9.00 9.00 {next(looks)}/85 7512"

    monkeypatch.setattr(__main__, "Path", LoadAverage)
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(ours)))
    assert __main__._others_work() is busy


def test_a_process_that_works_beside_is_noticed():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            assert __main__._others_work()
        finally:
            process.kill()
