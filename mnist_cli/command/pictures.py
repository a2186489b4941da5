"""Pictures given as plain arguments, as the shell writes out `scans/*.png`: `mnist predict 7.png scans/`."""

import json
from collections.abc import Sequence

from mnist_cli.errors import UserError

OPTION = "--data.images"
_MOST = 19_000  # names; settings hold 20,000 values, the others among them


def collect_pictures(arguments: Sequence[str]) -> list[str]:
    """Join the pictures that stand first, and those that follow `--data.images`, into one value of that option.

    Args:
        arguments: Those of `mnist predict`; what stands before the first option, and after `--data.images` up to the
            next one, are pictures. Settings in a `.yaml` file are left alone: they are not one.

    Raises:
        UserError: If there are more names than settings hold.
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
    if len(pictures) > _MOST:
        raise UserError(
            f"{OPTION}: {len(pictures):,} pictures are named, and {_MOST:,} can be; give their folder, or a pattern in "
            "quotes."
        )
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
