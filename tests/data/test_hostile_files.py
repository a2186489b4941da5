"""Digits in damaged and hostile files: an answer or one of our errors, without a crash, a long wait or much memory."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnist_cli.data.arrays import read_images
from mnist_cli.data.sources import read_digits
from mnist_cli.errors import UserError

# Cases of each of the five readers below: more than 10,000 in all.
CASES = settings(max_examples=2_100, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(shape, dtype="|u1", data=b"x" * 784):
    """A .npy file whose header says what it likes."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


def npz(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


IMAGES, LABELS = np.arange(4 * 784, dtype=np.uint8).reshape(4, 28, 28), np.arange(4)
NPY = npy(IMAGES)
NPZ = npz({f"{kind}_{split}.npy": npy(a) for kind, a in (("x", IMAGES), ("y", LABELS)) for split in ("train", "test")})
IDX_IMAGES = struct.pack(">IIII", 0x803, 4, 28, 28) + IMAGES.tobytes()
IDX_LABELS = struct.pack(">II", 0x801, 4) + bytes(range(4))
BOMBS = {
    "terabytes": header((10**10, 28, 28)),
    "more than there are bytes to count": header((2**62, 28, 28)),
    "negative": header((-1, 28, 28)),
    "objects": npy(np.array([print, 1], object)),
    "wide": header((1, 28, 28), "|S1000000000000"),
    "fields": header((1, 28, 28), [("a", "|O")]),
    "durations": header((1, 28, 28), "<m8[s]", bytes(784 * 8)),
    "cut": NPY[:-1],
    "no magic": b"\0" + NPY[1:],
    "header without an end": b"\x93NUMPY\2\0\xff\xff\xff\xff{",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_array_that_promises_what_is_not_there_is_refused_before_memory_is_taken(tmp_path, bomb):
    (tmp_path / "a.npy").write_bytes(BOMBS[bomb])
    with pytest.raises(UserError):
        read_images(tmp_path / "a.npy")
    members = {f"{name}.npy": npy(LABELS) for name in ("x_train", "y_train", "x_test", "y_test")}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        (tmp_path / "a.npz").write_bytes(npz(members | {"x_test.npy": BOMBS[bomb]}, method))
        with pytest.raises(UserError):
            read_digits(str(tmp_path / "a.npz"), "unused", train=False)


def test_a_packed_array_that_unfolds_to_far_more_than_its_file_is_refused(tmp_path):
    content = npz({"x_train.npy": header((400_000, 28, 28), data=bytes(400_000 * 784))}, zipfile.ZIP_DEFLATED)
    members = {f"{name}.npy": npy(LABELS) for name in ("y_train", "x_test", "y_test")}
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        for name, array in members.items():
            archive.writestr(name, array)
    (tmp_path / "a.npz").write_bytes(file.getvalue())
    with pytest.raises(UserError, match="claims to hold 313,600,000 bytes"):
        read_digits(str(tmp_path / "a.npz"), "unused", train=True)


def test_a_sparse_file_of_a_terabyte_is_not_read(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(header((10**9, 28, 28), data=b""))
        file.truncate(128 + 784 * 10**9)
    with pytest.raises(UserError, match="1,000,000,000 images are too many"):
        read_images(tmp_path / "a.npy")


def test_a_device_is_no_file_of_digits():
    with pytest.raises(UserError, match="is not a file"):
        read_images(Path("/dev/zero"))


def idx_folder(folder, images, labels, dataset="FashionMNIST"):
    raw = folder / dataset / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for split in ("train", "t10k"):
        (raw / f"{split}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(labels)
    return raw


def test_idx_files_in_the_published_format_are_read(tmp_path):
    idx_folder(tmp_path, IDX_IMAGES, IDX_LABELS)
    images, labels = read_digits("FashionMNIST", str(tmp_path), train=True)
    assert images.numpy().tolist() == IMAGES.tolist()
    assert labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IDX_IMAGES[:-1], IDX_LABELS),
        (IDX_IMAGES, IDX_LABELS[:-1]),
        (b"", IDX_LABELS),
        (IDX_LABELS, IDX_IMAGES),
        (struct.pack(">IIII", 0x903, 4, 28, 28) + IMAGES.tobytes(), IDX_LABELS),
        (struct.pack(">IIII", 0xA03, 4, 28, 28) + IMAGES.tobytes(), IDX_LABELS),
        (struct.pack(">IIII", 0x803, 2**32 - 1, 28, 28) + IMAGES.tobytes(), IDX_LABELS),
        (IDX_IMAGES, struct.pack(">II", 0x801, 3) + bytes(3)),
        (IDX_IMAGES, struct.pack(">I", 0x800) + bytes(1)),  # no axis at all; found by the fuzzing below
        (IDX_IMAGES, struct.pack(">II", 0x801, 4) + bytes([10] * 4)),
    ],
)
@pytest.mark.parametrize("dataset", ["FashionMNIST", "MNIST"])
def test_idx_files_that_are_cut_or_say_something_else_are_refused(tmp_path, images, labels, dataset):
    idx_folder(tmp_path, images, labels, dataset)
    with pytest.raises(UserError):
        read_digits(dataset, str(tmp_path), train=True)


@st.composite
def damaged(draw, content):
    """Bytes of a good file with some changed, cut out or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, min(len(data), 400)) | st.integers(0, len(data)))
        length = draw(st.integers(0, 8) | st.integers(0, len(data)))
        data[start : start + length] = draw(st.binary(max_size=12))
    return bytes(data)


def reads_or_refuses(read):
    try:
        images = read()
    except UserError:
        return
    images = images[0] if isinstance(images, tuple) else images
    assert images.shape[1:] == (28, 28)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.slow
@CASES
@given(content=damaged(NPY))
def test_fuzzed_npy_files_are_read_or_refused(place, content):
    (place / "a.npy").write_bytes(content)
    reads_or_refuses(lambda: read_images(place / "a.npy"))


@pytest.mark.slow
@CASES
@given(
    shape=st.lists(st.integers(-3, 2**70) | st.sampled_from([1, 28, 784]), max_size=5).map(tuple),
    dtype=st.sampled_from(
        ["|u1", "<i8", ">f4", "<f2", "|b1", "<m8[s]", "<M8[D]", "|O", "|V0", "<U9", "|S3", "x", "<c8"]
    ),
    data=st.sampled_from([b"", bytes(784), bytes(784 * 8)]),
)
def test_fuzzed_headers_of_npy_files_are_read_or_refused(place, shape, dtype, data):
    (place / "b.npy").write_bytes(header(shape, dtype, data))
    reads_or_refuses(lambda: read_images(place / "b.npy"))


@pytest.mark.slow
@CASES
@given(content=damaged(NPZ))
def test_fuzzed_npz_files_are_read_or_refused(place, content):
    (place / "a.npz").write_bytes(content)
    reads_or_refuses(lambda: read_digits(str(place / "a.npz"), "unused", train=False))


@pytest.mark.slow
@CASES
@given(content=damaged(IDX_IMAGES))
def test_fuzzed_idx_images_are_read_or_refused(place, content):
    idx_folder(place, content, IDX_LABELS)
    reads_or_refuses(lambda: read_digits("FashionMNIST", str(place), train=True))


@pytest.mark.slow
@CASES
@given(content=damaged(IDX_LABELS))
def test_fuzzed_idx_labels_are_read_or_refused(place, content):
    idx_folder(place, IDX_IMAGES, content)
    reads_or_refuses(lambda: read_digits("FashionMNIST", str(place), train=True))
