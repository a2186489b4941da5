"""What a run leaves for the eye: every figure and every TensorBoard tag, whatever is switched off."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
from helpers import BARE, QUICK, RUN, metrics
from PIL import Image

from mnist_cli import MLP, DigitDataModule, DigitModule, Evaluation, Figures

EVALUATION = ("confusion", "correct", "misclassified", "calibration")


def assert_shows_something(path):
    pixels = np.asarray(Image.open(path).convert("L"))
    assert pixels.shape[1] > 900
    assert pixels.std() > 10


def test_a_fit_leaves_every_figure(trained):
    figures = trained / RUN / "figures"
    names = {"samples", "curves", *(f"test-{name}" for name in EVALUATION)}
    assert {path.stem for path in figures.iterdir()} == names
    for path in figures.iterdir():
        assert_shows_something(path)


def test_test_and_validate_in_a_new_process_draw_into_the_run(workplace, mnist):
    shutil.rmtree(RUN / "figures")
    assert mnist("validate", figures=True) == 0
    assert {path.stem for path in (RUN / "figures").iterdir()} == {f"validate-{name}" for name in EVALUATION}
    assert mnist("test", figures=True) == 0
    assert {f"test-{name}" for name in EVALUATION} < {path.stem for path in (RUN / "figures").iterdir()}


@pytest.mark.parametrize("loggers", ["false", "[{class_path: CSVLogger, init_args: {save_dir: csv}}]"])
def test_without_tensorboard_there_are_still_the_figures(tmp_path, monkeypatch, mnist, loggers):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, f"--trainer.logger={loggers}", figures=True) == 0
    assert (RUN / "figures/test-confusion.png").exists()
    assert not list(RUN.glob("events*"))


@pytest.mark.parametrize(("option", "absent"), [("--figures=null", "figures"), ("--evaluation=null", "test.json")])
def test_what_is_switched_off_is_not_there(tmp_path, monkeypatch, mnist, option, absent):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, option) == 0
    assert not (RUN / absent).exists()
    assert (RUN / "metrics.csv").exists()


def test_a_figure_that_cannot_be_written_is_named_and_the_run_goes_on(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("in the way")
    with pytest.warns(UserWarning, match=r"file/\S+.png cannot be written .*the run goes on") as warned:
        assert mnist("fit", *QUICK, "--figures.dirpath=file") == 0
    assert len([one for one in warned if "cannot be written" in str(one.message)]) == 6
    assert len(metrics()) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_costs_a_figure_and_not_the_run(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    Path("figures").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", "figures"], check=True)
    try:
        with pytest.warns(UserWarning, match=r"figures/\S+.png cannot be written \(No space left on device\)"):
            assert mnist("fit", *QUICK, "--figures.dirpath=figures") == 0
        assert list(Path("figures").iterdir()) == []
    finally:
        subprocess.run(["umount", "figures"], check=True)


def test_figures_draw_no_random_numbers(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    augment = "--data.augment=[{class_path: kornia.augmentation.RandomAffine, init_args: {degrees: 10.0, p: 1.0}}]"
    assert mnist("fit", *QUICK, augment, "--model.net.dropout=0.2", figures=True) == 0
    assert (RUN / "figures/samples.png").exists()
    assert mnist("fit", *QUICK, augment, "--model.net.dropout=0.2", *BARE) == 0
    assert metrics() == metrics("lightning_logs/version_1")


def test_png_files_have_the_width_of_a_readme_picture(trained):
    for path in (trained / RUN / "figures").iterdir():
        width, _ = struct.unpack(">II", path.read_bytes()[16:24])
        assert 900 <= width <= 1400


def test_the_callbacks_work_with_a_trainer_of_ones_own(data_dir, tmp_path, capfd):
    callbacks = [Evaluation(dirpath=str(tmp_path)), Figures(dirpath=str(tmp_path))]
    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False)
    trainer = pl.Trainer(callbacks=callbacks, limit_test_batches=1, **quiet)
    (metrics,) = trainer.test(DigitModule(MLP([16])), DigitDataModule(data_dir=data_dir), verbose=False)
    assert json.loads((tmp_path / "test.json").read_text())["accuracy"] == pytest.approx(metrics["test/acc"])
    assert "Test on 1,000 images of MNIST" in capfd.readouterr().out
    assert (tmp_path / "test-confusion.png").is_file()
    assert len(trainer.callbacks) == 3
