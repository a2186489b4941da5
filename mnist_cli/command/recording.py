"""The beginning and the end of a fit: what its run directory records, what is kept, and what is said."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnist_cli.errors import UserError
from mnist_cli.files import write_whole
from mnist_cli.runs.checkpoints import ChosenCheckpoint, open_checkpoint
from mnist_cli.runs.directory import Run, ckpt_option, find_runs, reserve_run, shown
from mnist_cli.runs.record import begin_record, end_record
from mnist_cli.runs.settings import Settings, load_settings
from mnist_cli.runs.short_names import differences, flatten
from mnist_cli.training.stop_signals import Stopped

# TensorBoard takes the columns of its table of hyperparameters from the first run alone, so these stand in every run.
_COMPARED = ("net", "optimizer", "optimizer.lr", "batch_size", "max_epochs")


def begin_run(
    root: Path, settings_yaml: str, *, name: str | None, recipe: str | None, goes_on: Run | None = None
) -> Run:
    """Reserve a run directory, and record in it what runs from now on, in this process.

    Args:
        root: Folder that holds, or is to hold, `lightning_logs`.
        settings_yaml: All settings.
        name: What the user calls the run.
        recipe: Where the settings come from.
        goes_on: The run that this one goes on with, whose name it has too.

    Raises:
        UserError: If the directory cannot be made.
    """
    if name and (others := find_runs(name, root)) and not (goes_on and goes_on.name == name):
        print(
            f"A run called '{name}' is there already ({others[0].path.name}); --ckpt_path {name} means the newest.",
            file=sys.stderr,
        )
    run = reserve_run(root)
    try:
        write_whole(run.config, settings_yaml)
        begin_record(run.record_file, name=name, recipe=recipe, settings=load_settings(settings_yaml, "the settings"))
    except BaseException:  # a full disk, or a signal
        run.discard_if_empty()
        raise
    return run


def end_run(run: Run) -> None:
    """Record that a fit has finished."""
    end_record(run.record_file, "finished")


def leave_run(run: Run, error: BaseException) -> None:
    """Record how a fit ended, and say how it can go on; without a checkpoint nothing of it is kept.

    Args:
        run: Its directory.
        error: What ended it. Lightning raises a SystemExit where our handler of signals asked it to stop.
    """
    stopped = isinstance(error, (KeyboardInterrupt, SystemExit, Stopped))
    end_record(run.record_file, "stopped" if stopped else "failed", None if stopped else f"{error}")
    chosen = _newest_that_loads(run)
    if chosen is None:
        run.discard_if_empty()
        if stopped and not run.path.exists():
            print("Nothing was trained yet, and nothing is kept.", file=sys.stderr)
        return
    settings = run.settings()
    try:
        chosen.check_going_on(settings.get("trainer") or {}, early_stopping=bool(settings.get("early_stopping")))
    except UserError:
        print(f"This run is trained to its end; test it with `mnist test {ckpt_option(run)}`.", file=sys.stderr)
    else:
        print(f"This run can go on with `mnist fit {ckpt_option(run, chosen.path)}`.", file=sys.stderr)


def _newest_that_loads(run: Run) -> ChosenCheckpoint | None:
    for file in (run.checkpoint("last"), run.checkpoint("best")):
        with suppress(UserError):
            return open_checkpoint(file)
    return None


def say_what_next(run: Run, more: str | None) -> None:
    """Say where a finished fit is, and what can be done with it.

    Args:
        run: Its directory.
        more: The options with which it can be trained on; None if it has a schedule, which has ended.
    """
    print(f"The run{' with its figures' if run.figures.exists() else ''} is in {shown(run.path)}.")
    path = ckpt_option(run)
    print(f"Test it again: mnist test {path}")
    print(f"Use it:        mnist predict PICTURES {path}")
    if more:
        print(f"Train it on:   mnist fit {path} {more}")


def compared_settings(settings: Settings, defaults: Settings) -> dict[str, Any]:
    """What runs are compared by, and what else differs from the defaults.

    Args:
        settings: All settings of a run.
        defaults: All defaults.

    Returns:
        Numbers and text by short names.
    """
    known = flatten(settings)
    compared = {name: known[name] for name in _COMPARED if name in known}
    compared |= differences(settings, defaults)
    compared.pop("threads", None)  # always filled in, and no run learns better by it
    return {name: value if isinstance(value, (int, float, str)) else str(value) for name, value in compared.items()}
