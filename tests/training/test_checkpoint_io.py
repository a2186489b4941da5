"""A checkpoint takes the place of an older one only when it is whole."""

import os
import subprocess
import sys
import time
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from mnist_cli.training.checkpoint_io import WholeCheckpoints, write_whole_checkpoints

SAVE = """
import torch
from mnist_cli.training.checkpoint_io import WholeCheckpoints
for n in range(10**9):
    WholeCheckpoints().save_checkpoint({"n": torch.full((500_000,), float(n))}, "last.ckpt")
    if n == 0:
        print("ready", flush=True)
"""


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path):
    for pause in (0.01, 0.02, 0.04, 0.08, 0.16):
        process = subprocess.Popen([sys.executable, "-c", SAVE], cwd=tmp_path, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.wait()
        process.stdout.close()
        assert [one.name for one in tmp_path.iterdir()] == ["last.ckpt"]
        values = torch.load(tmp_path / "last.ckpt", weights_only=True)["n"]
        assert (values == values[0]).all()


def test_a_checkpoint_is_written_and_read_and_a_failure_leaves_the_older_one(tmp_path, monkeypatch):
    plugin, path = WholeCheckpoints(), tmp_path / "new/last.ckpt"
    plugin.save_checkpoint({"weights": torch.ones(3)}, path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"No space left on device: '.*last\.ckpt'"):
        plugin.save_checkpoint({"weights": torch.zeros(3)}, path)
    assert torch.equal(plugin.load_checkpoint(path, weights_only=True)["weights"], torch.ones(3))
    assert [one.name for one in Path(tmp_path / "new").iterdir()] == ["last.ckpt"]


def test_a_plugin_of_the_users_own_is_kept():
    class Mine(WholeCheckpoints):
        pass

    options = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "logger"), False)
    given, plain = pl.Trainer(accelerator="cpu", plugins=[Mine()], **options), pl.Trainer(accelerator="cpu", **options)
    for trainer in (given, plain):
        write_whole_checkpoints(trainer)
    assert type(given.strategy.checkpoint_io) is Mine
    assert type(plain.strategy.checkpoint_io) is WholeCheckpoints
