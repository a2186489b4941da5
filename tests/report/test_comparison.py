"""The curves of several runs in one figure."""

import numpy as np

from mnist_cli.report.comparison import comparison_figure


def test_every_run_has_its_curves_in_its_colour_and_what_is_unknown_is_left_out():
    one = [{"epoch": n, "train/loss": 1 / n, "val/loss": 2 / n, "val/acc": 0.9 + n / 100} for n in (1, 2, 3)]
    other = [{"epoch": 1, "val/loss": float("nan")}, {"epoch": 2, "val/loss": 0.5}]
    figure = comparison_figure([("run 1", one), ("run 1", other)])
    loss, accuracy = figure.axes
    curves = [(line.get_color(), line.get_xdata().tolist(), line.get_ydata().tolist()) for line in loss.lines]
    assert [xs for _, xs, _ in curves] == [[1, 2, 3], [1, 2, 3], [2]]
    assert curves[1][2] == [2, 1, 2 / 3]
    assert curves[0][0] == curves[1][0] != curves[2][0]
    assert np.allclose(accuracy.lines[0].get_ydata(), [91, 92, 93])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["run 1", "run 1", "validation", "training"]
