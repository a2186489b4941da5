"""A file is whole or as it was before."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnist_cli.files import json_text, whole_file, write_whole


def test_a_file_is_written_in_a_new_folder_and_nothing_stays_beside_it(tmp_path):
    write_whole(tmp_path / "new/file.txt", "é")
    assert (tmp_path / "new/file.txt").read_bytes() == "é".encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.txt"]


def test_a_file_that_cannot_be_replaced_stays_and_no_part_is_left(tmp_path):
    (tmp_path / "folder/inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_block_that_fails_leaves_the_older_file(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")

    def write_and_fail():
        with whole_file(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_where_every_file_has_a_name_from_the_beginning_it_is_whole_too(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "file"
    with whole_file(path) as file:
        file.write(b"new")
        assert [one.name[:6] for one in tmp_path.iterdir()] == [".file."]
        assert not path.exists()
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "new"


FOREVER = """
import sys
from pathlib import Path
from mnist_cli.files import write_whole
for n in range(10**9):
    write_whole(Path("file"), str(n % 10).encode() * 300_000)
    if n == 0:
        print("ready", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name are of Linux")
def test_a_process_killed_while_it_writes_leaves_whole_files_and_nothing_else(tmp_path):
    for pause in (0.01, 0.02, 0.03, 0.05, 0.08):
        process = subprocess.Popen([sys.executable, "-c", FOREVER], cwd=tmp_path, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.wait()
        process.stdout.close()
        assert [one.name for one in tmp_path.iterdir()] == ["file"]
        content = (tmp_path / "file").read_bytes()
        assert content == content[:1] * 300_000


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_path_without_a_name_is_a_folder(name):
    with pytest.raises(IsADirectoryError):
        write_whole(Path(name), "text")


def test_json_has_text_where_it_has_no_number():
    value = {"threshold": math.inf, "list": [math.nan, (1.5, -math.inf)], "text": "inf"}
    assert json.loads(json_text(value)) == {"threshold": "inf", "list": ["nan", [1.5, "-inf"]], "text": "inf"}
    assert "Infinity" not in json_text(value)


def test_a_device_is_written_to_and_stays_one(tmp_path):
    read, write = os.pipe()
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=write)
    write_whole(tmp_path / "pipe", "content")
    assert reader.wait() == 0
    assert os.read(read, 100) == b"content"
    assert (tmp_path / "pipe").is_fifo()
    write_whole(Path("/dev/null"), "content")
    assert Path("/dev/null").is_char_device()


def test_a_link_is_replaced_and_what_it_names_stays(tmp_path):
    (tmp_path / "named").write_text("old")
    (tmp_path / "link").symlink_to("named")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "named").read_text() == "old"
    assert not (tmp_path / "link").is_symlink()
