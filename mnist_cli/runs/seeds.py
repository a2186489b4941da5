"""Runs that differ in their seed alone, as one row: how much of a difference is luck."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mnist_cli.runs.summary import RunSummary, figure_of
from mnist_cli.runs.table import NO_MATTER, Column, differing_settings, fit_table, show_recipe

# Nor do its seed and an interruption make a run another experiment.
_NOT_COMPARED = NO_MATTER | {"seed_everything", "ckpt_path"}


@dataclass(frozen=True)
class SeedGroup:
    """Runs with the same settings but for the seed.

    Attributes:
        counted: Finished runs, one for each seed, the newest.
        left_out: Runs that are not finished, are damaged, or repeat a seed.
    """

    counted: list[RunSummary]
    left_out: list[RunSummary]

    def figures(self, name: str) -> list[tuple[float, RunSummary]]:
        """A figure of every counted run that has it: `test/acc`, or a metric of the best epoch."""
        found = [(figure_of(summary, name), summary) for summary in self.counted]
        return [(value, summary) for value, summary in found if value is not None]


def group_by_seed(summaries: Sequence[RunSummary]) -> list[SeedGroup]:
    """Put together the runs that differ in `seed_everything` alone.

    Args:
        summaries: The newest first, as the groups then are.
    """
    groups: dict[str, list[RunSummary]] = {}
    for summary in summaries:
        settings = {name: value for name, value in summary.settings.items() if name not in _NOT_COMPARED}
        trainer = settings.get("trainer") or {}
        settings["trainer"] = {name: value for name, value in trainer.items() if name not in _NOT_COMPARED}
        key = json.dumps(settings, sort_keys=True, default=str) if summary.settings else summary.label
        groups.setdefault(key, []).append(summary)
    return [_group(group) for group in groups.values()]


def _group(summaries: list[RunSummary]) -> SeedGroup:
    counted: list[RunSummary] = []
    seeds = set()
    for summary in summaries:
        seed = summary.settings.get("seed_everything")
        if summary.state in ("finished", "unrecorded") and (seed is False or seed not in seeds):
            seeds.add(seed)
            counted.append(summary)
    return SeedGroup(counted, [summary for summary in summaries if summary not in counted])


def seeds_table(groups: Sequence[SeedGroup], width: int | None) -> str:
    """A row for each group: n, mean and standard deviation, best and worst.

    Args:
        groups: In the order of the rows.
        width: Of the terminal; None for a pipe.
    """
    firsts = [(group.counted or group.left_out)[0] for group in groups]
    by = "test/acc" if any(group.figures("test/acc") for group in groups) else "val/acc"
    settings = differing_settings(firsts)
    figures = [
        Column("recipe", [show_recipe(first) for first in firsts], True),
        Column("n", [str(len(group.counted)) for group in groups]),
        *(Column(name, [_spread(group, name) for group in groups]) for name in ("val/loss", "val/acc", "test/acc")),
        Column(f"best {by}", [_extreme(group, by, max) for group in groups]),
        Column("worst", [_extreme(group, by, min) for group in groups]),
    ]
    runs = Column("runs", [" ".join(one.label for one in group.counted) for group in groups], True)
    left_out = Column("not counted", [_reasons(group.left_out) for group in groups], True)
    rest = [Column(name, values, True) for name, values in settings.items() if name != "seed_everything"]
    columns = [*figures, runs, left_out, *rest]
    lines = fit_table(columns, [rest, [left_out], [runs], [figures[-1]], [figures[-2]]], width)
    return "\n".join([*lines, *_versions(groups)])


def _spread(group: SeedGroup, name: str) -> str:
    values = [value for value, _ in group.figures(name)]
    if not values:
        return ""
    scale, digits, unit = (1, 4, "") if name.endswith("loss") else (100, 2, " %")
    text = f"{scale * statistics.mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {scale * statistics.stdev(values):.{digits}f}"
    return f"{text}{unit}" + (f" (n {len(values)})" if len(values) < len(group.counted) else "")


def _extreme(group: SeedGroup, name: str, choose: Callable[..., tuple[float, RunSummary]]) -> str:
    found = group.figures(name)
    if not found:
        return ""
    value, summary = choose(found, key=lambda one: one[0])
    return f"{100 * value:.2f} % ({summary.label})"


def _reasons(summaries: Sequence[RunSummary]) -> str:
    reasons: dict[str, list[str]] = {}
    for summary in summaries:
        reason = "seed again" if summary.state in ("finished", "unrecorded") else summary.state
        reasons.setdefault(reason, []).append(summary.label)
    return ", ".join(f"{' '.join(labels)} {reason}" for reason, labels in reasons.items())


def _versions(groups: Sequence[SeedGroup]) -> list[str]:
    """A line for each group whose runs were trained with different versions: then the seed is not all that differs."""
    lines = []
    for group in groups:
        known = [summary.record.versions for summary in group.counted if summary.record]
        names = dict.fromkeys(name for versions in known for name in versions)
        if differ := [name for name in names if len({versions.get(name) for versions in known}) > 1]:
            runs = " ".join(summary.label for summary in group.counted)
            lines.append(f"Runs {runs} differ in {' and '.join(differ)} too.")
    return ["", *lines] if lines else []
