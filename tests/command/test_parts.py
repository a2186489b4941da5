"""The table of callbacks: who uses which, and where each writes."""

import json
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


def test_tensorboard_writes_into_the_run():
    logger = Namespace(
        class_path="lightning.pytorch.loggers.TensorBoardLogger", init_args=Namespace(save_dir=".", version=None)
    )
    place_loggers([logger, None], Run(Path("run")))
    assert vars(logger.init_args) == {"save_dir": "run", "name": "", "version": ""}


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("option", ["version=mine", "version=3", "name=other", "save_dir=elsewhere"])
def test_the_events_are_not_separated_from_their_run(option, as_list, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    name, value = option.split("=")
    given = [f"--trainer.logger.{option}"]
    if as_list:
        arguments = {"save_dir": "."} | {name: value}
        given = ["--trainer.logger", json.dumps([{"class_path": "TensorBoardLogger", "init_args": arguments}])]
    assert mnist("fit", *QUICK, *given) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"mnist: error: --trainer.logger.{name} {value}: TensorBoard writes into the run directory;")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_events_follow_the_run_to_its_folder(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    place = [
        "--trainer.default_root_dir=there",
        "--trainer.logger.save_dir=there",
        "--trainer.logger.name=lightning_logs",
    ]
    assert mnist("fit", *QUICK, "--figures=null", "--test_after_fit=false", *place) == 0
    assert [path.parent for path in tmp_path.rglob("events.*")] == [tmp_path / "there" / RUN]


def test_another_logger_makes_no_folder_that_looks_like_a_run(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, "--trainer.logger=CSVLogger", "--trainer.logger.save_dir=.") == 2
    assert "CSVLogger would write beside the runs in lightning_logs; give it a folder of" in capfd.readouterr().err
