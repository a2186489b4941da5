"""A long fit does not need more and more: memory and open files stay what they were."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import RUN, metrics

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks at the process in /proc")]

MNIST = Path(sys.executable).parent / "mnist"
RECORDER = """
import os
import lightning.pytorch as pl

class Needs(pl.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
        kilobytes = sum(int(status[name].split()[0]) for name in ("RssAnon", "VmSwap"))
        with open("needs.txt", "a") as file:
            print(kilobytes, len(os.listdir("/proc/self/fd")), file=file)
"""
AVERAGED = "{class_path: EMAWeightAveraging, init_args: {decay: 0.9}}"
AUGMENT = "--data.augment=[{class_path: mnist_cli.RandomDistortion, init_args: {degrees: 4.0}}]"


@pytest.mark.parametrize("options", [[], [AUGMENT, "--data.num_workers=1"]], ids=["plain", "augmented, with a worker"])
def test_memory_and_open_files_do_not_grow_over_100_epochs(tmp_path, data_dir, options):
    (tmp_path / "recorder.py").write_text(RECORDER)
    short = ["--trainer.max_epochs=101", "--trainer.limit_train_batches=10", "--trainer.limit_val_batches=1"]
    rest = ["--early_stopping=null", "--test_after_fit=false", f"--data.data_dir={data_dir}"]
    callbacks = f"--trainer.callbacks=[{{class_path: recorder.Needs}}, {AVERAGED}]"
    command = [MNIST, "fit", *short, *rest, callbacks, "--model.net.hidden_sizes=[16]", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    needs = [tuple(map(int, line.split())) for line in (tmp_path / "needs.txt").read_text().splitlines()]
    assert len(needs) == len(metrics(tmp_path / RUN)) == 101
    (memory, files), (memory_later, files_later) = needs[20], needs[100]  # before the first epoch, after it, ...
    growth = (memory_later - memory) / 1000  # libraries' files in memory are not counted: the system drops them at will
    print(f"{memory / 1000:.0f} MB, {growth:+.2f} MB in 80 epochs; {files} and {files_later} files")
    assert files_later <= files
    assert growth < 4
