"""How many CPU threads a fit computes with: no more than the work of a step is worth."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jsonargparse import Namespace
from torch import Tensor, nn

from mnist_cli.command.mistakes import load
from mnist_cli.digits import SIDE

# Multiplications of a forward pass over one batch that are worth two threads, half a millisecond of work with the
# backward pass, and those that are worth every further one, 5 ms.
_WORTH_TWO, _WORTH_A_THREAD = 5e6, 50e6


@contextmanager
def kept_threads() -> Iterator[None]:
    """Give torch back the number of threads that it had, at the end of the block."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def count_processors() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_threads(config: Namespace) -> int:
    """The number of threads of a fit.

    OMP_NUM_THREADS rules where it is set, then the option. Otherwise there are as many as the work of a step is worth,
    and no more than the processors; of a network of the user's own the work is not known, and it gets all processors.

    Args:
        config: The settings of `fit`.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    if config.threads:
        threads: int = config.threads
        return threads
    processors = count_processors()
    work = _multiplications(config.model.net) * config.data.batch_size
    worth = max(round(work / _WORTH_A_THREAD), 2 if work >= _WORTH_TWO else 1) if work else processors
    return min(processors, worth)


def _multiplications(net: Namespace) -> int:
    """Those of one image in the dense and convolutional layers; 0 if the network is not of this package."""
    made = load(net.class_path)
    if not made.__module__.startswith("mnist_cli."):
        return 0
    counted = []

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        weight: Any = layer.weight
        counted.append(output.numel() * weight[0].numel())

    try:
        with torch.device("meta"):
            network = made(**net.init_args.as_dict()).eval()
            for layer in network.modules():
                if isinstance(layer, (nn.Linear, nn.Conv2d)):
                    layer.register_forward_hook(count)
            network(torch.zeros(1, 1, SIDE, SIDE))
    except (RuntimeError, ValueError, TypeError):  # the network itself says what is wrong with its arguments
        return 0
    return sum(counted)
