"""What a run shows: figures in its directory and in TensorBoard, batches in TensorBoard, predictions as CSV."""

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from mnist_cli.datamodule import data_of, to_floats
from mnist_cli.evaluation import OutputCollector, gather
from mnist_cli.runs import shown
from mnist_cli.sources import NUM_CLASSES, class_names

_SHOWN = 64  # images of a batch that TensorBoard shows: the quick start's batch


def _tensorboard(trainer: pl.Trainer) -> Any:
    """TensorBoard's SummaryWriter, or None if the run has no TensorBoardLogger."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers and trainer.is_global_zero else None


class Figures(OutputCollector):
    """Draws samples, curves, and for a test or validation confusions, galleries and calibration.

    Args:
        dirpath: Folder of the PNG files; by default `figures` in the run directory.
        name: What the file names of an evaluation begin with; by default test or validate. An evaluation replaces the
            figures of an earlier one of the same name.
        per_class: Images per class among the samples.
    """

    def __init__(self, dirpath: str | None = None, name: str | None = None, per_class: int = 8) -> None:
        super().__init__()
        self.dirpath = dirpath
        self.name = name
        self.per_class = per_class
        self.history: dict[int, dict[str, float]] = {}

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._record(trainer, trainer.current_epoch - 1)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if not trainer.validating:  # before the end of an epoch its training metrics are those of the one before
            self._record(trainer, trainer.current_epoch)
        checkpoint["history"] = self.history

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.history = checkpoint.get("history", {})

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._record(trainer, trainer.current_epoch - 1)
        self._draw_training(trainer)
        self._log_hyperparameters(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if trainer.state.fn == "fit":
            self._draw_training(trainer)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._draw_evaluation(trainer, "test", data_of(trainer).test_set.images)
        self._log_hyperparameters(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._draw_evaluation(trainer, "validate", data_of(trainer).val_set.images)

    def _record(self, trainer: pl.Trainer, epoch: int) -> None:
        names = ("train/loss", "train/acc", "val/loss", "val/acc")
        metrics = {name: trainer.callback_metrics[name].item() for name in names if name in trainer.callback_metrics}
        if metrics and epoch >= 0:
            self.history[epoch] = {"epoch": epoch, **metrics}

    def _draw_samples(self, trainer: pl.Trainer) -> None:
        from mnist_cli.figures import samples_figure

        data = data_of(trainer)
        digits = data.train_set
        first = torch.cat([(digits.labels == k).nonzero()[: self.per_class, 0] for k in range(NUM_CLASSES)])
        images = to_floats(digits.images[first])
        augmented = None
        if data.augment:
            with torch.random.fork_rng():  # the run goes on with the random numbers that it would have without figures
                augmented = data.augment(images).squeeze(1).numpy()
        labels = digits.labels[first].numpy()
        names = class_names(data.dataset)
        draw = partial(samples_figure, augmented=augmented, per_class=self.per_class, class_names=names)
        self._save(trainer, "samples", partial(draw, images.squeeze(1).numpy(), labels))

    def _draw_training(self, trainer: pl.Trainer) -> None:
        if self.history and self.dirpath and trainer.is_global_zero:
            self._draw_samples(trainer)
            self._draw_curves(trainer)

    def _draw_curves(self, trainer: pl.Trainer) -> None:
        from mnist_cli.figures import curves_figure

        rows = [self.history[epoch] for epoch in sorted(self.history)]
        self._save(trainer, "curves", partial(curves_figure, rows, best_epoch=self._best_epoch(trainer)))

    def _best_epoch(self, trainer: pl.Trainer) -> int | None:
        monitor = getattr(trainer.checkpoint_callback, "monitor", None) or "val/loss"
        sign = -1 if getattr(trainer.checkpoint_callback, "mode", "min") == "max" else 1
        scores = {epoch: sign * row[monitor] for epoch, row in self.history.items() if monitor in row}
        return min(scores, key=scores.__getitem__) if scores else None

    def _draw_evaluation(self, trainer: pl.Trainer, stage: str, images_u8: Tensor) -> None:
        tensors = self.take()
        if not self.dirpath or not trainer.is_global_zero:
            return
        from mnist_cli import figures

        probabilities, labels = (tensor.numpy() for tensor in tensors)
        images = images_u8[: len(labels)].squeeze(1).numpy()
        names = class_names(data_of(trainer).dataset)
        predicted = probabilities.argmax(1)
        counts = torch.zeros(NUM_CLASSES, NUM_CLASSES, dtype=torch.int64)
        counts.index_put_((tensors[1], torch.from_numpy(predicted)), torch.tensor(1), accumulate=True)
        save = partial(self._save, trainer)
        prefix = self.name or stage
        save(f"{prefix}-confusion", partial(figures.confusion_figure, counts.numpy(), class_names=names))
        galleries = {
            "correct": (figures.correct_order(labels, probabilities), "Correct, the least certain first"),
            "misclassified": (
                figures.misclassified_order(labels, probabilities),
                "Misclassified, the most certain first",
            ),
        }
        for kind, (order, title) in galleries.items():
            chosen = (images[order], labels[order], probabilities[order])
            save(f"{prefix}-{kind}", partial(figures.gallery_figure, *chosen, title=title, class_names=names))
        confidences = probabilities.max(1)
        save(f"{prefix}-calibration", partial(figures.calibration_figure, confidences, predicted == labels))

    def _save(self, trainer: pl.Trainer, name: str, draw: Callable[[], Any]) -> None:
        """Draw and compress once, for the PNG file and for TensorBoard."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        canvas: Any = FigureCanvasAgg(draw())
        canvas.draw()
        png = io.BytesIO()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        picture.save(png, "png")
        path = Path(str(self.dirpath)) / f"{name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png.getvalue())
        except OSError as error:
            rank_zero_warn(
                f"{path} cannot be written ({error.strerror or error}); the run goes on without this figure."
            )
        if writer := _tensorboard(trainer):
            from tensorboard.compat.proto.summary_pb2 import Summary

            image = Summary.Image(
                height=picture.height, width=picture.width, colorspace=3, encoded_image_string=png.getvalue()
            )
            summary = Summary(value=[Summary.Value(tag=f"figures/{name}", image=image)])
            writer.file_writer.add_summary(summary, trainer.global_step)

    def _log_hyperparameters(self, trainer: pl.Trainer) -> None:
        """Hyperparameters and final metrics, for TensorBoard's HPARAMS tab."""
        best = self._best_epoch(trainer)
        final = {f"final/{k}": v for k, v in self.history.get(-1 if best is None else best, {}).items() if "/" in k}
        final |= {f"final/{k}": v.item() for k, v in trainer.callback_metrics.items() if k.startswith("test/")}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                settings = {name: value for name, value in logger.hparams.items() if name != "_instantiator"}
                logger.log_hyperparams(settings, final)


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
        writer = _tensorboard(trainer)
        if writer is None or self._held is None or trainer.sanity_checking:
            return
        images, labels, logits = self._held
        writer.add_images(f"{stage}/inputs", images.float().clamp(0, 1), trainer.current_epoch)
        writer.add_text(f"{stage}/targets", str(labels.tolist()), trainer.current_epoch)
        writer.add_text(f"{stage}/preds", str(logits.argmax(1).tolist()), trainer.current_epoch)


class PredictionWriter(Callback):
    """Writes a CSV file: index of the image, digit, its probability, and the ten probabilities.

    Args:
        path: The file; by default predictions.csv in the checkpoint's run directory.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._batches: list[tuple[Tensor, Tensor]] = []

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._batches.append((batch[1].cpu(), outputs.cpu()))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        batches, self._batches = self._batches, []
        indices, probabilities = gather(batches)
        if not trainer.is_global_zero:
            return
        path = Path(self.path or "predictions.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "digit", "probability", *(f"p{digit}" for digit in range(NUM_CLASSES))])
            for index, row in zip(indices.tolist(), probabilities.tolist(), strict=True):
                best = max(range(NUM_CLASSES), key=row.__getitem__)
                writer.writerow([index, best, f"{row[best]:.6f}", *(f"{p:.6f}" for p in row)])
        print(f"{len(indices):,} predictions are in {shown(path)}")
