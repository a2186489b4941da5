"""Read pictures from Python: the same path of pixels as `mnist predict`, without a Trainer and without Lightning."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
import torch
from PIL import Image
from torch import nn

from mnist_cli.data.pictures import read_with_doubt
from mnist_cli.digits import class_names
from mnist_cli.errors import UserError
from mnist_cli.model.forward import make_images
from mnist_cli.model.trained import TrainedNetwork, restore_network
from mnist_cli.runs.checkpoints import open_checkpoint
from mnist_cli.runs.directory import find_checkpoint, is_own, shown
from mnist_cli.runs.settings import Settings, without_places
from mnist_cli.use.hub import is_hub_folder, read_hub_folder

Picture = str | Path | Image.Image | np.ndarray
Pictures = list[Picture] | list[str] | list[Path] | list[Image.Image] | list[np.ndarray] | tuple[Picture, ...]
_BATCH = 250  # pictures at a time: memory does not grow with the length of a list


@dataclass(frozen=True)
class Reading:
    """What the network says to one picture.

    Attributes:
        digit: The most probable digit.
        probability: Its probability, in [0, 1].
        probabilities: Those of all ten, float32, shape (10,).
        seen: The image that the network saw, float32 in [0, 1], 1 is ink, shape (28, 28).
        note: What is doubtful about the picture, such as more than one digit on it; empty if nothing is.
    """

    digit: int
    probability: float
    probabilities: np.ndarray = field(repr=False)
    seen: np.ndarray = field(repr=False)
    note: str


@dataclass(frozen=True)
class Reader:
    """Reads pictures with a trained network; made by `load_reader`.

    Attributes:
        network: From images in [0, 1], shape (B, 1, 28, 28), to logits (B, 10).
        settings: Those of its run, as far as they are known: `model` and `data`.
        source: The checkpoint file, or the folder that `mnist export --format hub` wrote.
    """

    network: TrainedNetwork = field(repr=False)
    settings: Settings = field(repr=False)
    source: Path

    @property
    def dataset(self) -> str:
        """Name or path of the data set that the network was trained on."""
        return str(self.settings["data"].get("dataset", "MNIST"))

    @property
    def title(self) -> str:
        """The network in a few words, such as `CNN trained on MNIST`."""
        return f"{type(self.network.net).__name__} trained on {self.dataset}"

    @overload
    def read(self, picture: Picture) -> Reading: ...

    @overload
    def read(self, picture: Pictures) -> list[Reading]: ...

    def read(self, picture: Picture | Pictures) -> Reading | list[Reading]:
        """Read one picture, or each of a list.

        Args:
            picture: A file, a PIL image, or an array of shape (H, W), (H, W, 3) or (H, W, 4); of any size and colours,
                one digit on it.

        Raises:
            PictureError: If there is no digit on it, or the file is not a picture; it is a `UserError`.
            UserError: If the network was trained on something else than digits.
        """
        if class_names(self.dataset) != class_names("MNIST"):
            raise UserError(f"pictures are prepared as digits, but this network was trained on {self.dataset}.")
        if isinstance(picture, (str, Path, Image.Image, np.ndarray)):
            return self._read([picture])[0]
        batches = (picture[start : start + _BATCH] for start in range(0, len(picture), _BATCH))
        return [reading for batch in batches for reading in self._read(batch)]

    @torch.inference_mode()
    def _read(self, pictures: Sequence[Picture]) -> list[Reading]:
        inks, doubts = zip(*map(read_with_doubt, pictures), strict=True)
        images = make_images([torch.from_numpy(ink) for ink in inks])
        rows = self.network(images).softmax(1).numpy()
        return [
            Reading(int(row.argmax()), float(row.max()), row, image, doubt)
            for row, image, doubt in zip(rows, images.squeeze(1).numpy(), doubts, strict=True)
        ]


def load_reader(
    source: str | Path = "best", *, root: str | Path = ".", net: nn.Module | None = None, trust: bool = False
) -> Reader:
    """Load a trained network to read pictures with.

    Args:
        source: `best` or `last` (of the newest run that has a checkpoint), a run directory, a checkpoint file, or a
            folder that `mnist export --format hub` wrote.
        root: Folder that holds `lightning_logs`.
        net: The network that the run was trained with, where its settings do not say how it was made.
        trust: Import what the source names, also from other packages than mnist_cli, torch, torchvision and kornia, or
            from the current folder: that runs its code. For runs below `root` it is not needed.

    Raises:
        UserError: If there is no such checkpoint, or it names a class that is not imported without `trust`.
    """
    if is_hub_folder(Path(source)):
        weights, config = read_hub_folder(Path(source))
        network = restore_network(config["model"], weights, net, trust=trust)
        settings = {"model": config["model"], "data": config.get("data") or {}}
        return Reader(network, settings if trust else without_places(settings), Path(source))
    path = find_checkpoint(str(source), Path(root))
    chosen = open_checkpoint(path, trusted=trust or is_own(path, Path(root)))
    if chosen.num_broken:
        warnings.warn(chosen.describe(), stacklevel=2)
    network = restore_network(
        chosen.content["hyper_parameters"], chosen.content["state_dict"], net, trust=chosen.trusted
    )
    return Reader(network, chosen.network_settings(), shown(chosen.path))
