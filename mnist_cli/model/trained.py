"""A trained network alone, without Lightning: made from the plain settings and weights that a checkpoint holds."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from mnist_cli.errors import UserError

# A checkpoint of unknown origin may name any class; only these packages are imported because it does.
TRUSTED_PACKAGES = ("mnist_cli", "torch", "torchvision", "kornia")


def scale(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """From pixels in [0, 1] to what networks are trained on: mean 0 and standard deviation 1; same shape."""
    return (images.to(mean.dtype) - mean).div_(std)


class TrainedNetwork(nn.Module):
    """Scales pixels and runs the network: the forward pass of `DigitModule`, with the same names of weights.

    Args:
        net: Network from images (B, 1, 28, 28) to logits (B, 10).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """From images in [0, 1], float, shape (B, 1, 28, 28), to logits, float32, shape (B, 10)."""
        logits: Tensor = self.net(scale(images, self.mean, self.std))
        return logits


def restore_network(
    settings: Mapping[str, Any], weights: Mapping[str, Tensor], net: nn.Module | None = None
) -> TrainedNetwork:
    """Make the network of a run again, on the CPU, in float32, ready to read.

    Args:
        settings: The run's model settings; of them `net` alone is used: `{"class_path": ..., "init_args": {...}}`.
        weights: Its state_dict.
        net: The network itself, for one that the settings cannot describe or whose class is not trusted.

    Raises:
        UserError: If the class is not one of `TRUSTED_PACKAGES`, or the weights are those of another network.
    """
    if net is None:
        if "net" not in settings:
            raise UserError(
                "the checkpoint does not say what its network was made of; hand it over: load_reader(..., net=MyNet())."
            )
        net = _make(settings["net"], "model.net")
    network = TrainedNetwork(net)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        problem = " ".join(str(error).split("\n")[1:2]).strip()
        raise UserError(
            f"the checkpoint holds another network than {type(net).__name__} ({problem}); give the one it had."
        ) from error
    return network.float().eval().requires_grad_(False)


def _make(value: Any, name: str) -> Any:
    """The object that plain settings describe; settings inside its arguments are made too."""
    if isinstance(value, list):
        return [_make(part, name) for part in value]
    if not (isinstance(value, dict) and "class_path" in value):
        return value
    made = _trusted_class(str(value["class_path"]), name)
    arguments = {key: _make(part, f"{name}.{key}") for key, part in (value.get("init_args") or {}).items()}
    try:
        return made(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name}: {made.__name__} cannot be made from the checkpoint's settings ({error}).") from error


def _trusted_class(path: str, name: str) -> type[nn.Module]:
    module, _, wanted = path.rpartition(".")
    if module.partition(".")[0] not in TRUSTED_PACKAGES:
        raise UserError(
            f"{name}: the checkpoint names {path}, a class from outside {', '.join(TRUSTED_PACKAGES)}, which is not "
            "imported unasked; from Python hand the network over: load_reader(..., net=MyNet())."
        )
    try:
        made = getattr(import_module(module), wanted, None)
    except ImportError:
        made = None
    if not (isinstance(made, type) and issubclass(made, nn.Module)):
        raise UserError(f"{name}: the checkpoint names {path}, which is no torch.nn.Module; was it made elsewhere?")
    return made
