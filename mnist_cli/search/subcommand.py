"""`mnist search`: try settings, each as an ordinary run, in one process or on many machines; then repeat the best."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mnist_cli.command.endings import end
from mnist_cli.command.resume import sort_options
from mnist_cli.command.threads import count_processors
from mnist_cli.errors import UserError
from mnist_cli.runs.directory import check_name
from mnist_cli.runs.settings import load_settings
from mnist_cli.runs.short_names import flatten
from mnist_cli.search.results import Results, write_results
from mnist_cli.search.space import read_search_file
from mnist_cli.search.storage import open_storage, open_study
from mnist_cli.search.study import SharedStudy
from mnist_cli.search.trial import check_space
from mnist_cli.search.worker import Jobs, Plan, Worker
from mnist_cli.training.stop_signals import StopSignals

# What may differ between the machines of one search.
_LOCAL = {"data_dir", "default_root_dir", "accelerator", "devices", "num_workers", "logger", "enable_progress_bar"}
_QUIET = ["--test_after_fit=false", "--figures=null", "--trainer.enable_progress_bar=false"]


def search(arguments: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        UserError: For a mistake in options, files or the storage.
    """
    if {"-h", "--help"} & set(arguments):
        print(_USAGE)
        return 0
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise UserError("`mnist search` needs Optuna; install it with pip install -e '.[search]'.") from error
    plan, storage_url = _read_options(arguments)
    storage = open_storage(storage_url, plan.folder)
    level, threads = optuna.logging.get_verbosity(), torch.get_num_threads()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(max(1, threads // plan.jobs))
    try:
        jobs = Jobs(arguments, plan.jobs, torch.get_num_threads())
        return end(lambda: _search(plan, storage, jobs), StopSignals())
    except optuna.exceptions.StorageInternalError as error:
        raise UserError(
            f"the database of search '{plan.name}' cannot be reached; when it is back, the same command goes on."
        ) from error
    finally:
        optuna.logging.set_verbosity(level)
        torch.set_num_threads(threads)


def _read_options(arguments: Sequence[str]) -> tuple[Plan, str | None]:
    parser = argparse.ArgumentParser("mnist search", allow_abbrev=False, exit_on_error=False, add_help=False)
    for name in ("--search", "--name", "--storage", "--jobs"):
        parser.add_argument(name)
    try:
        args, rest = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise UserError(f"{error.argument_name} needs a value; `mnist search --help` shows which.") from error
    if args.search is None:
        raise UserError("--search: give the file of the search, such as --search configs/search_mlp.yaml.")
    if args.jobs is not None and not (args.jobs.isdecimal() and int(args.jobs) > 0):
        raise UserError(f"--jobs: expected a whole number of at least 1, got '{args.jobs}'.")
    if args.jobs is not None and int(args.jobs) > (processors := count_processors()):
        raise UserError(f"--jobs {args.jobs}: this machine has {processors} processors; give no more than that.")
    options = sort_options(rest)
    if options.wanted:
        raise UserError("--ckpt_path: a search trains from the beginning; leave it out.")
    file, name = read_search_file(args.search), Path(args.search).stem if args.name is None else args.name
    check_name(name)
    check_name(f"{name}-trial10000")  # what its runs are called
    return Plan(file, rest, name, options.root, int(args.jobs or 1)), args.storage


_USAGE = """usage: mnist search --config FILE.yaml --search FILE.yaml [--OPTION VALUE ...]

Try settings of `mnist fit`, each as an ordinary run, and train the best with
fresh seeds. The same command goes on with a search that was interrupted, and
joins one that runs.

  --search FILE.yaml   what is searched, and how: see configs/search_mlp.yaml
  --config FILE.yaml   the recipe to start from; flags of `mnist fit` work too
  --jobs N             processes that train beside each other here [1]
  --storage URL        database that machines share, instead of a file in the
                       search's folder: postgresql://USER:PASSWORD@HOST/NAME
  --name NAME          name of the search, its folder searches/NAME and its runs
                       [name of the search file]"""


def _search(plan: Plan, storage: Any, jobs: Jobs) -> int:
    file = plan.file
    shared, distributions = check_space(file, plan.arguments)
    study = open_study(storage, plan.name, file.mode, file.trials)
    settings = load_settings(shared, "the settings")
    _check_same(study, plan, settings)
    study.study.pruner = file.make_pruner()
    seed = settings["seed_everything"] if type(settings["seed_everything"]) is int else 0
    results = Results(file, plan.name, plan.folder, plan.arguments)
    if not jobs.is_one:
        known = len([entry for entry in study.entries() if entry.state not in ("running", "waiting")])
        done = f", {known} of them done" if known else ""
        print(f"Search '{plan.name}': {file.trials} trials of {', '.join(file.space)}{done}", flush=True)
    try:
        with jobs.running():
            work = Worker(plan, jobs, seed)
            work.on(study, lambda entry: entry.trial.params, _QUIET, distributions)
            winner = study.best()
            repeats = None
            if winner is not None and file.repeats:
                repeats = open_study(storage, f"{plan.name}: trial {winner.number} anew", file.mode, file.repeats)
                own = winner.trial.params
                quiet = ["--test_after_fit=true", _QUIET[-1]]
                work.on(repeats, lambda entry: {**own, "seed_everything": seed + entry.number}, quiet, {})
    except (KeyboardInterrupt, SIGTERMException) as error:
        if not jobs.is_one:
            write_results(results, study, None)
            print(f"\nStopped. The same command goes on with search '{plan.name}'.", file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 143
    if not jobs.is_one:
        write_results(results, study, repeats)
    return 0


def _check_same(study: SharedStudy, plan: Plan, settings: dict[str, Any]) -> None:
    """Check that a study of this name, if there is one, searches the same.

    Raises:
        UserError: If it does not.
    """
    file = plan.file
    space = {name: {key: repr(value) for key, value in vars(one).items()} for name, one in file.space.items()}
    own = {name: repr(value) for name, value in flatten(settings).items() if not {*name.split(".")} & _LOCAL}
    now: dict[str, Any] = {"metric": file.metric, "space": space, "settings": own}
    before = study.study.user_attrs.get("plan")
    if before is None:
        study.study.set_user_attr("plan", now)
        return
    for what in now:
        if before[what] == now[what]:
            continue
        names = [before[what]]
        if what != "metric":
            names = [name for name in {**before[what], **now[what]} if before[what].get(name) != now[what].get(name)]
        other = "other settings" if what == "settings" else f"another {what}"
        raise UserError(
            f"search '{plan.name}' was begun with {other} ({', '.join(names)}); give this one a name of its own "
            "with --name, or the old values."
        )
