"""The pictures that a person gives to be read: found in folders and by patterns, and opened a batch at a time."""

import os
import re
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mnist_cli.data.arrays import read_images
from mnist_cli.data.ink import PictureError
from mnist_cli.data.pictures import read_picture
from mnist_cli.errors import UserError

# What is looked for in folders; a file that is named itself may be called anything.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".npy")
MOST_PICTURES = 100  # in a batch: the ink of a large one takes 1 MB
PictureBatch = tuple[list[Tensor], Tensor, list[str]]


class GivenPictures(Dataset[PictureBatch]):
    """Pictures that are opened when their batch is wanted: memory does not grow with their number.

    Args:
        sources: Files, folders (all pictures below them) and patterns such as `scans/*.png`; the images of a `.npy`
            file count one by one.

    Attributes:
        names: What each picture is called: its file, with a number for one of several images, as in `digits.npy[3]`.

    Raises:
        UserError: If there is no such file, or not one picture.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._pictures: list[Path | np.ndarray] = []
        self.names: list[str] = []
        for path in find_pictures(sources):
            if path.suffix.lower() == ".npy":
                images = read_images(path).numpy()
                self._pictures += list(images)
                self.names += [f"{path}[{index}]" for index in range(len(images))] if len(images) > 1 else [str(path)]
            else:
                self._pictures.append(path)
                self.names.append(str(path))

    def __len__(self) -> int:
        return len(self.names)

    def given(self, index: int) -> Path | np.ndarray:
        """The file, or the image, uint8, shape (28, 28)."""
        return self._pictures[index]

    def __getitem__(self, index: int) -> PictureBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> PictureBatch:
        """A batch: ink, float32 in [0, 1], each of shape (H, W); the pictures' indices; what is wrong with each.

        A picture that cannot be read is a dot, so that the three have the same length, and has a reason.
        """
        inks, problems = [], []
        for index in indices:
            ink, problem = np.ones((1, 1), np.float32), ""
            try:
                ink = read_picture(self._pictures[index])
            except PictureError as error:
                problem = str(error)
            inks.append(torch.from_numpy(ink))
            problems.append(problem)
        return inks, torch.as_tensor(indices), problems


def find_pictures(sources: Sequence[str]) -> Iterator[Path]:
    """The files that were asked for, in the order given, those of a folder sorted by name.

    Raises:
        UserError: If there is no such file, or a folder or pattern has no picture.
    """
    if not all(sources) or not sources:
        raise UserError("--data.images: give at least one picture, folder or pattern.")
    for source in sources:
        path = Path(source)
        if path.is_dir():
            found = sorted(_pictures_below(path))
        elif path.exists() or path.is_symlink():
            found = [path]
        elif has_magic(source):
            matches = (Path(match) for match in sorted(glob(source, recursive=True)))  # noqa: PTH207  it may be absolute
            found = [file for match in matches for file in (sorted(_pictures_below(match)) or [match])]
        else:
            raise UserError(f"--data.images: there is no file {source}; give pictures, folders or patterns in quotes.")
        if not found:
            raise UserError(f"--data.images: {source} has no picture ({', '.join(SUFFIXES)}); give another place.")
        yield from found


def _pictures_below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names if Path(name).suffix.lower() in SUFFIXES)


def label_from_name(name: str) -> int | None:
    """The digit that a file's name begins with, as in `7_anything.png`; None if it begins otherwise."""
    found = re.match(r"(\d)(?!\d)", Path(name).name)
    return int(found[1]) if found else None
