"""Mean and deviation are those of the training images, and everybody's for MNIST."""

from pathlib import Path

import numpy as np
import pytest

from mnist_cli.data.sources import read_digits
from mnist_cli.data.statistics import pixel_statistics


def test_mnist_has_the_numbers_that_everybody_has(data_dir):
    images = read_digits("MNIST", data_dir, train=True)[0].numpy() / 255
    assert pixel_statistics("MNIST", data_dir) == (round(images.mean(), 4), round(images.std(), 4)) == (0.1307, 0.3081)


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").exists(), reason="needs dataset-fashion-mnist")
def test_fashion_mnist_has_the_numbers_that_everybody_has(tmp_path):
    assert pixel_statistics("FashionMNIST", str(tmp_path)) == (0.2860, 0.3530)


def test_own_arrays_are_measured(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    labels = np.arange(5)
    np.savez(tmp_path / "own.npz", x_train=images, y_train=labels, x_test=images * 0, y_test=labels)
    wanted = (round((images / 255).mean(), 4), round((images / 255).std(), 4))
    assert pixel_statistics(str(tmp_path / "own.npz"), "unused") == wanted
