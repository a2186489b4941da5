"""Which classes settings may name, and how those that lie in the current folder are imported.

Settings come from the user, from a run, or from a checkpoint of unknown origin, and naming a class imports its module,
which runs code. Classes of the libraries below may always be named. Any other has to be named by the user, or by
settings that the user trusts.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mnist_cli.errors import UserError

NETWORKS = ("mnist_cli", "torch.nn", "torchvision.models", "torchvision.ops", "torchvision.transforms", "kornia")
# Where other classes are that options take: optimizers, schedulers, callbacks, loggers, what a Trainer is built from.
LIBRARIES = (
    *NETWORKS,
    "torch.optim",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.cli.ReduceLROnPlateau",
    *(f"lightning.{part}" for part in ("fabric.plugins", "fabric.accelerators", "fabric.strategies")),
    *(f"lightning.pytorch.{part}" for part in ("accelerators", "loggers", "plugins", "profilers", "strategies")),
)
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
# Settings whose values are places or words, not classes, although they may look like a path of one.
_NO_CLASS = re.compile(r"(?:dir|(?<!class_)path|name|monitor)$")


def belongs_to(path: str, packages: Iterable[str]) -> bool:
    """Whether a class path is that of something in one of the packages."""
    return any(path == package or path.startswith(f"{package}.") for package in packages)


def named_classes(settings: Any) -> set[str]:
    """The class paths in settings: every text that could be one, where a class can stand."""
    return set(_texts(settings, "")) if isinstance(settings, (dict, list)) else set()


def _texts(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, f"{name}.{key}".removeprefix("."))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part, name)
    elif isinstance(value, str) and takes_class(name) and _DOTTED.fullmatch(value):
        yield value


def takes_class(name: str) -> bool:
    """Whether the value of an option can be a class: of the data set's only `augment` can, and places cannot."""
    return not _NO_CLASS.search(name) and not re.match(r"data\.(?!augment\b)", name)


def classes_in_text(text: str) -> set[str]:
    """Every class path in the text of a command line's argument, which may be YAML."""
    return set(_DOTTED.findall(text))


def foreign(paths: Iterable[str]) -> list[str]:
    """Those class paths that are not of the libraries, sorted."""
    return sorted(path for path in paths if not belongs_to(path, LIBRARIES))


def check_named(settings: Any, source: str, allowed: Iterable[str] = ()) -> None:
    """Check that settings of unknown origin name classes of the libraries only, before anything is imported.

    Args:
        settings: Those of a checkpoint, or of a run from elsewhere.
        source: What the message calls it.
        allowed: Packages that the user has named too.

    Raises:
        UserError: If they name another class.
    """
    if others := [path for path in foreign(named_classes(settings)) if not belongs_to(path, allowed)]:
        raise UserError(
            f"{source}: it names {', '.join(others[:3])}, which is not a class of mnist_cli, torch, torchvision, "
            "kornia or lightning; importing it would run its code; if you trust the file, add --trust."
        )


def packages_of(paths: Iterable[str]) -> set[str]:
    """The packages to import for these class paths; Python's own library is none of them."""
    return {path.partition(".")[0] for path in paths} - sys.stdlib_module_names - {"jsonargparse"}


def import_from_here(paths: Iterable[str]) -> None:
    """Import the modules of these class paths that lie in the current folder.

    The folder is on Python's path only meanwhile, and last: elsewhere libraries look for optional modules, and would
    run a file that happens to have such a name. An installed module always wins.

    Raises:
        UserError: If a module is there and cannot be imported.
    """
    for path in sorted(paths):
        module = path.rpartition(".")[0]
        top = module.partition(".")[0]
        if top not in packages_of([path]) or top in sys.modules or find_spec(top):
            continue
        if not (Path(f"{top}.py").is_file() or Path(top).is_dir()):
            continue
        here = str(Path.cwd())
        sys.path.append(here)
        try:
            import_module(module)
        except Exception as error:  # whatever the user's own file raises
            if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
                continue  # a misspelt name; where it is looked up, the sentence says which option it belongs to
            problem = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{path}: {module} in the current folder cannot be imported ({problem}).") from error
        finally:
            sys.path.remove(here)
