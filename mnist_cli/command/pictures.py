"""Pictures given as plain arguments, as the shell writes out `scans/*.png`: `mnist predict 7.png scans/`."""

import json
from collections.abc import Sequence

OPTION = "--data.images"


def collect_pictures(arguments: Sequence[str]) -> list[str]:
    """Join the pictures that stand first, and those that follow `--data.images`, into one value of that option.

    Args:
        arguments: Those of `mnist predict`; what stands before the first option, and after `--data.images` up to the
            next one, are pictures. Settings in a `.yaml` file are left alone: they are not one.
    """
    pictures: list[str] = []
    others: list[str] = []
    taking = True
    for argument in arguments:
        if argument.startswith("-"):
            name, equals, value = argument.partition("=")
            taking = name == OPTION and not equals
            if name == OPTION:
                pictures += _listed(value) if equals else []
            else:
                others.append(argument)
        elif taking and not argument.endswith((".yaml", ".yml")):
            pictures += _listed(argument)
        else:
            others.append(argument)
    return [*others, f"{OPTION}={json.dumps(pictures)}"] if pictures else others


def _listed(value: str) -> list[str]:
    """A list as the option takes it, `["a.png", "b.png"]`, or one name."""
    if value.startswith('["'):
        try:
            names = json.loads(value)
        except ValueError:
            return [value]
        return [str(name) for name in names]
    return [value]
