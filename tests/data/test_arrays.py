"""Arrays of a user's own: every shape and type that is told, and what is wrong with the others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_cli.data.arrays import read_images
from mnist_cli.data.sources import read_digits
from mnist_cli.errors import UserError


def arrays(test_digits, shape=(-1, 28, 28), dtype="uint8", count=20):
    images = test_digits[0][:count].numpy().reshape(shape)
    return (images / 255 if dtype.startswith("float") else images).astype(dtype), test_digits[1][:count].numpy()


def write_folder(folder: Path, images: np.ndarray, labels: np.ndarray) -> str:
    folder.mkdir(exist_ok=True)
    for split in ("train", "test"):
        np.save(folder / f"{split}.image.npy", images)
        np.save(folder / f"{split}.label.npy", labels)
    return str(folder)


@pytest.mark.parametrize("shape", [(-1, 28, 28), (-1, 784), (-1, 1, 28, 28), (-1, 28, 28, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_arrays_of_each_shape_and_type_give_the_same_images(tmp_path, test_digits, shape, dtype):
    images, labels = arrays(test_digits, shape, dtype)
    folder = write_folder(tmp_path / "arrays", images, labels)
    np.savez(tmp_path / "keras.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    for source in (folder, str(tmp_path / "keras.npz")):
        read, read_labels = read_digits(source, "unused", train=False)
        assert torch.equal(read, test_digits[0][:20])
        assert torch.equal(read_labels, test_digits[1][:20])
    np.save(tmp_path / "images.npy", images)
    assert torch.equal(read_images(tmp_path / "images.npy"), test_digits[0][:20])


def wrong_arrays():
    zeros, labels = np.zeros((4, 28, 28), np.uint8), np.arange(4)
    return [
        (np.zeros((4, 27, 28), np.uint8), labels, r"shape \(4, 27, 28\) is not"),
        (zeros[:0], labels[:0], "not one image"),
        (zeros.astype(complex), labels, "type complex128 is neither whole numbers nor float"),
        (zeros.astype(int) - 1, labels, "values go from -1 to -1"),
        (zeros + 1.5, labels, r"go from 1.5 to 1.5; floats must be in \[0, 1\]"),
        (zeros * np.nan, labels, "floats must be in"),
        (zeros, labels[:3], "4 images but 3 labels"),
        (zeros, labels + 8, "go from 8 to 11; they must be in 0..9"),
        (zeros, labels - 1, "go from -1 to 2"),
        (zeros, labels.astype(float), "whole numbers"),
        (zeros, np.eye(10)[labels], r"have shape \(4, 10\)"),
    ]


@pytest.mark.parametrize(("images", "labels", "message"), wrong_arrays())
def test_wrong_arrays_are_refused_with_what_is_wrong(tmp_path, images, labels, message):
    folder = write_folder(tmp_path / "arrays", images, labels)
    with pytest.raises(UserError, match=message):
        read_digits(folder, "unused", train=True)


def test_missing_arrays_and_files_are_named(tmp_path):
    (tmp_path / "train.image.npy").write_bytes(b"text")
    with pytest.raises(UserError, match=r"has no train.label.npy, test.image.npy, test.label.npy"):
        read_digits(str(tmp_path), "unused", train=True)
    with pytest.raises(UserError, match=r"there is no file .*images.npy"):
        read_images(tmp_path / "images.npy")
    with pytest.raises(UserError, match=r"is not a .npy file"):
        read_images(tmp_path / "train.image.npy")
    np.savez(tmp_path / "some.npz", x_train=np.zeros(3))
    with pytest.raises(UserError, match=r"has no array y_train, x_test, y_test"):
        read_digits(str(tmp_path / "some.npz"), "unused", train=True)
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(UserError, match=r"is not an .npz file"):
        read_digits(str(tmp_path / "text.npz"), "unused", train=True)


def test_pickled_arrays_are_not_opened(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"not a .npy file of plain numbers"):
        read_images(tmp_path / "objects.npy")
