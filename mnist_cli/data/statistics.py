"""Mean and standard deviation of a data set's pixels, by which networks scale them."""

import torch

from mnist_cli.data.sources import NUMPY_COPY, prepare_digits, read_digits

MNIST_MEAN, MNIST_STD = 0.1307, 0.3081  # as everybody has them; QMNIST's training images are MNIST's


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
