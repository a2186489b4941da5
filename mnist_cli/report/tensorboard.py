"""What a run shows in TensorBoard beside its metrics: batches with labels and answers, figures, hyperparameters."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from mnist_cli.data.datamodule import data_of
from mnist_cli.digits import class_names
from mnist_cli.runs.history import history_of

_SHOWN = 64  # images of a batch that TensorBoard shows: the quick start's batch


def _writer(trainer: pl.Trainer) -> Any:
    """TensorBoard's SummaryWriter, or None if the run has no TensorBoardLogger."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers and trainer.is_global_zero else None


def write_picture(trainer: pl.Trainer, tag: str, png: bytes, width: int, height: int) -> None:
    """Show a PNG file, of a size in pixels, if the run has a TensorBoardLogger."""
    if writer := _writer(trainer):
        from tensorboard.compat.proto.summary_pb2 import Summary

        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), trainer.global_step)


class BatchLog(Callback):
    """Writes one batch an epoch into TensorBoard: the images as the network sees them, their labels and its answers.

    Tags are those of the Lightning quick start: train/inputs, train/targets, train/preds, and so for val and test.
    """

    def __init__(self) -> None:
        self._held: tuple[Tensor, Tensor, Tensor] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            pl_module.eval()
            with torch.no_grad():
                logits = pl_module(batch[0][:_SHOWN])
            pl_module.train()
            self._hold(batch, logits)
            self._write(trainer, "train")

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0:
            self._hold(batch, outputs)

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, "test")

    def _hold(self, batch: tuple[Tensor, Tensor], logits: Tensor) -> None:
        self._held = (batch[0][:_SHOWN], batch[1][:_SHOWN], logits[:_SHOWN])

    def _write(self, trainer: pl.Trainer, stage: str) -> None:
        writer = _writer(trainer)
        if writer is None or self._held is None or trainer.sanity_checking:
            return
        images, labels, logits = self._held
        names = class_names(data_of(trainer).dataset)
        step = trainer.global_step
        writer.add_images(f"{stage}/inputs", images.float().clamp(0, 1), step)
        for tag, classes in (("targets", labels), ("preds", logits.argmax(1))):
            writer.add_text(f"{stage}/{tag}", ", ".join(names[k] for k in classes.tolist()), step)


class Hyperparameters(Callback):
    """Fills TensorBoard's HPARAMS: the settings that are not the defaults, beside the run's own metrics.

    Args:
        settings: Short names and values.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if writer := _writer(trainer):
            from torch.utils.tensorboard.summary import hparams

            logged = {name for row in history_of(trainer).rows for name in row}
            shown = [name for name in ("val/acc", "test/acc", "val/loss", "test/loss") if name in logged | _TESTED]
            for summary in hparams(self.settings, dict.fromkeys(shown, 0.0)):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(summary)


_TESTED = {"test/acc", "test/loss"}
