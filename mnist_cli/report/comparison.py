"""The curves of several runs in one figure: a pure function, as those in `figures`."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

# Okabe and Ito 2008: also colour-blind readers can distinguish them; the markers do in grey print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = "osD^vPX"


def comparison_figure(histories: Sequence[tuple[str, Sequence[Mapping[str, float]]]]) -> Figure:
    """Draw loss and accuracy of several runs against the epoch: validation as lines, training as thin dotted ones.

    Args:
        histories: The name of each run, and a row for each of its epochs: "epoch", counting from 1, and any of
            "train/loss", "train/acc", "val/loss" and "val/acc", accuracies in [0, 1]. What is missing or not finite is
            left out.
    """
    figure = Figure((11, 4.8), dpi=120, layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for panel, metric, caption, scale in (loss, "loss", "loss", 1), (accuracy, "acc", "accuracy (%)", 100):
        for place, history in enumerate(rows for _, rows in histories):
            colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
            for stage, look in (
                ("train", {"linestyle": ":", "linewidth": 1.2, "marker": "."}),
                ("val", {"marker": marker}),
            ):
                epochs, values = _known(history, f"{stage}/{metric}")
                if len(values):
                    every = 1 + len(values) // 16  # more markers than that run into one another
                    panel.plot(
                        epochs,
                        scale * values,
                        color=colour,
                        markevery=every,
                        markersize=5,
                        markerfacecolor="white",
                        **look,
                    )
        panel.set(xlabel="epoch", ylabel=caption)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        panel.grid(color="0.9")
    lines = [
        Line2D([], [], color=_COLOURS[place % len(_COLOURS)], marker=_MARKERS[place % len(_MARKERS)], label=name)
        for place, (name, _) in enumerate(histories)
    ]
    stages = [Line2D([], [], color="0.4", label="validation"), Line2D([], [], color="0.4", ls=":", label="training")]
    figure.legend(handles=[*lines, *stages], loc="outside upper center", ncols=min(len(lines) + 2, 5), frameon=False)
    return figure


def _known(history: Sequence[Mapping[str, float]], name: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [(row["epoch"], row[name]) for row in history if np.isfinite(row.get(name, np.nan))]
    epochs, values = zip(*rows, strict=True) if rows else ((), ())
    return np.array(epochs), np.array(values)
