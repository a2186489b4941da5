"""IDX files, gzipped or not, and what is wrong with those that are none."""

import gzip

import numpy as np
import pytest

from mnist_cli.data.idx import find_idx, read_idx
from mnist_cli.errors import UserError

TABLE = bytes([0, 0, 0x0C, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 0, 255, 255, 255, 255])


@pytest.mark.parametrize("name", ["table", "table.gz"])
def test_numbers_are_big_endian_and_may_be_written_to(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(TABLE) if name.endswith(".gz") else TABLE)
    array = read_idx(tmp_path / name)
    assert array.tolist() == [[256, -1]]
    assert array.dtype == np.int32
    array[0, 0] = 5


def test_the_unpacked_file_of_the_first_folder_is_found_first(tmp_path):
    for name in ("a/one.gz", "b/one", "b/one.gz", "b/two.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = [tmp_path / "missing", tmp_path / "a", tmp_path / "b"]
    assert find_idx("one", folders) == tmp_path / "a/one.gz"
    assert find_idx("one", folders[2:]) == tmp_path / "b/one"
    assert find_idx("two", folders) == tmp_path / "b/two.gz"
    assert find_idx("three", folders) is None


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x", b"", "is not an IDX file"),
        ("x", b"PNG!!", "is not an IDX file"),
        ("x", bytes([0, 0, 8, 3, 0, 0]), "is not an IDX file"),
        ("x", bytes([0, 0, 0x0D, 1, 0, 0, 0, 0]), "is not an IDX file"),
        ("x", TABLE[:-1], "has 19 bytes where its header says 20"),
        ("x", TABLE + b"0", "has 21 bytes where its header says 20"),
        ("x.gz", TABLE, "is damaged"),
        ("x.gz", gzip.compress(TABLE, mtime=0)[:-9], "is damaged"),
        ("x.gz", gzip.compress(TABLE, mtime=0)[:-8] + bytes(8), "is damaged"),
    ],
)
def test_what_is_no_whole_file_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} {says}"):
        read_idx(tmp_path / name)
