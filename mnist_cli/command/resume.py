"""Which checkpoint a command works on: found before the options are parsed, because its settings are their defaults."""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mnist_cli.command.mistakes import load
from mnist_cli.command.parts import OPTIONS, PARTS
from mnist_cli.command.permissions import classes_in_arguments
from mnist_cli.errors import UserError
from mnist_cli.imports import check_named, named_classes, packages_of
from mnist_cli.runs.checkpoints import ChosenCheckpoint, open_checkpoint
from mnist_cli.runs.directory import Run, find_checkpoint, is_own, shown
from mnist_cli.runs.settings import Settings, read_settings
from mnist_cli.training.distillation import Distillation

# Set for the processes that Lightning starts for DDP: they read the same options when the newest run may be another.
_VARIABLE = "MNIST_CHECKPOINT"


@dataclass(frozen=True)
class Options:
    """The options of a command, sorted.

    Attributes:
        files: Settings of the `--config` files, in order.
        flags: All other arguments, in order.
        wanted: What `--ckpt_path` says, on the command line or in a file.
        root: Folder of the runs: --trainer.default_root_dir.
        of_run: Directory of the run whose config.yaml is among the files: then `best` and `last` are its checkpoints.
        recipe: Names of the files, without `.yaml`; of the config.yaml of a run, the run's own.
        trust: Whether the user trusts a checkpoint from elsewhere.
    """

    files: list[Settings]
    flags: list[str]
    wanted: str | None
    root: Path
    recipe: str | None = None
    trust: bool = False
    of_run: Path | None = None


