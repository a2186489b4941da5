"""The beginning and the end of a fit: what its run directory records, what is kept, and what is said."""

import sys
from pathlib import Path

from mnist_cli.files import write_whole
from mnist_cli.runs.directory import Run, find_runs, reserve_run
from mnist_cli.runs.record import begin_record, end_record
from mnist_cli.runs.settings import load_settings


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
    write_whole(run.config, settings)
    begin_record(run.record_file, name=name, recipe=recipe, settings=load_settings(settings, "the settings"))
    return run


def end_run(run: Run) -> None:
    """Record that a fit has finished."""
    end_record(run.record_file, "finished")


def leave_run(run: Run, error: BaseException) -> None:
    """Record how a fit ended, and say how it can go on; without a checkpoint nothing of it is kept.

    Args:
        run: Its directory.
        error: What ended it. Lightning turns Ctrl-C and SIGTERM into a SystemExit.
    """
    stopped = isinstance(error, (KeyboardInterrupt, SystemExit))
    end_record(run.record_file, "stopped" if stopped else "failed", None if stopped else f"{error}")
    last = run.checkpoint("last")
    if last.exists():
        print(f"This run can go on with `mnist fit --ckpt_path {last}`.", file=sys.stderr)
    else:
        run.discard_if_empty()
