"""Kills fits at random moments, goes on with them, and compares the end with a fit that was left alone.

    python tests/kills.py --kills 50 --seed 0

A chain is one fit: it is killed by SIGINT, SIGTERM or SIGKILL, looked at, and gone on with by `mnist fit --ckpt_path
last`, until it is trained to its end. The processes are forked from one that has imported everything, so that a kill
takes a second. Exits with 1 at the first thing that is wrong, and leaves the folder.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
import yaml
from PIL import Image

from mnist_cli.__main__ import main
from mnist_cli.command import cli  # noqa: F401  # imported once, for all forks
from mnist_cli.runs.checkpoints import open_checkpoint

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
EPOCHS = 3
FIT = [
    *("--data.batch_size=64", "--trainer.limit_train_batches=80", f"--trainer.max_epochs={EPOCHS}"),
    *("--trainer.limit_val_batches=10", "--trainer.limit_test_batches=2", "--model.net.hidden_sizes=[32]"),
    *("--model.net.dropout=0.3", "--model.lr_scheduler=OneCycleLR", "--model.lr_scheduler.max_lr=0.01"),
    "--data.augment=[{class_path: kornia.augmentation.RandomAffine, init_args: {degrees: 10.0}}]",
    "--trainer.callbacks=[{class_path: EMAWeightAveraging, init_args: {decay: 0.9}}]",
]


def start(folder: Path, arguments: list[str]) -> int:
    """`mnist fit` in a process of its own; its output goes to said.txt."""
    pid = os.fork()
    if pid:
        return pid
    os.chdir(folder)
    file = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["mnist"]
    status = 70
    try:
        status = main(["fit", *arguments, "--trainer.enable_progress_bar=false"])
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(folder: Path, number: int, status: int, known: set[Path]) -> None:
    """See that everything that is there is whole, and that nothing is there that should not be.

    Args:
        folder: Where the process ran.
        number: The signal that it got.
        status: What it ended with.
        known: The runs that were there before it: of one that SIGKILL ended before its first step the directory stays.
    """
    said = (folder / "said.txt").read_text()
    assert status in (STATUS[number], 0), f"status {status} after {number}:\n{said}"
    assert "Traceback" not in said, said
    hidden = [path for path in folder.rglob(".*") if path.is_file()]
    assert not hidden, f"temporary files: {hidden}"
    for path in folder.glob("lightning_logs/version_*"):
        new = path not in known
        checkpoints = list(path.glob("checkpoints/*"))
        assert checkpoints or number == signal.SIGKILL or not new, f"{path} is empty after {number}:\n{said}"
        for file in checkpoints:
            open_checkpoint(file)
        if (path / "config.yaml").exists():
            assert yaml.safe_load((path / "config.yaml").read_text())["trainer"]
        else:
            assert number == signal.SIGKILL or not new, f"{path} has no config.yaml"
        if (path / "test.json").exists():
            assert json.loads((path / "test.json").read_text())["images"] == 2000
        for file in path.glob("figures/*.png"):
            Image.open(file).verify()
        if (path / "checkpoints/best.ckpt").exists():
            history = open_checkpoint(path / "checkpoints/best.ckpt").content["history"]
            assert history[-1]["val/loss"] == min(row["val/loss"] for row in history)
    epochs = [int(line.split()[1].partition("/")[0]) for line in said.splitlines() if line.startswith("epoch ")]
    if epochs:
        assert last_of(folder).epochs_done >= max(epochs), f"{max(epochs)} epochs were done:\n{said}"
    if status in (130, 143) and "run lightning_logs" in said:
        assert "This run can go on with" in said or "trained to its end" in said or "nothing is kept" in said, said


def last_of(folder: Path):
    """The newest last checkpoint; None before there is one."""
    runs = sorted(folder.glob("lightning_logs/version_*"), key=lambda one: int(one.name.rpartition("_")[2]))
    files = [path / f"checkpoints/{name}.ckpt" for path in reversed(runs) for name in ("last", "best")]
    return next((open_checkpoint(file) for file in files if file.exists()), None)


def chain(root: Path, data: str, draw: random.Random, seconds: float, kills: Counter[str]) -> Path:
    """One fit, killed again and again until it is trained to its end."""
    folder = Path(tempfile.mkdtemp(dir=root))
    while True:
        before = last_of(folder)
        if before and before.epochs_done == EPOCHS:
            return folder
        known = set(folder.glob("lightning_logs/version_*"))
        pid = start(folder, ["--ckpt_path", "last"] if before else [*FIT, "--data.data_dir", data])
        number = draw.choice(list(STATUS))
        moment = draw.uniform(0.02, 0.7 * seconds)
        time.sleep(moment)
        os.kill(pid, number)
        status = wait(pid)
        check(folder, number, status, known)
        if status != 0:
            kills[signal.Signals(number).name] += 1
        after = last_of(folder)
        place = f"epoch {after.epochs_done}, step {after.content['global_step']}" if after else "nothing yet"
        print(f"{signal.Signals(number).name} after {moment:.2f} s: status {status}, {place}", flush=True)
        if before and after:
            assert after.content["global_step"] >= before.content["global_step"], "steps were lost"


def compare(ours: Path, alone: Path) -> None:
    """The same weights, the same metrics of every epoch, the same choice of the best."""
    run = last_of(ours).path.parent.parent
    for name in ("last", "best"):
        one, other = (torch.load(path / f"checkpoints/{name}.ckpt", weights_only=True) for path in (run, alone))
        for key in ("state_dict", "current_model_state"):
            assert all(torch.equal(one[key][weight], other[key][weight]) for weight in other[key]), f"{name}: {key}"
        assert one["history"] == other["history"], f"{name}: history"
        assert one["epoch"] == other["epoch"], f"{name}: epoch"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data_dir", default="data")
    given = parser.parse_args()
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background processes ignore it
    data = str(Path(given.data_dir).absolute())
    root = Path(tempfile.mkdtemp(prefix="kills-"))
    alone = root / "alone"
    alone.mkdir()
    began = time.monotonic()
    assert wait(start(alone, [*FIT, "--data.data_dir", data])) == 0, (alone / "said.txt").read_text()
    seconds = time.monotonic() - began
    print(f"{root}: a fit that is left alone takes {seconds:.1f} s", flush=True)
    kills: Counter[str] = Counter()
    draw, chains = random.Random(given.seed), 0
    while kills.total() < given.kills:
        compare(chain(root, data, draw, seconds, kills), alone / "lightning_logs/version_0")
        chains += 1
        print(f"-- chain {chains} ends as the fit that was left alone; {kills.total()} kills so far", flush=True)
    print(f"{kills.total()} kills ({dict(kills)}) in {chains} fits: all went on to the same end")
