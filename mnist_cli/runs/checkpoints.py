"""Checkpoints, read without running anything in them, and without Lightning, which takes seconds to import."""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnist_cli.errors import UserError
from mnist_cli.runs.directory import Run, run_of, shown
from mnist_cli.runs.settings import Settings, plain_settings, without_places
from mnist_cli.runs.short_names import changes

# What a checkpoint holds where this program looks: name, type, whether it has to be there.
_KINDS = (
    ("epoch", int, True),
    ("global_step", int, True),
    ("loops.fit_loop.epoch_progress.current.processed", int, True),
    ("callbacks", dict, False),
    ("lr_schedulers", list, False),
    ("optimizer_states", list, False),
    ("history", (list, dict), False),
    ("hyper_parameters", dict, False),
    ("datamodule_hyper_parameters", dict, False),
)


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
    def _seconds_trained(self) -> float:
        """How long its run had trained, if that was limited."""
        state = self.content["callbacks"].get("Timer")
        times = state.get("time_elapsed") if isinstance(state, dict) else None
        seconds = times.get("train") if isinstance(times, dict) else None
        return seconds if isinstance(seconds, float) else 0.0

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping had ended its run."""
        states = (state for state in self.content.get("callbacks", {}).values() if isinstance(state, dict))
        return any(state.get("stopped_epoch") for state in states)

    def check_going_on(self, trainer: Mapping[str, Any], *, early_stopping: bool = True) -> None:
        """Check that a fit has something left to do.

        Args:
            trainer: Its settings of the trainer.
            early_stopping: Whether it may stop early.

        Raises:
            UserError: If it is an ensemble, or the run is complete.
        """
        if "ensemble" not in self.content and not self.content.get("optimizer_states"):
            raise UserError(
                f"--ckpt_path: {shown(self.path)} has no state of an optimizer, so no fit can go on with it."
            )
        if "ensemble" in self.content:
            raise UserError(
                f"--ckpt_path: {shown(self.path)} is an ensemble, whose members were trained before; go on with one of "
                f"them: {', '.join(self.content['ensemble'])}."
            )
        for unit, done in (("epochs", self.epochs_done), ("steps", self.content.get("global_step", 0))):
            most = trainer.get(f"max_{unit}") or -1
            if 0 < most <= done:
                more = f"go on with --trainer.max_{unit} {done + 5 if unit == 'epochs' else 2 * done}, for example."
                if any(state.get("total_steps") for state in self.content.get("lr_schedulers", [])):
                    more = "its schedule has ended too: start a new run without --ckpt_path."
                raise UserError(f"--ckpt_path: that run is complete, {done:,} of {most:,} {unit}; {more}")
        if early_stopping and self.stopped_early:
            raise UserError(
                f"--ckpt_path: that run is complete, early stopping ended it after {self.epochs_done} epochs; go on "
                "with --early_stopping null."
            )
        if trainer.get("max_time") and self._seconds_trained:
            from lightning.pytorch.callbacks import Timer  # a fit has imported it

            if self._seconds_trained >= (Timer(trainer["max_time"]).time_remaining() or 0):
                raise UserError(
                    f"--ckpt_path: that run has used up its --trainer.max_time {trainer['max_time']}; go on with a "
                    "longer one, or with null for no limit."
                )

    def changes(self, settings: Settings) -> dict[str, Any]:
        """What of network, loss, `tta` and data set in *settings* is another than in the run, by short names."""
        parts = {"model": ("net", "loss", "tta"), "data": ("dataset",)}
        groups = {"model": "hyper_parameters", "data": "datamodule_hyper_parameters"}
        own = {group: {name: self.content[groups[group]].get(name) for name in parts[group]} for group in parts}
        own["model"]["tta"] = own["model"]["tta"] or 0  # a run of 0.1.0 has none
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
        count = self.num_broken
        broken = f"; {count:,} of its weights are not finite: what it answers means nothing" if count else ""
        return f"Checkpoint {shown(self.path)} ({place}{epoch}{best}){broken}"

    @property
    def num_broken(self) -> int:
        """How many weights are not a number, or infinite."""
        return sum(int((~weight.isfinite()).sum()) for weight in self.content["state_dict"].values())


def open_checkpoint(path: Path, *, trusted: bool = False) -> ChosenCheckpoint:
    """Load a checkpoint of this program without running anything that may be in it.

    Args:
        path: The file.
        trusted: Whether it is the user's own.

    Raises:
        UserError: If the file is something else.
    """
    broken = UserError(
        f"--ckpt_path: {path} is not a checkpoint, or is incomplete; give a .ckpt file that `mnist fit` wrote."
    )
    if not _is_plain_archive(path):
        raise broken
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the unpickler raise anything; nothing in it has run
        raise broken from error
    keys = {"state_dict", "hyper_parameters", "loops", "epoch"}
    if not isinstance(content, dict) or not keys <= content.keys():
        raise UserError(
            f"--ckpt_path: {path} is a checkpoint of another program; give a .ckpt file that `mnist fit` wrote."
        )
    if problem := _odd_content(content):
        raise UserError(f"--ckpt_path: {path} is damaged or was altered: {problem}; give another checkpoint.")
    content["callbacks"] = content.get("callbacks") or {}
    content["lr_schedulers"] = content.get("lr_schedulers") or []
    for name in ("hyper_parameters", "datamodule_hyper_parameters"):  # without a data module the latter are not there
        content[name] = plain_settings(content.get(name) or {}, f"--ckpt_path: {path}: {name}")
    return ChosenCheckpoint(path.absolute(), content, trusted)


def _is_plain_archive(path: Path) -> bool:
    """Whether a file is a zip archive as torch writes it: uncompressed, so that it cannot unfold to more than it is."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    stored = all(one.compress_type == zipfile.ZIP_STORED for one in members)
    pickles = [one.file_size for one in members if one.filename.endswith(".pkl")]
    return stored and sum(one.file_size for one in members) <= path.stat().st_size and max(pickles, default=0) < 10**7


