"""A trained network alone, without Lightning: made from the plain settings and weights that a checkpoint holds."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mnist_cli.errors import UserError
from mnist_cli.imports import NETWORKS, belongs_to, import_from_here, named_classes
from mnist_cli.model.forward import check_tta, compute_logits


class TrainedNetwork(nn.Module):
    """Scales pixels and runs the network: the forward pass of `DigitModule`, with the same names of weights.

    Args:
        net: Network from images (B, 1, 28, 28) to logits (B, 10).
        tta: Test-time augmentation, as `compute_logits` takes it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, tta: int | Literal["affine"] = 0) -> None:
        super().__init__()
        self.net = net
        self.tta = tta
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """From images in [0, 1], float, shape (B, 1, 28, 28), to logits, float32, shape (B, 10)."""
        return compute_logits(self.net, images, self.mean, self.std, tta=self.tta)


def restore_network(
    settings: Mapping[str, Any], weights: Mapping[str, Tensor], net: nn.Module | None = None, *, trust: bool = False
) -> TrainedNetwork:
    """Make the network of a run again, on the CPU, in float32, ready to read.

    Args:
        settings: The run's model settings; of them `net`, `{"class_path": ..., "init_args": {...}}`, and `tta` are
            used.
        weights: Its state_dict.
        net: The network itself, for one that the settings cannot describe or whose class is not trusted.
        trust: Import classes of any package, and of the current folder.

    Raises:
        UserError: If the class is not of a known package, or the weights are those of another network.
    """
    if net is None:
        if "net" not in settings:
            raise UserError(
                "the checkpoint does not say what its network was made of; hand it over: load_reader(..., net=MyNet())."
            )
        if trust:
            import_from_here(named_classes({"net": settings["net"]}))
        net = _make(settings["net"], "model.net", trust=trust)
        if not isinstance(net, nn.Module):
            raise UserError(f"model.net: the checkpoint's settings describe no network, but '{str(net)[:80]}'.")
    check_tta(tta := settings.get("tta", 0))
    network = TrainedNetwork(net, tta=tta)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        problem = " ".join(str(error).split("\n")[1:2]).strip()
        raise UserError(
            f"the checkpoint holds another network than {type(net).__name__} ({problem}); give the one it had."
        ) from error
    return network.float().eval().requires_grad_(False)


def _make(value: Any, name: str, *, trust: bool) -> Any:
    """The object that plain settings describe; settings inside its arguments are made too."""
    if isinstance(value, list):
        return [_make(part, name, trust=trust) for part in value]
    if not (isinstance(value, dict) and "class_path" in value):
        return value
    given = value.get("init_args") or {}
    if not isinstance(given, dict):
        raise UserError(f"{name}: the checkpoint's init_args are not settings but '{str(given)[:80]}'.")
    made = _find_class(str(value["class_path"]), name, trust=trust)
    arguments = {str(key): _make(part, f"{name}.{key}", trust=trust) for key, part in given.items()}
    try:
        return made(**arguments)
    except Exception as error:  # a network of any origin may raise anything
        problem = " ".join(str(error).split())
        raise UserError(
            f"{name}: {made.__name__} cannot be made from the checkpoint's settings ({problem})."
        ) from error


def _find_class(path: str, name: str, *, trust: bool) -> type[nn.Module]:
    """The class of a module; nothing is imported or called that is not one of a known package."""
    module, _, wanted = path.rpartition(".")
    if not (trust or belongs_to(path, NETWORKS)):
        raise UserError(
            f"{name}: the checkpoint names {path}, a class from outside {', '.join(NETWORKS)}, "
            "which is not imported without --trust because that runs its code; if you know where the file comes from, "
            "add --trust, or from Python hand the network over: load_reader(..., net=MyNet())."
        )
    try:
        made = getattr(import_module(module), wanted, None)
    except (ImportError, ValueError):
        made = None
    defined = f"{getattr(made, '__module__', None)}.{getattr(made, '__qualname__', None)}"
    if not (isinstance(made, type) and issubclass(made, nn.Module) and (trust or belongs_to(defined, NETWORKS))):
        raise UserError(f"{name}: the checkpoint names {path}, which is not a torch.nn.Module; was it made elsewhere?")
    return made
