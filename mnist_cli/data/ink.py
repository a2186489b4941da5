"""From the colours of a picture to ink: what is paper, what is ink, and which ink is the digit."""

import math

import cv2
import numpy as np

from mnist_cli.digits import DIGIT_SIDE
from mnist_cli.errors import UserError

_LEAST_CONTRAST = 0.06  # of the whole range of brightness; less is paper without a digit
_NARROW = 0.35  # of the longer side of a picture; what is wider is not a stroke
_SPECK = 0.03  # share of the digit's ink below which a piece is a speck
_TALL, _IN_COMMON = 0.7, 0.5  # of the tallest piece's height; of the width of the narrower of two pieces
_THIN, _PEN = 1.5, 2.5  # pixels of a digit as large as MNIST's: thinner strokes are thickened to a pen's


class PictureError(UserError):
    """A picture that cannot be read, and why."""


def find_strokes(colours: np.ndarray) -> np.ndarray:
    """Find the ink of the one digit on a picture, as thick as it was drawn.

    A stroke is narrow and paper is wide: the paper is what remains of the picture when all narrow marks are covered by
    what is beside them, and it follows every shadow that is wider than a stroke. Ink is how far a pixel is from it.
    Pieces that touch the border beside the digit, and specks, are dropped.

    Args:
        colours: Float32 in [0, 1], shape (H, W, C) with C 1 or 3.

    Returns:
        Ink in [0, 1], shape (H, W): 0 is paper, 1 is full ink.

    Raises:
        PictureError: If there is no digit on it.
    """
    return _keep_digit(_lift_paper(colours))


def seems_several(strokes: np.ndarray) -> bool:
    """Whether two pieces of ink of about one height stand side by side: a number, most likely.

    A digit in two halves, and a line beside a digit, look like that too.

    Args:
        strokes: What `find_strokes` returns; strokes that were thickened may have grown together.
    """
    left, _, width, height = cv2.connectedComponentsWithStats((strokes > 0.3).astype(np.uint8))[2][1:, :4].T
    is_tall = height >= _TALL * height.max()
    left, width = left[is_tall], width[is_tall]
    first, last = (left + width).argmin(), left.argmax()
    in_common = left[first] + width[first] - left[last]  # columns; less than none if there is a gap
    return bool(in_common <= _IN_COMMON * min(width[first], width[last]))


def thicken(strokes: np.ndarray) -> np.ndarray:
    """Give strokes that are much thinner than a pen's the width of a pen's, and full ink.

    Args:
        strokes: What `find_strokes` returns.

    Returns:
        Ink, float32 in [0, 1], shape (H', W').
    """
    ink = np.ascontiguousarray(strokes, dtype=np.float32)
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    longest = max(bottom - top, right - left)
    zoom = max(1.0, 4 * DIGIT_SIDE / longest)
    unit = zoom * longest / DIGIT_SIDE  # pixels of the enlarged picture to one of MNIST's
    crop = np.pad(ink[top:bottom, left:right], 2)
    large = np.pad(cv2.resize(crop, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR), int(2 * unit))
    stroke = (large > 0.5).astype(np.uint8)
    if not stroke.any():
        return ink
    # In a strip the mean distance to its edge is a quarter of its width.
    width = (4 * float(_distances(stroke)[stroke > 0].mean()) - 2) / unit
    if width >= _THIN:
        return ink
    grown = unit * (_PEN - width) / 2
    thick: np.ndarray = np.maximum(np.clip(grown + 0.5 - _distances(1 - stroke), 0, 1), large)
    return thick


