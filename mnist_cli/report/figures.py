"""What a run looks like: pure functions from arrays to matplotlib figures; nothing here saves, shows or knows of runs.

In every function *images* are uint8, or float in [0, 1], of shape (N, 28, 28), and 255 or 1 is ink; *labels*, the true
classes, are int, shape (N,); *probabilities* are float, shape (N, C), and rows sum to 1; *confidences*, the
probabilities of the predicted classes, are float in [0, 1], shape (N,), and *correct* says bool, shape (N,), whether
those predictions are right. *class_names* has the names of the C classes; without it they are called by their numbers.

Figures are made without pyplot, so there is no display, no global state and nothing to close. A grid of digits is one
picture in one pair of axes, because axes for each digit take seconds to draw. Lines differ in style and marker as well
as in colour, to be distinguished in grey print.
"""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mnist_cli.digits import SIDE

GALLERY_COLUMNS = 8
GALLERY_LIMIT = 40

DPI = 120
BLUE, _ORANGE = "#0072B2", "#D55E00"  # Okabe and Ito 2008: also colour-blind readers can distinguish them
_LONG_NAME = 11  # so many characters of a name fit below a column of the confusion matrix
_CAPTION = 20  # and so many below an image of a gallery
_CARD = 0.06  # the grey on which a digit stands, so that its 28x28 frame shows on the white page


