"""What a search leaves: the table at its end, `best.yaml`, `trials.csv` and its figures."""

import csv
import io
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mnist_cli.files import write_whole
from mnist_cli.report import search_figures
from mnist_cli.runs.directory import shown
from mnist_cli.search.space import SearchFile, as_flags, as_text
from mnist_cli.search.study import Entry, SharedStudy
from mnist_cli.search.trial import SettingsCLI

_TABLE_ROWS = 10


@dataclass(frozen=True)
class Results:
    """Where the results of a search go, and what they are about.

    Attributes:
        file: The file of the search.
        name: The search's own.
        folder: Where the results are written.
        arguments: The options of fit that all trials share.
    """

    file: SearchFile
    name: str
    folder: Path
    arguments: list[str]


def as_score(metric: str, value: float) -> str:
    """A score as people read it: accuracies in per cent."""
    return f"{100 * value:.2f} %" if metric.endswith("acc") else f"{value:.4f}"


def in_words(settings: dict[str, Any]) -> str:
    """Settings in one line, by the last part of their names if that is enough to tell them apart."""
    short = [name.rpartition(".")[2] for name in settings]
    names = [last if short.count(last) == 1 else name for name, last in zip(settings, short, strict=True)]
    values = (f"{value:.3g}" if isinstance(value, float) else as_text(value) for value in settings.values())
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def write_results(results: Results, study: SharedStudy, repeats: SharedStudy | None) -> None:
    """Write and print what there is.

    Args:
        results: Where, and what about.
        study: The search.
        repeats: The winner's runs with fresh seeds; None if there are none.
    """
    entries, winner = study.entries(), study.best()
    if not entries:
        return
    write_whole(results.folder / "trials.csv", _trials_csv(results.file, entries))
    written = ["trials.csv"]
    console = Console()
    console.print(_table(results.file, entries), highlight=False)
    if winner is None:
        console.print("No trial was trained to its end: there is no best one yet.", highlight=False)
    else:
        lines = _winner(results.file, winner, repeats)
        console.print("\n".join(lines), highlight=False, soft_wrap=True)
        write_whole(results.folder / "best.yaml", _best_yaml(results, winner, lines))
        written = ["best.yaml", *written, *_write_figures(results, study, entries)]
    names = ", ".join(written)
    console.print(f"written to {shown(results.folder)}: {names}", highlight=False, soft_wrap=True)
    if winner is not None:
        best = shown(results.folder / "best.yaml")
        console.print(f"Train it: mnist fit --config {best}", highlight=False, soft_wrap=True)


def _table(file: SearchFile, entries: Sequence[Entry]) -> Table:
    sign = -1 if file.mode == "max" else 1
    worst = float("inf")
    order = sorted(entries, key=lambda one: worst if one.score is None else sign * one.score)
    table = Table(
        title=f"The best of {len(entries)} trials" if len(entries) > _TABLE_ROWS else None, title_justify="left"
    )
    states = {entry.number: {"complete": "", "fail": "failed"}.get(entry.state, entry.state) for entry in entries}
    columns = {"trial": "right", "settings": "left", file.metric: "right", "epochs": "right"}
    columns |= {"state": "left"} if any(states[entry.number] for entry in order[:_TABLE_ROWS]) else {}
    for name, side in columns.items():
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for entry in order[:_TABLE_ROWS]:
        score = "" if entry.score is None else as_score(file.metric, entry.score)
        cells = (str(entry.number), in_words(entry.trial.params), score, str(entry.note.get("epochs", "")))
        table.add_row(*cells, *([states[entry.number]] if "state" in columns else []))
    return table