def _lift_paper(colours: np.ndarray) -> np.ndarray:
    """From colours to ink in [0, 1], shape (H, W), of everything on the picture."""
    if np.ptp(colours, (0, 1)).max() < _LEAST_CONTRAST:
        raise PictureError("there is nothing on it but one colour.")
    brightness = colours @ _main_axis(colours)
    noise = _noise(brightness)
    paper, is_ink_dark = _paper(_small(brightness, 128))
    paper = cv2.resize(paper, brightness.shape[::-1], interpolation=cv2.INTER_LINEAR)
    amount = paper - brightness if is_ink_dark else brightness - paper
    if is_ink_dark and (light := float(np.median(paper))) > 0:  # where there is less light, paper and ink differ less
        amount = amount * light / np.maximum(paper, 0.25 * light)
    is_mark = amount > _otsu(amount)
    if is_mark.all():
        raise PictureError("nothing on it stands out as a stroke.")
    amount = amount - np.median(amount[~is_mark])  # with noise the paper was taken for lighter, or darker, than it is
    marks = amount[is_mark & (amount > 4 * noise)]
    if not marks.size or (full := float(np.percentile(marks, 98))) < _LEAST_CONTRAST:
        raise PictureError("nothing on it stands out as a stroke.")
    if full > 0.9 and noise == 0:  # already as clear as ink can be; MNIST's own images are
        full = 1.0
    floor = min(4 * noise, 0.5 * full)
    ink: np.ndarray = np.clip((amount - floor) / (full - floor), 0, 1)
    return ink


def _main_axis(colours: np.ndarray) -> np.ndarray:
    """The direction in which the colours differ most, shape (C,), towards white; black to white is 0 to 1."""
    if colours.shape[2] == 1:
        return np.ones(1, np.float32)
    axis = np.linalg.eigh(np.cov(colours.reshape(-1, colours.shape[2]).T))[1][:, -1]
    axis *= np.sign(axis.sum()) or 1
    scaled: np.ndarray = (axis / np.sqrt(len(axis))).astype(np.float32)
    return scaled


def _noise(brightness: np.ndarray) -> float:
    """Standard deviation of the noise, from the differences of neighbours, few of which lie on an edge."""
    if brightness.shape[1] < 2:
        return 0.0
    return 1.4826 * float(np.median(np.abs(np.diff(brightness)))) / math.sqrt(2)


def _small(brightness: np.ndarray, side: int) -> np.ndarray:
    """The brightness on at most about `side` pixels."""
    height, width = brightness.shape
    factor = -(-max(height, width) // side)
    size = max(1, width // factor), max(1, height // factor)
    small: np.ndarray = cv2.resize(brightness, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small


def _paper(brightness: np.ndarray) -> tuple[np.ndarray, bool]:
    """The brightness of the paper, same shape, and whether the ink is darker.

    Of the picture without narrow dark marks and the one without narrow light marks, the paper is the more even one:
    where ink is left and paper is covered there are edges.
    """
    without_light, without_dark = _open(brightness), -_open(-brightness)
    is_ink_dark = _unevenness(without_dark) <= _unevenness(without_light)
    return (without_dark if is_ink_dark else without_light), is_ink_dark


def _unevenness(brightness: np.ndarray) -> float:
    return float(np.abs(np.diff(brightness)).sum() + np.abs(np.diff(brightness, axis=0)).sum())


def _open(brightness: np.ndarray) -> np.ndarray:
    """The brightness without light marks that are narrower than a third of the picture."""
    side = round(_NARROW * max(brightness.shape)) | 1
    padded = np.pad(_uncover_border(brightness), side, mode="edge")
    padded[side:-side, side:-side] = brightness
    opened: np.ndarray = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return opened[side:-side, side:-side]


def _uncover_border(brightness: np.ndarray) -> np.ndarray:
    """The picture whose border has no light marks, if they are less than half of it: a digit that touches it."""
    height, width = brightness.shape
    if min(height, width) < 5:
        return brightness
    ring = np.concatenate([brightness[0], brightness[1:, -1], brightness[-1, -2::-1], brightness[-2:0:-1, 0]])
    size = (min(height, width) - 1) | 1  # what is longer on the border is a table, or another sheet
    around = np.concatenate([ring[-size:], ring, ring[:size]])[None]
    opened = cv2.morphologyEx(around, cv2.MORPH_OPEN, np.ones((1, size), np.uint8))[0, size:-size]
    marks = ring - opened
    if (marks > 0.5 * marks.max()).mean() > 0.5:
        return brightness
    uncovered = brightness.copy()
    top, right, bottom = np.cumsum([width, height - 1, width - 1])
    uncovered[0], uncovered[1:, -1] = opened[:top], opened[top:right]
    uncovered[-1, -2::-1], uncovered[-2:0:-1, 0] = opened[right:bottom], opened[bottom:]
    return uncovered


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


def _distances(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of a mask is from the nearest pixel outside it."""
    distances: np.ndarray = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distances
