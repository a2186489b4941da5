"""Values that an option's type allows and that make no sense: out of range, null, no number, or no time to train."""

import inspect
import math
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch
from jsonargparse import Namespace

from mnist_cli.command.mistakes import load
from mnist_cli.command.types import any_of, arguments_of, default_of, describe_type
from mnist_cli.errors import UserError

_LARGEST = 2**63 - 1  # torch counts in 64 bits
_LARGEST_FLOAT = torch.finfo(torch.float32).max  # and computes in 32

# The least value of an option whose type allows more than makes sense.
_LEAST = {
    "trainer.max_epochs": 1,
    "trainer.max_steps": 1,
    "trainer.min_epochs": 0,
    "trainer.min_steps": 0,
    "trainer.num_nodes": 1,
    "trainer.limit_train_batches": 0,
    "trainer.limit_val_batches": 0,
    "trainer.limit_test_batches": 0,
    "trainer.limit_predict_batches": 0,
    "trainer.overfit_batches": 0,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.num_sanity_val_steps": 0,
    "trainer.log_every_n_steps": 0,
    "trainer.fast_dev_run": 0,
    "trainer.accumulate_grad_batches": 1,
    "trainer.gradient_clip_val": 0,
    "trainer.reload_dataloaders_every_n_epochs": 0,
    "early_stopping.patience": 0,
    "early_stopping.min_delta": 0,
}
# More threads make no machine faster, and more images a class do not fit into memory.
_MOST = {"threads": 1024, "figures.per_class": 100}
# Whole numbers are batches, and others a share of them.
_SHARES = tuple(f"trainer.limit_{stage}_batches" for stage in ("train", "val", "test", "predict"))
_SHARES += ("trainer.overfit_batches", "trainer.val_check_interval")
_NO_LIMIT = ("trainer.max_epochs", "trainer.max_steps", "trainer.num_sanity_val_steps")  # -1 means none


def check_values(config: Namespace) -> None:
    """Check that every value is in its range.

    Raises:
        UserError: If one is not.
    """
    _check_nulls("", config)
    _check_numbers(config)
    _check_times(config.trainer)


def _check_numbers(config: Namespace) -> None:
    for name, value in _leaves("", config):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        large = abs(value) > (_LARGEST if isinstance(value, int) else _LARGEST_FLOAT) and abs(value) != math.inf
        endless = abs(value) == math.inf and name.startswith(("trainer.", "model.", "data."))
        if value != value or large or endless:
            problem = "this is not a number" if value != value else "the number is too large"
            raise UserError(f"--{name} {value}: {problem}; give another one.")
        if name in _SHARES and isinstance(value, float) and value > 1:
            raise UserError(f"--{name} {value}: give a whole number of batches, or a share of them of at most 1.")
        if value > _MOST.get(name, math.inf):
            raise UserError(f"--{name} {value}: give at most {_MOST[name]:,}.")
        least = _LEAST.get(name, -math.inf)
        if value < least and not (value == -1 and name in _NO_LIMIT):
            raise UserError(
                f"--{name} {value}: give at least {least}{', or -1 for no limit' if name in _NO_LIMIT else ''}."
            )


def _check_nulls(name: str, value: Any) -> None:
    """Check that no argument of a class is null unless the class allows it: jsonargparse accepts null for any."""
    if isinstance(value, (list, tuple)):
        for part in value:
            _check_nulls(name, part)
    if not isinstance(value, Namespace):
        return
    made, arguments = load(value.get("class_path") or ""), value.get("init_args")
    if inspect.isclass(made) and isinstance(arguments, Namespace):
        kinds = arguments_of(made)
        for argument in (argument for argument, given in vars(arguments).items() if given is None):
            expected = describe_type(kinds.get(argument, Any))
            if not {"null", "a value"} & {*expected} and default_of(made, argument) is not None:
                raise UserError(f"--{name}.{argument} null: expected {any_of(expected)}; leave it out for the default.")
    for key, part in vars(value).items():
        _check_nulls(name if key == "init_args" else f"{name}.{key}".lstrip("."), part)


def check_length(trainer: Namespace) -> None:
    """Check that the numbers of epochs and steps agree."""
    for unit in ("epochs", "steps"):
        least, most = trainer[f"min_{unit}"], trainer[f"max_{unit}"]
        if least is not None and most not in (None, -1) and least > most:
            raise UserError(f"--trainer.min_{unit} {least}: --trainer.max_{unit} is {most}; give no more than that.")
    every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs
    if every and epochs not in (None, -1) and every > epochs and not isinstance(trainer.val_check_interval, int):
        raise UserError(
            f"--trainer.check_val_every_n_epoch {every}: the run has {epochs} epochs, so none is validated; give less, "
            "or --data.val_size 0."
        )


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every plain value with the name of its option; those in lists have the name of the list."""
    if isinstance(value, (Namespace, dict)):
        for key, part in dict(value.items()).items() if isinstance(value, dict) else vars(value).items():
            yield from _leaves(name if key == "init_args" else f"{name}.{key}".lstrip("."), part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(name, part)
    else:
        yield name, value


def _check_times(trainer: Namespace) -> None:
    """Times and intervals, as text, number, dictionary or timedelta."""
    for name in ("max_time", "val_check_interval"):
        value = trainer[name]
        time = value.total_seconds() if isinstance(value, timedelta) else value
        if isinstance(value, dict):
            time = sum(value.values())
        if isinstance(value, str) and value.replace(":", "").isdecimal():
            time = int(value.replace(":", ""))
        if isinstance(time, (int, float)) and not time > 0:
            raise UserError(f"--trainer.{name} {value}: there would be no time to train; give more than 0.")
        if isinstance(value, str) and not re.fullmatch(r"\d+:\d\d:\d\d:\d\d", value):
            raise UserError(
                f"--trainer.{name} {value}: give a time as days:hours:minutes:seconds, such as 00:01:30:00."
            )
