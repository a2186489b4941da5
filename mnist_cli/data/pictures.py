"""A person's pictures: found in folders and by patterns, opened a batch at a time, and turned into ink."""

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from mnist_cli.data.arrays import read_images
from mnist_cli.data.ink import PictureError, find_strokes, seems_several, thicken
from mnist_cli.errors import UserError

# What is looked for in folders; a file that is named itself may be called anything.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".npy")
MOST_PICTURES = 100  # in a batch: the ink of a large one takes 1 MB
PictureBatch = tuple[list[Tensor], Tensor, list[str], list[str]]
_LONGEST = 512  # pixels; larger pictures are reduced first


class GivenPictures(Dataset[PictureBatch]):
    """Pictures that are opened when their batch is wanted: memory does not grow with their number.

    Args:
        sources: Files, folders (all pictures below them) and patterns such as `scans/*.png`; the images of a `.npy`
            file count one by one.

    Attributes:
        names: What each picture is called: its file, with a number for one of several images, as in `digits.npy[3]`.

    Raises:
        UserError: If there is no such file, or not one picture, or the only file is a `.npy` that cannot be read.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._pictures: list[Path | np.ndarray | PictureError] = []
        self.names: list[str] = []
        paths = list(find_pictures(sources))
        for path in paths:
            if path.suffix.lower() == ".npy":
                try:
                    images = read_images(path).numpy()
                except UserError as error:
                    if len(paths) == 1:
                        raise
                    self._pictures.append(PictureError(str(error)))
                    self.names.append(str(path))
                    continue
                self._pictures += list(images)
                self.names += [f"{path}[{index}]" for index in range(len(images))] if len(images) > 1 else [str(path)]
            else:
                self._pictures.append(path)
                self.names.append(str(path))

    def __len__(self) -> int:
        return len(self.names)

    def given(self, index: int) -> Path | np.ndarray:
        """The file, or the image, uint8, shape (28, 28); of a picture that can be read."""
        picture = self._pictures[index]
        assert not isinstance(picture, PictureError)
        return picture

    def __getitem__(self, index: int) -> PictureBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> PictureBatch:
        """A batch: ink, indices of the pictures, why each cannot be read, and what is doubtful about it.

        Ink is float32 in [0, 1], each of shape (H, W); that of a picture that cannot be read is a dot.
        """
        inks, problems, doubts = [], [], []
        for index in indices:
            ink, problem, doubt, picture = np.ones((1, 1), np.float32), "", "", self._pictures[index]
            try:
                if isinstance(picture, PictureError):
                    raise picture
                ink, doubt = read_with_doubt(picture)
            except PictureError as error:
                problem = str(error)
            inks.append(torch.from_numpy(ink))
            problems.append(problem)
            doubts.append(doubt)
        return inks, torch.as_tensor(indices), problems, doubts


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
            parts = (sorted(_pictures_below(match)) if match.is_dir() else [match] for match in matches)
            found = list(dict.fromkeys(chain.from_iterable(parts)))  # ** finds a folder and what is in it
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


def read_picture(source: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    """Find the ink of the one digit on a picture.

    Dark ink on light paper and light ink on dark paper are read alike; `find_strokes` tells how.

    Args:
        source: A file, a PIL image, or an array of shape (H, W), (H, W, 3) or (H, W, 4): whole numbers in 0..255,
            floats in [0, 1], or bool.

    Returns:
        Ink, float32 in [0, 1], shape (H, W): 0 is paper, 1 is full ink.

    Raises:
        PictureError: If the file cannot be read, or there is no digit on it.
    """
    return read_with_doubt(source)[0]


def read_with_doubt(source: str | Path | Image.Image | np.ndarray) -> tuple[np.ndarray, str]:
    """The ink as `read_picture` finds it, and what is doubtful about the picture; empty if nothing is."""
    strokes = find_strokes(_reduce(read_colours(source)))
    return thicken(strokes), "there seems to be more than one digit" if seems_several(strokes) else ""


def read_colours(source: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    """A picture upright and on paper, float32 in [0, 1], shape (H, W, C) with C 1 or 3; see `read_picture`."""
    if isinstance(source, np.ndarray):
        return _on_paper(_array_to_floats(source))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if isinstance(source, Image.Image):
                return _on_paper(_image_to_floats(source))
            with Image.open(source) as image:
                if max(image.size) > 4 * _LONGEST:
                    image.draft("RGB", (2 * _LONGEST, 2 * _LONGEST))
                return _on_paper(_image_to_floats(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("the picture claims to have too many pixels; make it smaller.") from error
    except FileNotFoundError as error:
        raise PictureError(f"there is no file {source}.") from error
    except UnidentifiedImageError as error:
        empty = isinstance(source, (str, Path)) and Path(source).stat().st_size == 0
        raise PictureError("the file is empty." if empty else "this is not a picture of a known kind.") from error
    except PictureError:
        raise
    except Exception as error:  # of a damaged file Pillow's decoders raise whatever they stumble over
        raise PictureError(f"the picture cannot be read ({' '.join(str(error).split())}).") from error


def _image_to_floats(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        levels: np.ndarray = np.asarray(image, np.float32)[..., None]
        if not np.isfinite(levels).all():
            raise PictureError("some of the picture's values are not numbers.")
        return np.clip(levels / (65535.0 if image.mode != "F" else max(float(levels.max()), 1e-6)), 0, 1)
    if image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    values: np.ndarray = np.asarray(image, np.float32) / 255
    return values if values.ndim == 3 else values[..., None]


def _array_to_floats(array: np.ndarray) -> np.ndarray:
    values: np.ndarray = array[..., None] if array.ndim == 2 else array
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4) or not values.size:
        raise PictureError(f"an array of shape {array.shape} is not a picture; give (H, W), (H, W, 3) or (H, W, 4).")
    top = 255.0 if np.issubdtype(array.dtype, np.integer) else 1.0
    values = np.divide(values, top, dtype=np.float32)
    if not (values.min() >= 0 and values.max() <= 1):  # also when there are NaNs
        raise PictureError("the array's values are not in 0..255, or in [0, 1] for floats.")
    return values


def _on_paper(values: np.ndarray) -> np.ndarray:
    """Lay what is transparent on white, or on black where the ink is light."""
    if values.shape[2] != 4:
        return values
    colours, alpha = values[..., :3], values[..., 3:]
    light = (colours * alpha).sum() / max(3 * float(alpha.sum()), 1e-6) > 0.5 and alpha.min() < 0.5
    laid: np.ndarray = colours * alpha + (0.0 if light else 1.0) * (1 - alpha)
    return laid


def _reduce(colours: np.ndarray) -> np.ndarray:
    """Average whole blocks of pixels, so that the longest side is at most `_LONGEST`."""
    factor = -(-max(colours.shape[:2]) // _LONGEST)
    if factor == 1:
        return colours
    height, width = (max(1, side // factor) for side in colours.shape[:2])
    if min(colours.shape[:2]) < factor:
        raise PictureError("the picture is too narrow.")
    blocks = colours[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    averaged: np.ndarray = blocks.mean((1, 3))
    return averaged
