"""Checkpoints, read without running anything in them, and without Lightning, which takes seconds to import."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mnist_cli.errors import UserError
from mnist_cli.runs.directory import Run, run_of, shown
from mnist_cli.runs.settings import Settings, modernize, without_places
from mnist_cli.runs.short_names import changes


@dataclass(frozen=True)
class ChosenCheckpoint:
    """The checkpoint that a command works on, read once.

    Attributes:
        path: The file, absolute.
        content: All that is in it, the names of its settings being those of today.
        trusted: Whether it is the user's own; the settings of another may name no places.
    """

    path: Path
    content: dict[str, Any]
    trusted: bool = False

    @property
    def run(self) -> Run | None:
        """The run that it lies in, or None for a file outside any run."""
        return run_of(self.path)

    @property
    def epochs_done(self) -> int:
        """How many epochs its run had finished."""
        done: int = self.content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        return done

    def settings(self, command: str) -> Settings:
        """What the options of a command are by default: the run's, of a fit all of them."""
        run = self.run.settings() if self.run else {}
        if command == "fit" and run:
            return run if self.trusted else without_places(run)
        settings = self.network_settings()
        settings["data"]["images"] = None
        if precision := (run.get("trainer") or {}).get("precision"):  # in another one the figures would differ slightly
            settings["trainer"] = {"precision": precision}
        return settings

    def network_settings(self) -> Settings:
        """Those of model and data."""
        content = self.content
        settings = {"model": content["hyper_parameters"], "data": dict(content["datamodule_hyper_parameters"])}
        return settings if self.trusted else without_places(settings)

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping had ended its run."""
        states = (state for state in self.content.get("callbacks", {}).values() if isinstance(state, dict))
        return any(state.get("stopped_epoch") for state in states)

    def check_going_on(self, max_epochs: int, *, early_stopping: bool = True) -> None:
        """See that a fit of so many epochs, with or without early stopping, has something left to do.

        Raises:
            UserError: If it is an ensemble, or the run is complete.
        """
        if "ensemble" in self.content:
            raise UserError(
                f"--ckpt_path: {shown(self.path)} is an ensemble, whose members were trained before; go on with one of "
                f"them: {', '.join(self.content['ensemble'])}."
            )
        done = self.epochs_done
        if 0 < max_epochs <= done:
            more = f"go on with --trainer.max_epochs {done + 5}, for example."
            if any(state.get("total_steps") for state in self.content.get("lr_schedulers", [])):
                more = "its schedule has ended too: start a new run without --ckpt_path."
            raise UserError(f"--ckpt_path: that run is complete, {done} of {max_epochs} epochs; {more}")
        if early_stopping and self.stopped_early:
            raise UserError(
                f"--ckpt_path: that run is complete, early stopping ended it after {done} epochs; go on with "
                "--early_stopping null."
            )

    def changes(self, settings: Settings) -> dict[str, Any]:
        """What of the network, the loss and the data set in *settings* is another than in the run, by short names."""
        parts = {"model": ("net", "loss"), "data": ("dataset",)}
        groups = {"model": "hyper_parameters", "data": "datamodule_hyper_parameters"}
        own = {group: {name: self.content[groups[group]].get(name) for name in parts[group]} for group in parts}
        return changes({group: {name: settings[group][name] for name in parts[group]} for group in parts}, own)

    def describe(self) -> str:
        """One line: the file, its run, its epoch and its score."""
        name = f" '{self.run.name}'" if self.run and self.run.name else ""
        place = f"of run {self.run.path.name}{name}, " if self.run else ""
        if "ensemble" in self.content:
            return f"Checkpoint {shown(self.path)} ({place}an ensemble of {len(self.content['ensemble'])})"
        states = (state for state in self.content.get("callbacks", {}).values() if isinstance(state, dict))
        scores = [
            f", {state['monitor']} {state['best_model_score']:.4f}"
            for state in states
            if state.get("monitor") and state.get("best_model_score") is not None
        ]
        best = "".join(scores[:1]) if self.path.stem == "best" else ""
        done = self.epochs_done
        epoch = f"after epoch {done}" if done > self.content["epoch"] else f"in epoch {self.content['epoch'] + 1}"
        return f"Checkpoint {shown(self.path)} ({place}{epoch}{best})"


def open_checkpoint(path: Path, *, trusted: bool = False) -> ChosenCheckpoint:
    """Load a checkpoint of this program without running anything that may be in it.

    Args:
        path: The file.
        trusted: Whether it is the user's own.

    Raises:
        UserError: If the file is something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise UserError(
            f"--ckpt_path: {path} is not a checkpoint, or is incomplete; give a .ckpt file that `mnist fit` wrote."
        ) from error
    keys = {"state_dict", "hyper_parameters", "loops", "epoch"}
    if not isinstance(content, dict) or not keys <= content.keys():
        raise UserError(
            f"--ckpt_path: {path} is a checkpoint of another program; give a .ckpt file that `mnist fit` wrote."
        )
    for name in ("hyper_parameters", "datamodule_hyper_parameters"):  # without a data module the latter are not there
        settings = content.get(name, {})
        content[name] = modernize({key: value for key, value in settings.items() if key != "_instantiator"})
    return ChosenCheckpoint(path.absolute(), content, trusted)
