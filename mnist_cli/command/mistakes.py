"""Mistakes of the user, in one sentence."""

import difflib
import importlib
import inspect
import re


def first_sentence(error: BaseException) -> str:
    """The gist of an exception that another library raised."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used ({error.strerror}); choose another place or free this one."
    text = " ".join(str(error).split())
    if found := re.search(r"Problem with given class_path '(.*?)': (.*?\.)(?: |$)", text):
        return f"{found[1]}: {found[2]}"
    return re.split(r"(?<=[.!?]) ", text)[0] or type(error).__name__


def explain(message: str, options: list[str], classes: list[str]) -> str:
    """Turn jsonargparse's message into one sentence with the option, the value and the remedy.

    Args:
        message: Several lines, nested by indentation.
        options: Names of all options, without their dashes.
        classes: Names of classes that may be meant where a class is wanted.
    """
    if found := re.search(r"unrecognized arguments: *(\S*)", message):
        unknown = found[1].split("=")[0]
        if not unknown.startswith("-"):
            return f"nothing is known to do with '{unknown}'; a file of settings is given with --config {unknown}."
        return f"there is no option {unknown}; {_did_you_mean(unknown, [f'--{name}' for name in options])}"
    if found := re.search(r"argument (?:-\w/)?(--\S+): expected one argument", message):
        return f"{found[1]} needs a value; `--help` shows which."
    option = ".".join(re.findall(r"Parser key \"([^\"]+)\"", message))
    if found := re.search(r"Problem with given class_path '(.*?)':\s+(No module named '.*?')", message):
        place = "give a class of an installed package or of a module in the current folder"
        return f"{option}: {found[1]} cannot be imported ({found[2]}); {place}."
    if found := re.search(r"the following arguments are required: (.*)", message):
        name = re.search(r"class_path='[\w.]*?(\w+)'", message)
        needed = ", ".join(f"--{option}.{argument}" for argument in found[1].split(", "))
        return f"{option}: {name[1] if name else 'the class'} needs a value for {needed}."
    if found := re.search(r"(?:accept option|Option) '([^']+)'", message):
        unknown = ".".join(filter(None, (option, found[1])))
        known = [f"{option}.{name}" for name in _arguments(message)] or options
        return f"there is no setting {unknown}; {_did_you_mean(unknown, known)}"
    value = _value(message)
    expected, choices = _expected(message)
    if not expected:
        return f"{option}: {' '.join(message.split())}" if option else " ".join(message.split())
    wants_class = "the name or path of a class" in expected
    near = difflib.get_close_matches(str(value), classes if wants_class else choices, n=1)
    return f"{option}: expected {' or '.join(expected)}, got '{value}'{f'; did you mean {near[0]}?' if near else '.'}"


def _did_you_mean(name: str, names: list[str]) -> str:
    longer = [option for option in names if option.startswith(name)]
    within = [option for option in names if name.lstrip("-") in option.rpartition(".")[2]]
    near = longer or difflib.get_close_matches(name, names, n=1) or within
    return f"did you mean {near[0]}?" if near else "`--help` lists all of them."


def _arguments(message: str) -> list[str]:
    """Names of the arguments of the class that a message speaks of."""
    found = re.search(r"class_path '([\w.]+)'", message)
    if not found:
        return []
    module, _, name = found[1].rpartition(".")
    return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)


def _value(message: str) -> str:
    """The value that was refused: the innermost that the message names."""
    for pattern in (
        r"Got value: (?!Namespace)(.*)",
        r"val='(.*)'\)",
        r"Given value: (.*?)(?:\. Got value: Namespace.*)?$",
        r"Expected a path but (.*) either",
        r"dot import path string: (\S+)",
        r"base 10: '(.*)'",
        r": (\S+) does not conform",
        r"could not convert string to float: '(.*)'",
    ):
        if found := re.search(pattern, message, re.MULTILINE):
            return found[1]
    return ""


def _expected(message: str) -> tuple[list[str], list[str]]:
    """What would have been accepted, in words, and the literal choices among it."""
    expected, choices = [], []
    for kind in re.findall(r"(?:Expected an? |Not of type )(.*)", message):
        if found := re.match(r"typing.Literal\[(.*?)\]", kind):
            literals = [literal.strip("' ") for literal in found[1].split(",")]
            choices += literals
            expected += literals
        elif found := re.match(r"<class '(?:\w+\.)*(\w+)'>", kind):
            expected.append({"NoneType": "null", "list": "a list such as [1, 2]"}.get(found[1], found[1]))
        elif kind.startswith("dot import path"):
            expected.append("the name or path of a class")
        elif found := re.match(r"(\w+): (?:.*restriction (.*))?", kind):
            expected.append(f"{_NUMBERS.get(found[1], found[1])}")
    return list(dict.fromkeys(expected)), choices


_NUMBERS = {
    "PositiveInt": "a whole number of at least 1",
    "NonNegativeInt": "a whole number of at least 0",
    "PositiveFloat": "a number above 0",
    "OpenUnitInterval": "a number between 0 and 1",
    "ClosedUnitInterval": "a number from 0 to 1",
}
