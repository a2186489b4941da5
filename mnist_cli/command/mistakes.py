"""Mistakes of the user in one sentence: which option, what is wrong with its value, and the remedy.

jsonargparse says in nested lines what it tried. From these only three facts are taken: the option, the class that was
being filled in, and whether a name was unknown; the rest of the sentence comes from the option's own type.
"""

import difflib
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from mnist_cli.command.types import any_of, arguments_of, choices_of, class_of, describe_type, subclass_names
from mnist_cli.imports import belongs_to


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        kind: Type of its value.
        default: Class path of the class that it has by default, if it takes a class.
    """

    kind: Any
    default: str | None = None


def first_sentence(error: BaseException) -> str:
    """The gist of an exception that another library raised."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used ({error.strerror}); choose another place or free this one."
    while (cause := error.__cause__ or error.__context__) and "Does not validate against" in str(error):
        error = cause  # the union of types that jsonargparse tried says nothing; what made it fail does
    text = " ".join(str(error).split())
    if found := re.search(r"Problem with given class_path '(.*?)': (.*?\.)(?: |$)", text):
        return f"{found[1]}: {found[2]}"
    return re.split(r"(?<=[.!?]) ", text)[0] or type(error).__name__


def while_restoring(error: BaseException) -> list[str]:
    """What to blame if Lightning failed while it took over the state of a checkpoint; nothing if it did not."""
    frames = traceback.extract_tb(error.__traceback__)
    restoring = any(
        frame.filename.endswith("checkpoint_connector.py") and re.search("restore|resume", frame.name)
        for frame in frames
    )
    return ["--ckpt_path: the checkpoint is damaged or was altered; give another one"] if restoring else []