def _winner(file: SearchFile, winner: Entry, repeats: SharedStudy | None) -> list[str]:
    """How good the winner is, said without the luck of the search."""
    assert winner.score is not None
    lines = [
        f"The best: trial {winner.number}, {in_words(winner.trial.params)}",
        f"  in the search: {file.metric} {as_score(file.metric, winner.score)} (one seed, the best of all)",
    ]
    done = [entry for entry in repeats.entries() if entry.score is not None] if repeats else []
    if not done:
        return [*lines, "  not trained with fresh seeds: the score is optimistic, because it is the best of many"]
    scores = [entry.score for entry in done if entry.score is not None]
    mean = statistics.fmean(scores)
    lines.append(f"  with fresh seeds: {file.metric} {_mean(file.metric, scores)}")
    gap = (winner.score - mean) * (1 if file.mode == "max" else -1)
    points = f"{100 * abs(gap):.2f} points" if file.metric.endswith("acc") else f"{abs(gap):.4f}"
    lines.append(f"  the search was {'optimistic' if gap >= 0 else 'pessimistic'} by {points}")
    tested = [entry.note["test_acc"] for entry in done if entry.note.get("test_acc") is not None]
    if tested:
        lines.append(f"  on the test set: test/acc {_mean('test/acc', tested)}, each of these runs tested once")
    return lines


def _mean(metric: str, values: Sequence[float]) -> str:
    spread = f" ± {as_score(metric, statistics.stdev(values))}" if len(values) > 1 else ""
    return f"{as_score(metric, statistics.fmean(values))}{spread}".replace(" % ±", " ±") + f" (n = {len(values)})"


def _best_yaml(results: Results, winner: Entry, lines: Sequence[str]) -> str:
    """All settings of the winner, as `mnist fit --print_config` would write them."""
    complete = SettingsCLI([*results.arguments, *as_flags(winner.trial.params)]).complete
    head = [f"Found by `mnist search`, search '{results.name}'.", *lines]
    return "".join(f"# {line}\n" for line in head) + complete


def _trials_csv(file: SearchFile, entries: Sequence[Entry]) -> str:
    text = io.StringIO(newline="")
    columns = ["trial", "state", file.metric, "epochs", "seconds", "run", *file.space, "problem"]
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for entry in entries:
        known: dict[str, Any] = {
            key: entry.note[key] for key in ("epochs", "seconds", "run", "problem") if key in entry.note
        }
        row = {"trial": entry.number, "state": entry.state, file.metric: entry.trial.value, **known}
        writer.writerow(row | entry.trial.params)
    return text.getvalue()


def _write_figures(results: Results, study: SharedStudy, entries: Sequence[Entry]) -> list[str]:
    file = results.file
    factor, unit = (100, " (%)") if file.metric.endswith("acc") else (1, "")
    trials = [
        search_figures.Trial(one.number, factor * one.trial.value, one.trial.params, one.state == "pruned")
        for one in entries
        if one.trial.value is not None
    ]
    scales = {}
    for name, dimension in file.space.items():
        choices = tuple(dimension.distribution(whole=False).choices) if dimension.values else ()
        scales[name] = search_figures.Scale(dimension.log, choices)
    about: dict[str, Any] = {"metric": f"{file.metric}{unit}", "higher_is_better": file.mode == "max"}
    drawn = {
        "history": search_figures.history_figure(trials, **about),
        "slices": search_figures.slices_figure(trials, scales, **about),
        "parallel": search_figures.parallel_figure(trials, scales, **about),
    }
    if importances := _importances(study, entries):
        drawn["importance"] = search_figures.importance_figure(importances)
    for name, figure in drawn.items():
        png = io.BytesIO()
        figure.savefig(png, format="png")
        write_whole(results.folder / f"{name}.png", png.getvalue())
    return [f"{name}.png" for name in drawn]


def _importances(study: SharedStudy, entries: Sequence[Entry]) -> dict[str, float]:
    """Which options matter; empty where too few trials differ to say so."""
    from optuna.importance import get_param_importances

    scores = {entry.score for entry in entries if entry.score is not None}
    if len(scores) < 4:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its evaluator being new
        found: dict[str, float] = get_param_importances(study.study)
    return found
