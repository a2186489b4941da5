"""Types of options in words: what a value must be, which choices there are, which classes can be named."""

import collections.abc
import inspect
import operator
import types
import typing
from contextlib import suppress
from typing import Any, Literal, Union, get_args, get_origin

_NUMBERS = {int: "a whole number", float: "a number"}
_SIGNS = {
    operator.gt: ">",
    operator.ge: ">=",
    operator.lt: "<",
    operator.le: "<=",
    operator.eq: "==",
    operator.ne: "!=",
}
_ANY = "a value"  # where nothing more is known
_PLAIN = {str: "text", type(None): "null", dict: "settings", None: "null"}


def describe_type(kind: Any) -> list[str]:
    """What a type accepts, in words: `int | None` is `["a whole number", "null"]`."""
    if isinstance(kind, (list, tuple)):
        words = list(dict.fromkeys(word for one in kind for word in describe_type(one)))
        covered = {"a whole number"} if "a number" in words else set()  # by the other
        return [word for word in words if word not in covered and (word != _ANY or words == [_ANY])]
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return describe_type([one for one in inside if one is not type(None)] + [type(None)] * (type(None) in inside))
    if origin is Literal:
        return [str(one) for one in inside]
    if origin in (list, tuple, set, collections.abc.Iterable, collections.abc.Sequence):
        return ["a list of classes" if class_of(inside) else "a list such as [1, 2]"]
    if origin is dict:
        return describe_type(dict)
    if kind is bool:
        return ["true", "false"]
    restrictions = getattr(kind, "_restrictions", None)
    if restrictions:
        return [f"{_NUMBERS[kind._type]} {_range(kind._type, restrictions)}"]
    known = _NUMBERS | _PLAIN
    if kind in known:
        return [known[kind]]
    return ["the name or path of a class"] if class_of(kind) else [_ANY]


def any_of(words: list[str]) -> str:
    """Words as a choice: `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _range(kind: type, restrictions: list[tuple[Any, Any]]) -> str:
    limits = {_SIGNS[compare]: limit for compare, limit in restrictions}
    if set(limits) == {">", "<"}:
        return f"between {limits['>']:g} and {limits['<']:g}"
    if set(limits) == {">=", "<="}:
        return f"from {limits['>=']:g} to {limits['<=']:g}"
    if kind is int and ">" in limits:
        return f"of at least {limits['>'] + 1}"
    words = {">": "above", ">=": "of at least", "<": "below", "<=": "of at most"}
    return " and ".join(f"{words[sign]} {limit:g}" for sign, limit in limits.items())


def choices_of(kind: Any) -> list[str]:
    """The literal values that a type accepts."""
    if get_origin(kind) is Literal:
        return [str(one) for one in get_args(kind)]
    return [choice for one in get_args(kind) if not isinstance(one, list) for choice in choices_of(one)]


def class_of(kind: Any) -> type | None:
    """The class whose subclasses a type accepts, or of which it wants a maker; None for plain values."""
    if isinstance(kind, tuple):
        return next((found for one in kind if (found := class_of(one))), None)
    origin = get_origin(kind)
    if origin is collections.abc.Callable:
        return class_of(get_args(kind)[-1:])  # what it makes, if it says so
    if origin is not None:
        return class_of(get_args(kind))
    plain = (*_NUMBERS, *_PLAIN, bool, list, tuple, set, object, typing.Any)
    is_class = inspect.isclass(kind) and kind not in plain and not hasattr(kind, "_restrictions")
    return kind if is_class and kind.__module__ not in ("pathlib", "datetime", "builtins", "torch") else None


def subclass_names(base: type, within: str = "") -> list[str]:
    """Short names of the imported classes that fit where *base* is wanted, without private and abstract ones.

    Args:
        base: The class.
        within: Package that they have to be of; by default any.
    """
    names: set[str] = set()
    bases = [base]
    while bases:
        found: list[type] = bases.pop().__subclasses__()
        names |= {one.__name__ for one in found if one.__name__[0] != "_" and one.__module__.startswith(within)}
        bases += found
    return sorted(names)


def arguments_of(made: Any) -> dict[str, Any]:
    """The arguments that a class can be given, with their types; `Any` where none is known."""
    target = made.__init__ if inspect.isclass(made) else made
    try:
        hints = typing.get_type_hints(target)
    except (NameError, TypeError):
        hints = {}
    found: dict[str, Any] = {}
    for base in made.__mro__ if inspect.isclass(made) else (made,):
        try:
            parameters = inspect.signature(base).parameters.values()
        except ValueError:  # a class written in C that does not say
            break
        fixed = [one for one in parameters if one.kind is not one.VAR_POSITIONAL and one.kind is not one.VAR_KEYWORD]
        found |= {one.name: hints.get(one.name, Any) for one in fixed if one.name not in found}
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):  # else the class passes them on to its base
            break
    return found


def default_of(made: Any, argument: str) -> Any:
    """The default of an argument, also of one that a class passes on to its base; `Parameter.empty` without one."""
    for base in made.__mro__ if inspect.isclass(made) else (made,):
        with suppress(ValueError):  # a class written in C that does not say
            if found := inspect.signature(base).parameters.get(argument):
                return found.default
    return inspect.Parameter.empty
