"""A sheet of the least certain predictions: what was given, what the network saw, what it answered."""

import heapq
import io
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch.distributed as dist
from jsonargparse.typing import PositiveInt
from lightning.pytorch.callbacks import Callback
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mnist_cli.data.datamodule import data_of
from mnist_cli.data.pictures import GivenPictures, read_colours
from mnist_cli.digits import SIDE, class_names
from mnist_cli.files import write_whole
from mnist_cli.model.forward import make_images
from mnist_cli.runs.directory import shown

_TILE = 92  # pixels of each of the two images of a picture
_GAP = 12
_TEXT = 14
_GROUND = "#eeeeea"
_COLUMNS = 5
_TITLE = "given, seen by the network, its answer; the least certain first"
Entry = tuple[float, int, int, np.ndarray]  # certainty, index, digit, image (28, 28)


class ContactSheet(Callback):
    """Draws the pictures whose answers are least certain: given, as the network saw them, and read.

    Args:
        path: The PNG file; by default predictions.png in the checkpoint's run directory.
        count: How many pictures, at most.
    """

    def __init__(self, path: str | None = None, count: PositiveInt = 30) -> None:
        self.path = path
        self.count = count
        self._entries: list[Entry] = []  # a heap by certainty, the most certain first: memory stays small

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        certainties, digits = outputs.max(1)
        problems = batch[2] if len(batch) > 2 else [""] * len(outputs)
        for at, (certainty, digit) in enumerate(zip(certainties.tolist(), digits.tolist(), strict=True)):
            if problems[at] or (len(self._entries) == self.count and certainty >= -self._entries[0][0]):
                continue
            image = make_images([batch[0][at]]) if isinstance(batch[0], list) else batch[0][at]
            entry = (-certainty, -int(batch[1][at]), digit, image.cpu().float().reshape(SIDE, SIDE).numpy())
            (heapq.heappush if len(self._entries) < self.count else heapq.heapreplace)(self._entries, entry)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        parts = [self._entries]
        if trainer.world_size > 1:
            parts = [[] for _ in range(trainer.world_size)]
            dist.all_gather_object(parts, self._entries)
        entries = sorted(((-c, -i, digit, image) for part in parts for c, i, digit, image in part), key=_by_certainty)
        self._entries = []
        if not (trainer.is_global_zero and self.path):
            return
        if not entries:  # a sheet of other pictures would stand beside this table
            Path(self.path).unlink(missing_ok=True)
            return
        data = data_of(trainer)
        names = class_names(data.dataset)
        tiles = [
            _tile(
                _given(data.predict_set, index),
                image,
                f"{names[digit]}  {100 * certainty:.1f} %",
                Path(data.predict_set.names[index]).name,
            )
            for certainty, index, digit, image in entries[: self.count]
        ]
        png = io.BytesIO()
        _arrange(tiles).save(png, "png", optimize=True)
        write_whole(Path(self.path), png.getvalue())
        count = f"the {len(tiles)} least certain" if len(tiles) > 1 else "the picture"
        print(f"{count} with what the network saw: {shown(Path(self.path))}", file=sys.stderr)


def _by_certainty(entry: Entry) -> tuple[float, int]:
    return entry[0], entry[1]


def _given(pictures: Any, index: int) -> Image.Image:
    """The picture as it was given, upright, no larger than its tile."""
    if not isinstance(pictures, GivenPictures):
        return Image.fromarray(pictures.images[index, 0].numpy())
    colours = np.rint(read_colours(pictures.given(index)) * 255).astype(np.uint8)
    picture = Image.fromarray(colours.squeeze(2) if colours.shape[2] == 1 else colours)
    picture.thumbnail((_TILE, _TILE))
    return picture


def _tile(given: Image.Image, seen: np.ndarray, answer: str, name: str) -> Image.Image:
    """One picture: given on the left, seen on the right, the answer and the file's name below."""
    tile = Image.new("RGB", (2 * _TILE + 4, _TILE + 2 * (_TEXT + 4)), _GROUND)
    picture = ImageOps.contain(given, (_TILE, _TILE), Image.Resampling.BICUBIC)
    tile.paste("white", (0, 0, _TILE, _TILE))
    tile.paste(picture, ((_TILE - picture.width) // 2, (_TILE - picture.height) // 2))
    image = Image.fromarray(np.rint(seen * 255).astype(np.uint8)).resize((_TILE, _TILE), Image.Resampling.NEAREST)
    tile.paste(image, (_TILE + 4, 0))
    pen, font = ImageDraw.Draw(tile), ImageFont.load_default(_TEXT)
    pen.text((0, _TILE + 2), answer, "black", font)
    while name and pen.textlength(name, font) > tile.width:
        name = f"{name[:-4]}..." if name.endswith("...") else f"{name[:-3]}..."
    pen.text((0, _TILE + _TEXT + 5), name, "#555555", font)
    return tile


def _arrange(tiles: list[Image.Image]) -> Image.Image:
    """The tiles in rows, read from left to right."""
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = (size + _GAP for size in tiles[0].size)
    top = _GAP + _TEXT + 4
    font = ImageFont.load_default(_TEXT)
    widest = max(columns * width, round(font.getlength(_TITLE)) + _GAP)
    sheet = Image.new("RGB", (widest + _GAP, top + rows * height + _GAP), _GROUND)
    ImageDraw.Draw(sheet).text((_GAP, _GAP - 4), _TITLE, "#666666", font)
    for at, tile in enumerate(tiles):
        sheet.paste(tile, (_GAP + at % columns * width, top + at // columns * height + _GAP // 2))
    return sheet
