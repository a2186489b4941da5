"""How checkpoints are written: beside their place, flushed to the disk, then renamed."""

import io
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mnist_cli.files import write_whole


class WholeCheckpoints(TorchCheckpointIO):
    """Replaces an older file only when the new one is on the disk.

    Lightning writes into the folder for temporary files and copies from there over the older file, if that is another
    file system: a process that is killed meanwhile, or a full disk, leaves a part of a checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        if "://" in str(path):  # a bucket of a cloud, for example
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()  # written directly, torch would report a full disk as an error of its own
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getbuffer())


def write_whole_checkpoints(trainer: pl.Trainer) -> None:
    """Let a trainer write checkpoints this way, unless the user chose another one."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeCheckpoints()
