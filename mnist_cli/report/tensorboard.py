"""What a run shows in TensorBoard beside its metrics: pictures, and the table of hyperparameters."""

from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from mnist_cli.runs.history import history_of


def writer_of(trainer: pl.Trainer) -> Any:
    """TensorBoard's SummaryWriter, or None if the run has no TensorBoardLogger."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers and trainer.is_global_zero else None


def write_picture(trainer: pl.Trainer, tag: str, png: bytes, width: int, height: int) -> None:
    """Show a PNG file, of a size in pixels, if the run has a TensorBoardLogger."""
    if writer := writer_of(trainer):
        from tensorboard.compat.proto.summary_pb2 import Summary

        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), trainer.global_step)


def count_epochs_from_1(trainer: pl.Trainer) -> None:
    """Let the loggers of a fit count epochs from 1, as tables and figures do; Lightning counts from 0."""
    for logger in trainer.loggers:
        vars(logger)["log_metrics"] = partial(_log_metrics, trainer, logger.log_metrics)


def _log_metrics(
    trainer: pl.Trainer, log: Callable[..., None], metrics: dict[str, float], step: int | None = None
) -> None:
    if "epoch" in metrics and trainer.state.fn == "fit":  # in a test it is the number of epochs that were trained
        metrics = metrics | {"epoch": metrics["epoch"] + 1}
    log(metrics, step)


class Hyperparameters(Callback):
    """Fills TensorBoard's HPARAMS: settings, beside the run's own metrics, the accuracies first.

    Args:
        settings: Short names and values.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if writer := writer_of(trainer):
            from torch.utils.tensorboard.summary import hparams

            logged = {name for row in history_of(trainer).rows for name in row}
            shown = [name for name in ("val/acc", "test/acc", "val/loss", "test/loss") if name in logged | _TESTED]
            for summary in hparams(self.settings, dict.fromkeys(shown, 0.0)):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(summary)


_TESTED = {"test/acc", "test/loss"}
