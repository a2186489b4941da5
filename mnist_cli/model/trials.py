"""Short trials before training: what would fail at the first step, or at the end of an epoch, fails with a sentence."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.cli import ReduceLROnPlateau
from torch import nn

from mnist_cli.digits import NUM_CLASSES, SIDE
from mnist_cli.errors import UserError
from mnist_cli.model.forward import reading


def try_network(net: nn.Module) -> None:
    """Hand two images to a network; no random number is drawn, and nothing of it changes.

    Raises:
        UserError: If it does not make logits of them.
    """
    try:
        with torch.no_grad(), reading(net):
            logits = net(torch.zeros(2, 1, SIDE, SIDE))
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        problem = str(error).strip().split("\n")[0]
    else:
        shape = tuple(getattr(logits, "shape", ()))
        problem = "" if shape == (2, NUM_CLASSES) else f"for 2 images its output has shape {shape}"
    if problem:
        raise UserError(
            f"model.net: {type(net).__name__} does not turn images of shape (B, 1, 28, 28) into logits "
            f"of shape (B, 10) ({problem}); change its arguments or choose another network."
        )


def try_last_batch(net: nn.Module, loader: Any, num_batches: int) -> None:
    """Train a copy of the network on one image, if a batch of the epoch is to have no more.

    Args:
        net: The network.
        loader: The DataLoader of the training images.
        num_batches: How many of its batches an epoch has.

    Raises:
        UserError: If the network cannot be trained on one image, as batch normalisation cannot.
    """
    size, limited = getattr(loader, "batch_size", None), num_batches < len(loader)
    if not size or (size > 1 and (limited or len(loader.sampler) % size != 1)):
        return
    device = next((weights.device for weights in net.parameters()), None)
    try:
        with torch.random.fork_rng(), torch.no_grad():
            copy.deepcopy(net)(torch.zeros(1, 1, SIDE, SIDE, device=device))
    except ValueError as error:
        raise UserError(
            f"data.batch_size {size}: a batch of an epoch has a single image, and batch_norm cannot train on one; "
            "choose another size."
        ) from error


def try_schedule(
    make: Callable[..., Any], arguments: dict[str, Any], make_optimizer: Callable[..., Any], num_steps: float
) -> None:
    """Take two steps of a copy of the schedule: torch checks some of its arguments only then.

    Args:
        make: Makes the scheduler from an optimizer.
        arguments: Its arguments.
        make_optimizer: Makes the optimizer from parameters.
        num_steps: Optimizer steps of the whole run.

    Raises:
        UserError: If a step fails, or the schedule ends before the run.
    """
    with warnings.catch_warnings(action="ignore"):  # torch warns that its optimizer took no step
        scheduler = make(make_optimizer([nn.Parameter(torch.zeros(2, 2))]), **arguments)
        try:
            for _ in range(min(2, getattr(scheduler, "total_steps", 2))):
                scheduler.step(1.0) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
        except (ValueError, TypeError, ArithmeticError, IndexError) as error:
            given = ", ".join(f"{name}={value}" for name, value in arguments.items())
            raise UserError(
                f"model.lr_scheduler: {type(scheduler).__name__}({given}) cannot take a step ({error}); change its "
                "arguments."
            ) from error
    if (total := getattr(scheduler, "total_steps", num_steps)) < num_steps:
        raise UserError(
            f"--model.lr_scheduler.total_steps {total}: the run has {num_steps:,.0f} steps, and this schedule cannot "
            "go on after its last; leave it out."
        )
