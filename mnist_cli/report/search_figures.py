"""What a search looks like: pure functions from its trials to matplotlib figures, as in `figures`.

In every function *trials* are those that have a score, in order, and *names* are the options that were searched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

_DPI = 120
_MANY = 10  # trials
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "0.6"
_COLOURS = "viridis"


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Attributes:
        number: From 1.
        score: Its metric; accuracies in per cent.
        settings: The values that it had, by option; texts stand for choices without an order.
        pruned: Whether it was stopped early; its score is then that of its last epoch.
    """

    number: int
    score: float
    settings: Mapping[str, Any]
    pruned: bool = False


@dataclass(frozen=True)
class Scale:
    """How the values of an option are laid out.

    Attributes:
        log: By orders of magnitude.
        choices: The values in order, if there are only these; empty for a range.
    """

    log: bool = False
    choices: tuple[Any, ...] = ()

    def place(self, value: Any) -> float:
        """Where a value lies on the axis."""
        return float(self.choices.index(value)) if self.choices else float(value)


def history_figure(trials: Sequence[Trial], *, metric: str, higher_is_better: bool) -> Figure:
    """Draw the score of every trial, and the best so far as a line."""
    figure = Figure((10, 4.6), dpi=_DPI, layout="constrained")
    figure.suptitle(f"Search: {metric} of every trial")
    panel = figure.subplots()
    whole = [trial for trial in trials if not trial.pruned]
    _dots(panel, [(t.number, t.score) for t in whole], [(t.number, t.score) for t in trials if t.pruned])
    if whole:
        scores = np.array([trial.score for trial in whole])
        best = (np.maximum if higher_is_better else np.minimum).accumulate(scores)
        panel.step([trial.number for trial in whole], best, where="post", color=_ORANGE, label="best so far")
    panel.set(xlabel="trial", ylabel=metric)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _focus(panel, trials, higher_is_better=higher_is_better)
    panel.legend()
    return figure


def importance_figure(importances: Mapping[str, float]) -> Figure:
    """Draw how much of the differences between scores each option explains; the shares add up to 1."""
    figure = Figure((10, 1.6 + 0.45 * len(importances)), dpi=_DPI, layout="constrained")
    figure.suptitle("Search: which options the score depends on (PED-ANOVA)")
    panel = figure.subplots()
    names = sorted(importances, key=lambda name: importances[name])
    bars = panel.barh(names, [100 * importances[name] for name in names], color=_BLUE)
    panel.bar_label(bars, fmt="%.0f %%", padding=4)
    panel.set(xlabel="share of the differences (%)", xlim=(0, 112))
    return figure


