"""What jsonargparse may import, read and call because settings name it."""

import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import Namespace, _common, _optionals, set_parsing_settings

from mnist_cli.errors import UserError
from mnist_cli.imports import LIBRARIES, belongs_to, classes_in_text, foreign, named_classes, packages_of, takes_class
from mnist_cli.runs.settings import load_settings, read_settings

# Where functions that make a network are public: resnet18 and its like.
_MAKERS = ("torchvision.models",)


def classes_in_arguments(arguments: Iterable[str]) -> set[str]:
    """The class paths that arguments name: in flags, in the YAML after `--config`, in files of YAML."""
    names: set[str] = set()
    name = ""
    for argument in arguments:
        value = argument
        if argument.startswith("--"):
            name, _, value = argument.removeprefix("--").rstrip("+").partition("=")
        if name == "config":
            if value:
                names |= named_classes(load_settings(value, "--config"))
                name = ""  # what follows is not its value
        elif not name or not takes_class(name):
            continue
        elif value.endswith((".yaml", ".yml", ".json")) and Path(value).is_file():
            names |= named_classes({name: read_settings(Path(value), f"--{name} {value}")})
        else:
            names |= classes_in_text(value)
    return names


@contextmanager
def imports_allowed(paths: Iterable[str]) -> Iterator[None]:
    """Let jsonargparse import the libraries' classes and those of these packages, and read files of this machine only.

    Its settings are those of the process: afterwards they are as before.

    Args:
        paths: Class paths that the user named or trusts.
    """
    settings, mode = dict(_common.parsing_settings), _optionals._get_config_read_mode()
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*LIBRARIES, *sorted(packages_of(foreign(paths)))],
        instantiate_subclass_spec_in_any=False,  # an argument without a type takes settings as they are
        config_read_mode_urls_enabled=False,
        config_read_mode_fsspec_enabled=False,  # LightningCLI switches it on: it fetches http://
    )
    try:
        yield
    finally:
        _common.parsing_settings.update(settings)
        _optionals._config_read_mode = mode


def check_callables(config: Any, paths: Iterable[str]) -> None:
    """Check that settings call classes only, before they are called.

    jsonargparse takes every function whose annotation fits, such as those of torch that run the code they are given.

    Args:
        config: Parsed settings.
        paths: Class paths that the user named or trusts; functions of their own packages may be called.

    Raises:
        UserError: If a function of another package is named.
    """
    own = packages_of(foreign(paths)) - {library.partition(".")[0] for library in LIBRARIES}
    for path, made in _callables(config):
        place = f"{getattr(made, '__module__', None)}.{getattr(made, '__qualname__', '')}"
        if not (inspect.isclass(made) or belongs_to(place, own) or belongs_to(place, _MAKERS)):
            raise UserError(f"{path} is not a class, and functions of libraries are not called; name a class.")


def _callables(value: Any) -> Iterator[tuple[str, Any]]:
    """Every class and function in parsed settings, with its path."""
    if isinstance(value, (Namespace, dict)):
        items = vars(value) if isinstance(value, Namespace) else value
        if isinstance(path := items.get("class_path"), str):
            yield path, _resolve(path)
        for part in items.values():
            yield from _callables(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _callables(part)
    elif isinstance(value, partial):
        yield from _callables(value.func)
    elif inspect.isroutine(value):
        yield f"{value.__module__}.{value.__qualname__}", value


def _resolve(path: str) -> Any:
    """What a path that has been imported stands for."""
    names = path.split(".")
    for length in range(len(names) - 1, 0, -1):
        if found := sys.modules.get(".".join(names[:length])):
            for name in names[length:]:
                found = getattr(found, name, None)
            return found
    return None