def samples_figure(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    augmented: np.ndarray | None = None,
    per_class: int = 8,
    title: str = "Some images of every class",
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Show the first `per_class` images of every class, a row a class; places stay blank where a class has fewer.

    Beside them stand the *augmented* ones: the same images in the same order after augmentation. The rows are the
    *class_names*, or the numbers up to the highest label.
    """
    num_classes = len(class_names) if class_names is not None else int(labels.max(initial=0)) + 1
    names = _names(class_names, num_classes)
    blocks = {"": images} if augmented is None else {"originals": images, "after augmentation": augmented}

    cell_in = 1.0 if augmented is None else 0.62
    size_in = (len(blocks) * per_class * cell_in + 0.4 + 0.09 * max(map(len, names)), num_classes * cell_in + 0.8)
    figure = Figure(size_in, dpi=DPI, layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, len(blocks), squeeze=False)[0]
    for panel, (heading, block) in zip(panels, blocks.items(), strict=True):
        grid = np.zeros((num_classes, per_class, SIDE, SIDE))
        for label, row in enumerate(grid):
            chosen = np.flatnonzero(labels == label)[:per_class]
            row[: len(chosen)] = _cards(block[chosen])
        _show_grid(panel, grid, below_px=2, right_px=2)
        panel.set_title(heading, fontsize=11)
    panels[0].set_yticks(np.arange(num_classes) * 30 + 14, names, fontsize=12)
    return figure


def curves_figure(history: Sequence[Mapping[str, float]], *, best_epoch: int | None = None) -> Figure:
    """Draw loss and accuracy against the epoch, for training and validation.

    Args:
        history: At least one row, one per epoch: "epoch", counting from 1, and any of "train/loss", "train/acc",
            "val/loss" and "val/acc", accuracies in [0, 1]. What is missing or not finite is left out.
        best_epoch: The epoch to mark, counting from 1.
    """
    figure = Figure((10, 4.4), dpi=DPI, layout="constrained")
    figure.suptitle("Training" if best_epoch is None else f"Training; the best epoch is {best_epoch}")
    epochs = np.array([row["epoch"] for row in history])
    loss, accuracy = figure.subplots(1, 2)
    for panel, metric, caption, scale in (loss, "loss", "loss", 1), (accuracy, "acc", "accuracy (%)", 100):
        for stage, name, colour, style in ("train", "training", BLUE, "o-"), ("val", "validation", _ORANGE, "s--"):
            values = np.array([row.get(f"{stage}/{metric}", np.nan) for row in history], dtype=float) * scale
            known = np.isfinite(values)
            if known.any():
                every = 1 + int(known.sum()) // 16  # more markers than that run into one another
                line = panel.plot(epochs[known], values[known], style, color=colour, markevery=every, label=name)
                line[0].set(markersize=5, markerfacecolor="white")
        if best_epoch is not None:
            panel.axvline(best_epoch, color="0.35", linestyle=":", label="best epoch")
        panel.set(xlabel="epoch", ylabel=caption, xlim=(epochs.min() - 0.5, epochs.max() + 0.5))
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        panel.grid(color="0.9")
        if panel.lines:
            panel.legend()
    return figure


def confusion_figure(counts: np.ndarray, *, class_names: Sequence[str] | None = None) -> Figure:
    """Draw a confusion matrix in which the mistakes stand out, not the many images that are read correctly.

    *counts* are numbers of images, int, shape (C, C); a row is a true class, a column a predicted one. The colour of a
    mistake is its share of its row, on a scale that ends at the largest such share.
    """
    num_classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(num_classes, dtype=bool)
    scale = shares[~diagonal].max(initial=0) or 1.0  # without a mistake any scale will do
    total, errors = int(counts.sum()), int(counts[~diagonal].sum())

    figure = Figure((0.85 * num_classes + 1.6, 0.75 * num_classes + 1.1), dpi=DPI, layout="constrained")
    panel = figure.subplots()
    colours = colormaps["Oranges"].with_extremes(bad="0.93")
    picture = panel.imshow(np.ma.masked_array(shares, diagonal), cmap=colours, vmin=0, vmax=scale, aspect="auto")
    for row, column in np.argwhere(counts):
        text = panel.text(column, row, f"{counts[row, column]:,}\n{percent(shares[row, column])}", fontsize=9)
        text.set(in_layout=False, ha="center", va="center", fontweight="bold" if row == column else "normal")
        if row != column and shares[row, column] > 0.7 * scale:
            text.set_color("white")  # from here on it has more contrast than black
    noun = "digit" if class_names is None else "class"
    names = _names(class_names, num_classes)
    panel.set_xticks(range(num_classes), names)
    if max(map(len, names)) > _LONG_NAME:
        panel.tick_params(axis="x", labelrotation=40)
        for label in panel.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    panel.set_yticks(range(num_classes), names)
    panel.tick_params(length=0)
    panel.set(xlabel=f"predicted {noun}", ylabel=f"true {noun}")
    figure.suptitle(f"Confusion matrix: {total:,} images, {errors:,} errors ({percent(errors / max(total, 1), 2)})")
    bar = figure.colorbar(picture, pad=0.02, format=PercentFormatter(1.0, symbol=" %"))
    bar.set_label(f"mistakes: share of the images of the true {noun}")
    return figure


def gallery_figure(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    title: str,
    class_names: Sequence[str] | None = None,
    places: Sequence[str] | None = None,
) -> Figure:
    """Show the first images, up to 40, with their true class, what they are read as, and how probable that is.

    The images come in the order given, so *title* should say which they are and what orders them; N may be 0. *places*
    say where each image is found, as in `test[17]`.
    """
    shown = min(len(images), GALLERY_LIMIT)
    num_rows = max(1, -(-shown // GALLERY_COLUMNS))
    names = _names(class_names, probabilities.shape[1])
    joint = ", " if max(map(len, names)) <= 2 else "\n"  # longer names need a line each
    captions = []
    for position, (true, read) in enumerate(zip(labels[:shown], probabilities[:shown].argmax(axis=1), strict=True)):
        caption = names[true] if true == read else f"true {names[true]}{joint}read as {names[read]}"
        caption += f"\n{percent(probabilities[position, read])}" + (f"\n{places[position]}" if places else "")
        captions.append(_wrapped(caption, _CAPTION))

    below_px = 4 + 4 * max((caption.count("\n") + 1 for caption in captions), default=2)
    height_in = num_rows * (SIDE + below_px) / (SIDE + 4) * 10 / GALLERY_COLUMNS + 0.7
    figure = Figure((10, height_in), dpi=DPI, layout="constrained")
    figure.suptitle(title if shown == len(images) else f"{title} (the first {shown} of {len(images):,})")
    panel = figure.subplots()
    grid = np.zeros((num_rows * GALLERY_COLUMNS, SIDE, SIDE))
    grid[:shown] = _cards(images[:shown])
    _show_grid(panel, grid.reshape(num_rows, GALLERY_COLUMNS, SIDE, SIDE), below_px=below_px, right_px=4)
    for position, caption in enumerate(captions):
        row, column = divmod(position, GALLERY_COLUMNS)
        place = column * (SIDE + 4) + SIDE / 2 - 0.5, row * (SIDE + below_px) + SIDE + 0.5
        panel.text(*place, caption, ha="center", va="top", fontsize=8, in_layout=False)  # inside the axes anyway
    if shown == 0:
        panel.text(0.5, 0.5, "none", transform=panel.transAxes, ha="center", va="center", fontsize=16, color="0.35")
    return figure


def misclassified_order(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Indices of the images whose most probable class is a wrong one, the most confident first; int, shape (M,)."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]


def correct_order(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Indices of the images whose most probable class is the true one, the least confident first; int, shape (M,)."""
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    return right[np.argsort(probabilities[right].max(axis=1), kind="stable")]


def _names(class_names: Sequence[str] | None, num_classes: int) -> list[str]:
    return list(class_names) if class_names is not None else [str(label) for label in range(num_classes)]


def add_source(figure: Figure, source: str) -> None:
    """Say below the title where the images come from, in as many lines as that takes."""
    width = int(8 * figure.get_figwidth())  # characters that surely fit
    figure.suptitle(f"{figure.get_suptitle()}\n{_wrapped(source, width)}")


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def percent(share: float, decimals: int = 1) -> str:
    """A share in [0, 1] as text."""
    return f"{100 * share:.{decimals}f} %"


def _cards(images: np.ndarray) -> np.ndarray:
    """Ink, float in [0, 1], on a card a little greyer than the page; shape as given."""
    ink = images / 255 if images.dtype == np.uint8 else images.clip(0, 1)
    return np.asarray(_CARD + (1 - _CARD) * ink)


def _show_grid(panel: Axes, grid: np.ndarray, *, below_px: int, right_px: int) -> None:
    """Draw cards of shape (rows, columns, 28, 28) as one picture, with room below and to the right of each."""
    num_rows, num_columns = grid.shape[:2]
    padded = np.pad(grid, ((0, 0), (0, 0), (0, below_px), (0, right_px)))
    picture = padded.transpose(0, 2, 1, 3).reshape(num_rows * (SIDE + below_px), num_columns * (SIDE + right_px))
    panel.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")  # smoothed, a PNG is 4 times as big
    panel.set(xticks=[], yticks=[])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