def slices_figure(
    trials: Sequence[Trial], scales: Mapping[str, Scale], *, metric: str, higher_is_better: bool
) -> Figure:
    """Draw the score against each option alone, a panel an option; *scales* are theirs."""
    columns = min(3, len(scales))
    rows = -(-len(scales) // columns)
    figure = Figure((10, 1 + 3.4 * rows), dpi=_DPI, layout="constrained")
    figure.suptitle(f"Search: {metric} against every option")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for panel, (name, scale) in zip(panels, scales.items(), strict=False):
        known = [(scale.place(t.settings[name]), t.score, t.pruned) for t in trials if name in t.settings]
        _dots(panel, [dot[:2] for dot in known if not dot[2]], [dot[:2] for dot in known if dot[2]])
        panel.set_xlabel(name)
        if scale.choices:
            panel.set_xticks(range(len(scale.choices)), [_short(choice) for choice in scale.choices])
            panel.set_xlim(-0.5, len(scale.choices) - 0.5)
            panel.tick_params("x", rotation=30 if len(scale.choices) > 5 else 0)
        elif scale.log:
            panel.set_xscale("log")
    for panel in panels[len(scales) :]:
        panel.set_axis_off()
    for panel in panels[::columns]:
        panel.set_ylabel(metric)
    _focus(panels[0], trials, higher_is_better=higher_is_better)
    if any(trial.pruned for trial in trials):
        panels[0].legend()
    return figure


def parallel_figure(
    trials: Sequence[Trial], scales: Mapping[str, Scale], *, metric: str, higher_is_better: bool
) -> Figure:
    """Draw every trial as a line through its values, one axis an option; the best are brightest and in front."""
    figure = Figure((10, 5), dpi=_DPI, layout="constrained")
    figure.suptitle(f"Search: the settings of every trial, coloured by {metric}")
    panel = figure.subplots()
    low, high = _limits(trials, higher_is_better=higher_is_better)
    colours = ScalarMappable(Normalize(low, high), colormaps[_COLOURS if higher_is_better else f"{_COLOURS}_r"])
    ends = {name: _ends(trials, name, scale) for name, scale in scales.items()}
    for trial in sorted(trials, key=lambda t: t.score if higher_is_better else -t.score):
        heights = [_height(scales[name], ends[name], trial.settings[name]) for name in scales]
        style = "--" if trial.pruned else "-"
        panel.plot(heights, style, color=colours.to_rgba(np.array(trial.score)), linewidth=1.6, alpha=0.85)
    for place, (name, scale) in enumerate(scales.items()):
        panel.axvline(place, color="0.3", linewidth=0.8)
        for value in scale.choices or _marks(scale, ends[name]):
            height = _height(scale, ends[name], value)
            panel.annotate(
                _short(value),
                (place, height),
                (6, 0),
                textcoords="offset points",
                fontsize=9,
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},  # the lines run behind it
            )
    panel.set_xticks(range(len(scales)), list(scales))
    panel.set(xlim=(-0.15, len(scales) - 1 + 0.35), ylim=(-0.05, 1.05), yticks=[])
    figure.colorbar(colours, ax=panel, label=metric)
    return figure


def _dots(panel: Axes, whole: Sequence[tuple[float, float]], pruned: Sequence[tuple[float, float]]) -> None:
    panel.grid(color="0.9")
    panel.plot(*_columns(whole), "o", color=_BLUE, markersize=5, label="trained to the end")
    if pruned:
        panel.plot(*_columns(pruned), "x", color=_GREY, markersize=6, label="stopped early")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]


def _limits(trials: Sequence[Trial], *, higher_is_better: bool) -> tuple[float, float]:
    """Ends of the scores that matter: of many, a few that failed badly would press the others together."""
    scores = np.array([trial.score for trial in trials])
    if len(scores) < _MANY and np.ptp(scores):
        return scores.min(), scores.max()
    best, middle = (scores.max(), np.median(scores)) if higher_is_better else (scores.min(), np.median(scores))
    worst = best + 3 * (middle - best)
    low, high = (max(worst, scores.min()), best) if higher_is_better else (best, min(worst, scores.max()))
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _focus(panel: Axes, trials: Sequence[Trial], *, higher_is_better: bool) -> None:
    low, high = _limits(trials, higher_is_better=higher_is_better)
    margin = 0.06 * (high - low)
    panel.set_ylim(low - margin, high + margin)
    formatter = ScalarFormatter(useOffset=False)
    panel.yaxis.set_major_formatter(formatter)
    outside = sum(not low <= trial.score <= high for trial in trials)
    if outside:
        text = f"{outside} worse trial{'s'[: outside - 1]} beyond this end"
        place = (0.01, 0.02) if higher_is_better else (0.01, 0.94)
        panel.text(*place, text, transform=panel.transAxes, fontsize=9, color="0.35")


def _ends(trials: Sequence[Trial], name: str, scale: Scale) -> tuple[float, float]:
    if scale.choices:
        return 0.0, float(max(1, len(scale.choices) - 1))
    values = [float(trial.settings[name]) for trial in trials]
    return (min(values), max(values)) if min(values) < max(values) else (min(values) / 2, max(values) * 2 + 1e-9)


def _height(scale: Scale, ends: tuple[float, float], value: Any) -> float:
    low, high, at = (*ends, scale.place(value))
    if scale.log:
        low, high, at = np.log([low, high, at])
    return float((at - low) / (high - low))


def _marks(scale: Scale, ends: tuple[float, float]) -> np.ndarray:
    return np.geomspace(*ends, 4) if scale.log else np.linspace(*ends, 4)


def _short(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 16 else f"{text[:15]}…"
