"""The table of callbacks: who uses which, and where each writes."""

from pathlib import Path

import pytest
import yaml
from helpers import QUICK, RUN
from jsonargparse import Namespace

from mnist_cli.command.parts import PARTS, default_settings, keep_used, place_loggers
from mnist_cli.runs.directory import Run


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_a_command_keeps_the_parts_that_it_uses(command):
    config = Namespace(dict.fromkeys(PARTS, "there"))
    keep_used(config, command)
    assert {name for name in PARTS if config[name]} == {
        name for name, part in PARTS.items() if command in part.commands
    }


def test_each_default_names_a_class_with_arguments_that_it_takes():
    for name, setting in default_settings().items():
        assert setting["class_path"].endswith(f".{PARTS[name].callback.__name__}")
        PARTS[name].callback(**setting["init_args"])


def test_a_place_that_the_user_gave_is_kept(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, "--figures.dirpath=drawn") == 0
    assert {path.parent for path in tmp_path.rglob("*.png")} == {tmp_path / "drawn"}
    assert yaml.safe_load((RUN / "config.yaml").read_text())["figures"]["init_args"]["dirpath"] == "drawn"


@pytest.mark.parametrize(("version", "place"), [(None, "run"), ("mine", ".")])
def test_tensorboard_writes_into_the_run_unless_it_has_a_version(version, place):
    logger = Namespace(
        class_path="lightning.pytorch.loggers.TensorBoardLogger", init_args=Namespace(save_dir=".", version=version)
    )
    place_loggers([logger], Run(Path("run")))
    assert logger.init_args.save_dir == place
