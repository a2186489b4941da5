"""Run directories: never shared, never overwritten, found again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mnist_cli.errors import UserError
from mnist_cli.runs.directory import Run, check_name, find_checkpoint, reserve_run, run_of
from mnist_cli.runs.record import begin_record


def make_run(root, number, *checkpoints):
    run = Run(root / "lightning_logs" / f"version_{number}")
    run.checkpoints.mkdir(parents=True)
    run.config.write_text("seed_everything: 1\n")
    for name in checkpoints:
        run.checkpoint(name).write_bytes(b"")
    return run


def test_forty_fits_at_once_get_forty_directories(tmp_path):
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(lambda _: reserve_run(tmp_path), range(40)))
    assert len({run.path for run in runs}) == 40


def test_numbers_go_on_after_the_highest_and_ignore_strangers(tmp_path):
    for name in ("version_3", "version_12", "version_old", "other"):
        (tmp_path / "lightning_logs" / name).mkdir(parents=True)
    assert reserve_run(tmp_path).path.name == "version_13"


def test_best_and_last_mean_the_newest_run_that_has_a_checkpoint(tmp_path):
    newest = make_run(tmp_path, 10, "best", "last")
    make_run(tmp_path, 2, "best", "last")
    make_run(tmp_path, 11)
    assert find_checkpoint("best", tmp_path) == newest.checkpoint("best")
    assert find_checkpoint("last", tmp_path) == newest.checkpoint("last")


def test_the_best_of_a_run_without_validation_is_its_last(tmp_path):
    make_run(tmp_path, 2, "best", "last")
    newest = make_run(tmp_path, 3, "last")
    assert find_checkpoint("best", tmp_path) == newest.checkpoint("last")


def test_a_run_directory_means_its_best_and_a_file_itself(tmp_path):
    run = make_run(tmp_path, 0, "best", "last")
    assert find_checkpoint(str(run.path), tmp_path) == run.checkpoint("best")
    assert find_checkpoint(str(run.checkpoint("last")), tmp_path) == run.checkpoint("last")
    assert run_of(run.checkpoint("last")).path == run.path


def test_a_moved_run_is_still_a_run_and_a_lone_file_is_none(tmp_path):
    moved = make_run(tmp_path, 0, "best").path.rename(tmp_path / "my favourite")
    assert run_of(moved / "checkpoints" / "best.ckpt").path == moved
    assert run_of(tmp_path / "best.ckpt") is None


@pytest.mark.parametrize("wanted", ["best", "nowhere.ckpt", "lightning_logs"])
def test_what_is_not_there_is_named_with_the_remedy(tmp_path, monkeypatch, wanted):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lightning_logs").mkdir()
    with pytest.raises(UserError, match=f"--ckpt_path {wanted}: .*(train one|give)"):
        find_checkpoint(wanted, tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"no run directory can be made in .*default_root_dir"):
        reserve_run(tmp_path / "file")


def test_only_a_run_without_checkpoints_is_discarded(tmp_path):
    kept, empty = make_run(tmp_path, 0, "last"), make_run(tmp_path, 1)
    kept.discard_if_empty()
    empty.discard_if_empty()
    assert kept.path.exists()
    assert not empty.path.exists()


def named_run(root, number, name, *checkpoints):
    run = make_run(root, number, *checkpoints)
    begin_record(run.record_file, name=name, recipe=None, settings={})
    return run


def test_a_name_means_the_newest_run_of_that_name_that_has_a_checkpoint(tmp_path):
    named_run(tmp_path, 0, "warmup", "best", "last")
    run = named_run(tmp_path, 1, "warmup", "best", "last")
    named_run(tmp_path, 2, "warmup")
    named_run(tmp_path, 3, "other", "best")
    assert find_checkpoint("warmup", tmp_path) == run.checkpoint("best")
    assert find_checkpoint("warmup", tmp_path, resume=True) == run.checkpoint("last")
    for number in ("version_1", "1", "01"):
        assert find_checkpoint(number, tmp_path) == run.checkpoint("best")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("wramup", "there is no such file or run; did you mean warmup?"),
        ("version_21", "there is no such file or run; did you mean version_2?"),
        ("2", "run version_2 has no checkpoint; give another run"),
        ("elephant", "there is no such file or run; give best, last, .* or the name or number of a run"),
    ],
)
def test_an_unknown_run_is_named_with_the_nearest(tmp_path, wanted, message):
    named_run(tmp_path, 1, "warmup", "best")
    make_run(tmp_path, 2)
    with pytest.raises(UserError, match=f"--ckpt_path {wanted}: {message}"):
        find_checkpoint(wanted, tmp_path)


def test_a_run_directory_of_that_name_in_the_current_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = named_run(tmp_path, 0, "mine", "best")
    (tmp_path / "mine").mkdir()  # holds no checkpoint
    assert find_checkpoint("mine", tmp_path) == run.checkpoint("best")
    (tmp_path / "mine" / "best.ckpt").write_bytes(b"")
    assert find_checkpoint("mine", tmp_path).samefile(tmp_path / "mine" / "best.ckpt")


@pytest.mark.parametrize("name", ["best", "last", "3", "version_3", "a/b", "", " ", "-x", "a.ckpt", "a\nb", "a" * 61])
def test_a_name_that_means_something_else_is_refused(name):
    with pytest.raises(UserError, match=r"^--name "):
        check_name(name)


@pytest.mark.parametrize("name", ["warmup-test", "lr=0.1, wide", "größer"])
def test_a_plain_name_is_taken(name):
    check_name(name)
