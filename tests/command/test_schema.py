"""The JSON Schema of the YAML files takes every recipe and what a run records, and refuses what the command refuses."""

import json

import jsonschema
import pytest
from helpers import CONFIGS, ROOT, RUN

from mnist_cli.__main__ import main
from mnist_cli.runs.settings import load_settings

SHIPPED = ROOT / "configs/schema.json"
ADAM = "model: {optimizer: {class_path: Adam, init_args: {lr: %s}}}"


def errors(schema, text):
    return list(jsonschema.Draft7Validator(schema).iter_errors(load_settings(text, "file")))


@pytest.fixture(scope="module")
def schema():
    return json.loads(SHIPPED.read_text())


def test_the_schema_explains_and_has_choices_defaults_and_limits(schema):
    jsonschema.Draft7Validator.check_schema(schema)
    data, model = (schema["properties"][group]["properties"] for group in ("data", "model"))
    assert data["batch_size"]["description"] == "Images per training step."
    assert (data["batch_size"]["default"], data["batch_size"]["exclusiveMinimum"]) == (64, 0)
    assert "mse" in model["loss"]["enum"]
    assert model["loss"]["default"] == "cross_entropy"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_recipe_names_the_schema_and_fits_it(config, schema):
    text = config.read_text()
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert errors(schema, text) == []


def test_the_settings_of_a_run_fit_it(trained, schema):
    assert errors(schema, (trained / RUN / "config.yaml").read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "data: {bach_size: 3}",
        "trainer: {max_epochs: ten}",
        "data: {val_size: 1.5}",
        "model: {loss: mes}",
        "model: {net: MPL}",
        "model: {net: {class_path: mnist_cli.MLP, init_args: {hiden_sizes: [3]}}}",
        ADAM % "fast",
        "early_stopping: {pationce: 3}",
    ],
)
def test_what_is_wrong_is_refused(text, schema):
    assert errors(schema, text)


@pytest.mark.parametrize("text", [ADAM % 0.1, "model: {net: my_package.MyNet}", "early_stopping: null", "name: warmup"])
def test_what_is_right_is_taken(text, schema):
    assert errors(schema, text) == []


@pytest.mark.slow
def test_the_shipped_schema_is_the_one_that_the_command_prints(schema, capsys):
    assert main(["--print_schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    for group in ("data", "model"):  # those of the trainer and of torch's classes change with their versions
        assert printed["properties"][group] == schema["properties"][group]
    assert printed["properties"].keys() == schema["properties"].keys()
