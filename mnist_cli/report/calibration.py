"""How far the confidence of a network can be trusted, as a figure; as in figures.py, nothing here saves or shows.

*confidences*, the probabilities of the predicted classes, are float in [0, 1], shape (N,), and *correct* says bool,
shape (N,), whether those predictions are right.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from mnist_cli.report.figures import BLUE, DPI, percent

Interval = Callable[[int, int], tuple[float, float]]  # of a share, from the numbers of correct and of all images


def calibration_figure(
    confidences: np.ndarray, correct: np.ndarray, *, error: float, interval: Interval, num_bins: int = 15
) -> Figure:
    """Draw how often predictions are right against how probable they are said to be, N at least 1.

    *error* is the expected calibration error, in [0, 1], for the title; the bars are each bin's *interval*.
    """
    counts, confidence, accuracy = reliability_bins(confidences, correct, num_bins)
    figure = Figure((8.4, 7.2), dpi=DPI, layout="constrained")
    figure.suptitle(f"Calibration of {len(confidences):,} images: expected calibration error {percent(error, 2)}")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 100], [0, 100], "--", color="0.5", label="perfect calibration")
    for at in np.flatnonzero(counts):
        ends = interval(round(accuracy[at] * counts[at]), int(counts[at]))
        upper.vlines(100 * confidence[at], 100 * ends[0], 100 * ends[1], color=BLUE, alpha=0.5)
    upper.plot(confidence[counts > 0] * 100, accuracy[counts > 0] * 100, "o-", color=BLUE, label="this network")
    upper.set(ylabel="accuracy (%), with 95 % intervals", ylim=(-3, 103))
    upper.legend()
    width = 100 / num_bins
    lower.bar(np.arange(num_bins) * width, counts[:-1], width, align="edge", color="0.75", edgecolor="white")
    if counts[-1]:
        lower.bar(100, counts[-1], 1.6, color="0.2", label="exactly 100 %")
        lower.legend(loc="upper left")
    lower.set(xlabel="confidence: probability of the predicted class (%)", xlim=(-2, 102))
    lower.set(ylabel="images", yscale="log", ylim=(0.7, 2 * counts.max()))  # from 0.7: one image must still show
    for panel in (upper, lower):
        panel.grid(color="0.9")
        panel.set_axisbelow(True)
    return figure


def reliability_bins(
    confidences: np.ndarray, correct: np.ndarray, num_bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort predictions by confidence into `num_bins` bins of equal width, and one more for confidences of exactly 1.

    A bin includes its lower edge and not its upper one. Softmax in float32 rounds many a confidence to 1, so the bin
    of these matters: torchmetrics' MulticlassCalibrationError has it too, so that both give the same error.

    Returns:
        Per bin the number of images, int, their mean confidence and their accuracy, both float in [0, 1], NaN where
        there is no image; each of shape (num_bins + 1,).
    """
    edges = np.linspace(0, 1, num_bins + 1, dtype=confidences.dtype)  # rounded as what is compared with them
    bins = np.digitize(confidences, edges) - 1
    counts = np.bincount(bins, minlength=num_bins + 1)
    sums = (np.bincount(bins, values, minlength=num_bins + 1) for values in (confidences, correct))
    confidence, accuracy = (np.where(counts > 0, each / np.maximum(counts, 1), np.nan) for each in sums)
    return counts, confidence, accuracy
