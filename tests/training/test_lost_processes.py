"""One of two processes of a fit is killed or stopped: the other ends soon, with a sentence, and the fit can go on."""

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import RUN

from mnist_cli.runs.checkpoints import open_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")]

MNIST = Path(sys.executable).parent / "mnist"
LONG = ["--trainer.max_epochs=500", "--trainer.limit_train_batches=100", "--trainer.limit_val_batches=2"]
SMALL = ["--model.net.hidden_sizes=[16]", "--early_stopping=null", "--figures=null", "--trainer.logger=false"]
TWO = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"]
ONE = ["--trainer.devices=1", "--trainer.strategy=auto", "--test_after_fit=false", "--early_stopping=null"]
PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def orphans_are_ours():
    """A process whose parent was killed becomes a child of this one, which then sees its status."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


@pytest.fixture
def interruptible():
    """A shell has what it starts in the background ignore Ctrl-C, and so would all processes from here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start(tmp_path, data_dir, orphans_are_ours, interruptible):
    """Starts a fit on two processes: gives the main process, the child's id, and the file of what they print."""
    begun, children = [], []

    def start(*command):
        said = tmp_path / "said.txt"
        with said.open("w") as file:
            command = [MNIST, *(command or ("fit", *LONG, *SMALL)), *TWO, "--data.data_dir", data_dir]
            main = subprocess.Popen(command, cwd=tmp_path, stdout=file, stderr=file)
        begun.append(main)
        children.append(wait_for(lambda: child_of(main.pid), 120))
        assert children[0], said.read_text()
        return main, children[0], said

    yield start
    for pid in filter(None, children):
        if not ended(pid):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # it became ours, if the main process ended first
            os.waitpid(pid, 0)
    for main in begun:
        main.kill()
        main.wait()


def child_of(pid):
    """The process that is to be the second one; before it a library starts others."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            if b"\0LOCAL_RANK=1\0" in b"\0" + Path(f"/proc/{child}/environ").read_bytes():
                return int(child)
    return None


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return result


def ended(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# What each of the two ends with: the main process of a fit is the one whose status the user sees. Of a child that stops
# as it should Lightning wants to see status 0.
CASES = {
    "SIGKILL to the child": (signal.SIGKILL, "child", 1, None),
    "SIGKILL to the main process": (signal.SIGKILL, "main", -9, 1),
    "SIGTERM to the child": (signal.SIGTERM, "child", 143, None),
    "SIGTERM to the main process": (signal.SIGTERM, "main", 143, None),
    "SIGINT to the main process": (signal.SIGINT, "main", 130, None),
    "SIGINT to the child": (signal.SIGINT, "child", 130, None),
    "SIGINT to both, as Ctrl-C does": (signal.SIGINT, "both", 130, None),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("again", range(2))
def test_when_one_process_ends_the_other_ends_too_and_the_fit_goes_on(start, tmp_path, case, again):
    number, whom, main_status, child_status = CASES[case]
    main, child, file = start()
    assert wait_for(lambda: "epoch 1/500" in file.read_text() or ended(main.pid), 120), file.read_text()
    assert not ended(main.pid), file.read_text()
    time.sleep(random.uniform(0, 2))
    began, signalled = time.monotonic(), time.time()
    for pid in {"main": [main.pid], "child": [child], "both": [main.pid, child]}[whom]:
        os.kill(pid, number)
    assert wait_for(lambda: ended(main.pid) and ended(child), 60), "somebody hangs"
    seconds = time.monotonic() - began
    said = file.read_text()
    print(f"{case}: {seconds:.1f} s\n{said}")
    assert main.wait() == main_status, said
    if child_status is not None:  # it has become ours
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == child_status, said
    assert "Traceback" not in said
    last_line = said.splitlines()[-1]
    if main_status in (130, 143) or whom == "child":
        assert "This run can go on with `mnist fit --ckpt_path lightning_logs/version_0/" in said
    if number == signal.SIGKILL:
        assert "another process of this run has ended, so this one ends too." in said
    assert last_line.endswith("."), said
    assert not [path for path in tmp_path.rglob(".*")]

    saved = tmp_path / RUN / "checkpoints/last.ckpt"
    last = open_checkpoint(saved)
    if number != signal.SIGKILL:
        assert saved.stat().st_mtime > signalled - 0.1, "it did not save where it was"
    goes_on = ["fit", "--ckpt_path=last", *ONE, f"--trainer.max_epochs={last.epochs_done + 2}"]
    done = subprocess.run([MNIST, *goes_on], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    resumed = open_checkpoint(tmp_path / "lightning_logs/version_1/checkpoints/last.ckpt")
    assert resumed.epochs_done == last.epochs_done + 2


@pytest.mark.parametrize(("whom", "seconds"), [("child", 0), ("child", 5), ("main", 0), ("main", 5)])
def test_a_process_that_is_killed_before_the_training_is_missed_too(start, tmp_path, whom, seconds):
    main, child, file = start()
    time.sleep(seconds)
    os.kill(main.pid if whom == "main" else child, signal.SIGKILL)
    assert wait_for(lambda: ended(main.pid) and ended(child), 60), f"somebody hangs: {file.read_text()}"
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if whom == "main" else main.wait()
    said = file.read_text()
    assert status == 1, said
    assert "Traceback" not in said
    assert "another process of this run has ended, so this one ends too." in said


@pytest.mark.parametrize("command", ["test", "predict"])
@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("SIGINT to the")])
def test_when_one_process_of_a_test_ends_the_other_ends_too_and_nothing_is_replaced(start, workplace, case, command):
    number, whom, main_status, child_status = CASES[case]
    main_status = 1 if whom == "child" else main_status  # in a test they do not agree on a signal
    before = (RUN / "test.json").read_bytes()
    one_by_one = ["--data.eval_batch_size=1", "--trainer.enable_progress_bar=true"]  # 5,000 steps for each
    main, child, file = start(command, *one_by_one)
    assert wait_for(lambda: "Starting with 2 processes" in file.read_text(), 60), file.read_text()
    time.sleep(random.uniform(2, 4))
    assert not ended(main.pid), file.read_text()
    for pid in {"main": [main.pid], "child": [child], "both": [main.pid, child]}[whom]:
        os.kill(pid, number)
    assert wait_for(lambda: ended(main.pid) and ended(child), 60), "somebody hangs"
    said = file.read_text()
    print(f"{case} in {command}:\n{said}")
    assert main.wait() == main_status, said
    if child_status is not None:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == child_status, said
    assert "Traceback" not in said
    assert (RUN / "test.json").read_bytes() == before
    assert not list(Path(RUN).glob("predictions*"))
