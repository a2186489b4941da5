"""Run directories: never shared, never overwritten, found again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mnist_cli.errors import UserError
from mnist_cli.runs.directory import Run, find_checkpoint, reserve_run, run_of


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
