"""A file is whole or as it was before."""

import pytest

from mnist_cli.files import write_whole


def test_a_file_is_written_in_a_new_folder_and_nothing_stays_beside_it(tmp_path):
    write_whole(tmp_path / "new/file.txt", "é")
    assert (tmp_path / "new/file.txt").read_bytes() == "é".encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.txt"]


def test_a_file_that_cannot_be_replaced_stays_and_no_part_is_left(tmp_path):
    (tmp_path / "folder/inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
