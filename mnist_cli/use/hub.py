"""A folder as the Hugging Face Hub expects one: weights, settings, and a card with the measured figures."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from mnist_cli.digits import class_names
from mnist_cli.errors import UserError
from mnist_cli.files import write_whole
from mnist_cli.runs.settings import MOST_CHARACTERS, plain_settings

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
_EXTRA = "safetensors is not installed; install it with `pip install -e '.[export]'`."


def is_hub_folder(path: Path) -> bool:
    return (path / WEIGHTS).is_file() and (path / CONFIG).is_file()


def write_hub_folder(folder: Path, weights: dict[str, Tensor], config: dict[str, Any], card: str) -> None:
    """Write the three files; those of an earlier export are replaced, anything else in the folder stays.

    Raises:
        UserError: If safetensors is not installed, or the folder is a file.
    """
    try:
        from safetensors.torch import save
    except ModuleNotFoundError as error:
        raise UserError(f"--format hub: {_EXTRA}") from error
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder}: this is a file, and --format hub writes a folder; give another name.")
    write_whole(folder / WEIGHTS, save({name: weight.contiguous() for name, weight in weights.items()}))
    write_whole(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    write_whole(folder / CARD, card)


def read_hub_folder(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and settings; the files are plain data, nothing in them runs.

    Raises:
        UserError: If safetensors is not installed, or a file is damaged.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ModuleNotFoundError as error:
        raise UserError(f"{folder}: {_EXTRA}") from error
    try:
        text = (folder / CONFIG).read_text()
        config = json.loads(text) if len(text) <= MOST_CHARACTERS else None
        weights: dict[str, Tensor] = load((folder / WEIGHTS).read_bytes())
    except (SafetensorError, ValueError, OSError, RecursionError) as error:
        raise UserError(
            f"{folder}: {CONFIG} or {WEIGHTS} is damaged; write the folder again with `mnist export --format hub`."
        ) from error
    settings = config if isinstance(config, dict) else {}
    if not isinstance(settings.get("model"), dict) or not isinstance(settings.get("data", {}), dict):
        raise UserError(f"{folder}: {CONFIG} is that of another program; `mnist export --format hub` writes one.")
    return weights, plain_settings(config, f"{folder}: {CONFIG}")


_OF_PICTURES = """\
    from mnist_cli import load_reader

    reader = load_reader("this_folder")
    reading = reader.read("picture.png")
    print(reading.digit, reading.probability)
"""
_OF_IMAGES = """\
    from mnist_cli import load_reader

    reader = load_reader("this_folder")
    logits = reader.network(images)  # float in [0, 1], shape (B, 1, 28, 28)
"""


def model_card(*, title: str, figures: dict[str, str], config: dict[str, Any], accuracy: float) -> str:
    """The text of the card: YAML that the Hub reads, then what a person wants to know.

    Args:
        title: Name of the network.
        figures: What was measured, by its name.
        config: The content of config.json.
        accuracy: Share of the test images read correctly, in [0, 1].
    """
    dataset = config["data"].get("dataset", "MNIST")
    table = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    tta = config["model"].get("tta", 0)
    reads_digits = class_names(dataset) == class_names("MNIST")
    what = "handwritten digits" if reads_digits else f"images like those of {dataset}"
    use = _OF_PICTURES if reads_digits else _OF_IMAGES
    views = f" An answer is the mean over an image and four others of the same digit (`tta: {tta}`)." if tta else ""
    return f"""---
license: mit
library_name: mnist-cli
pipeline_tag: image-classification
tags: [pytorch, image-classification, mnist]
datasets: [{json.dumps(dataset)}]
metrics: [accuracy]
model-index:
  - name: {json.dumps(title)}
    results:
      - task: {{type: image-classification}}
        dataset: {{name: {json.dumps(dataset)}, type: {json.dumps(dataset)}, split: test}}
        metrics: [{{type: accuracy, value: {accuracy:.6f}}}]
---

# {title}

Reads {what}: an image of 28 x 28 pixels in [0, 1], ink bright, becomes ten logits. Scaling to mean and
standard deviation is part of the network.{views}

| measured on the test set of {dataset} | |
|---|---|
{table}

{use}
`config.json` has the settings of its training run, `model.safetensors` the weights; nothing in either is executable.
Its answers on anything but single {what} mean nothing: it always names one of its ten classes.
"""
