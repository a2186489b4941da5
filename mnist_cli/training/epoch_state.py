"""State that Lightning's checkpoints lack, and a resumed run needs to equal an uninterrupted one."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback


class EpochState(Callback):
    """Keeps the sums of an epoch that has begun, and what a scheduler is about to see at its end."""

    def __init__(self) -> None:
        self._resumed: dict[str, Any] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        metrics: Any = pl_module.train_metrics
        if metrics.update_called:  # not at the end of an epoch
            checkpoint["epoch_so_far"] = {**metrics.sums(), "lr": pl_module._lr}
        plateau = _scheduler_due(trainer)
        if plateau and plateau.monitor in trainer.callback_metrics:  # else Lightning says what is missing
            checkpoint["monitored"] = trainer.callback_metrics[plateau.monitor].item()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == "fit":
            self._resumed = {name: checkpoint[name] for name in ("epoch_so_far", "monitored") if name in checkpoint}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if so_far := self._resumed.get("epoch_so_far"):
            pl_module._lr = so_far.pop("lr")
            if not trainer.is_global_zero:  # the sums are those of all processes; each has to have some at the end
                so_far = {name: torch.zeros_like(value) for name, value in so_far.items()}
            pl_module.train_metrics.take_up(so_far)
        if "monitored" in self._resumed:
            trainer.lr_scheduler_configs[0].scheduler.step(self._resumed["monitored"])
        self._resumed = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning does not step a ReduceLROnPlateau at the end of the epoch in which a run was resumed."""
        monitors = [one.monitor for one in trainer.lr_scheduler_configs if one.reduce_on_plateau]
        if all(name and (name in trainer.callback_metrics or name.startswith("train/")) for name in monitors):
            trainer.fit_loop._restarting = False


def _scheduler_due(trainer: pl.Trainer) -> Any:
    """A ReduceLROnPlateau that Lightning steps at the end of this epoch, but after the checkpoint is saved."""
    epoch: Any = trainer.fit_loop.epoch_progress.current
    if epoch.processed == epoch.completed or trainer.state.fn != "fit":
        return None
    configs = [one for one in trainer.lr_scheduler_configs if one.reduce_on_plateau and one.interval == "epoch"]
    return next((one for one in configs if epoch.processed % one.frequency == 0), None)
