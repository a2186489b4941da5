"""Options are sorted, and the chosen checkpoint is found, before anything else is parsed."""

from pathlib import Path

import pytest
import yaml
from helpers import RUN

from mnist_cli.command.resume import arguments_for, asks_for_help, choose_checkpoint, sort_options
from mnist_cli.errors import UserError


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_CHECKPOINT", raising=False)
    Path("a.yaml").write_text("ckpt_path: last\ntrainer: {default_root_dir: here}\n")
    Path("b.yaml").write_text("data: {batch_size: 3}\n")
    return tmp_path


def test_files_stand_before_flags_wherever_they_are_given(files):
    options = sort_options(["--data.batch_size=7", "--config", "b.yaml", "-c=a.yaml"])
    assert options.files[0] == {"data": {"batch_size": 3}}
    assert options.flags == ["--data.batch_size=7"]
    assert (options.wanted, options.root) == ("last", Path("here"))
    layers = arguments_for("fit", options, None)
    assert [yaml.safe_load(layer) for layer in layers[1:4:2]] == options.files
    assert layers[4:] == ["--data.batch_size=7"]


def test_flags_win_over_files(files):
    options = sort_options(["--ckpt_path=best", "--config=a.yaml", "--trainer.default_root_dir", "there"])
    assert (options.wanted, options.root) == ("best", Path("there"))


def test_a_file_that_is_missing_is_named(files):
    with pytest.raises(UserError, match=r"--config none\.yaml: No such file"):
        sort_options(["--config", "none.yaml"])


def test_a_fit_goes_on_only_when_it_is_told_to(workplace, monkeypatch):
    monkeypatch.delenv("MNIST_CHECKPOINT", raising=False)
    assert choose_checkpoint("fit", sort_options([]), announce=True) is None
    chosen = choose_checkpoint("test", sort_options([]), announce=True)
    assert chosen.path == (RUN / "checkpoints/best.ckpt").absolute()
    assert arguments_for("test", sort_options([]), chosen)[-2:] == ["--ckpt_path", str(chosen.path)]


def test_who_asks_for_help_needs_no_checkpoint(files):
    assert choose_checkpoint("test", sort_options(["--help"]), announce=True) is None


@pytest.mark.parametrize(
    ("flag", "asks"), [("-h", True), ("--help=all", True), ("--model.net.help=MLP", True), ("--data.helpful", False)]
)
def test_what_asks_for_help(flag, asks):
    assert asks_for_help(flag) is asks


def test_a_run_of_a_version_with_other_parts_goes_on_without_them(workplace, mnist, capfd):
    with (workplace / RUN / "config.yaml").open("a") as file:
        file.write("confetti:\n  class_path: mnist_cli.callbacks.Confetti\n")
    assert mnist("fit", "--ckpt_path", "last", "--trainer.max_epochs=3", "--test_after_fit=false") == 0
    said = "Settings of the run that this version lacks are left out: confetti\n"
    assert capfd.readouterr().err.count(said) == 1
    assert "confetti" not in (workplace / "lightning_logs/version_1/config.yaml").read_text()
