"""The argument parser: what is wrong with an option or a line of YAML, in one sentence."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.cli import LightningArgumentParser
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mnist_cli.command.mistakes import explain
from mnist_cli.errors import UserError
from mnist_cli.model.networks import Network


class DigitArgumentParser(LightningArgumentParser):
    """Says what is wrong with an option in one sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> Any:
        if not self.exit_on_error:  # a parser inside the parser, which adds where the option belongs
            super().error(message, ex)
        parsers = [
            self,
            *(p for action in self._actions if isinstance(action.choices, dict) for p in action.choices.values()),
        ]
        names = (name for parser in parsers for name in parser._option_string_actions)
        options = [name.removeprefix("--") for name in names if name.startswith("--")]
        raise UserError(explain(message, options, _class_names()))


def _class_names() -> list[str]:
    """What can be named without its module where a class is wanted."""
    names: list[str] = []
    bases: list[type] = [Network, Optimizer, LRScheduler, pl.Callback]
    while bases:
        found: list[type] = bases.pop().__subclasses__()
        names += [cls.__name__ for cls in found]
        bases += found
    return names
