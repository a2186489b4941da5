"""What is said of a fit that did not come to its end, and which status a command ends with."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import RUN

from mnist_cli.command.endings import end
from mnist_cli.command.recording import leave_run
from mnist_cli.errors import UserError
from mnist_cli.runs.directory import Run
from mnist_cli.training.stop_signals import Stopped, StopSignals


def fail(error):
    raise error


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (0, 0)])
def test_the_signal_decides_the_status(number, status):
    signals = StopSignals()
    signals.received = number
    assert end(lambda: fail(Stopped()), signals) == status


def test_a_process_that_lost_another_one_says_so(monkeypatch, capfd):
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:552] Connection closed by peer [127.0.1.1]:8317")
    with pytest.raises(RuntimeError):
        end(lambda: fail(lost), StopSignals())
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert end(lambda: fail(lost), StopSignals()) == 1
    assert capfd.readouterr().err == ("mnist: error: another process of this run has ended, so this one ends too.\n")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (
            OSError(28, "No space left on device", "last.ckpt"),
            "the disk is full: last.ckpt cannot be written; free some",
        ),
        (OSError(28, "No space left on device"), "the disk is full: a file cannot be written"),
        (MemoryError(), "this needs more memory than there is; give a smaller --data.batch_size or a smaller network."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "this needs more memory than there"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), "this needs more memory than there is"),
        (PermissionError(13, "Permission denied", "last.ckpt"), "last.ckpt cannot be used (Permission denied)"),
    ],
)
def test_what_the_machine_lacks_is_named(error, problem):
    with pytest.raises(UserError, match=re.escape(problem)):
        end(lambda: fail(error), StopSignals())


def test_only_a_checkpoint_that_loads_is_promised(workplace, capfd):
    run = Run(RUN)
    leave_run(run, Stopped())
    assert (
        "trained to its end; test it with `mnist test --ckpt_path lightning_logs/version_0`" in capfd.readouterr().err
    )
    config = run.config.read_text()
    run.config.write_text(config.replace("max_epochs: 2", "max_epochs: 3"))
    leave_run(run, Stopped())
    assert f"can go on with `mnist fit --ckpt_path {run.checkpoint('last')}`" in capfd.readouterr().err
    run.checkpoint("last").write_bytes(run.checkpoint("last").read_bytes()[:1000])
    leave_run(run, Stopped())
    assert f"can go on with `mnist fit --ckpt_path {run.checkpoint('best')}`" in capfd.readouterr().err
    run.checkpoint("best").unlink()
    leave_run(run, Stopped())
    assert capfd.readouterr().err == ""


def test_what_never_trained_leaves_no_directory(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    run = Run(RUN)
    run.path.mkdir(parents=True)
    run.config.write_text("")
    leave_run(run, Stopped())
    assert "nothing is kept" in capfd.readouterr().err
    assert not run.path.exists()


def test_a_broken_last_checkpoint_is_named_and_the_best_taken(workplace, mnist, capfd):
    last = RUN / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    more = ["--trainer.max_epochs=3", "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", "--ckpt_path", "last", *more) == 0
    said = capfd.readouterr().err
    assert f"{last} cannot be read; the run's best checkpoint is taken instead" in said
    assert f"Checkpoint {RUN / 'checkpoints/best.ckpt'}" in said
    shutil.rmtree("lightning_logs/version_1")
    (RUN / "checkpoints/best.ckpt").write_bytes(b"")
    assert mnist("fit", "--ckpt_path", "last", *more) == 2
    assert not Path("lightning_logs/version_1").exists()


def test_a_run_killed_before_its_first_last_checkpoint_is_not_passed_over(workplace, mnist, capfd):
    shutil.copytree("lightning_logs/version_0", "lightning_logs/version_1")
    Path("lightning_logs/version_1/checkpoints/last.ckpt").unlink()
    more = ["--trainer.max_epochs=3", "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", "--ckpt_path", "last", *more) == 0
    assert "(of run version_1, " in capfd.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_mistake(tmp_path):
    command = f"set -o pipefail; '{sys.executable}' -m mnist_cli fit --help | true"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")
