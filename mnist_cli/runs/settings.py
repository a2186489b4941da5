"""Settings as YAML: read safely (no code, few aliases), with old names replaced by the present ones."""

import re
from pathlib import Path
from typing import Any

import yaml

from mnist_cli.errors import UserError
from mnist_cli.runs.short_names import Settings as Settings

# Where the classes were before version 0.2: the names are in checkpoints and in the config.yaml of older runs.
_OLD_PATH = re.compile(r"^mnist_cli\.(?:networks|callbacks|checkpoints|evaluation|loggers|module|datamodule)\.(\w+)$")
_PLACE = re.compile(r"(?:dir|(?<!class_)path)$")  # data_dir, default_root_dir, dirpath, save_dir, ckpt_path
# Arguments of the callback `checkpoint` that are gone, with the values that they had by default.
_OLD_ARGUMENTS = (("dirpath", None), ("filename", "best"))
# The longest of our own have 200 values, 8 deep, in 4,000 characters.
_MOST_VALUES, _DEEPEST, MOST_CHARACTERS = 20_000, 40, 1_000_000
_OLD_LOGGER = "mnist_cli.EpochCSVLogger"  # its work is done by the run's history now


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, with numbers such as 1e-3 (YAML 1.2), and with an error for a key that occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' occurs twice", key.start_mark
                    )
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:\d+|\d*\.\d+|\d+\.)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _load(text: str) -> Any:
    loader = _Loader(text)
    try:
        if (node := loader.get_single_node()) is None:
            return None
        if too_much := excess(node):
            raise yaml.constructor.ConstructorError(None, None, too_much)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def excess(value: Any) -> str:
    """What is too much about settings or the nodes of a YAML text, before they are copied or walked; or nothing.

    Aliases count as often as they would be written out: a kilobyte of them can stand for billions of values.
    """
    stack, count = [(value, 0)], 0
    while stack:
        part, depth = stack.pop()
        if isinstance(part, dict):
            inside = [*part, *part.values()]
        elif isinstance(part, yaml.MappingNode):
            inside = [one for pair in part.value for one in pair]
        elif isinstance(part, yaml.SequenceNode):
            inside = part.value
        elif isinstance(part, (str, yaml.ScalarNode)):
            inside = _nodes_in_text(str(getattr(part, "value", part)))
        else:
            inside = list(part) if isinstance(part, (list, tuple)) else []
        count += len(inside)
        if count > _MOST_VALUES:
            return f"more than {_MOST_VALUES:,} values"
        if depth > _DEEPEST:
            return f"values inside of values more than {_DEEPEST} deep"
        stack += ((one, depth + 1) for one in inside)
    return ""


def _nodes_in_text(text: str) -> list[yaml.Node]:
    """What a text among settings is as YAML, where it has aliases: jsonargparse reads it once more."""
    if "*" not in text or "&" not in text:
        return []
    try:
        return [node] if isinstance(node := yaml.compose(text, _Loader), yaml.CollectionNode) else []
    except (yaml.YAMLError, RecursionError):
        return []


def load_settings(text: str, source: str) -> Settings:
    """Read the text of a YAML file of settings; names of older versions become those of today.

    Args:
        text: YAML.
        source: What the message calls the file.

    Raises:
        UserError: If it is not valid YAML, or holds no settings.
    """
    if len(text) > MOST_CHARACTERS:
        raise UserError(f"{source}: settings have at most {MOST_CHARACTERS:,} characters; give a file of settings.")
    try:
        settings = _load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or number that is none
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{source}{line}: this is not valid YAML ({problem}); correct the file.") from error
    if not isinstance(settings, dict):
        raise UserError(f"{source} has no settings; `mnist fit --print_config` shows how such a file looks.")
    for group in ("trainer", "model", "data"):
        if not isinstance(settings.get(group, {}), dict):
            raise UserError(f"{source}: {group} needs settings below it, not '{settings[group]}'.")
    return modernize(settings)


def read_settings(file: Path, source: str) -> Settings:
    """Read a file of settings, of which no more is read than settings can have.

    Raises:
        UserError: If it cannot be read, is not valid YAML, or holds no settings.
    """
    try:
        with file.open("rb") as content:
            text = content.read(4 * MOST_CHARACTERS + 1).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: this is not valid YAML (not UTF-8 text); correct the file.") from error
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}; give the path of a YAML file.") from error
    return load_settings(text, source)


def plain_settings(value: Any, source: str) -> Settings:
    """Settings of a checkpoint or of JSON, of unknown origin, with the names of today.

    Raises:
        UserError: If they are something else than nested plain values, or too many.
    """
    problem = excess(value) or _odd(value)
    if problem or not isinstance(value, dict):
        raise UserError(f"{source} has no settings as this program writes them ({problem or 'no mapping'}).")
    return modernize({key: part for key, part in value.items() if key != "_instantiator"})


def _odd(value: Any) -> str:
    """The first kind of value that settings do not have; or nothing."""
    if isinstance(value, dict):
        keys = [type(key).__name__ for key in value if not isinstance(key, str)]
        return f"a key of type {keys[0]}" if keys else _odd(list(value.values()))
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(_odd, value)), "")
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a number of more than 63 bits"
    return "" if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"


def modernize(settings: Settings) -> Settings:
    """Settings of an older version with the names of today; other settings as they are."""
    settings = _rename(settings)
    checkpoint = settings.get("checkpoint")
    if isinstance(checkpoint, dict) and isinstance(arguments := checkpoint.get("init_args"), dict):
        arguments = {name: value for name, value in arguments.items() if (name, value) not in _OLD_ARGUMENTS}
        settings["checkpoint"] = {**checkpoint, "init_args": arguments}
    trainer = settings.get("trainer")
    if isinstance(trainer, dict) and isinstance(trainer.get("logger"), list):
        kept = [one for one in trainer["logger"] if not isinstance(one, dict) or one.get("class_path") != _OLD_LOGGER]
        settings["trainer"] = {**trainer, "logger": kept}
    return settings


def _rename(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rename(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rename(part) for part in value]
    if value == "ReduceLROnPlateau":  # torch has one too; Lightning's knows which metric to watch
        return "lightning.pytorch.cli.ReduceLROnPlateau"
    return _OLD_PATH.sub(r"mnist_cli.\1", value) if isinstance(value, str) else value


def without_places(settings: Settings) -> Settings:
    """Settings of unknown origin without the places that would be written to.

    The folder of the data stays if the data set is there already, for then nothing is written.
    """
    data = settings.get("data", {})
    prepared = Path(str(data.get("data_dir")), str(data.get("dataset"))).is_dir()
    kept: Settings = _drop_places(settings)
    return {**kept, "data": {**kept["data"], "data_dir": data["data_dir"]}} if prepared else kept


def _drop_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _drop_places(part) for key, part in value.items() if not _PLACE.search(str(key))}
    return [_drop_places(part) for part in value] if isinstance(value, list) else value
