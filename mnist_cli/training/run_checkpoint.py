"""The checkpoints that a fit writes into its run directory."""

import shutil
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """ModelCheckpoint with one file, best.ckpt, which goes along when a run is resumed in a new directory.

    The file's name and folder are no options: `--ckpt_path best` has to find it in another process, and two runs must
    not write the same file.

    Args:
        monitor: Metric that decides which epoch is best; None keeps the newest.
        mode: Whether less or more of the metric is better.
    """

    def __init__(self, monitor: str | None = "val/loss", mode: Literal["min", "max"] = "min") -> None:
        super().__init__(
            filename="best",
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


class LastCheckpoint(RunCheckpoint):
    """The newest epoch, in last.ckpt."""

    def __init__(self) -> None:
        super().__init__(monitor=None)
        self.filename = "last"
