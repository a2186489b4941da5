"""What the pixels of a data set look like: mean and deviation, by which networks scale them, and which is the ink."""

import sys

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from mnist_cli.data.sources import NUMPY_COPY, prepare_digits, read_digits
from mnist_cli.digits import MNIST_MEAN, MNIST_STD


def pixel_statistics(dataset: str, data_dir: str) -> tuple[float, float]:
    """Mean and standard deviation of the training images, in [0, 1], to four digits.

    Args:
        dataset: Name or path of a data set.
        data_dir: Folder that holds the named data sets; what is missing there is put there.

    Raises:
        UserError: If the data cannot be read.
    """
    if dataset in ("MNIST", NUMPY_COPY, "QMNIST"):
        return MNIST_MEAN, MNIST_STD
    prepare_digits(dataset, data_dir)
    images, _ = read_digits(dataset, data_dir, train=True)
    counts = torch.bincount(images.flatten(), minlength=256).double()
    values = torch.arange(256, dtype=torch.double) / 255
    mean = float((counts * values).sum() / counts.sum())
    std = float((counts * (values - mean) ** 2).sum() / counts.sum()) ** 0.5
    return round(mean, 4), max(round(std, 4), 1e-4)  # images of one colour have no deviation to divide by


def say_if_dark_on_light(images: Tensor, source: str) -> None:
    """Warn of images that look like dark ink on light paper: networks that were trained on MNIST misread those."""
    some = images[:: max(1, len(images) // 1000)].float()
    border = torch.cat([some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1]], 1)
    if border.median() > 127 and some.mean() > 127:
        look = f"mean {some.mean():.0f} and border {border.median():.0f} of 255"
        rank_zero_only(print)(
            f"{source}: they look like dark ink on light paper ({look}), and here ink is 255; invert them, unless the "
            "network was trained on such images.",
            file=sys.stderr,
        )