def _odd_content(content: dict[str, Any]) -> str:
    """What in a checkpoint is not as Lightning and this program write it; nothing if all is."""
    made_by = str(content.get("pytorch-lightning_version", "2"))
    if not re.match(r"[12](\.|$)", made_by):
        return f"it is of another format, that of Lightning {made_by[:20]}"
    weights = content["state_dict"]
    if not isinstance(weights, dict):
        return "state_dict holds no weights"
    for name, weight in weights.items():
        whole = isinstance(weight, Tensor) and weight.layout == torch.strided and weight.device.type == "cpu"
        if not whole or weight.is_quantized or weight.nbytes > weight.untyped_storage().nbytes():
            return f"the weight {str(name)[:80]} is not whole"
    for name, kind, needed in _KINDS:
        part: Any = content
        for key in name.split("."):
            part = part.get(key) if isinstance(part, dict) else None
        if (part is None and needed) or not isinstance(part, (kind, type(None))) or isinstance(part, bool):
            return f"{name} is {'missing' if part is None else f'a {type(part).__name__}'}"
    for name in ("optimizer_states", "lr_schedulers"):
        if not all(isinstance(state, dict) for state in content.get(name) or []):
            return f"{name} holds something else than states"
    rows = content.get("history") or []
    if not all(isinstance(row, dict) for row in (rows.values() if isinstance(rows, dict) else rows)):
        return "history holds something else than rows"
    for state in (content.get("callbacks") or {}).values():
        score = state.get("best_model_score") if isinstance(state, dict) else None
        if not isinstance(score, (int, float, Tensor, type(None))) or (isinstance(score, Tensor) and score.dim()):
            return "a best_model_score is not a number"
    planned = [state.get("total_steps") for state in content.get("lr_schedulers") or []]
    return "" if all(isinstance(one, (int, type(None))) for one in planned) else "the planned steps are not numbers"
