"""A few runs side by side: what differs, and their figures."""

import textwrap
from collections.abc import Sequence

from mnist_cli.runs.summary import RunSummary
from mnist_cli.runs.table import (
    differing_settings,
    remarks,
    show_epochs,
    show_figure,
    show_interval,
    show_recipe,
    show_seconds,
    show_time,
)

_NARROWEST = 12


def comparison_table(summaries: Sequence[RunSummary], width: int | None) -> str:
    """A column for each run; a line for each figure, and for each setting in which they differ.

    Args:
        summaries: In the order of the columns.
        width: Of the terminal; None for a pipe, where no cell is folded.
    """
    columns = [_facts(summary) for summary in summaries]
    rows = [(name, [facts.get(name, "") for facts in columns]) for name in dict.fromkeys(n for c in columns for n in c)]
    rows = [(name, cells) for name, cells in rows if any(cells)]
    differing = list(differing_settings(summaries, whole=True).items())
    lines = _fold([*rows, ("", [""] * len(columns)), *differing], width)
    if not differing:
        lines.append("All settings are the same.")
    return "\n".join([*lines, *remarks(summaries, width)])


def _facts(summary: RunSummary) -> dict[str, str]:
    record, test, best = summary.record, summary.test, summary.best
    facts = {
        "run": summary.label,
        "name": (record.name or "") if record else "",
        "recipe": show_recipe(summary),
        "network": summary.network or "",
        "when": show_time(summary.started),
        "time": show_seconds(summary.seconds),
        "state": summary.state,
        "host": record.process.host if record else "",
        "epochs": show_epochs(summary),
        "best epoch": f"{best['epoch']:g}" if "epoch" in best else "",
    }
    for stage in ("train", "val"):
        facts[f"{stage}/loss"] = show_figure(best.get(f"{stage}/loss"), "{:.4f}")
        facts[f"{stage}/acc"] = show_figure(best.get(f"{stage}/acc"), "{:.2%}")
    facts["test/acc"] = show_figure(test.accuracy if test else None, "{:.2%}")
    facts["  95 % interval"] = show_interval(test.interval) if test and test.interval else ""
    facts["  errors"] = f"{test.errors:,} of {test.images:,}" if test and test.images else ""
    return (
        facts
        | (record.versions if record else {})
        | ({"commit": record.versions.get("commit", "")[:12]} if record else {})
    )


def _fold(rows: Sequence[tuple[str, list[str]]], width: int | None) -> list[str]:
    """Lines of a label and a cell for each run; cells that are too wide for the terminal are folded."""
    count = len(rows[0][1])
    label = max(len(name) for name, _ in rows)
    widths = [max(len(cells[place]) for _, cells in rows) for place in range(count)]
    if width:
        share = max(_NARROWEST, (width - label - 2 * count) // count)
        spare = sum(max(0, share - wide) for wide in widths)
        widths = [min(wide, share + spare) if wide > share else wide for wide in widths]
    lines = []
    for name, cells in rows:
        folded = [textwrap.wrap(cell, wide) or [""] for cell, wide in zip(cells, widths, strict=True)]
        for line in range(max(map(len, folded))):
            parts = [
                (cell[line] if line < len(cell) else "").ljust(wide) for cell, wide in zip(folded, widths, strict=True)
            ]
            lines.append("  ".join([(name if line == 0 else "").ljust(label), *parts]).rstrip())
    return lines
