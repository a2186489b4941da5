"""`mnist runs`: which run was what, from the run directories alone."""

import difflib
import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_cli.command.plain import PlainParser
from mnist_cli.errors import UserError
from mnist_cli.files import json_text, write_whole
from mnist_cli.runs.directory import RUNS, Run, find_runs, nearest_run, runs_in, shown
from mnist_cli.runs.short_names import flatten
from mnist_cli.runs.summary import RunSummary, figure_of, summarize
from mnist_cli.runs.table import runs_table

_FIGURES = ("val/loss", "val/acc", "train/loss", "train/acc", "test/acc")
_OTHERS = ("run", "when", "time", "epochs", "name", "recipe", "state")


def runs_parser() -> PlainParser:
    parser = PlainParser(
        "mnist runs",
        description="List runs, the newest first. Settings are shown where the runs differ; val/loss and val/acc are "
        "those of a run's best epoch. With runs as arguments, compare these, and draw their curves in one PNG.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "which",
        nargs="*",
        metavar="RUN or FOLDER",
        help="runs to compare, by number, name or directory; or folders that hold lightning_logs (default: this one)",
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="val/acc, val/loss, test/acc (the best first), time, epochs, name, or a setting",
    )
    parser.add_argument("--by-seed", action="store_true", help="runs that differ in seed_everything alone as one row")
    parser.add_argument("--json", action="store_true", help="everything that is known, for programs")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.png",
        help="the curves of a comparison (default: lightning_logs/runs-3-7.png)",
    )
    return parser


def runs(arguments: Sequence[str]) -> int:
    """`mnist runs`: list or compare runs.

    Raises:
        UserError: If there are no such runs, or nothing to sort by.
    """
    args = runs_parser().parse_args(arguments)
    folders = [Path(one) for one in args.which if _is_root(Path(one))]
    chosen = [one for one in args.which if not _is_root(Path(one))]
    summaries = _summaries(folders or [Path()], chosen)
    if args.sort:
        summaries = _sorted(summaries, args.sort)
    if args.json:
        print(json_text([_plain(summary) for summary in summaries]))
    elif args.by_seed:
        from mnist_cli.runs.seeds import group_by_seed, seeds_table

        print(seeds_table(group_by_seed(summaries), _width()))
    elif chosen:
        _compare(summaries, args.output)
    else:
        print(runs_table(summaries, _width()))
    return 0


def _is_root(folder: Path) -> bool:
    """Whether a folder holds runs, and is not one itself."""
    return (folder / RUNS).is_dir() or (not (folder / "config.yaml").exists() and any(folder.glob("version_*")))


def _root(folder: Path) -> Path:
    """The folder that holds `lightning_logs`, also if that itself is given."""
    return folder if (folder / RUNS).is_dir() or folder.absolute().name != RUNS else folder.absolute().parent


def _summaries(folders: list[Path], chosen: list[str]) -> list[RunSummary]:
    several = len(folders) > 1
    if chosen:
        found = list(dict.fromkeys(run for one in chosen for run in _find(one, folders)))
        numbers = [_label(run) for run in found]
        labels = [str(shown(run.path)) if numbers.count(_label(run)) > 1 else _label(run) for run in found]
        return [summarize(run, label) for run, label in zip(found, labels, strict=True)]
    listed = [
        summarize(run, f"{folder}/{_label(run)}" if several else _label(run))
        for folder in folders
        for run in runs_in(_root(folder))
    ]
    if not listed:
        places = " and ".join(str(_root(folder) / RUNS) for folder in folders)
        raise UserError(f"there are no runs in {places}; make one with `mnist fit`, or give the folder of others.")
    return sorted(listed, key=lambda summary: summary.started, reverse=True)


def _label(run: Run) -> str:
    return run.path.name.removeprefix("version_")


def _find(wanted: str, folders: list[Path]) -> list[Run]:
    """A run directory, a run by its number, or all runs of a name."""
    roots = [_root(folder) for folder in folders]
    if found := [run for root in roots for run in find_runs(wanted, root)]:
        return found
    path = Path(wanted)
    if any((path / name).exists() for name in ("config.yaml", "run.json", "metrics.csv")):
        return [Run(path)]
    near = next(filter(None, (nearest_run(wanted, root) for root in roots)), None)
    hint = f"did you mean {near}?" if near else "`mnist runs` lists the runs; other folders are arguments too."
    raise UserError(f"there is no run and no folder of runs '{wanted}'; {hint}")


def _sorted(summaries: list[RunSummary], by: str) -> list[RunSummary]:
    """By a figure with the best first, or by a setting; runs without it come last."""
    keys = [_key(summary, by) for summary in summaries]
    if all(key is None for key in keys):
        known = [*_FIGURES, *_OTHERS, *dict.fromkeys(name for one in summaries for name in flatten(one.settings))]
        if by not in known:
            near = difflib.get_close_matches(by, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"give {', '.join((*_FIGURES, *_OTHERS))} or a setting."
            raise UserError(f"--sort {by}: there is no such column; {hint}")
    pairs = list(zip(keys, summaries, strict=True))
    backwards = by.endswith("/acc") or by in ("when", "run")
    numbers = all(isinstance(key, (int, float)) for key in keys if key is not None)
    some: Any = [(key if numbers else str(key), summary) for key, summary in pairs if key is not None]
    some.sort(key=lambda pair: pair[0], reverse=backwards)
    return [summary for _, summary in some] + [summary for key, summary in pairs if key is None]


def _key(summary: RunSummary, by: str) -> Any:
    record = summary.record
    others = {
        "run": summary.started,  # runs are numbered as they begin
        "when": summary.started,
        "time": summary.seconds,
        "epochs": summary.epochs,
        "name": record.name if record else None,
        "recipe": record.recipe if record else None,
        "state": summary.state,
    }
    if by in others:
        return others[by]
    figure = figure_of(summary, by)
    return flatten(summary.settings).get(by) if figure is None else figure


def _plain(summary: RunSummary) -> dict[str, Any]:
    record = vars(summary.record) if summary.record else {}
    return {
        "run": str(summary.run.path),
        **{key: record.get(key) for key in ("name", "recipe", "started", "ended", "versions")},
        "host": summary.record.process.host if summary.record else None,
        "state": summary.state,
        "seconds": summary.seconds,
        "network": summary.network,
        "epochs": summary.epochs,
        "best": summary.best,
        "test": vars(summary.test) if summary.test else None,
        "settings": flatten(summary.settings),
        "problems": summary.problems,
        "notes": summary.notes,
    }


def _compare(summaries: list[RunSummary], output: Path | None) -> None:
    from mnist_cli.runs.compare import comparison_table

    print(comparison_table(summaries, _width()))
    histories = [(_title(summary), summary.rows) for summary in summaries if summary.rows]
    if not histories:
        print("\nNone of them has finished an epoch: there are no curves to draw.")
        return
    from mnist_cli.report.comparison import comparison_figure

    png = io.BytesIO()
    comparison_figure(histories).savefig(png, format="png")
    path = output or summaries[0].run.path.parent / f"runs-{'-'.join(_label(one.run) for one in summaries)}.png"
    try:
        write_whole(path, png.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another place with --output.") from error
    print(f"\ncurves: {path}")


def _title(summary: RunSummary) -> str:
    name = summary.record.name if summary.record else None
    return f"run {summary.label}" + (f", {name}" if name else "")


def _width() -> int | None:
    """That of the terminal; None for a pipe or a file, where every run is one line."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
