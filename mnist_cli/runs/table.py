"""Runs as text: a table that fits the terminal, and values as a person would write them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mnist_cli.runs.short_names import flatten
from mnist_cli.runs.summary import RunSummary

# They tell where a run lies and what it is called: columns of their own.
# Settings, or groups of them, that change no figure of a run: where it is, what it shows, and what is done after it.
NO_MATTER = {"name", "default_root_dir", "enable_progress_bar", "logger", "test_after_fit"}
NO_MATTER |= {"figures", "evaluation", "batch_log", "predictions", "contact_sheet"}
_MODEL = ("net.", "optimizer.", "lr_scheduler.")
_WIDEST_CELL = 24


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        cells: One for each row; empty where nothing is known.
        text: Whether it is text, which stands on the left, not a figure.
    """

    title: str
    cells: list[str]
    text: bool = False

    @property
    def width(self) -> int:
        return max(map(len, (self.title, *self.cells)))


def differing_settings(summaries: Sequence[RunSummary], *, whole: bool = False) -> dict[str, list[str]]:
    """The settings that at least two runs have with different values, by short names: a text for each run.

    What only some of the runs have, such as the arguments of another network, is told by the name of the class; *whole*
    lists it too, if it belongs to the model.
    """
    flat = [flatten(summary.settings) for summary in summaries]
    differing = {}
    for name in dict.fromkeys(name for settings in flat for name in settings):
        known = [settings[name] for settings in flat if name in settings]
        one_has_not = whole and len(known) < len(flat) and name.startswith(_MODEL)
        if name.partition(".")[0] not in NO_MATTER and (one_has_not or any(value != known[0] for value in known)):
            differing[name] = [show_value(settings[name], name) if name in settings else "" for settings in flat]
    return differing


def runs_table(summaries: Sequence[RunSummary], width: int | None) -> str:
    """A row for each run, with the settings in which they differ.

    Args:
        summaries: In the order of the rows.
        width: Of the terminal; None for a pipe, where every run is one line.
    """
    tests = [summary.test for summary in summaries]
    intervals = ["" if not test or not test.interval else show_interval(test.interval) for test in tests]
    names = Column("name", [summary.record.name or "" if summary.record else "" for summary in summaries], True)
    when = Column("when", [show_time(summary.started) for summary in summaries], True)
    recipe = Column("recipe", [shorten(show_recipe(summary), _WIDEST_CELL) for summary in summaries], True)
    interval = Column("95 %", intervals, True)
    seconds = Column("time", [show_seconds(summary.seconds) for summary in summaries])
    settings = [Column(name, values, True) for name, values in differing_settings(summaries).items()]
    columns = [
        Column("run", [summary.label for summary in summaries]),
        when,
        recipe,
        Column("epochs", [show_epochs(summary) for summary in summaries]),
        Column("val/loss", [show_figure(summary.best.get("val/loss"), "{:.4f}") for summary in summaries]),
        Column("val/acc", [show_figure(summary.best.get("val/acc"), "{:.2%}") for summary in summaries]),
        Column("test/acc", [show_figure(test.accuracy if test else None, "{:.2%}") for test in tests]),
        interval,
        seconds,
        Column("state", [summary.state for summary in summaries], True),
        names,
        *settings,
    ]
    lines = fit_table(columns, [[names, *settings], [interval], [seconds], [when], [recipe]], width)
    return "\n".join([*lines, *remarks(summaries, width)])


def fit_table(columns: Sequence[Column], movable: Sequence[Sequence[Column]], width: int | None) -> list[str]:
    """The lines of a table; if it is too wide, some columns stand as text below each row.

    Args:
        columns: From left to right; those with nothing in them are left out.
        movable: Those that may stand below, in this order, as few as possible.
        width: Of the terminal; None for as wide as it gets.
    """
    columns = [column for column in columns if any(column.cells)]
    for count in range(len(movable) + 1):
        below = [column for group in movable[:count] for column in group if column in columns]
        beside = [column for column in columns if column not in below]
        for gap in ("  ", " "):
            needed = sum(column.width + len(gap) for column in beside) - len(gap)
            if width is None or needed <= width:
                return _lines(beside, below, gap, width)
    return _lines(beside, below, gap, width)


def _lines(columns: list[Column], below: list[Column], gap: str, width: int | None) -> list[str]:
    lines = [gap.join(_align(column, column.title) for column in columns).rstrip()]
    indent = " " * (columns[0].width + len(gap))
    for row in range(len(columns[0].cells)):
        lines.append(gap.join(_align(column, column.cells[row]) for column in columns).rstrip())
        more = ", ".join(f"{column.title} {column.cells[row]}" for column in below if column.cells[row])
        lines += textwrap.wrap(more, width or 80, initial_indent=indent, subsequent_indent=indent)
    return lines


def _align(column: Column, cell: str) -> str:
    return cell.ljust(column.width) if column.text else cell.rjust(column.width)


def remarks(summaries: Sequence[RunSummary], width: int | None) -> list[str]:
    """What is damaged or has to be known, a line for each run that it concerns."""
    lines = []
    for summary in summaries:
        if said := [*summary.problems, *summary.notes]:
            text = f"{summary.label}: {'; '.join(said)}."
            lines += textwrap.wrap(text, width, subsequent_indent="  ") if width else [text]
    return ["", *lines] if lines else []


def show_recipe(summary: RunSummary) -> str:
    """The file of settings, or else the class of the network."""
    return (summary.record.recipe if summary.record else None) or summary.network or ""


def show_epochs(summary: RunSummary) -> str:
    """Epochs that were finished, and how many were planned."""
    planned = (summary.settings.get("trainer") or {}).get("max_epochs")
    return f"{summary.epochs}/{planned}" if isinstance(planned, int) and planned > 0 else f"{summary.epochs}"


def show_figure(value: float | None, shape: str) -> str:
    """A figure in a format, empty if it is not known."""
    return "" if value is None else shape.format(value).replace("%", " %")


def show_interval(interval: tuple[float, float]) -> str:
    """An interval of a share, in per cent."""
    return f"{100 * interval[0]:.2f}-{100 * interval[1]:.2f}"


def show_time(seconds: float) -> str:
    """Local date and time, without the year if it is this one."""
    moment = datetime.fromtimestamp(seconds)
    return moment.strftime("%m-%d %H:%M" if moment.year == datetime.now().year else "%Y-%m-%d %H:%M") if seconds else ""


def show_seconds(seconds: float | None) -> str:
    """A length of time, such as 15s, 1m18s or 2h03m."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"


def show_value(value: Any, name: str = "") -> str:
    """A setting as a person would write it: `[512, 256]`, `0.001`, `RandomAffine(degrees=10)`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(map(show_value, value))}]"
    if isinstance(value, dict):
        inside = value.get("init_args") or {} if "class_path" in value else value
        text = ", ".join(f"{key}={show_value(one)}" for key, one in inside.items())
        return f"{str(value.get('class_path', '')).rpartition('.')[2]}({text})"
    if name == "ckpt_path" and str(value).count("/") > 2:  # the run and the file in it say enough
        run, _, file = str(value).rsplit("/", 3)[1:]
        return f"{run}/{file}"
    return str(value)


def shorten(text: str, longest: int) -> str:
    """A text that is cut, and shows that it is."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