def explain(message: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> str:
    """Turn a message of jsonargparse into one sentence.

    Args:
        message: Several lines, nested by indentation.
        options: All options, by name without dashes.
        given: What the user gave, by name of the option, the last one winning.
    """
    if found := re.search(r"unrecognized arguments: *(\S*)", message):
        return _unknown_option(found[1].split("=")[0], options)
    if found := re.search(r"argument (?:-\w/)?--(\S+): expected one argument", message):
        return f"--{found[1]} needs a value{_expected(found[1], options)}."
    if found := re.search(r"argument (?:-\w/)?(--\S+): ignored explicit argument '(.*)'", message):
        return f"{found[1]}={found[2]}: there is only {found[1]}, and {found[1]}=all for every option."
    if found := re.search(r'Invalid option "(.*)" for (--print_\w+)', message):
        return f"{found[2]}={found[1]}: expected comments, skip_default or skip_null after the equals sign."
    if found := re.match(r"--(\S+)\.help: ", message):
        return _wrong_value(f"{found[1]}.help", options[found[1]].kind, given.get(f"{found[1]}.help"))
    keys = re.findall(r"Parser key \"([^\"]+)\"", message)
    name, kind, chosen = _walk(keys, options, given, message)
    if found := re.search(r"the following arguments are required: (.*)", message):
        needed = ", ".join(f"--{name}.{argument}" for argument in found[1].split(", "))
        return f"{name}: {chosen.rpartition('.')[2] or 'the class'} needs a value for {needed}."
    found = re.search(r"(?:accept option|[Oo]ption) '([^']+)'", message) or re.search(
        r"NestedArg\(key='(.+?)'", message
    )
    if found and not name.endswith(f".{found[1]}"):
        return _unknown_setting(name, found[1], chosen, options)
    found = re.search(r"Importing '([\w.]+)' is not allowed", message)
    if found and (not given or found[1] in str(given)):  # or jsonargparse tried it, as a type that fits
        return _denied(name, found[1])
    if found := re.search(r"(?:Problem with given class_path '(.*?)':\s+)?((?:No m|m)odule '?.*)", message):
        return _no_such_class(name, found[1] or _text(given.get(name)), found[2])
    inside = [option for option in options if option.startswith(f"{name}.") and not option.endswith(".help")]
    if inside and "Unable to load config" in message:
        return f"{name}: expected settings in YAML, got '{_text(given.get(name))}'; set one with --{inside[0]} VALUE."
    if kind is None:
        return f"{name}: {' '.join(message.split())}" if name else " ".join(message.split())
    return _wrong_value(name, kind, given.get(name))


def _walk(
    keys: list[str], options: Mapping[str, Option], given: Mapping[str, Any], message: str
) -> tuple[str, Any, str]:
    """Follow the nested keys: the option's full name, its type, and the class that was being filled in."""
    named = [path for path in re.findall(r"class_path[='\s]+([\w.]+)'", message) if path != "torch.Tensor"]
    name, kind, chosen = "", None, ""
    for key in keys:
        if key == name or name.endswith(f".{key}"):  # each member of a union names it again
            continue
        name = key if not name or key.startswith(f"{name}.") else f"{name}.{key}"
        if chosen and name not in options:
            kind = arguments_of(load(chosen)).get(key) if load(chosen) else None
        else:
            kind = options[name].kind if name in options else None
        default = options[name].default if name in options else None
        known = _class_given(given.get(name)) or default or ""
        # For a setting without a class, jsonargparse tries the first class that fits: the user knows nothing of it.
        chosen = (named.pop(0) if named and (known or "NestedArg" not in message) else "") or known
    return name, kind, chosen


def _class_given(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("class_path")
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.]*", value) else ""


def load(class_path: str) -> Any:
    """A class that has been imported already, or None; nothing is imported for the sake of a message."""
    module, _, name = class_path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def _unknown_option(unknown: str, options: Mapping[str, Option]) -> str:
    if not unknown.startswith("-"):
        remedy = "a value stands behind its option, as in --data.batch_size 64"
        if unknown.endswith((".yaml", ".yml")):
            remedy = f"a file of settings is given with --config {unknown}"
        return f"unexpected argument '{unknown}'; {remedy}."
    known = [name for name in options if not name.endswith((".help", "+"))]
    for name, option in options.items():
        if name in known and option.default and (made := load(option.default)):
            known += [f"{name}.{argument}" for argument in arguments_of(made)]
    near = " or ".join(f"--{name}" for name in _nearest(unknown.lstrip("-"), known))
    return f"there is no option {unknown}; {f'did you mean {near}?' if near else '`--help` lists all of them.'}"


def _unknown_setting(group: str, unknown: str, chosen: str, options: Mapping[str, Option]) -> str:
    name = ".".join(filter(None, (group, unknown)))
    if meant := difflib.get_close_matches(unknown, ("class_path", "init_args"), n=1, cutoff=0.8):
        return f"there is no setting {name}; did you mean {meant[0]}?"
    made = load(chosen)
    if group in options and class_of(options[group].kind) and not made:
        return f"{name}: choose the class first, with --{group} NAME; --{group}.help lists the names."
    takes = list(arguments_of(made)) if made else []
    within = [*takes, "help"] if unknown.startswith("hel") else takes
    near = _nearest(name, [f"{group}.{argument}" for argument in within] if made else list(options))
    if near:
        return f"there is no setting {name}; did you mean {near[0]}?"
    if made:
        return f"there is no setting {name}: {made.__name__} takes {', '.join(takes) or 'no settings'}."
    return f"there is no setting {name}; `--help` lists all of them."


def _no_such_class(name: str, path: str, problem: str) -> str:
    module, _, wanted = path.rpartition(".")
    if wanted == "py":
        return f"{name}: {path} is a file, not a class; give the class in it, such as {module}.ClassName."
    near = difflib.get_close_matches(wanted, dir(sys.modules[module]), n=1) if module in sys.modules else []
    place = "give a class of an installed package or of a module in the current folder."
    return f"{name}: {path} cannot be imported ({problem}); {f'did you mean {near[0]}?' if near else place}"


def _denied(name: str, path: str) -> str:
    if belongs_to(path, sys.stdlib_module_names):
        return f"{name}: {path} is of Python's own library, from which nothing is imported; name another class."
    return (
        f"{name}: {path} is not imported, because neither an option nor a --config file names its package; "
        "name the class by the path of the module that it is defined in."
    )


def _wrong_value(name: str, kind: Any, value: Any) -> str:
    expected, base = describe_type(kind), class_of(kind)
    names = choices_of(kind) + (subclass_names(base) if base else [])
    given = _class_given(value)
    wanted = given or str(value)
    swapped = [name for name in names if sorted(name) == sorted(wanted)]  # Adma is nearer to Adamax than to Adam
    near = swapped or difflib.get_close_matches(wanted, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    if expected[0] == "a list of classes" and (given in names or load(given)):
        hint = f"; did you mean [{given}]?"
    elif base and not near:
        hint = f"; see --{name.removesuffix('.help')}.help."
    elif re.fullmatch(r"\d+", str(value)) and any(
        get_origin(one) is list and describe_type(get_args(one))[0].startswith("a whole number")
        for one in (kind, *get_args(kind))
    ):
        hint = f"; give [{value}], or several as in --{name} [{value},{value}]."
    return f"{name}: expected {any_of(expected)}, got '{_text(value)}'{hint}"


def _expected(name: str, options: Mapping[str, Option]) -> str:
    words = describe_type(options[name].kind) if name in options and options[name].kind else []
    return f": {any_of(words)}" if words and words != ["a value"] else ""


def _text(value: Any) -> str:
    if isinstance(value, dict) and "class_path" in value:
        return str(value["class_path"])
    text = " ".join(("null" if value is None else str(value)).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


# What other programs and older versions of Lightning call it.
_OTHER_NAMES = {
    "epoch": "trainer.max_epochs",
    "epochs": "trainer.max_epochs",
    "gpus": "trainer.devices",
    "resume": "ckpt_path",
    "checkpoint_path": "ckpt_path",
    "resume_from_checkpoint": "ckpt_path",
}


def _nearest(name: str, known: list[str]) -> list[str]:
    """The known names, at most two, that were probably meant."""
    group, _, last = name.rpartition(".")
    if len(last) < 2:
        return []
    parts = {one: one.rpartition(".")[2] for one in dict.fromkeys(known)}
    inside = {one: part for one, part in parts.items() if one.startswith(f"{group}.")} if group else parts

    def alike(one: str) -> tuple[bool, float]:
        return one.startswith(name), difflib.SequenceMatcher(None, last, parts[one]).ratio()

    typo = difflib.get_close_matches(name, known, n=1, cutoff=0.92)
    other = [one for one in (_OTHER_NAMES.get(last),) if one in parts]
    same = [one for one, part in parts.items() if part == last]
    longer = sorted((one for one, part in inside.items() if len(last) > 2 and last in part), key=alike, reverse=True)
    short = "".join(word[0] for word in last.split("_") if word)  # learning_rate is lr
    initials = [one for one, part in parts.items() if len(short) > 1 and part == short]
    whole = [
        one
        for one in difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if difflib.SequenceMatcher(None, last, parts[one]).ratio() > 0.4  # not by the group alone
    ]
    by_part = {part: one for one, part in reversed(inside.items())}
    close = [by_part[part] for part in difflib.get_close_matches(last, by_part, n=1)]
    found = next((names for names in (same, other, typo, longer, initials, whole, close) if names), [])
    return found[:2]
