"""Settings that do not go together: with those of the run that a command works on, or with one another."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from mnist_cli.command.data_settings import check_split
from mnist_cli.command.mistakes import load
from mnist_cli.errors import UserError
from mnist_cli.runs.checkpoints import ChosenCheckpoint
from mnist_cli.runs.short_names import changes


def check_against_run(config: Namespace, command: str, chosen: ChosenCheckpoint) -> None:
    """Check that the settings agree with those of the chosen checkpoint.

    Raises:
        UserError: If validation would read images that the run was trained on, a setting is in the checkpoint and would
            have no effect, or a run that is to go on is complete.
    """
    model, data = chosen.content["hyper_parameters"], chosen.content["datamodule_hyper_parameters"]
    if command in ("fit", "validate"):
        check_split(config, data)
    for name in ("mean", "std"):
        if None not in (model.get(name), config.model[name]) and model[name] != config.model[name]:
            raise UserError(
                f"--model.{name} {config.model[name]}: the checkpoint has its own, {model[name]}; leave it out, or "
                "train from the start without --ckpt_path."
            )
    if command != "fit":
        return
    chosen.check_going_on(config.trainer.as_dict(), early_stopping=bool(config.early_stopping))
    if model.get("lr_scheduler"):
        for name in ("optimizer", "lr_scheduler"):
            for setting, value in changes({name: config.model.as_dict()[name]}, {name: model.get(name)}).items():
                raise UserError(
                    f"--model.{setting} {value}: a run with a schedule goes on with the optimizer and the schedule of "
                    "its checkpoint; leave it out, or train from the start without --ckpt_path."
                )
    if data.get("dataset") not in (None, config.data.dataset):
        _say(f"The run goes on with {config.data.dataset}; until now it was trained on {data['dataset']}.")


def name_evaluation(config: Namespace, command: str, chosen: ChosenCheckpoint) -> None:
    """Call an evaluation on another data set than the run's by that data set, so that it replaces nothing."""
    trained = chosen.content["datamodule_hyper_parameters"].get("dataset")
    if trained in (None, config.data.dataset):
        return
    name = re.sub(r"[^\w.-]+", "-", Path(config.data.dataset).stem)
    for part in (config.evaluation, config.figures):
        if part and part.init_args.name is None:
            part.init_args.name = f"{command}-{name}"


def say_useless(config: Namespace, flags: list[str]) -> None:
    """Print a line for each setting that the others leave without effect, if it is a flag or not the default."""
    model = config.model
    schedule = model.lr_scheduler.class_path.rpartition(".")[2] if model.lr_scheduler else ""
    optimizer = model.optimizer.init_args
    useless: dict[str, str] = {}
    if schedule in ("OneCycleLR", "CyclicLR"):
        instead = "max_lr" if schedule == "OneCycleLR" else "base_lr"
        useless["optimizer.lr"] = f"{schedule} sets the learning rate, see --model.lr_scheduler.{instead}"
        if model.lr_scheduler.init_args.get("cycle_momentum"):
            momentum = "optimizer.betas" if "betas" in optimizer else "optimizer.momentum"
            useless[momentum] = f"{schedule} sets the momentum; --model.lr_scheduler.cycle_momentum false keeps yours"
    if model.loss == "mse":
        useless["label_smoothing"] = "only cross_entropy smooths labels"
    defaults = _defaults(load(model.optimizer.class_path), "optimizer.") | {"label_smoothing": 0.0}
    for name, reason in useless.items():
        value = _plain(model.get(name) if "." not in name else optimizer.get(name.partition(".")[2]))
        given = any(flag.partition("=")[0] == f"--model.{name}" for flag in flags)
        if value is not None and (given or value != _plain(defaults.get(name))):
            _say(f"--model.{name} {value} has no effect: {reason}.")


def _defaults(made: Any, prefix: str) -> dict[str, Any]:
    parameters = inspect.signature(made).parameters.values()
    return {f"{prefix}{one.name}": one.default for one in parameters}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


@rank_zero_only
def _say(text: str) -> None:
    print(text, file=sys.stderr)
