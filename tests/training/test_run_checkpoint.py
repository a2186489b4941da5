"""The best checkpoint of a run, also of one that goes on in a new directory."""

import shutil
from pathlib import Path

import torch


def test_a_resumed_run_keeps_the_best_checkpoint_so_far(workplace, mnist):
    before = Path("lightning_logs/version_0/checkpoints/best.ckpt").read_bytes()
    ruin = ["--model.optimizer.lr=50", "--trainer.max_epochs=3", "--test_after_fit=false"]
    Path("elsewhere").mkdir()
    shutil.move("lightning_logs/version_0", "elsewhere/moved")
    assert mnist("fit", "--ckpt_path", "elsewhere/moved/checkpoints/last.ckpt", *ruin) == 0
    assert Path("elsewhere/moved/checkpoints/best.ckpt").read_bytes() == before
    kept = torch.load("lightning_logs/version_0/checkpoints/best.ckpt", weights_only=True)
    assert kept["epoch"] == 1
