"""The record of a run: who runs it, and whether that process still lives."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version

import pytest

from mnist_cli.errors import UserError
from mnist_cli.runs.record import Process, begin_record, end_record, read_record

BEGIN = (
    "import pathlib, sys, time; from mnist_cli.runs.record import begin_record; "
    "begin_record(pathlib.Path(sys.argv[1]), name='a', recipe='b', settings={}); print('begun', flush=True); "
    "time.sleep(60)"
)


@pytest.fixture
def file(tmp_path):
    begin_record(tmp_path / "run.json", name="a", recipe="default", settings={"seed_everything": 3})
    return tmp_path / "run.json"


def test_a_record_says_what_ran_and_with_which_versions(file):
    record = read_record(file)
    assert (record.name, record.recipe, record.settings) == ("a", "default", {"seed_everything": 3})
    assert record.versions["torch"] == version("torch")
    assert record.versions["lightning"] == version("lightning")
    assert record.current_state() == "running"
    end_record(file, "failed", "disk full")
    ended = read_record(file)
    assert (ended.current_state(), ended.problem, ended.settings) == ("failed", "disk full", record.settings)
    assert ended.started == record.started <= ended.ended


def test_the_commit_is_that_of_the_current_folder(tmp_path, monkeypatch):
    def git(*args):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *author, *args], check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    (tmp_path / "net.py").write_text("1\n")
    git("add", "net.py")
    git("commit", "-qm", "x")
    for text, dirty in (("1\n", ""), ("2\n", "-dirty")):
        (tmp_path / "net.py").write_text(text)
        begin_record(tmp_path / "run.json", name=None, recipe=None, settings={})
        assert read_record(tmp_path / "run.json").versions["commit"] == git("rev-parse", "HEAD") + dirty


def test_a_killed_process_no_longer_runs_even_before_its_parent_has_noticed(tmp_path):
    file = tmp_path / "run.json"
    with subprocess.Popen([sys.executable, "-c", BEGIN, file], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        assert read_record(file).current_state() == "running"
        process.send_signal(signal.SIGKILL)
        assert process.stdout.read() == b""  # the end of the pipe is the end of the process
        deadline = time.monotonic() + 30  # the pipe closes a moment before the process counts as dead
        while (state := read_record(file).current_state()) == "running" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state == "stopped"
        process.wait()
        assert read_record(file).current_state() == "stopped"


def test_another_process_with_the_number_of_the_first_is_not_the_first():
    assert Process.this().alive() is True
    assert replace(Process.this(), began="1").alive() is False


def test_of_a_process_elsewhere_nothing_can_be_said():
    this = Process.this()
    assert replace(this, host="other", machine="m", boot="b").alive() is None
    assert replace(this, namespace="pid:[1]").alive() is None
    assert replace(this, boot="before the restart").alive() is False
    assert replace(this, host="renamed meanwhile").alive() is True


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"started": "", "process": {"pid": 1}}', "\udcff"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        read_record(tmp_path / "run.json")


def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known(file):
    file.write_text(json.dumps({**json.loads(file.read_text()), "weather": "fine"}))
    assert read_record(file).name == "a"
