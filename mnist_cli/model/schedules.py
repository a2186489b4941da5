"""Learning-rate schedules that span the run they are part of."""

import inspect
from collections.abc import Callable
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.cli import ReduceLROnPlateau
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from mnist_cli.errors import UserError
from mnist_cli.model.trials import try_schedule

# Arguments of torch's schedulers that mean "how many steps there are": for None or 0 the run's number is put in.
_STEP_COUNTS = ("total_steps", "T_max", "total_iters")


def construct(option: str, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Make an optimizer or a scheduler.

    Raises:
        UserError: If it does not take its arguments.
    """
    try:
        return make(*args, **kwargs)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise UserError(f"{option}: {' '.join(str(error).split()).rstrip('.')}; change its arguments.") from error
    except KeyError as error:  # torch wants to go on with a schedule that is not there
        raise UserError(f"{option}.last_epoch: a run begins with the schedule; leave it out.") from error


def make_schedule(
    make: Callable[..., Any],
    interval: Literal["epoch", "step"],
    optimizer: Optimizer,
    make_optimizer: Callable[..., Any],
    trainer: pl.Trainer,
) -> dict[str, Any]:
    """What Lightning is to step: the scheduler, how often, and by which metric.

    Args:
        make: Makes the scheduler from an optimizer; of a partial, arguments that count steps are filled in.
        interval: When it steps; OneCycleLR always steps after each batch.
        optimizer: What it schedules.
        make_optimizer: Makes such an optimizer from parameters.
        trainer: The trainer of the run.

    Raises:
        UserError: If the arguments do not fit, or the run has no known end.
    """
    given = getattr(make, "keywords", {})
    known = _defaults(getattr(make, "func", None)) | given
    interval = "step" if "total_steps" in known else interval
    filled = {}
    for name in _STEP_COUNTS:
        if name in known and not known[name] and not known.get("steps_per_epoch"):
            filled[name] = _num_steps(trainer, interval)
    scheduler = construct("model.lr_scheduler", make, optimizer, **filled)
    try_schedule(make, given | filled, make_optimizer, trainer.estimated_stepping_batches)
    config = {"scheduler": scheduler, "interval": "step" if isinstance(scheduler, OneCycleLR) else interval}
    if isinstance(scheduler, ReduceLROnPlateau):
        config["monitor"] = scheduler.monitor
        if scheduler.monitor.startswith("val/"):  # else it would look where nothing was validated
            config["frequency"] = trainer.check_val_every_n_epoch or 1
    return config


def _defaults(made: Any) -> dict[str, Any]:
    """The arguments of a scheduler's class and their defaults; None for those that have to be given."""
    if not inspect.isclass(made):  # the command line gives a partial with all arguments as its keywords
        return {}
    parameters = inspect.signature(made).parameters.values()
    return {one.name: None if one.default is one.empty else one.default for one in parameters}


def _num_steps(trainer: pl.Trainer, interval: str) -> int:
    steps = trainer.estimated_stepping_batches if interval == "step" else trainer.max_epochs
    if steps in (None, -1, float("inf")):
        raise UserError("the scheduler needs to know how long the run is; set --trainer.max_epochs.")
    return int(steps)
