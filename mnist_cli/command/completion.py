"""Completion of commands, options and their values in a shell: `mnist --print_completion bash`, written by shtab.

The script is fixed text, so that the Tab key starts no Python. jsonargparse's own completion lists the arguments of
every class of torch at every option: 20 MB for one command.
"""

import argparse
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnist_cli.command.cli import DigitCLI
from mnist_cli.command.help import short_text
from mnist_cli.command.plain import demo_parser, ensemble_parser, export_parser
from mnist_cli.command.runs import runs_parser
from mnist_cli.command.schema import Schema, make_schema
from mnist_cli.command.silence import silence
from mnist_cli.errors import UserError

SHELLS = ("bash", "zsh", "fish")
_PLAIN = {"ensemble": ensemble_parser, "export": export_parser, "demo": demo_parser, "runs": runs_parser}
_SEARCH = {
    "search": "YAML file: what is searched, and how",
    "jobs": "processes that train beside each other",
    "storage": "database that machines share",
}
_VALUES = {"trainer.accelerator": ("auto", "cpu", "gpu", "mps")}  # for Lightning any text may be the name of one
# Where a checkpoint is named: the two short names, and files.
_CHECKPOINT = {"bash": "_mnist_checkpoints", "zsh": "_mnist_checkpoints", "fish": "(_mnist_checkpoints)"}
_PREAMBLES = {
    "bash": """_mnist_checkpoints() { compgen -W "best last" -- "$1"; compgen -f -- "$1"; }""",
    "zsh": """_mnist_checkpoints() { _alternative 'names:name:(best last)' 'files:file:_files' }""",
    "fish": """function _mnist_checkpoints
  printf '%s\\n' best last
  __fish_complete_path (commandline -ct)
end""",
}


class _Built(Exception):
    """The parser of a command is there; nothing more is wanted."""


class _Parser(DigitCLI):
    def parse_arguments(self, parser: Any, args: Any) -> None:
        raise _Built(self._parser(self.command))


def print_completion(arguments: Sequence[str], commands: Mapping[str, str]) -> int:
    """Print the script of a shell.

    Args:
        arguments: The name of the shell.
        commands: The commands, with what they do.

    Raises:
        UserError: If the shell is not known, or shtab is not installed.
    """
    shell = " ".join(arguments)
    if shell not in SHELLS:
        near = difflib.get_close_matches(shell, SHELLS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(SHELLS)}."
        raise UserError(f"--print_completion: there is no completion for the shell '{shell}'; {hint}")
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise UserError("--print_completion needs shtab; install it with pip install -e '.[completion]'.") from error
    root = argparse.ArgumentParser("mnist", description="Learn to read handwritten digits")
    root.add_argument("--version", action="store_true", help="the version")
    root.add_argument("--print_schema", action="store_true", help="a JSON Schema of the files that --config takes")
    root.add_argument("--print_completion", choices=SHELLS, help="completion in a shell")
    added = root.add_subparsers()
    for command, text in commands.items():
        parent = [_PLAIN[command]()] if command in _PLAIN else []
        parser = added.add_parser(command, help=text, parents=parent, add_help=not parent)
        if not parent:
            _add_options(parser, command)
        for action in parser._actions:
            if {"ckpt_path", "members", "which"} & {action.dest}:
                action.complete = _CHECKPOINT  # type: ignore[attr-defined]
            elif action.dest in ("config", "search", "output", "pictures"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(root, shell, preamble=_PREAMBLES[shell]))
    return 0


def _add_options(parser: argparse.ArgumentParser, command: str) -> None:
    """The options of a command of LightningCLI, as its schema describes them."""
    parser.add_argument("--config", help="YAML file of settings")
    parser.add_argument("--print_config", action="store_true", help="all settings as YAML")
    if command == "predict":
        parser.add_argument("pictures", nargs="*", help="files, folders or patterns")
    for name, text in _SEARCH.items() if command == "search" else ():
        parser.add_argument(f"--{name}", help=text)
    try:
        with silence():
            _Parser(["fit" if command == "search" else command, "--help"])
    except _Built as built:
        schema = make_schema(built.args[0])
    found: dict[str, tuple[str, list[str]]] = {}
    for name, text, choices in _options(schema, schema["definitions"], ""):
        known = found.get(name, (text, []))
        found[name] = known[0], list(dict.fromkeys([*known[1], *choices, *_VALUES.get(name, ())]))
    for name, (text, choices) in found.items():
        parser.add_argument(f"--{name}", help=short_text(name, text).replace("%", "%%"), choices=choices or None)


def _options(schema: Schema, classes: Mapping[str, Schema], prefix: str) -> Iterator[tuple[str, str, list[str]]]:
    """Every option below a group of the schema: its name, its text, and values that it takes."""
    for key, value in schema.get("properties", {}).items():
        name = f"{prefix}{key}"
        if "description" in value:
            yield name, value["description"], list(_choices(value, classes))
        yield from _options(value, classes, f"{name}.")
        for one in _parts(value, classes):  # the arguments of the classes that the option takes
            for argument in (one, *(made["then"]["properties"]["init_args"] for made in one.get("allOf", ()))):
                if "class_path" not in argument.get("properties", {}):
                    yield from _options(argument, classes, f"{name}.")


def _parts(schema: Schema, classes: Mapping[str, Schema]) -> Iterator[Schema]:
    """What stands inside a choice between schemas."""
    for one in schema.get("anyOf", ()):
        part = classes[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        yield part
        yield from _parts(part, classes)


def _choices(schema: Schema, classes: Mapping[str, Schema]) -> Iterator[str]:
    for part in (schema, *_parts(schema, classes)):
        yield from ("null" if one is None else str(one) for one in part.get("enum", ()))
        yield from {"boolean": ("true", "false"), "null": ("null",)}.get(part.get("type", ""), ())
