"""One small trained run on real digits, and the command line as a function: the fixtures of all tests."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from helpers import ROOT, RUN, SHORT

from mnist_cli.__main__ import main
from mnist_cli.command.parts import PARTS
from mnist_cli.command.process import prepare
from mnist_cli.data.sources import prepare_digits, read_digits
from mnist_cli.use.reader import Reader, load_reader

prepare()  # what the installed command sets for speed; it also imports Lightning, which keeps the stderr of that time


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], object]], Path]:
    """Makes a folder and fills it, from within it, once for all processes that share the tests."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def make(name: str, fill: Callable[[], object]) -> Path:
        with FileLock(root / f"{name}.lock"):
            if not (root / f"{name}.made").exists():
                shutil.rmtree(root / name, ignore_errors=True)  # what a worker left that failed
                (root / name).mkdir()
                with contextlib.chdir(root / name):
                    fill()
                (root / f"{name}.made").touch()
        return root / name

    return make


@pytest.fixture(scope="session")
def data_dir(made_once) -> str:
    """Real MNIST, unpacked once for all tests."""
    return str(made_once("data", lambda: prepare_digits("MNIST", ".")))


@pytest.fixture(scope="session")
def test_digits(data_dir: str) -> tuple[torch.Tensor, torch.Tensor]:
    return read_digits("MNIST", data_dir, train=False)


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch, data_dir: str) -> Callable[..., int]:
    """Runs `mnist` in this process; options that the test does not care about are kept short, and figures left out."""
    monkeypatch.setattr(sys, "argv", ["mnist"])

    def run(*args: str, figures: bool = False) -> int:
        options = list(args)
        if not figures and "figures" not in str(args):
            for name in ("figures", "batch_log"):  # drawing takes a second, and a tenth of a short fit
                if name in PARTS and args[0] in PARTS[name].commands and name not in str(args):
                    options.append(f"--{name}=null")
        if "--config" not in options or "fit" in options:
            options += ["--data.data_dir", data_dir]
        return main(options)

    return run


@pytest.fixture(scope="session")
def trained(made_once, data_dir: str) -> Path:
    """Working directory with one finished run of two short epochs, lightning_logs/version_0."""

    def fit() -> None:
        assert main(["fit", *SHORT, "--trainer.max_epochs", "2", "--data.data_dir", data_dir]) == 0

    return made_once("trained", fit)


@pytest.fixture
def workplace(trained, tmp_path, monkeypatch):
    """A copy of the finished run to work on."""
    shutil.copytree(trained / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def good_run(made_once, data_dir: str) -> Path:
    """Working directory with one run of a network that reads well: 1.6 s of training."""

    def fit() -> None:
        options = ["--test_after_fit=false", "--figures=null", "--trainer.enable_progress_bar=false"]
        options += ["--trainer.precision=32-true"]  # without AVX-512, bf16 takes a processor ten times as long
        recipe = str(ROOT / "configs/speedrun.yaml")
        assert main(["fit", "--config", recipe, *options, "--data.data_dir", data_dir]) == 0

    return made_once("good_run", fit)


@pytest.fixture(scope="session")
def reader(good_run: Path) -> Reader:
    return load_reader(good_run / RUN)
