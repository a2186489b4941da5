"""SIGINT and SIGTERM at any moment of the installed command: what is saved, what is said, what is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import RUN

from mnist_cli.runs.checkpoints import open_checkpoint
from mnist_cli.training.stop_signals import Stopped, StopSignals

MNIST = Path(sys.executable).parent / "mnist"
LONG = [
    "--trainer.max_epochs=500",
    "--trainer.limit_train_batches=200",
    "--model.net.hidden_sizes=[16]",
    "--early_stopping=null",
]


@pytest.fixture
def start(tmp_path, data_dir):
    """Starts `mnist` in an empty folder, as a process."""
    begun = []

    def start(*options, **kwargs):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = [MNIST, *options]
        if "--config" not in options and "--ckpt_path" not in options:
            command += ["--data.data_dir", data_dir]
        begun.append(subprocess.Popen(command, cwd=tmp_path, **pipes, **kwargs))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def read_until(process, words):
    """What a process prints, up to a line with these words."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"no '{words}' in: {''.join(lines)}")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_fit_that_is_stopped_saves_where_it_is_and_says_how_to_go_on(start, tmp_path, number, status):
    process = start("fit", *LONG)
    read_until(process, "epoch 1/500")
    best = (tmp_path / RUN / "checkpoints/best.ckpt").read_bytes()
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == status, said
    assert "This run can go on with `mnist fit --ckpt_path lightning_logs/version_0/checkpoints/last.ckpt`" in said
    assert "Traceback" not in said
    last = open_checkpoint(tmp_path / RUN / "checkpoints/last.ckpt")
    assert last.epochs_done >= 1
    assert last.content["global_step"] > 200
    if last.content["global_step"] < 400:  # in the second epoch nothing is better yet
        assert (tmp_path / RUN / "checkpoints/best.ckpt").read_bytes() == best
    assert not [path for path in tmp_path.rglob(".*")]


def test_a_signal_before_the_first_step_leaves_nothing(start, tmp_path):
    process = start("fit", *LONG)
    deadline = time.monotonic() + 120
    while not (tmp_path / RUN).exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.terminate()
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 143, said
    assert (tmp_path / RUN / "checkpoints/last.ckpt").exists() or not (tmp_path / RUN).exists()


class Freed:
    """Gets a signal while Python frees it, where exceptions are dropped."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.001)


def free_and_wait():
    Freed()
    time.sleep(5)


def test_a_signal_is_not_lost_while_python_frees_an_object(capfd):
    signals, before = StopSignals(), sys.unraisablehook
    with pytest.raises(Stopped), signals.handled():
        free_and_wait()
    assert signals.received == signal.SIGTERM
    assert sys.unraisablehook is before
    assert capfd.readouterr().err == ""
