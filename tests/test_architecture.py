"""A package imports only from those above it, and a file only from those above it in its package."""

import ast
from pathlib import Path

import pytest

import mnist_cli

PACKAGE = Path(mnist_cli.__file__).parent
FLOORS = ["", "data", "model", "runs", "training", "report", "use", "command", "search"]  # "" are the files at the top
# Names that a module may import although they lie at the top: the entry point is reached from nowhere.
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in FILES}


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(path):
    """Everything that a file imports, as full names: `from a import b` is a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def own_imports(path):
    """The modules of this package that a file imports."""
    names = {name.removeprefix("mnist_cli.") for name in imports(path)}
    return {module for module in MODULES if any(name == module or name.startswith(f"{module}.") for name in names)}


def floor(module):
    return FLOORS.index(module.rpartition(".")[0])


def test_every_package_is_on_the_floor_plan_and_says_what_is_in_it():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set(FLOORS) - {""}
    for package in packages:
        assert ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text()))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_from_packages_above_its_own(path):
    for module in own_imports(path):
        assert floor(module) <= floor(name_of(path)), f"{name_of(path)} imports {module}"
        assert not (name_of(path).startswith("model.") and module.startswith("data.")), f"{path} imports {module}"


def test_no_two_files_import_each_other():
    above = {name_of(path): own_imports(path) for path in FILES}
    while above:
        free = {module for module, needed in above.items() if not needed & above.keys()}
        assert free, f"these import each other in a circle: {sorted(above)}"
        above = {module: needed for module, needed in above.items() if module not in free}


def packages_of(path):
    return {name.partition(".")[0] for name in imports(path)}


def test_figures_and_evaluation_are_pure():
    for module in ("figures", "evaluation"):
        path = PACKAGE / "report" / f"{module}.py"
        assert own_imports(path) <= {"digits"}
        assert not packages_of(path) & {"lightning", "pathlib", "os"}


def test_only_the_command_line_knows_jsonargparse():
    for path in FILES:
        if path.parent.name != "command":
            assert not {name for name in imports(path) if name.startswith("jsonargparse")} - ALLOWED_TYPES, path


# Types of arguments, by which the command line checks values: part of a class's signature.
ALLOWED_TYPES = {"jsonargparse.typing"} | {
    f"jsonargparse.typing.{name}"
    for name in ("PositiveInt", "NonNegativeInt", "PositiveFloat", "NonNegativeFloat", "ClosedUnitInterval")
}


RUNS = ("directory", "record", "settings", "short_names", "summary", "table", "compare", "seeds")
NO_TORCH = [
    "errors",
    "digits",
    "files",
    "imports",
    "command/silence",
    "command/runs",
    *(f"runs/{name}" for name in RUNS),
]


@pytest.mark.parametrize("module", NO_TORCH)
def test_what_needs_no_torch_does_not_import_it(module):
    path = PACKAGE / f"{module}.py"
    assert not packages_of(path) & {"torch", "lightning", "torchmetrics", "numpy"}
    for other in own_imports(path):
        assert not packages_of(PACKAGE / f"{other.replace('.', '/')}.py") & {"torch", "lightning"}


def test_no_file_is_longer_than_250_lines():
    assert {path.name: n for path in PACKAGE.rglob("*.py") if (n := len(path.read_text().splitlines())) > 250} == {}


def test_every_package_has_its_mirror_in_the_tests():
    tests = Path(__file__).parent
    for path in FILES:
        mirror = tests / path.relative_to(PACKAGE).parent / f"test_{path.name}"
        assert mirror.exists(), f"{mirror.relative_to(tests)} is missing"
