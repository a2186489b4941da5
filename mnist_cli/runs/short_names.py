"""Settings by short names, to list and to compare them; it does without YAML, whose import takes 20 ms."""

from typing import Any

Settings = dict[str, Any]


def flatten(settings: Settings) -> dict[str, Any]:
    """Settings by short names: `{"net": "CNN", "net.channels": [24, 48], "batch_size": 64}`.

    The groups trainer, model and data, and `class_path` and `init_args`, do not appear in the names; lists are values.
    """
    flat: dict[str, Any] = {}

    def walk(name: str, value: Any) -> None:
        if not isinstance(value, dict):
            flat[name] = value
            return
        if "class_path" in value:
            flat[name] = str(value["class_path"]).rpartition(".")[2]
            value = value.get("init_args") or {}
        for key, part in value.items():
            walk(f"{name}.{key}" if name else str(key), part)

    for group, value in settings.items():
        walk("" if group in ("trainer", "model", "data") else group, value)
    return flat


def differences(settings: Settings, others: Settings) -> dict[str, Any]:
    """The settings, by their short names, whose value is another in *others*, or is not there."""
    theirs = flatten(others)
    return {
        name: value
        for name, value in flatten(settings).items()
        if name not in theirs or _as_list(theirs[name]) != _as_list(value)
    }


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # YAML has no tuples


def changes(settings: Settings, others: Settings) -> dict[str, Any]:
    """The settings, by their short names, that have another value in *others*; what an older version lacks is none."""
    theirs = flatten(others)
    return {name: value for name, value in differences(settings, others).items() if theirs.get(name) is not None}
