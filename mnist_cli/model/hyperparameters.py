"""Hyperparameters as plain data, for modules that Python code makes and not the command line."""

from functools import partial
from typing import Any

from torch import nn

import mnist_cli


def describe(net: nn.Module, **callables: Any) -> dict[str, Any]:
    """Plain hyperparameters, such as the command line saves, with which `load_from_checkpoint` makes the module again.

    What cannot be described, such as a network of the user's own or a lambda, is left out.
    """
    made_of = _describe_net(net)
    if made_of is None:  # without the network nothing is made again from the rest
        return {}
    described = {
        name: _class_path(make.func, make.keywords)
        for name, make in callables.items()
        if isinstance(make, partial) and not make.args
    }
    return {**described, "net": made_of, "_instantiator": "lightning.pytorch.cli.instantiate_module"}


def _describe_net(net: nn.Module) -> dict[str, Any] | None:
    """The class path of a network and its arguments, networks among them described likewise; None if one cannot be."""
    arguments = vars(net).get("arguments")
    if arguments is None:
        return None
    plain = dict(arguments)
    for name, value in arguments.items():
        if isinstance(value, list) and any(isinstance(one, nn.Module) for one in value):
            plain[name] = [_describe_net(one) for one in value]
            if None in plain[name]:
                return None
    return _class_path(type(net), plain)


def _class_path(made: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    public = getattr(mnist_cli, made.__name__, None) is made
    place = "mnist_cli" if public else made.__module__
    return {"class_path": f"{place}.{made.__name__}", "init_args": dict(arguments)}
