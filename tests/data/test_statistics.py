"""Mean and deviation are those of the training images, and everybody's for MNIST."""

from pathlib import Path

import numpy as np
import pytest
from helpers import QUICK

from mnist_cli.data.sources import read_digits
from mnist_cli.data.statistics import pixel_statistics, say_if_dark_on_light


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


def test_dark_ink_on_light_paper_is_said_and_light_ink_on_dark_is_not(test_digits, capsys):
    images = test_digits[0][:500]
    say_if_dark_on_light(images, "mine.npy")
    assert capsys.readouterr().err == ""
    say_if_dark_on_light(255 - images, "mine.npy")
    assert "mine.npy: they look like dark ink on light paper (mean 22" in capsys.readouterr().err


def test_a_data_set_of_dark_ink_is_named_by_the_commands(tmp_path, monkeypatch, mnist, test_digits, capfd):
    monkeypatch.chdir(tmp_path)
    images, labels = (255 - test_digits[0][:300].numpy(), test_digits[1][:300].numpy())
    np.savez("dark.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert mnist("fit", *QUICK, "--data.dataset=dark.npz", "--figures=null") == 0
    said = capfd.readouterr().err
    assert "the training images of dark.npz: they look like dark ink on light paper" in said
    assert "the test images of dark.npz: they look like dark ink on light paper" in said
