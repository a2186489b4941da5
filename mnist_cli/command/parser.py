"""The argument parser: says what is wrong with an option or a line of YAML in one sentence."""

import re
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from mnist_cli.command.mistakes import Option, explain
from mnist_cli.command.permissions import check_callables, classes_in_arguments, imports_allowed
from mnist_cli.errors import UserError
from mnist_cli.imports import import_from_here
from mnist_cli.runs.settings import load_settings


class DigitArgumentParser(LightningArgumentParser):
    """Says what is wrong with an option in one sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)
        self._classes: set[str] = set()

    def parse_command(self, arguments: list[str]) -> Namespace:
        """Parse the arguments of a command; classes of other packages may be named in them.

        What came from a checkpoint of unknown origin has been checked before (resume.py).
        """
        self._classes = classes_in_arguments(arguments)
        import_from_here(self._classes)
        self._read_whole_numbers_as_int()
        with imports_allowed(self._classes):
            return self.parse_args(arguments)

    def instantiate_classes(self, cfg: Any, **kwargs: Any) -> Any:
        check_callables(cfg, self._classes)
        with imports_allowed(self._classes):
            return super().instantiate_classes(cfg, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> Any:
        if not self.exit_on_error:  # a parser inside the parser, which adds where the option belongs
            super().error(message, ex)
        given = _given(self.args or []) if re.search("Parser key|\\.help: ", message) else {}
        raise UserError(explain(message, self._options(), given)) from ex

    def dump(self, cfg: Any, *args: Any, **kwargs: Any) -> str:
        """The settings as YAML.

        Names of enumerations, such as an argument of Lightning's Timer has, are text, and numbers of a narrower type,
        which a user's network keeps from the recipe's, are numbers. All were checked when they were parsed: again for
        each dump of a fit would cost a tenth of a second.
        """
        text: str = super().dump(_plain(cfg.clone()), *args, **{"skip_validation": True} | kwargs)
        return text

    def _read_whole_numbers_as_int(self) -> None:
        """Let int come before float in the types of options, or 1 batch would be read as 1.0, which is all of them.

        Python holds int | float and float | int for the same: Optional[Union[int, float]] can come out in the other
        order, if another package has asked for that shortly before. Types inside lists and of arguments of classes are
        left as they are.
        """
        for action in self._all_actions():
            kinds = get_args(kind := getattr(action, "_typehint", None))
            if get_origin(kind) in (Union, UnionType) and float in kinds and int in kinds[kinds.index(float) :]:
                swapped = {int: float, float: int}
                action._typehint = Union[tuple(swapped.get(kind, kind) for kind in kinds)]  # noqa: UP007

    def _options(self) -> dict[str, Option]:
        """The options of the command, with the types of their values."""
        options: dict[str, Option] = {}
        for action in self._all_actions():
            kind = getattr(action, "_typehint", None) or action.type
            default = action.default.get("class_path") if hasattr(action.default, "get") else None
            names = [name.removeprefix("--") for name in action.option_strings if name.startswith("--")]
            options |= {name: Option(kind, default) for name in names}
        return options

    def _all_actions(self) -> Iterator[Any]:
        """The actions of this parser and of its commands' parsers."""
        commands = (action.choices for action in self._actions if isinstance(action.choices, dict))
        for parser in (self, *(parser for choices in commands for parser in choices.values())):
            yield from parser._actions


def _plain(value: Any) -> Any:
    if isinstance(value, Namespace):
        for name, part in vars(value).items():
            value[name] = _plain(part)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, Enum):
        return value.value
    kind = next((kind for kind in (bool, int, float) if isinstance(value, kind)), None)
    return kind(value) if kind else value


def _given(args: list[str]) -> dict[str, Any]:
    """What the arguments say, by name of the option: settings of files first, then flags."""
    given: dict[str, Any] = {}
    flags: dict[str, Any] = {}
    for place, argument in enumerate(args):
        if not argument.startswith("--"):
            continue
        name, equals, value = argument.removeprefix("--").partition("=")
        value = value if equals else next(iter(args[place + 1 : place + 2]), "")
        if name == "config":
            given |= dict(_leaves("", load_settings(value, "--config")))
        else:
            flags |= _inside(name.removesuffix("+"), value)
    return given | flags


def _inside(name: str, value: str) -> dict[str, Any]:
    """The value of a flag, and what is inside it if it is a mapping or a list."""
    if value.startswith(("{", "[")):
        with suppress(yaml.YAMLError):
            settings = yaml.safe_load(value)
            return {name: settings if isinstance(settings, dict) else value, **dict(_leaves(name, settings))}
    return {name: value}


def _leaves(prefix: str, settings: Any) -> Iterator[tuple[str, Any]]:
    """Every value inside nested settings, by its name as an option."""
    if isinstance(settings, list):
        for one in settings:
            yield from _leaves(prefix, one)
    if not isinstance(settings, dict):
        return
    for key, value in settings.items():
        if key == "init_args":
            yield from _leaves(prefix, value)
            continue
        name = f"{prefix}.{key}" if prefix else str(key)
        yield name, value
        yield from _leaves(name, value)
