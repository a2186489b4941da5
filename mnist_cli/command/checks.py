"""What in parsed settings cannot work, found before anything is made of them."""

import difflib
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator

from mnist_cli.errors import UserError
from mnist_cli.runs.directory import check_name

METRICS = ("val/loss", "val/acc", "train/loss", "train/acc", "lr")  # what there is to monitor


def check_settings(config: Namespace) -> None:
    """Find now what Lightning would find late or say obscurely.

    Raises:
        UserError: If there is no such accelerator or metric, nothing to train with, or a name cannot be one.
    """
    if config.name is not None:
        check_name(config.name)
    _check_accelerator(config.trainer.accelerator)
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch", "limit_train_batches"):
        if config.trainer[name] == 0:
            raise UserError(f"--trainer.{name} 0: there would be nothing to train with; give at least 1.")
    name = config.evaluation and config.evaluation.init_args.get("name")
    if name and Path(name).name != name:
        raise UserError(f"--evaluation.name {name}: give a plain name, and the folder with --evaluation.dirpath.")
    mode = config.early_stopping and config.early_stopping.init_args.get("mode")
    if mode not in (None, "min", "max"):
        raise UserError(f"early_stopping.mode: expected min or max, got '{mode}'.")
    if not config.trainer.callbacks:  # those of the user's own may log other metrics
        for name in ("early_stopping", "checkpoint"):
            _check_monitor(name, config[name] and config[name].init_args.get("monitor"))


def _check_monitor(name: str, monitor: str | None) -> None:
    if monitor and monitor not in METRICS:
        near = (difflib.get_close_matches(monitor, METRICS, n=1) or METRICS)[0]
        raise UserError(f"--{name}.monitor: there is no metric '{monitor}'; did you mean {near}?")


def _check_accelerator(accelerator: Any) -> None:
    available = {"gpu": CUDAAccelerator.is_available() or MPSAccelerator.is_available()}
    available |= {"cuda": CUDAAccelerator.is_available(), "mps": MPSAccelerator.is_available()}
    if not available.get(accelerator, True):
        raise UserError(f"--trainer.accelerator {accelerator}: this machine has none; use cpu or auto.")
