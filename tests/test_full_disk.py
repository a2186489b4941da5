"""The disk is full while a fit saves: one sentence, and the checkpoints that were there stay whole."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import RUN

from mnist_cli.runs.checkpoints import open_checkpoint

pytestmark = pytest.mark.slow

MNIST = Path(sys.executable).parent / "mnist"
LONG = ["--trainer.max_epochs=500", "--trainer.limit_train_batches=20", "--trainer.limit_val_batches=1"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB at lightning_logs."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "lightning_logs"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk):
    with (disk / "full").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.parametrize("options", [[], ["--trainer.logger=false"]], ids=["logger", "no logger"])
def test_a_disk_that_fills_up_during_a_fit_costs_one_sentence(small_disk, tmp_path, data_dir, options):
    net = ["--model.net.hidden_sizes=[8]", "--figures=null", "--early_stopping=null"]
    command = [MNIST, "fit", *LONG, *net, *options, f"--data.data_dir={data_dir}"]
    fit = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while (line := fit.stdout.readline()) and not line.startswith("epoch 2/500"):
            pass
        fill(small_disk)
        said, problem = fit.communicate(timeout=100)
    finally:
        fit.kill()
        fit.communicate()
    assert fit.returncode == 2, problem
    assert "Traceback" not in said + problem
    *rest, last_line = problem.splitlines()
    place = r"(lightning_logs/version_0/\S+|a file)"  # TensorBoard does not say which
    assert re.fullmatch(rf"mnist: error: the disk is full: {place} cannot be written; free some space\.", last_line)
    assert rest[-1].startswith("This run can go on with `mnist fit --ckpt_path lightning_logs/version_0/checkpoints/l")
    for name in ("best", "last"):
        assert open_checkpoint(tmp_path / RUN / f"checkpoints/{name}.ckpt").epochs_done >= 1
    last = open_checkpoint(tmp_path / RUN / "checkpoints/last.ckpt")
    assert json.loads((tmp_path / RUN / "run.json").read_text())

    # Going on, still without space: the same, and nothing new. With space it goes on.
    more = [MNIST, "fit", "--ckpt_path=last", f"--trainer.max_epochs={last.epochs_done + 1}", "--test_after_fit=false"]
    again = subprocess.run(more, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert again.returncode == 2, again.stderr
    assert "Traceback" not in again.stderr
    assert again.stderr.splitlines()[-1].startswith("mnist: error: ")
    assert open_checkpoint(last.path).content["global_step"] == last.content["global_step"]
    (small_disk / "full").unlink()
    done = subprocess.run(more, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    newest = max(small_disk.glob("version_*"), key=lambda run: int(run.name.removeprefix("version_")))
    assert open_checkpoint(newest / "checkpoints/last.ckpt").epochs_done == last.epochs_done + 1
