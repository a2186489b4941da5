"""Checkpoints: written in the run directory, read without running anything that may be in them."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from mnist_cli import UserError
from mnist_cli.runs import run_of, shown


class RunCheckpoint(ModelCheckpoint):
    """ModelCheckpoint with one file of a fixed name, which goes along when a run is resumed in a new directory.

    Args:
        dirpath: Folder of the file; by default `checkpoints` in the run directory.
        filename: Name of the file, without `.ckpt`.
        monitor: Metric that decides which epoch is best; None keeps the newest.
        mode: Whether less or more of the metric is better.
    """

    def __init__(
        self,
        dirpath: str | None = None,
        filename: str = "best",
        monitor: str | None = "val/loss",
        mode: str = "min",
    ) -> None:
        super().__init__(
            dirpath,
            filename,
            monitor=monitor,
            mode=mode,
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=True if monitor is None else None,  # None: then, if validation is once an epoch
        )
        self._resumed_from: Path | None = None
        self._copies = False

    on_train_batch_end = Callback.on_train_batch_end  # it saves after epochs only: nothing to ask at a step

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._resumed_from = Path(str(trainer.ckpt_path)).parent
        self._copies = trainer.is_global_zero

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best checkpoint so far: later epochs have to beat it."""
        assert self._resumed_from is not None
        assert self.dirpath is not None
        name = Path(state_dict["best_model_path"]).name
        source, copy = self._resumed_from / name, Path(self.dirpath) / name
        if self.monitor is None or not source.is_file():
            return
        if self._copies and source != copy:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
        score = state_dict["best_model_score"]
        moved = {
            "dirpath": self.dirpath,
            "best_model_path": str(copy),
            "kth_best_model_path": str(copy),
            "best_k_models": {str(copy): score},
        }
        super().load_state_dict(state_dict | moved)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint of this program without running anything that may be in it.

    Raises:
        UserError: If the file is something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise UserError(
            f"--ckpt_path: {path} is no checkpoint, or only a part of one; give a .ckpt file that `mnist fit` wrote."
        ) from error
    keys = {"state_dict", "hyper_parameters", "datamodule_hyper_parameters", "loops", "epoch"}
    if not isinstance(content, dict) or not keys <= content.keys():
        raise UserError(
            f"--ckpt_path: {path} is a checkpoint of another program; give a .ckpt file that `mnist fit` wrote."
        )
    for name in ("hyper_parameters", "datamodule_hyper_parameters"):
        content[name] = {key: value for key, value in content[name].items() if key != "_instantiator"}
    return content


def describe_checkpoint(path: Path, content: dict[str, Any]) -> str:
    """One line: the file, its run, its epoch and its score."""
    run = run_of(path)
    place = f"of run {run.path.name}, " if run else ""
    states = (state for state in content.get("callbacks", {}).values() if isinstance(state, dict))
    scores = [
        f", {state['monitor']} {state['best_model_score']:.4f}"
        for state in states
        if state.get("monitor") and state.get("best_model_score") is not None
    ]
    best = "".join(scores[:1]) if path.stem == "best" else ""
    done = epochs_done(content)
    epoch = f"after epoch {done}" if done > content["epoch"] else f"in epoch {content['epoch'] + 1}"
    return f"Checkpoint {shown(path)} ({place}{epoch}{best})"


def epochs_done(content: dict[str, Any]) -> int:
    """How many epochs a checkpoint's run had finished."""
    done: int = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    return done
