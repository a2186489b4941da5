"""Digits from every source, real MNIST first; each kind of damage is named."""

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets
from torchvision.datasets import MNIST

from mnist_cli.data import sources
from mnist_cli.data.sources import prepare_digits, read_digits
from mnist_cli.errors import UserError


@pytest.mark.parametrize("train", [True, False])
def test_the_packaged_copy_is_what_torchvision_reads_from_the_published_files(data_dir, train):
    images, labels = read_digits("MNIST", data_dir, train=train)
    published = MNIST(data_dir, train=train, download=False)
    assert torch.equal(images, published.data)
    assert torch.equal(labels, published.targets)
    assert len(images) == (60_000 if train else 10_000)


def test_the_files_have_the_published_md5_sums(data_dir):
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in (Path(data_dir) / "MNIST/raw").iterdir()}
    assert sums == {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }


@pytest.mark.slow
def test_several_processes_prepare_an_empty_folder_at_once(tmp_path):
    code = (
        "from mnist_cli.data.sources import *; "
        f"prepare_digits('MNIST', '{tmp_path}'); read_digits('MNIST', '{tmp_path}', train=True)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(path.name for path in (tmp_path / "MNIST/raw").iterdir()) == sorted(sources._MNIST_SHA256)


@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_a_damaged_file_is_named_with_what_to_delete(data_dir, tmp_path, damage):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (Path(data_dir) / "MNIST" / "raw").iterdir():
        (raw / path.name).write_bytes(path.read_bytes())
    victim = raw / "t10k-images-idx3-ubyte"
    content = victim.read_bytes()
    victim.write_bytes(content[:1000] if damage == "cut" else content[:-1] + b"\1")
    prepare_digits("MNIST", str(tmp_path))
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte is not the published .* delete it"):
        read_digits("MNIST", str(tmp_path), train=False)
    victim.unlink()
    prepare_digits("MNIST", str(tmp_path))
    assert len(read_digits("MNIST", str(tmp_path), train=False)[0]) == 10_000


def test_without_the_packaged_copy_and_without_network_the_remedy_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_ARCHIVE", "no/such/file")
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody listens there
    with pytest.raises(UserError, match=r"cannot be downloaded .*connect to the network"):
        prepare_digits("MNIST", str(tmp_path))
    assert list(tmp_path.rglob("*ubyte*")) == []


def test_an_archive_with_other_digits_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setitem(sources._MNIST_SHA256, "t10k-labels-idx1-ubyte", "0" * 64)
    assert sources._unpack_archive() is None


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {1: 0x08, 4: 0x0C}[array.itemsize]
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = bytes([0, 0, kind, array.ndim]) + sizes + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_set(folder: Path, dataset: str, images: np.ndarray, labels: np.ndarray, *, suffix: str = "") -> Path:
    """Both splits of a data set, in its published layout, the same digits in each."""
    stem = {"EMNIST": "emnist-digits-{}", "QMNIST": "qmnist-{}"}.get(dataset, "{}")
    test = "test" if dataset in ("EMNIST", "QMNIST") else "t10k"
    stored = images.transpose(0, 2, 1) if dataset == "EMNIST" else images
    for split in ("train", test):
        place = folder / dataset / "raw" / stem.format(split)
        write_idx(place.with_name(f"{place.name}-images-idx3-ubyte{suffix}"), stored)
        if dataset == "QMNIST":  # the class, and seven columns about the writer
            table = np.column_stack([labels, *[np.full(len(labels), 70_000)] * 7])
            write_idx(place.with_name(f"{place.name}-labels-idx2-int{suffix}"), table.astype(">i4"))
        else:
            write_idx(place.with_name(f"{place.name}-labels-idx1-ubyte{suffix}"), labels.astype(np.uint8))
    return folder / dataset / "raw"


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dataset", ["FashionMNIST", "KMNIST", "QMNIST", "EMNIST"])
def test_other_sets_are_read_as_they_are_published(tmp_path, test_digits, dataset, suffix):
    images, labels = (tensor[:50].numpy() for tensor in test_digits)
    write_set(tmp_path, dataset, images, labels, suffix=suffix)
    prepare_digits(dataset, str(tmp_path))
    read, read_labels = read_digits(dataset, str(tmp_path), train=False)
    assert np.array_equal(read.numpy(), images)
    assert np.array_equal(read_labels.numpy(), labels)
    assert read_labels.dtype == torch.int64


@pytest.mark.parametrize("dataset", ["KMNIST", "QMNIST", "EMNIST"])
def test_they_are_read_as_torchvision_reads_them(tmp_path, test_digits, dataset):
    write_set(tmp_path, dataset, *(tensor[:50].numpy() for tensor in test_digits))
    options = {"EMNIST": {"split": "digits"}}.get(dataset, {})
    theirs = getattr(datasets, dataset)(tmp_path, train=True, **options)
    images, labels = read_digits(dataset, str(tmp_path), train=True)
    assert torch.equal(images, theirs.data.transpose(1, 2) if dataset == "EMNIST" else theirs.data)
    assert torch.equal(labels, theirs.targets[:, 0] if dataset == "QMNIST" else theirs.targets)


def test_gzipped_mnist_is_the_published_one(data_dir, tmp_path, test_digits):
    for path in (Path(data_dir) / "MNIST/raw").iterdir():
        place = tmp_path / "MNIST/raw" / f"{path.name}.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(path.read_bytes(), 1))
    prepare_digits("MNIST", str(tmp_path))
    assert {path.suffix for path in (tmp_path / "MNIST/raw").iterdir()} == {".gz"}
    assert torch.equal(read_digits("MNIST", str(tmp_path), train=False)[0], test_digits[0])


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").exists(), reason="needs dataset-fashion-mnist")
def test_the_real_clothes_of_debians_package_are_read_where_they_lie(tmp_path):
    prepare_digits("FashionMNIST", str(tmp_path))
    images, labels = read_digits("FashionMNIST", str(tmp_path), train=True)
    assert images.shape == (60_000, 28, 28)
    assert labels.bincount().tolist() == [6000] * 10
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_is_cut_short_is_named(tmp_path, test_digits):
    raw = write_set(tmp_path, "KMNIST", *(tensor[:50].numpy() for tensor in test_digits))
    (raw / "t10k-images-idx3-ubyte").write_bytes((raw / "t10k-images-idx3-ubyte").read_bytes()[:100])
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte has 100 bytes where its header says 39,216"):
        read_digits("KMNIST", str(tmp_path), train=False)


@pytest.mark.parametrize("labels", [np.full(50, 11, np.uint8), np.zeros(49, np.uint8)])
def test_labels_that_do_not_belong_to_the_images_are_refused(tmp_path, test_digits, labels):
    write_set(tmp_path, "KMNIST", test_digits[0][:50].numpy(), labels)
    with pytest.raises(UserError, match=r"do not hold 28 x 28 images with a label of 0..9 each"):
        read_digits("KMNIST", str(tmp_path), train=False)


def test_the_numpy_copy_holds_the_same_digits(data_dir, test_digits):
    prepare_digits("MNIST-NumPy", data_dir)
    images, labels = read_digits("MNIST-NumPy", data_dir, train=False)
    assert torch.equal(images, test_digits[0])
    assert torch.equal(labels, test_digits[1])


@pytest.mark.parametrize(("name", "hint"), [("mnist", "did you mean MNIST"), ("CIFAR", "give one of MNIST")])
def test_an_unknown_data_set_is_named_with_the_known_ones(name, hint):
    with pytest.raises(UserError, match=f"no data set '{name}'.*{hint}"):
        prepare_digits(name, "unused")
