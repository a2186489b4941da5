"""One batch an epoch in TensorBoard: images, the label of each below it, and what the network read instead."""

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mnist_cli.data.datamodule import data_of
from mnist_cli.digits import class_names
from mnist_cli.model.forward import reading
from mnist_cli.report.tensorboard import write_picture, writer_of

_SHOWN = 64  # images of a batch that TensorBoard shows: the quick start's batch
_COLUMNS, _CARD, _LINE, _MARGIN = 8, 56, 13, 6  # pixels; an image is drawn twice as large
_WHITE, _INK, _RED = 127, 51 * 127 // 255, (198, 40, 40)
# Half of the colours are grey levels, from black to white; the others go from white to red.
_COLOURS = [round(level * 255 / 127) for level in range(128) for _ in "RGB"]
_COLOURS += [round(255 + (red - 255) * share / 127) for share in range(128) for red in _RED]


def labelled_grid(images: Tensor, labels: Sequence[str], answers: Sequence[str]) -> Any:
    """Draw images in rows of eight, the label below each, and in red what the network read instead.

    Args:
        images: float in [0, 1], shape (B, 1, 28, 28).
        labels: Name of the true class of each.
        answers: Name of the class that the network read.

    Returns:
        A picture of PIL's, with a palette, because a third of the bytes are compressed in a third of the time.
    """
    from PIL import Image

    width, height = _CARD + _MARGIN, _CARD + 2 * _LINE + _MARGIN
    rows, columns = -(-len(images) // _COLUMNS), min(_COLUMNS, len(images))
    cards = np.full((rows * columns, height, width), _WHITE, np.uint8)
    text, across = _MARGIN + _CARD, slice(_MARGIN, width)
    pixels = (images.float().clamp(0, 1) * _WHITE).round().byte().squeeze(1).cpu().numpy()
    cards[: len(images), _MARGIN:text, across] = pixels.repeat(2, 1).repeat(2, 2)
    for card, label, answer in zip(cards[: len(images)], labels, answers, strict=True):
        card[text : text + _LINE, across] = _WHITE - _coverage(label) * (_WHITE - _INK)
        if answer != label:
            card[text + _LINE :, across] = _WHITE + 1 + _coverage(answer) * 127
    grid = cards.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    picture = Image.fromarray(np.pad(grid, (0, _MARGIN), constant_values=_WHITE))
    picture.putpalette(_COLOURS)
    return picture


@cache
def _coverage(text: str) -> np.ndarray:
    """How much of each pixel a line of text covers, in [0, 1], shape (13, 56)."""
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("L", (_CARD, _LINE))
    ImageDraw.Draw(line).text((0, 0), text, 255, ImageFont.load_default(_LINE - 2))
    coverage: np.ndarray = np.asarray(line, np.float32) / 255
    return coverage


class BatchLog(Callback):
    """Writes one batch an epoch into TensorBoard: the images as the network sees them, their labels and its answers.

    The label stands below its image, and in red a wrong answer; both are written as text as well. Tags are those of the
    Lightning quick start: train/inputs, train/targets, train/preds, and so for val and test.
    """

    def __init__(self) -> None:
        self._held: tuple[Tensor, Tensor, Tensor] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            with torch.no_grad(), reading(pl_module):
                logits = pl_module(batch[0][:_SHOWN])
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
        # A CUDA graph writes the next batch's logits where these are.
        self._held = (batch[0][:_SHOWN].cpu(), batch[1][:_SHOWN].cpu(), logits[:_SHOWN].cpu())

    def _write(self, trainer: pl.Trainer, stage: str) -> None:
        writer = writer_of(trainer)
        if writer is None or self._held is None or trainer.sanity_checking:
            return
        images, labels, logits = self._held
        names = class_names(data_of(trainer).dataset)
        true, read = ([names[k] for k in classes.tolist()] for classes in (labels, logits.argmax(1)))
        grid, png = labelled_grid(images, true, read), io.BytesIO()
        grid.save(png, "png", compress_level=1)  # a third of the time, every epoch
        write_picture(trainer, f"{stage}/inputs", png.getvalue(), grid.width, grid.height)
        for tag, classes in (("targets", true), ("preds", read)):
            writer.add_text(f"{stage}/{tag}", ", ".join(classes), trainer.global_step)
