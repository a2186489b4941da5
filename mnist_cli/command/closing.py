"""What a fit says at its end: why it stopped early, which checkpoint it tests, and how it goes on."""

from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities import rank_zero_only

from mnist_cli.runs.checkpoints import open_checkpoint
from mnist_cli.training.run_checkpoint import RunCheckpoint


def say_why_stopped(stopping: EarlyStopping | None, trainer: pl.Trainer) -> None:
    """Print that, and why, a fit was stopped early, if it was."""
    if stopping is None or stopping.stopping_reason is EarlyStoppingReason.NOT_STOPPED:
        return
    reason = str(stopping.stopping_reason_message)
    if stopping.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED:
        every_epoch = trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1
        count, unit = stopping.wait_count, "epoch" if every_epoch else "validation"
        reason = f"{stopping.monitor} was no better for {count} {unit}{'s'[: count - 1]}."
    rank_zero_only(print)(f"Stopped early, after epoch {stopping.stopped_epoch + 1}: {reason}")


def options_for_more(trainer: pl.Trainer) -> str:
    """With which options a fit that has ended goes on: another limit in place of each that it has reached."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    options = []
    if 0 < trainer.max_steps <= trainer.global_step:
        options.append(f"--trainer.max_steps {2 * trainer.max_steps}")
    if any(isinstance(one, Timer) and (one.time_remaining() or 0) <= 0 for one in callbacks):
        options.append("--trainer.max_time null")
    if any(isinstance(one, EarlyStopping) and one.stopped_epoch for one in callbacks):
        options.append("--early_stopping null")
    planned = trainer.max_epochs or -1
    is_endless = planned < 1 and trainer.max_steps < 1
    if 0 < planned <= trainer.current_epoch or is_endless or not options:
        options.append(f"--trainer.max_epochs {2 * max(1, trainer.current_epoch)}")
    return " ".join(options)


def choose_tested(trainer: pl.Trainer) -> str | None:
    """The file of the best checkpoint of a fit, or the last if there is nothing to choose by; prints which it is."""
    ours = (one for one in trainer.checkpoint_callbacks if isinstance(one, RunCheckpoint))  # the best comes first
    path = next((one.best_model_path for one in ours if one.best_model_path), None)
    if path:
        rank_zero_only(print)(open_checkpoint(Path(path), trusted=True).describe())
    return path
