"""From a picture of any kind to ink: what is paper, what is ink, and which ink is the digit."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mnist_cli.errors import UserError

_LONGEST = 512  # pixels; larger pictures are reduced first
_LEAST_CONTRAST = 0.06  # of the whole range of brightness; less is paper without a digit
_SPECK = 0.03  # share of the digit's ink below which a piece is a speck
_DIGIT_SIDE = 20  # pixels of a digit in MNIST, in which the width of a pen is measured
_THIN, _PEN = 1.5, 2.5  # pixels at that size: thinner strokes are thickened to a pen's


class PictureError(UserError):
    """A picture that cannot be read, and why."""


def read_picture(source: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    """Find the ink of the one digit on a picture.

    The paper is what most of the border shows, and ink is what differs from it, so dark ink on light paper and light
    ink on dark paper are read alike. A smooth change of the paper's brightness (a shadow) is taken away. Pieces that
    touch the border beside the digit, and specks, are dropped. Strokes much thinner than a pen's are thickened.

    Args:
        source: A file, a PIL image, or an array of shape (H, W), (H, W, 3) or (H, W, 4): whole numbers in 0..255,
            floats in [0, 1], or bool.

    Returns:
        Ink, float32 in [0, 1], shape (H, W): 0 is paper, 1 is full ink.

    Raises:
        PictureError: If the file cannot be read, or there is no digit on it.
    """
    colours = _reduce(_to_colours(source))
    ink = _lift_paper(colours)
    ink = _keep_digit(ink)
    return np.ascontiguousarray(_thicken(ink), dtype=np.float32)


def _to_colours(source: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    """Colours, float32 in [0, 1], shape (H, W, C) with C 1 or 3."""
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
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise PictureError(f"the picture cannot be read ({' '.join(str(error).split())}).") from error


def _image_to_floats(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        levels: np.ndarray = np.asarray(image, np.float32)[..., None]
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


def _lift_paper(colours: np.ndarray) -> np.ndarray:
    """From colours to ink in [0, 1], shape (H, W): the difference from the paper, along the direction of the ink's."""
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    difference = colours - np.median(border, 0)
    strength = (difference**2).sum(2)
    if strength.max() < _LEAST_CONTRAST**2:
        raise PictureError("there is nothing on it but one colour.")
    strongest = strength >= 0.5 * strength.max()
    direction = difference[strongest].mean(0)
    direction /= max(float(np.linalg.norm(direction)), 1e-6)
    amount = difference @ direction / np.sqrt(len(direction))  # 1 from black to white
    surface = _paper_surface(amount)
    amount = amount - surface
    light = -float(np.median(border, 0) @ direction) / np.sqrt(
        len(direction)
    )  # of the paper; below 0 if ink is lighter
    if light > 0:  # dark ink darkens paper in shadow by less, in proportion to its light
        amount = amount * light / np.maximum(light - surface, 0.25 * light)
    threshold = _otsu(amount)
    marks = amount[amount > threshold]
    if not marks.size or (full := float(np.percentile(marks, 98))) < _LEAST_CONTRAST:
        raise PictureError("there is nothing on it but one colour.")
    paper = amount[amount <= threshold]
    noise = 1.4826 * float(np.median(np.abs(paper - np.median(paper)))) if paper.size else 0.0
    if full > 0.9 and noise == 0:  # already as clear as ink can be; MNIST's own images are
        full = 1.0
    floor = min(3 * noise, 0.5 * full)
    ink: np.ndarray = np.clip((amount - floor) / (full - floor), 0, 1)
    return ink


def _paper_surface(amount: np.ndarray) -> np.ndarray:
    """The smooth brightness of the paper: a quadratic surface, fitted in three rounds to what is near it."""
    height, width = amount.shape
    if min(height, width) < 8:
        return np.zeros_like(amount)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
    step = max(1, max(height, width) // 64)
    few, values = terms[::step, ::step].reshape(-1, 6), amount[::step, ::step].ravel()
    paper = values <= _otsu(values)
    fit = np.zeros(6)
    fit[0] = np.median(values[paper])
    for _ in range(3):
        rest = values - few @ fit
        spread = 1.4826 * float(np.median(np.abs(rest[paper])))
        paper &= np.abs(rest) <= max(2.5 * spread, 0.02)  # the soft edges of strokes are not paper
        if spread == 0 or paper.sum() < 60:  # an even sheet, or too little of it to be seen
            break
        fit = np.linalg.lstsq(few[paper], values[paper], rcond=None)[0]
    surface: np.ndarray = terms @ fit
    return surface


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two groups with the least variance within them.

    Source:
        N. Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    counts, edges = np.histogram(values, 128)
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1 + int(np.nan_to_num(between).argmax())])


def _keep_digit(ink: np.ndarray) -> np.ndarray:
    """Only the ink of the digit: without specks, and without what reaches in over the border."""
    count, pieces = cv2.connectedComponents((ink > 0.3).astype(np.uint8), connectivity=8)
    if count == 1:
        raise PictureError("there is no digit on it.")
    masses = np.bincount(pieces.ravel(), ink.ravel(), count)
    masses[0] = 0
    inside = np.ones(count, bool)
    inside[np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])] = False
    largest_inside = float((masses * inside).max())
    main = int((masses * inside).argmax()) if largest_inside >= 0.25 * masses.max() else int(masses.argmax())
    kept = inside & (masses >= _SPECK * masses[main])
    kept[main], kept[0] = True, False
    # The soft edges of a stroke lie below the threshold: a few pixels around what is kept belong to it.
    mask = kept[pieces]
    around = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & (mask | (pieces == 0))
    digit: np.ndarray = np.where(around, ink, 0)
    return digit


def _thicken(ink: np.ndarray) -> np.ndarray:
    """Give strokes that are much thinner than a pen's the width of a pen's, and full ink."""
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    longest = max(bottom - top, right - left)
    crop = np.pad(ink[top:bottom, left:right], 2).astype(np.float32)
    zoom = 4 * _DIGIT_SIDE / longest
    large = np.pad(cv2.resize(crop, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR), 8)
    stroke = (large > 0.5).astype(np.uint8)
    if not stroke.any():
        return ink
    # In a strip the mean distance to its edge is a quarter of its width.
    width = (4 * float(_distances(stroke)[stroke > 0].mean()) - 2) / 4
    if width >= _THIN:
        return ink
    grown = 4 * (_PEN - width) / 2
    thick: np.ndarray = np.maximum(np.clip(grown + 0.5 - _distances(1 - stroke), 0, 1), large)
    return thick


def _distances(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of a mask is from the nearest pixel outside it."""
    distances: np.ndarray = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distances
