"""A module imports only from the layers below its own."""

import ast
from pathlib import Path

import mnist_cli

PACKAGE = Path(mnist_cli.__file__).parent
LAYERS = [
    {"arrays", "batches", "networks", "figures", "runs", "messages", "process"},
    {"sources"},
    {"datamodule", "module", "loops", "checkpoints", "loggers", "parser", "settings"},
    {"evaluation"},
    {"callbacks"},
    {"cli"},
    {"__main__"},
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_every_room_is_on_the_floor_plan():
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} == set(LAYER)


def test_a_module_imports_only_from_lower_layers():
    for path in PACKAGE.glob("*.py"):
        for name in imports(path):
            _, _, room = name.partition("mnist_cli.")
            if room:
                assert LAYER[room] < LAYER[path.stem], f"{path.stem} imports {room}"


def test_the_lowest_layer_does_without_lightning():
    for room in LAYERS[0] | LAYERS[1]:
        assert not any("lightning" in name for name in imports(PACKAGE / f"{room}.py")), room


def test_run_directories_and_the_start_do_without_torch():
    for room in ("runs", "messages", "__main__", "__init__"):
        assert "torch" not in imports(PACKAGE / f"{room}.py"), room
