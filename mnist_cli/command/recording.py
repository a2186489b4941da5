"""The beginning and the end of a fit: what its run directory records, what is kept, and what is said."""

import sys
from contextlib import suppress
from pathlib import Path

from mnist_cli.errors import UserError
from mnist_cli.files import write_whole
from mnist_cli.runs.checkpoints import ChosenCheckpoint, open_checkpoint
from mnist_cli.runs.directory import Run, find_runs, reserve_run, shown
from mnist_cli.runs.record import begin_record, end_record
from mnist_cli.runs.settings import load_settings
from mnist_cli.training.stop_signals import Stopped


def begin_run(root: Path, settings: str, *, name: str | None, recipe: str | None) -> Run:
    """Reserve a run directory, and record in it what runs from now on, in this process.

    Args:
        root: Folder that holds, or is to hold, `lightning_logs`.
        settings: All settings, as YAML.
        name: What the user calls the run.
        recipe: Where the settings come from.

    Raises:
        UserError: If the directory cannot be made.
    """
    if name and (others := find_runs(name, root)):
        print(
            f"A run called '{name}' is there already ({others[0].path.name}); --ckpt_path {name} means the newest.",
            file=sys.stderr,
        )
    run = reserve_run(root)
    try:
        write_whole(run.config, settings)
        begin_record(run.record_file, name=name, recipe=recipe, settings=load_settings(settings, "the settings"))
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
    chosen = _loadable(run)
    if chosen is None:
        run.discard_if_empty()
        if stopped and not run.path.exists():
            print("Nothing was trained yet, and nothing is kept.", file=sys.stderr)
        return
    settings = run.settings()
    max_epochs = (settings.get("trainer") or {}).get("max_epochs") or -1
    try:
        chosen.check_going_on(max_epochs, early_stopping=bool(settings.get("early_stopping")))
    except UserError:
        print(f"This run is trained to its end; test it with `mnist test --ckpt_path {run.path}`.", file=sys.stderr)
    else:
        print(f"This run can go on with `mnist fit --ckpt_path {shown(chosen.path)}`.", file=sys.stderr)


def _loadable(run: Run) -> ChosenCheckpoint | None:
    for file in (run.checkpoint("last"), run.checkpoint("best")):
        with suppress(UserError):
            return open_checkpoint(file)
    return None
