"""`mnist COMMAND --help`: one page with the options that people use; `--help=all` has every one."""

import difflib
import json
import re
import shutil
from argparse import Action
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from mnist_cli.command.parts import PARTS
from mnist_cli.command.schema import make_schema
from mnist_cli.command.types import class_of, subclass_names
from mnist_cli.errors import UserError
from mnist_cli.model.networks import Network

_NAMES_WIDTH = 33
_MOST_NAMES = 60  # that a list shows; there are 700 torch modules
# Lightning's own texts are paragraphs.
_SHORT = {
    "config": "YAML file of settings; several are merged in order",
    "ckpt_path": "best, last, a run's name or number, or a file",
    "name": "name of the run, for `mnist runs` and --ckpt_path",
    "seed_everything": "seed of all random numbers",
    "test_after_fit": "test the best checkpoint at the end of a fit",
    "short_steps": "skip Lightning's checks at plain steps",
    "trainer.max_epochs": "epochs to train",
    "trainer.max_time": "stop after DD:HH:MM:SS",
    "trainer.accelerator": "cpu, gpu, mps or auto",
    "trainer.devices": "how many devices or processes",
    "trainer.strategy": "ddp for several processes",
    "trainer.precision": "32-true, bf16-mixed, ...",
    "trainer.logger": "loggers beside metrics.csv; false for none",
    "trainer.callbacks": "more callbacks, as a list of classes",
    "trainer.default_root_dir": "folder for lightning_logs",
    "trainer.limit_train_batches": "number or share of batches an epoch",
    "trainer.gradient_clip_val": "clip gradients at this value",
    "trainer.enable_progress_bar": "show a progress bar",
}


def answer_help(command: str, parser: LightningArgumentParser, arguments: list[str]) -> None:
    """Print the page, the names that an option takes, or the JSON Schema of the files, if the arguments ask for it.

    Raises:
        SystemExit: After printing.
        UserError: If help is asked for an option that takes no class.
    """
    if "--print_schema" in arguments:
        print(json.dumps(make_schema(parser), indent=1))
        raise SystemExit(0)
    if {"-h", "--help"} & set(arguments):
        print(help_page(command, parser))
        raise SystemExit(0)
    for place, argument in enumerate(arguments):
        following = arguments[place + 1 : place + 2]
        if argument.endswith(".help") and (not following or following[0].startswith("-")):
            option = argument.removeprefix("--").removesuffix(".help")
            if option not in PARTS:  # a part has a class already, whose options jsonargparse lists
                print(names_for(option, parser))
                raise SystemExit(0)


def help_page(command: str, parser: LightningArgumentParser) -> str:
    """The options of a command, grouped, each in a line with its default.

    Args:
        command: Name of the subcommand.
        parser: Its parser, from which names, texts and defaults come.
    """
    actions = {name.removeprefix("--"): action for action in parser._actions for name in action.option_strings}
    groups = {
        "": [name for name in _SHORT if "." not in name],
        "data": [name for name in actions if re.fullmatch(r"data\.\w+", name)],
        "model": [name for name in actions if re.fullmatch(r"model\.\w+", name)],
        "trainer": [name for name in _SHORT if name.startswith("trainer.")],
    }
    lines = [f"usage: mnist {command} [--config FILE.yaml] [--OPTION VALUE ...]", ""]
    for group, names in groups.items():
        lines += [f"{group or command}:", *(_option(name, actions[name]) for name in names if name in actions), ""]
    lines += ["callbacks (--NAME null leaves one out, --NAME.help lists its options):"]
    lines += [_line(f"--{name}", _sentence(part.callback.__doc__)) for name, part in PARTS.items()]
    networks = " or ".join(cls.__name__ for cls in Network.__subclasses__() if cls.__module__.startswith("mnist_cli"))
    lines += [
        "",
        "more help:",
        _line("--help=all", "every option, all of Lightning's trainer among them"),
        _line("--model.net.help NAME", f"the options of a network: {networks}"),
        _line("--model.optimizer.help NAME", "the options of an optimizer, such as Adam"),
        _line("--print_config", "all settings as YAML; with =comments, explained"),
    ]
    return "\n".join(lines)


def _option(name: str, action: Action) -> str:
    default = action.default
    if hasattr(default, "get"):
        default = str(default.get("class_path")).rpartition(".")[2]
    if default is None or isinstance(default, bool):
        default = {None: "null", True: "true", False: "false"}[default]
    shown = "" if name in ("config", "ckpt_path") else f" [{default}]"
    return _line(f"--{name}", short_text(name, action.help), shown)


def short_text(name: str, text: str | None) -> str:
    """What an option does, in a few words."""
    return _SHORT.get(name) or _sentence(text)


def _sentence(text: str | None) -> str:
    """The first sentence of a help text, without jsonargparse's remarks."""
    first = re.sub(r"\((?:type|default|required)[:,].*", "", str(text or "").split("\n\n")[0], flags=re.DOTALL)
    return re.split(r"(?<=[.;]) |: |, or |, from ", " ".join(first.split()))[0].rstrip(".;").replace("%%", "%")


def _line(name: str, text: str, default: str = "") -> str:
    room = max(80, min(shutil.get_terminal_size().columns, 120)) - _NAMES_WIDTH - len(default)
    text = text if len(text) <= room else f"{text[: room - 1].rpartition(' ')[0]}…"
    return f"  {name:<{_NAMES_WIDTH - 2}}{text}{default}".rstrip()


def names_for(option: str, parser: Any) -> str:
    """What can be named where an option takes a class.

    Raises:
        UserError: If there is no such option.
    """
    actions = {name.removeprefix("--"): action for action in parser._actions for name in action.option_strings}
    kinds = {name: getattr(action, "_typehint", None) for name, action in actions.items()}
    base = class_of(kinds.get(option))
    if base is None:
        near = difflib.get_close_matches(option, [name for name, kind in kinds.items() if class_of(kind)], n=1)
        hint = f"did you mean --{near[0]}.help?" if near else "`--help` lists the options."
        raise UserError(f"--{option}.help: this option takes no class; {hint}")
    own = subclass_names(base, within=f"mnist_cli.{option.partition('.')[0]}")
    names = subclass_names(base)
    if len(names) > _MOST_NAMES and own:  # any torch module will do
        which = f"the path of a class, such as kornia.augmentation.RandomAffine, or one of: {', '.join(own)}"
    else:
        which = f"the path of a class or one of: {', '.join(names)}"
    return f"--{option} takes {which}\n--{option}.help NAME lists its options."
