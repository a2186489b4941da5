"""The JSON Schema of the YAML files, with which editors complete, explain and check them: `mnist --print_schema`.

jsonargparse has one too (`--print_completion=jsonschema`). It knows classes by their full paths only, so it refuses
`class_path: MLP`, and it fails on the types of some of Lightning's loggers.
"""

import json
import operator
import re
import types
from argparse import Action
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser
from torch import Tensor, nn

import mnist_cli
from mnist_cli.command.types import class_of
from mnist_cli.runs.settings import load_settings

Schema = dict[str, Any]

_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", type(None): "null"}
_LIMITS = {
    operator.gt: "exclusiveMinimum",
    operator.ge: "minimum",
    operator.lt: "exclusiveMaximum",
    operator.le: "maximum",
}
# Of these the arguments of each class are listed; of others, such as strategies and plugins, the names alone.
_LISTED = ("Optimizer", "LRScheduler", "Callback", "EarlyStopping", "Logger")
_PATH = {"type": "string", "pattern": r"\w\.\w", "description": "The path of a class, such as my_package.MyNet."}


def make_schema(parser: LightningArgumentParser) -> Schema:
    """The schema of the files that a command takes with `--config`."""
    defaults = load_settings(parser.dump(parser.get_defaults(skip_validation=True), skip_none=False), "the defaults")
    classes: dict[str, Schema] = {}
    schema = _group(_described(parser._actions, classes, defaults))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Settings of mnist",
        **schema,
        "definitions": dict(sorted(classes.items())),
    }


def _described(actions: Iterable[Action], classes: dict[str, Schema] | None, defaults: Any) -> dict[str, Schema]:
    """A schema for each option, by its name with dots."""
    described = {}
    for action in actions:
        kind = getattr(action, "_typehint", None) or (action.type if type(action).__name__ == "_StoreAction" else None)
        if kind is None or action.dest == "config":  # help, and groups such as `--data FILE`
            continue
        value = defaults
        for key in action.dest.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        text = re.sub(r"\s*\((?:type|default|required)[:,].*", "", str(action.help or ""), flags=re.DOTALL)
        schema = _value(kind, classes)
        if classes and isinstance(value, dict) and "class_path" in value:  # its arguments may stand alone
            made = _named(class_of(kind) or object).get(str(value["class_path"]).rpartition(".")[2])
            schema = {"anyOf": [schema, _arguments(made, _given(kind))]} if made else schema
        text = " ".join(text.split()) if classes is not None else re.split(r"(?<=[.]) ", " ".join(text.split()))[0]
        described[action.dest] = {"description": text, "default": value, **schema}
    return described


def _group(described: dict[str, Schema]) -> Schema:
    """Options below each other: `data.batch_size` is the property batch_size of the property data."""
    group: Schema = {"type": "object", "additionalProperties": False, "properties": {}}
    for name, schema in described.items():
        place = group
        *above, last = name.split(".")
        for key in above:
            place = place["properties"].setdefault(
                key, {"type": "object", "additionalProperties": False, "properties": {}}
            )
        place["properties"][last] = schema
    return group


def _value(kind: Any, classes: dict[str, Schema] | None) -> Schema:
    """The schema of the values of a type; empty, so that everything fits, where nothing is known."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        choices = [_value(one, classes) for one in inside if one is not Tensor]  # YAML has none
        return {} if {} in choices else {"anyOf": choices}
    if origin is Literal:
        return {"enum": list(inside)}
    if restrictions := getattr(kind, "_restrictions", None):
        return {"type": _PLAIN[kind._type], **{_LIMITS[compare]: limit for compare, limit in restrictions}}
    if kind in _PLAIN or origin is dict:
        return {"type": _PLAIN[origin or kind]}
    if isinstance(kind, type) and issubclass(kind, Path):
        return {"type": "string"}
    if origin in (list, tuple, Sequence, Iterable) or kind in (list, tuple):
        items = _value(inside[0], classes) if origin is list or origin in (Sequence, Iterable) else {}
        return {"type": "array", **({"items": items} if items else {})}
    base = None if origin is Callable and not inside else class_of(kind)
    if base is None:
        return {}
    if classes is None:  # arguments of classes within classes are not listed
        return {"anyOf": [_PATH, {"enum": sorted(_named(base))}, {"type": "object"}]}
    if base.__name__ not in classes:
        classes[base.__name__] = {}  # it may need itself
        classes[base.__name__] = _class(base, _given(kind))
    return {"$ref": f"#/definitions/{base.__name__}"}


def _given(kind: Any) -> int:
    """How many of the first arguments of a class the program gives itself, such as the parameters of an optimizer."""
    for one in (kind, *get_args(kind)):
        if get_origin(one) is Callable and isinstance(get_args(one)[0], list):
            return len(get_args(one)[0])
    return 0


def _class(base: type, given: int) -> Schema:
    """A class that is *base* or below it, by its name or path, with its arguments but the first *given*."""
    named = _named(base)
    path = {"anyOf": [{"enum": sorted(named)}, _PATH]}
    arguments = [
        {
            "if": {"properties": {"class_path": {"enum": [name, *_paths(made)]}}, "required": ["class_path"]},
            "then": {"properties": {"init_args": _arguments(made, given)}},
        }
        for name, made in sorted(named.items())
        if base.__name__ in _LISTED or base.__module__.startswith("mnist_cli.")
    ]
    whole = {
        "type": "object",
        "additionalProperties": False,
        "required": ["class_path"],
        "properties": {"class_path": path, "init_args": {"type": "object"}, "dict_kwargs": {"type": "object"}},
    }
    return {"anyOf": [*path["anyOf"], {**whole, "allOf": arguments} if arguments else whole]}


def _named(base: type) -> dict[str, type]:
    """The classes that can be called by a short name where *base* is wanted; of modules those for augmentation."""
    found: dict[str, type] = {}
    bases = [base]
    while bases:
        made = bases.pop()
        bases += type.__subclasses__(made)
        wanted = base is not nn.Module or made.__module__.startswith(("mnist_cli.", "kornia.augmentation."))
        if wanted and not made.__name__.startswith("_") and not getattr(made, "__abstractmethods__", None):
            found.setdefault(made.__name__, made)
    return found


def _paths(made: type) -> list[str]:
    public = [f"mnist_cli.{made.__name__}"] if made.__name__ in mnist_cli.__all__ else []
    return [*public, f"{made.__module__}.{made.__name__}", f"{made.__module__.rpartition('.')[0]}.{made.__name__}"]


def _arguments(made: type, given: int) -> Schema:
    parser = ArgumentParser(exit_on_error=False)
    try:
        parser.add_class_arguments(made, "x", skip={given} if given else None, fail_untyped=False, instantiate=False)
    except (ValueError, TypeError, NameError, AttributeError):  # a class that jsonargparse cannot look into
        return {"type": "object"}
    defaults = {"x": {a.dest.partition(".")[2]: _plain(a.default) for a in parser._actions}}
    described = _described(parser._actions, None, defaults)
    return _group({name.removeprefix("x."): schema for name, schema in described.items() if name != "x"})


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
