"""Mistakes of the user in one sentence: which option, what is wrong with its value, and the remedy.

jsonargparse says in nested lines what it tried. From these only three facts are taken: the option, the class that was
being filled in, and whether a name was unknown; the rest of the sentence comes from the option's own type.
"""

import difflib
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnist_cli.command.types import arguments_of, choices_of, class_of, describe_type, subclass_names


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


def explain(message: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> str:
    """Turn a message of jsonargparse into one sentence.

    Args:
        message: Several lines, nested by indentation.
        options: All options, by name without dashes.
        given: What the user gave, by name of the option, the last one winning.
    """
    if found := re.search(r"unrecognized arguments: *(\S*)", message):
        return _unknown_option(found[1].split("=")[0], options)
    if found := re.search(r"argument (?:-\w/)?(--\S+): expected one argument", message):
        return f"{found[1]} needs a value; `--help` shows which."
    keys = re.findall(r"Parser key \"([^\"]+)\"", message)
    name, kind, chosen = _walk(keys, options, given, message)
    if found := re.search(r"the following arguments are required: (.*)", message):
        needed = ", ".join(f"--{name}.{argument}" for argument in found[1].split(", "))
        return f"{name}: {chosen.rpartition('.')[2] or 'the class'} needs a value for {needed}."
    if found := re.search(r"(?:accept option|[Oo]ption) '([^']+)'", message):
        return _unknown_setting(name, found[1], chosen, options)
    if found := re.search(r"(?:Problem with given class_path '(.*?)':\s+)?((?:No m|m)odule '?.*)", message):
        return _no_such_class(name, found[1] or _text(given.get(name)), found[2])
    if kind is None:
        return f"{name}: {' '.join(message.split())}" if name else " ".join(message.split())
    return _wrong_value(name, kind, given.get(name))


def _walk(
    keys: list[str], options: Mapping[str, Option], given: Mapping[str, Any], message: str
) -> tuple[str, Any, str]:
    """Follow the nested keys: the option's full name, its type, and the class that was being filled in."""
    named = re.findall(r"class_path[='\s]+([\w.]+)'", message)
    name, kind, chosen = "", None, ""
    for key in keys:
        name = f"{name}.{key}" if name else key
        if chosen and name not in options:
            kind = arguments_of(load(chosen)).get(key) if load(chosen) else None
        else:
            kind = options[name].kind if name in options else None
        default = options[name].default if name in options else None
        chosen = (named.pop(0) if named else "") or _class_given(given.get(name)) or default or ""
    return name, kind, chosen


def _class_given(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("class_path")
    return value if isinstance(value, str) and re.fullmatch(r"[\w.]+", value) else ""


def load(class_path: str) -> Any:
    """A class that has been imported already, or None."""
    module, _, name = class_path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None) if module else None
    except ImportError:
        return None


def _unknown_option(unknown: str, options: Mapping[str, Option]) -> str:
    if not unknown.startswith("-"):
        return f"unexpected argument '{unknown}'; a file of settings is given with --config {unknown}."
    known = list(options)
    for name, option in options.items():
        if option.default and (made := load(option.default)):
            known += [f"{name}.{argument}" for argument in arguments_of(made)]
    near = _nearest(unknown.lstrip("-"), known)
    hint = f"did you mean --{near}?" if near else "`--help` lists all of them."
    return f"there is no option {unknown}; {hint}"


def _unknown_setting(group: str, unknown: str, chosen: str, options: Mapping[str, Option]) -> str:
    name = ".".join(filter(None, (group, unknown)))
    made = load(chosen)
    known = [f"{group}.{argument}" for argument in arguments_of(made)] if made else list(options)
    near = _nearest(name, known)
    if near:
        return f"there is no setting {name}; did you mean {near}?"
    if made:
        takes = ", ".join(arguments_of(made)) or "no settings"
        return f"there is no setting {name}: {made.__name__} takes {takes}."
    return f"there is no setting {name}; `--help` lists all of them."


def _no_such_class(name: str, path: str, problem: str) -> str:
    module, _, wanted = path.rpartition(".")
    if wanted == "py":
        return f"{name}: {path} is a file, not a class; give the class in it, such as {module}.ClassName."
    try:
        near = difflib.get_close_matches(wanted, dir(importlib.import_module(module)), n=1) if module else []
    except ImportError:
        near = []
    place = "give a class of an installed package or of a module in the current folder."
    return f"{name}: {path} cannot be imported ({problem}); {f'did you mean {near[0]}?' if near else place}"


def _wrong_value(name: str, kind: Any, value: Any) -> str:
    expected, base = describe_type(kind), class_of(kind)
    names = choices_of(kind) + (subclass_names(base) if base else [])
    near = difflib.get_close_matches(_class_given(value) or str(value), names, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    if expected[0] == "a list of classes" and _class_given(value):
        hint = f"; did you mean [{_class_given(value)}]?"
    return f"{name}: expected {' or '.join(expected)}, got '{_text(value)}'{hint}"


def _text(value: Any) -> str:
    if isinstance(value, dict) and "class_path" in value:
        return str(value["class_path"])
    text = " ".join(("null" if value is None else str(value)).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _nearest(name: str, known: list[str]) -> str | None:
    """The known name that was probably meant: a longer one, one with the same last part, or one spelt alike."""
    group, _, last = name.rpartition(".")
    longer = [one for one in known if one.startswith(name)]
    same = [one for one in known if one.rpartition(".")[2] == last]
    parts = {one.rpartition(".")[2]: one for one in reversed(known) if not group or one.startswith(f"{group}.")}
    alike = [
        one
        for one in difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if difflib.SequenceMatcher(None, last, one.rpartition(".")[2]).ratio() > 0.4  # not by the group alone
    ] or [parts[part] for part in difflib.get_close_matches(last, parts, n=1)]
    within = [one for one in known if len(last) > 2 and one.rpartition(".")[2].endswith(last)]
    return next(iter([*same, *longer, *_initials(last, known), *within, *alike]), None)


def _initials(name: str, known: list[str]) -> list[str]:
    """Names that are the first letters of this one's words: learning_rate is lr."""
    short = "".join(word[0] for word in name.split("_") if word)
    return [one for one in known if len(short) > 1 and one.rpartition(".")[2] == short]
