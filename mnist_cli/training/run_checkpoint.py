"""The checkpoints that a fit writes into its run directory."""

from pathlib import Path
from typing import Any, Literal
from weakref import proxy

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mnist_cli.files import write_whole
from mnist_cli.training.checkpoint_io import WholeCheckpoints


class RunCheckpoint(ModelCheckpoint):
    """ModelCheckpoint with one file, best.ckpt, which is copied when a run is resumed in a new directory.

    The file's name and folder are not options: `--ckpt_path best` has to find it in another process, and two runs must
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
            # None: after the training epoch if there is one validation an epoch, else after each validation.
            save_on_train_epoch_end=True if monitor is None else None,
        )
        self._resumed_from: Path | None = None
        self._copies: dict[Path, Path] = {}  # new place: where it comes from

    on_train_batch_end = Callback.on_train_batch_end  # it saves after epochs only: nothing to ask at a step

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._resumed_from = Path(str(trainer.ckpt_path))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best checkpoint so far: later epochs have to beat it."""
        assert self._resumed_from is not None
        assert self.dirpath is not None
        if self.monitor is None or not state_dict["best_model_path"]:
            return
        best = Path(state_dict["best_model_path"])
        beside = self._resumed_from.with_name(best.name)
        source, copy = beside if beside.is_file() else best, Path(self.dirpath) / best.name
        if not source.is_file():
            return
        self._copies[copy] = source
        score = state_dict["best_model_score"]
        moved = {
            "dirpath": self.dirpath,
            "best_model_path": str(copy),
            "kth_best_model_path": str(copy),
            "best_k_models": {str(copy): score},
        }
        super().load_state_dict(state_dict | moved)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        # The last before the best: the new run never has an older checkpoint than the one that it goes on from.
        for callback in reversed([one for one in trainer.checkpoint_callbacks if isinstance(one, RunCheckpoint)]):
            copies, callback._copies = callback._copies, {}
            for copy, source in copies.items():
                if trainer.is_global_zero and copy.absolute() != source.absolute():
                    write_whole(copy, source.read_bytes())


class LastCheckpoint(RunCheckpoint):
    """The newest epoch, or where training was stopped between two steps, in last.ckpt."""

    def __init__(self) -> None:
        super().__init__(monitor=None)
        self.filename = "last"

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        if trainer.state.fn == "fit":
            self._copies = {Path(self.format_checkpoint_name({})): Path(str(trainer.ckpt_path))}

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        best = self._saved_now(trainer)
        if best is None:
            super()._save_checkpoint(trainer, filepath)
            return
        write_whole(Path(filepath), best.read_bytes())
        self._last_global_step_saved = trainer.global_step
        self._last_checkpoint_saved = filepath
        for logger in trainer.loggers:
            logger.after_save_checkpoint(proxy(self))

    def _saved_now(self, trainer: pl.Trainer) -> Path | None:
        """The checkpoint of the best epoch, if it was written in this very hook: it holds the same."""
        if trainer.world_size > 1 or type(trainer.strategy.checkpoint_io) is not WholeCheckpoints:  # others may be late
            return None
        for callback in trainer.checkpoint_callbacks:
            if (
                type(callback) is RunCheckpoint
                and callback._last_global_step_saved == trainer.global_step
                and callback._should_save_on_train_epoch_end(trainer)
                and Path(callback._last_checkpoint_saved).is_file()
            ):
                return Path(callback._last_checkpoint_saved)
        return None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException) and not self._should_skip_saving_checkpoint(trainer):
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
