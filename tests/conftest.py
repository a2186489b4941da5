"""One small trained run on real digits, and the command line as a function."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # two threads in each of two processes wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")  # as the installed command sets it

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import ROOT, RUN, SHORT

from mnist_cli.__main__ import main
from mnist_cli.command.process import prepare
from mnist_cli.data.sources import prepare_digits, read_digits
from mnist_cli.use.reader import Reader, load_reader

prepare()  # what the installed command sets for speed; it also imports Lightning, which keeps the stderr of that time


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Real MNIST, unpacked once for all tests."""
    folder = str(tmp_path_factory.mktemp("data"))
    prepare_digits("MNIST", folder)
    return folder


@pytest.fixture(scope="session")
def test_digits(data_dir: str) -> tuple[torch.Tensor, torch.Tensor]:
    return read_digits("MNIST", data_dir, train=False)


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch, data_dir: str) -> Callable[..., int]:
    """Runs `mnist` in this process; options that the test does not care about are kept short, and figures left out."""
    monkeypatch.setattr(sys, "argv", ["mnist"])

    def run(*args: str, figures: bool = False) -> int:
        options = list(args)
        if not figures and args[0] in ("fit", "validate", "test") and "figures" not in str(args):
            options.append("--figures=null")  # drawing them takes a second
        if "--config" not in options or "fit" in options:
            options += ["--data.data_dir", data_dir]
        return main(options)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, data_dir: str) -> Path:
    """Working directory with one finished run of two short epochs, lightning_logs/version_0."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["fit", *SHORT, "--trainer.max_epochs", "2", "--data.data_dir", data_dir]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def workplace(trained, tmp_path, monkeypatch):
    """A copy of the finished run to work on."""
    shutil.copytree(trained / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def good_run(tmp_path_factory: pytest.TempPathFactory, data_dir: str) -> Path:
    """Working directory with one run of a network that reads well: 1.6 s of training."""
    folder = tmp_path_factory.mktemp("good")
    before = Path.cwd()
    os.chdir(folder)
    try:
        options = ["--test_after_fit=false", "--figures=null", "--trainer.enable_progress_bar=false"]
        options += ["--trainer.precision=32-true"]  # without AVX-512, bf16 takes a processor ten times as long
        assert (
            main(["fit", "--config", str(ROOT / "configs/speedrun.yaml"), *options, "--data.data_dir", data_dir]) == 0
        )
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="session")
def reader(good_run: Path) -> Reader:
    return load_reader(good_run / RUN)
