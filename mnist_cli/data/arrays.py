"""Digits as NumPy arrays of a user's own: checked, and turned into uint8 images (N, 28, 28) and int64 labels (N,)."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor

from mnist_cli.digits import NUM_CLASSES, SIDE
from mnist_cli.errors import UserError

ARRAY_FILES = ("train.image.npy", "train.label.npy", "test.image.npy", "test.label.npy")
_MOST_IMAGES = 10_000_000  # 8 GB in memory; MNIST has 70,000
# Of a compressed array: bytes that may be any share of the file, and beyond that bytes for each in the file. Digits as
# floats of 64 bits are packed 25 to 1, and nothing but a bomb 200 to 1.
_UNSUSPICIOUS, _MOST_PACKED = 2**28, 200


def read_arrays(path: Path, *, train: bool) -> tuple[Tensor, Tensor]:
    """Read one split of a folder of `ARRAY_FILES`, or of an .npz file with x_train, y_train, x_test and y_test.

    Args:
        path: The folder or file. Images are uint8 or float in [0, 1], shape (N, 28, 28), (N, 784) or (N, 1, 28, 28);
            labels are whole numbers in 0..9, shape (N,).
        train: The training split, else the test split.

    Raises:
        UserError: If an array is missing or holds something else.
    """
    return (_read_npz if path.suffix == ".npz" else _read_folder)(path, train=train)


def read_images(path: Path) -> Tensor:
    """Read unlabelled images from a NumPy file.

    Args:
        path: A ``.npy`` file of shape (N, 28, 28), (N, 784), (N, 1, 28, 28) or (N, 28, 28, 1), or (28, 28) for one
            image; floats in [0, 1], whole numbers in 0..255 or in 0..1, or booleans.

    Returns:
        Images, uint8, shape (N, 28, 28).

    Raises:
        UserError: If the file is missing or holds something else.
    """
    array = _load_npy(path)
    if array.shape == (SIDE, SIDE):
        array = array[None]
    whole = array.dtype.kind in "iu" and 0 < array.size <= SIDE**2 * _MOST_IMAGES
    if whole and array.min() >= 0 and array.max() <= 1:
        array = array.astype(bool)  # no brightness of 1 in 255, but ink or none
    return _to_images(array, str(path))


def _read_folder(folder: Path, *, train: bool) -> tuple[Tensor, Tensor]:
    missing = [name for name in ARRAY_FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"data.dataset: {folder} has no {', '.join(missing)}; a folder of arrays needs {', '.join(ARRAY_FILES)}."
        )
    split = "train" if train else "test"
    return _to_digits(
        partial(_load_npy, folder / f"{split}.image.npy"), partial(_load_npy, folder / f"{split}.label.npy"), folder
    )


def _read_npz(path: Path, *, train: bool) -> tuple[Tensor, Tensor]:
    names = ("x_train", "y_train", "x_test", "y_test")
    split = "train" if train else "test"
    try:
        with path.open("rb") as file, ZipFile(file) as archive:
            missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise UserError(f"data.dataset: {path} has no array {', '.join(missing)}; it needs {', '.join(names)}.")
            images, labels = (_read_member(archive, f"{name}_{split}.npy", path) for name in "xy")
    except FileNotFoundError as error:
        raise UserError(f"data.dataset: there is no file {path}; give an .npz file with {', '.join(names)}.") from error
    except UserError:
        raise
    except Exception as error:  # a damaged archive makes zipfile, its decompressors and NumPy raise anything
        raise UserError(f"{path} is not an .npz file of plain arrays; write it with numpy.savez.") from error
    return _to_digits(lambda: images, lambda: labels, path)


def _read_member(archive: ZipFile, name: str, path: Path) -> np.ndarray:
    """An array of an .npz file; memory is taken only for what can be in it."""
    member = archive.getinfo(name)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = readers[version](file)
    size = math.prod(shape) * dtype.itemsize
    too_much = size > _UNSUSPICIOUS and size > _MOST_PACKED * member.compress_size
    if size > member.file_size or member.compress_size > path.stat().st_size or too_much:
        raise UserError(f"{path}: {name} claims to hold {size:,} bytes, which are not in the file; write it again.")
    with archive.open(member) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _load_npy(path: Path) -> np.ndarray:
    if path.exists() and not path.is_file():  # reading from a device or a pipe has no end
        raise UserError(f"{path} is not a file; give a .npy file written with numpy.save.")
    try:
        array: np.ndarray = np.load(path, allow_pickle=False, mmap_mode="r")
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}; give a .npy file written with numpy.save.") from error
    except Exception as error:  # a damaged header makes NumPy raise anything
        raise UserError(f"{path} is not a .npy file of plain numbers; write it with numpy.save.") from error
    if not isinstance(array, np.ndarray):  # several arrays in one file
        raise UserError(f"{path} holds several arrays; give a .npy file of one array, written with numpy.save.")
    return array


def _to_digits(
    load_images: Callable[[], np.ndarray], load_labels: Callable[[], np.ndarray], source: Path
) -> tuple[Tensor, Tensor]:
    labels = load_labels()
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(
            f"the labels of {source} have shape {labels.shape} and type {labels.dtype}; "
            "they must be whole numbers of shape (N,)."
        )
    images = _to_images(load_images(), f"the images of {source}")
    if len(labels) != len(images):
        raise UserError(f"{source} has {len(images):,} images but {len(labels):,} labels; each image needs one label.")
    if labels.min() < 0 or labels.max() >= NUM_CLASSES:
        raise UserError(f"the labels of {source} go from {labels.min()} to {labels.max()}; they must be in 0..9.")
    return images, torch.from_numpy(labels.astype(np.int64))


def _to_images(array: np.ndarray, source: str) -> Tensor:
    if array.shape[1:] not in {(SIDE, SIDE), (SIDE**2,), (1, SIDE, SIDE), (SIDE, SIDE, 1)}:
        raise UserError(
            f"{source}: shape {array.shape} is not (N, 28, 28), (N, 784), (N, 1, 28, 28) or (N, 28, 28, 1); "
            "reshape the array."
        )
    if len(array) == 0:
        raise UserError(f"{source}: there is not one image; give at least one.")
    if len(array) > _MOST_IMAGES:
        raise UserError(
            f"{source}: {len(array):,} images are too many to hold in memory; give at most {_MOST_IMAGES:,}."
        )
    if array.dtype != np.uint8:
        array = _to_bytes(array, source)
    return torch.from_numpy(np.array(array)).reshape(-1, SIDE, SIDE)


def _to_bytes(array: np.ndarray, source: str) -> np.ndarray:
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if array.dtype.kind in "iu":
        if array.min() < 0 or array.max() > 255:
            raise UserError(
                f"{source}: values go from {array.min()} to {array.max()}; whole numbers must be in 0..255."
            )
        return array.astype(np.uint8)
    if array.dtype.kind != "f":
        raise UserError(
            f"{source}: type {array.dtype} is neither whole numbers nor float nor bool; convert with .astype('uint8')."
        )
    if not (array.min() >= 0 and array.max() <= 1):  # also when there are NaNs
        raise UserError(f"{source}: values go from {array.min():g} to {array.max():g}; floats must be in [0, 1].")
    images_u8: np.ndarray = np.rint(array * 255).astype(np.uint8)
    return images_u8
