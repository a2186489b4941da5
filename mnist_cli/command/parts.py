"""The callbacks that are options of every command, in one table: what each is called, who uses it, and its defaults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt
from lightning.pytorch.callbacks import Callback, EarlyStopping

from mnist_cli.data.strokes import RandomAddedStrokes
from mnist_cli.model.ensemble import Ensemble
from mnist_cli.report.batch_log import BatchLog
from mnist_cli.report.writers import Evaluation, Figures
from mnist_cli.runs.directory import Run
from mnist_cli.training.muon import MuonAdam
from mnist_cli.training.run_checkpoint import RunCheckpoint
from mnist_cli.use.contact_sheet import ContactSheet
from mnist_cli.use.predictions import PredictionWriter


@dataclass(frozen=True)
class Part:
    """A callback that is an option: `--NAME.ARGUMENT VALUE` sets an argument of it, `--NAME null` leaves it out.

    Attributes:
        callback: Its class.
        commands: The commands that use it; the others accept its options and leave it out.
        defaults: Arguments that differ from the class's own defaults.
        place: Arguments that the run directory fills in where the user leaves them out.
    """

    callback: type[Callback]
    commands: tuple[str, ...]
    defaults: dict[str, Any] = field(default_factory=dict)
    place: Callable[[Run], dict[str, Path]] = lambda run: {}


EVALUATES = ("fit", "validate", "test")
PARTS = {
    "early_stopping": Part(EarlyStopping, ("fit",), {"monitor": "val/loss", "patience": 5}),
    "checkpoint": Part(RunCheckpoint, ("fit",)),
    "evaluation": Part(Evaluation, EVALUATES, place=lambda run: {"dirpath": run.path}),
    "figures": Part(Figures, EVALUATES, place=lambda run: {"dirpath": run.figures}),
    "batch_log": Part(BatchLog, ("fit",)),
    "predictions": Part(PredictionWriter, ("predict",), place=lambda run: {"path": run.predictions}),
    "contact_sheet": Part(ContactSheet, ("predict",), place=lambda run: {"path": run.contact_sheet}),
}

# Not parts, but classes that options take; jsonargparse finds a class by its short name only once it is imported.
CHOICES = (Ensemble, MuonAdam, RandomAddedStrokes)

# Plain options: type, default, and what `--help` says.
OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "name": (str | None, None, "Name of the run, shown by `mnist runs` and taken by --ckpt_path."),
    "test_after_fit": (bool, True, "Whether fit ends with the test of the best checkpoint."),
    "threads": (PositiveInt | None, None, "CPU threads of a fit; by default as many as its steps are worth."),
    "short_steps": (bool, True, "Whether plain steps skip Lightning's checks at every step."),
}


def default_settings() -> dict[str, Any]:
    """The defaults of the parts, for the parser."""
    return {
        name: {"class_path": f"{part.callback.__module__}.{part.callback.__name__}", "init_args": part.defaults}
        for name, part in PARTS.items()
    }


def keep_used(config: Namespace, command: str) -> None:
    """Leave out the parts that a command does not use."""
    for name, part in PARTS.items():
        if command not in part.commands:
            config[name] = None


def set_places(config: Namespace, run: Run) -> None:
    """Let every part that was given no place of its own write into the run directory."""
    for name, part in PARTS.items():
        for argument, place in part.place(run).items():
            if config[name] and config[name].init_args.get(argument) is None:
                config[name].init_args[argument] = str(place)
    if config.figures and config.evaluation and config.figures.init_args.name is None:
        config.figures.init_args.name = config.evaluation.init_args.name
    if config.predictions and config.predictions.init_args.path == "-":
        config.trainer.enable_progress_bar = False  # it would stand between the rows


def place_loggers(loggers: Any, run: Run) -> None:
    """Let TensorBoard write into the run directory."""
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if logger and logger.class_path.endswith(".TensorBoardLogger"):
            settings = logger.init_args
            settings.save_dir, settings.name, settings.version = str(run.path), "", ""
