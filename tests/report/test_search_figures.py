"""Figures of a search: what is in them, whatever the trials were."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from mnist_cli.report.search_figures import (
    Scale,
    Trial,
    history_figure,
    importance_figure,
    parallel_figure,
    slices_figure,
)

SCALES = {"lr": Scale(log=True), "sizes": Scale(choices=("[256]", "[512, 256]")), "dropout": Scale()}
TRIALS = [
    Trial(number, score, {"lr": lr, "sizes": sizes, "dropout": 0.1 * number}, pruned)
    for number, (score, lr, sizes, pruned) in enumerate(
        [(97.0, 0.001, "[256]", False), (20.0, 0.1, "[256]", True), (98.0, 0.002, "[512, 256]", False)], 1
    )
]
ABOUT = {"metric": "val/acc (%)", "higher_is_better": True}


def test_the_line_of_the_history_is_the_best_so_far():
    panel = history_figure([*TRIALS, Trial(4, 97.5, TRIALS[0].settings)], **ABOUT).axes[0]
    best = next(line for line in panel.lines if line.get_label() == "best so far")
    assert list(best.get_ydata()) == [97.0, 98.0, 98.0]
    panel = history_figure(TRIALS, metric="val/loss", higher_is_better=False).axes[0]
    best = next(line for line in panel.lines if line.get_label() == "best so far")
    assert list(best.get_ydata()) == [97.0, 97.0]


def test_a_slice_has_every_trial_at_its_value_and_says_what_lies_beyond():
    figure = slices_figure(TRIALS, SCALES, **ABOUT)
    dots = [sorted(float(x) for line in panel.lines for x in line.get_xdata()) for panel in figure.axes]
    assert dots[0] == [0.001, 0.002, 0.1]
    assert dots[1] == [0.0, 0.0, 1.0]
    assert dots[2] == pytest.approx([0.1, 0.2, 0.3])
    assert figure.axes[0].get_xscale() == "log"
    assert not figure.axes[0].texts
    low, high = figure.axes[0].get_ylim()
    assert all(low < trial.score < high for trial in TRIALS)


def test_of_many_trials_those_that_failed_badly_are_left_out_and_counted():
    many = [Trial(n, 97 + n / 10, TRIALS[0].settings) for n in range(11)]
    panel = slices_figure([*many, Trial(11, 11.0, TRIALS[0].settings)], SCALES, **ABOUT).axes[0]
    assert [text.get_text() for text in panel.texts] == ["1 worse trial beyond this end"]
    assert panel.get_ylim()[0] > 90


def test_parallel_coordinates_draw_the_best_last_and_end_at_the_axes():
    panel = parallel_figure(TRIALS, SCALES, **ABOUT).axes[0]
    lines = [line for line in panel.lines if len(line.get_xdata()) == 3]
    heights = np.array([line.get_ydata() for line in lines], dtype=float)
    assert heights[:, 0] == pytest.approx([1.0, 0.0, np.log(2) / np.log(100)])
    assert heights[-1, 1] == 1.0
    assert 0 <= heights.min() <= heights.max() <= 1


def test_importance_names_every_option_with_its_share():
    panel = importance_figure({"lr": 0.75, "sizes": 0.25}).axes[0]
    assert [text.get_text() for text in panel.texts] == ["25 %", "75 %"]


def test_a_figure_is_a_picture_that_is_not_blank():
    figures = [history_figure(TRIALS, **ABOUT), slices_figure(TRIALS, SCALES, **ABOUT), importance_figure({"lr": 1.0})]
    for figure in [*figures, parallel_figure(TRIALS, SCALES, **ABOUT)]:
        png = io.BytesIO()
        figure.savefig(png, format="png")
        png.seek(0)
        assert imread(png)[..., :3].std() > 0.02


def test_one_trial_is_enough_for_a_figure():
    assert history_figure(TRIALS[:1], **ABOUT).axes
    assert slices_figure(TRIALS[:1], SCALES, **ABOUT).axes
    assert parallel_figure(TRIALS[:1], SCALES, **ABOUT).axes