def sort_options(arguments: list[str]) -> Options:
    """Read the files of settings, and set them apart from the flags.

    Raises:
        UserError: If a file is missing, or holds no settings.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config", action="append", default=[])
    parser.add_argument("--trust", action="store_true")
    try:
        given, flags = parser.parse_known_args(arguments)
        parser.add_argument("--ckpt_path")
        parser.add_argument("--trainer.default_root_dir", dest="root")
        named, _ = parser.parse_known_args(flags)
    except argparse.ArgumentError:  # the real parser says what is wrong
        return Options([], arguments, None, Path())
    files = [read_settings(Path(file), f"--config {file}") for file in given.config]
    wanted, root = None, None
    for settings in files:
        wanted = settings.pop("ckpt_path", wanted)  # a number there would not be taken as text
        root = (settings.get("trainer") or {}).get("default_root_dir") or root
    wanted = {None: wanted, "null": None}.get(named.ckpt_path, named.ckpt_path)
    recipe = " + ".join(filter(None, map(_recipe, given.config))) or None
    wanted = None if wanted is None else str(wanted)
    runs = [Path(file).parent for file in given.config if Path(file).name == Run(Path()).config.name]
    of_run = next((run for run in reversed(runs) if any(Run(run).checkpoints.glob("*.ckpt"))), None)
    return Options(files, flags, wanted, Path(named.root or root or "."), recipe, given.trust, of_run)


def _recipe(file: str) -> str | None:
    path = Path(file)
    record = Run(path.parent).record() if path.name == "config.yaml" else None
    return record.recipe if record else path.stem


def asks_for_help(flag: str) -> bool:
    """Whether an argument asks for a text instead of work."""
    return flag in ("-h", "--help", "--help=all", "--print_schema") or flag.partition("=")[0].endswith(".help")


def choose_checkpoint(command: str, options: Options, *, announce: bool) -> ChosenCheckpoint | None:
    """Find and read the checkpoint that a command works on; None for a fit from the beginning.

    Args:
        command: fit goes on with a checkpoint only if one is given, the others take `best`.
        options: What the user gave.
        announce: Print a line that says which file was chosen.

    Raises:
        UserError: If there is no such checkpoint, or a name is given to a command that makes no run.
    """
    if command != "fit" and any(flag.partition("=")[0] == "--name" for flag in options.flags):
        raise UserError("--name is for `mnist fit`, which makes a run; choose a run with --ckpt_path NAME.")
    wanted = "best" if options.wanted is None and command != "fit" else options.wanted
    if wanted is None or any(asks_for_help(flag) for flag in options.flags):
        return None
    if announce or _VARIABLE not in os.environ:
        if options.of_run and wanted in ("best", "last"):
            found = find_checkpoint(str(options.of_run), options.root, resume=wanted == "last")
        else:
            found = find_checkpoint(wanted, options.root, resume=command == "fit")
        if command == "fit" and not Path(wanted).is_file():
            found = _or_best(found)
        os.environ[_VARIABLE] = str(found.absolute())
    path = Path(os.environ[_VARIABLE])
    chosen = open_checkpoint(path, trusted=options.trust or is_own(path, options.root))
    if announce:
        print(chosen.describe(), file=sys.stderr)
    return chosen


def name_teachers(callbacks: Any, root: Path) -> None:
    """Put the file of a teacher into the settings: `best` and names mean another run once this one has begun.

    Args:
        callbacks: `trainer.callbacks`, as it was parsed.
        root: Folder of the runs.

    Raises:
        UserError: If there is no such checkpoint.
    """
    for one in _teachers(callbacks):
        one.teacher = str(shown(find_checkpoint(one.teacher, root)))


def check_teachers(callbacks: Any) -> None:
    """Check that teachers are given as files or directories: in a search, names mean another run for each trial.

    Raises:
        UserError: If one is not.
    """
    for one in _teachers(callbacks):
        if not Path(one.teacher).exists():
            raise UserError(
                f"--trainer.callbacks.teacher {one.teacher}: while a search makes runs that means others; give the "
                "directory of the teacher's run, or its checkpoint."
            )


def _teachers(callbacks: Any) -> list[Any]:
    """The arguments of each `Distillation` among the callbacks, as they were parsed."""
    given = callbacks if isinstance(callbacks, list) else [callbacks]
    made = [(one, load(one.class_path)) for one in given if one]
    return [one.init_args for one, kind in made if isinstance(kind, type) and issubclass(kind, Distillation)]


def _or_best(last: Path) -> Path:
    """The last checkpoint of a run; if it cannot be read, its best, after a line that says so."""
    best = last.with_name("best.ckpt")
    try:
        open_checkpoint(last)
    except UserError:
        if last == best or not best.is_file():
            raise
        open_checkpoint(best)
        print(f"{shown(last)} cannot be read; the run's best checkpoint is taken instead.", file=sys.stderr)
        return best
    return last


def arguments_for(command: str, options: Options, chosen: ChosenCheckpoint | None) -> list[str]:
    """The arguments for the parser: the run's settings, the user's files, then the flags, so that flags win.

    Raises:
        UserError: If a checkpoint from elsewhere names classes that would be imported, and the user has not named them.
    """
    layers = [_known(chosen.settings(command))] if chosen else []
    if chosen and not chosen.trusted:
        named = classes_in_arguments(options.flags).union(*map(named_classes, options.files))
        check_named(layers[0], f"--ckpt_path {shown(chosen.path)}", packages_of(named))
    arguments = [text for layer in (*layers, *options.files) for text in ("--config", yaml.safe_dump(layer))]
    # Lightning loads the weights from there, as plain data; DigitModule.on_load_checkpoint compares their shapes.
    path = ["--ckpt_path", str(chosen.path)] if chosen else []
    return [*arguments, *map(_full_path, options.flags), *path]


def _known(settings: Settings) -> Settings:
    """The settings of a run without those of parts that this version does not have, after a line that says so."""
    known = {*PARTS, *OPTIONS, "ckpt_path", "seed_everything", "trainer", "data", "model"}
    if unknown := sorted(settings.keys() - known):
        print(f"Settings of the run that this version lacks are left out: {', '.join(unknown)}", file=sys.stderr)
    return {name: value for name, value in settings.items() if name in known}


def _full_path(flag: str) -> str:
    """Torch and Lightning both have this scheduler; Lightning's knows which metric to watch."""
    name, equals, value = flag.rpartition("=")
    return f"{name}{equals}lightning.pytorch.cli.{value}" if value == "ReduceLROnPlateau" else flag


def recipe_of(options: Options, chosen: ChosenCheckpoint | None) -> str | None:
    """The recipe of a fit: the files that it was given, or else that of the run that goes on."""
    record = chosen.run.record() if chosen and chosen.run else None
    return options.recipe or (record.recipe if record else None)
