"""Digits from every source, real MNIST first; each kind of damage is named."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
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


def test_several_processes_prepare_an_empty_folder_at_once(tmp_path):
    code = (
        "from mnist_cli.data.sources import *; "
        f"prepare_digits('MNIST', '{tmp_path}'); read_digits('MNIST', '{tmp_path}', train=True)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(path.name for path in (tmp_path / "MNIST/raw").iterdir()) == sorted(sources._MNIST_MD5)


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
    monkeypatch.setitem(sources._MNIST_MD5, "t10k-labels-idx1-ubyte", "0" * 32)
    assert sources._unpack_archive() is None


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sources._idx_bytes(array))


@pytest.mark.parametrize("dataset", ["FashionMNIST", "KMNIST", "EMNIST"])
def test_torchvision_sets_are_read_from_their_published_layout(tmp_path, test_digits, dataset):
    images, labels = (tensor[:50].numpy() for tensor in test_digits)
    prefix = {"EMNIST": "emnist-digits-{}-{}"}.get(dataset, "{}-{}")
    for split in ("train", "test"):
        name = split if dataset == "EMNIST" else {"train": "train", "test": "t10k"}[split]
        stored = images.transpose(0, 2, 1) if dataset == "EMNIST" else images
        write_idx(tmp_path / dataset / "raw" / prefix.format(name, "images-idx3-ubyte"), stored)
        write_idx(tmp_path / dataset / "raw" / prefix.format(name, "labels-idx1-ubyte"), labels.astype(np.uint8))
    prepare_digits(dataset, str(tmp_path))
    read, read_labels = read_digits(dataset, str(tmp_path), train=False)
    assert np.array_equal(read.numpy(), images)
    assert np.array_equal(read_labels.numpy(), labels)


def test_a_torchvision_set_that_is_cut_short_is_named(tmp_path, test_digits):
    images, labels = (tensor[:50].numpy() for tensor in test_digits)
    raw = tmp_path / "KMNIST" / "raw"
    for name in ("train", "t10k"):
        write_idx(raw / f"{name}-images-idx3-ubyte", images)
        write_idx(raw / f"{name}-labels-idx1-ubyte", labels.astype(np.uint8))
    (raw / "t10k-images-idx3-ubyte").write_bytes((raw / "t10k-images-idx3-ubyte").read_bytes()[:100])
    with pytest.raises(UserError, match=r"KMNIST cannot be read from .* delete that folder"):
        read_digits("KMNIST", str(tmp_path), train=False)


def test_the_numpy_copy_holds_the_same_digits(data_dir, test_digits):
    prepare_digits("MNIST-NumPy", data_dir)
    images, labels = read_digits("MNIST-NumPy", data_dir, train=False)
    assert torch.equal(images, test_digits[0])
    assert torch.equal(labels, test_digits[1])


@pytest.mark.parametrize(("name", "hint"), [("mnist", "did you mean MNIST"), ("CIFAR", "Give one of MNIST")])
def test_an_unknown_data_set_is_named_with_the_known_ones(name, hint):
    with pytest.raises(UserError, match=f"no data set '{name}'.*{hint}"):
        prepare_digits(name, "unused")
