"""What only a GPU can show; skipped where there is none."""

import pytest
import torch
from helpers import RUN, SHORT, metrics

from mnist_cli.data.datamodule import DigitDataModule
from mnist_cli.model.module import DigitModule
from mnist_cli.training.short_steps import EpochLoop

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
CNN = ["--model.net=CNN", "--model.net.channels=[8,16]", "--model.net.batch_norm=true"]
DISTORTED = [
    "--data.augment=[{class_path: mnist_cli.RandomAddedStrokes, init_args: {flag: 0.5, slash: 0.5}}, "
    "{class_path: mnist_cli.RandomDistortion, init_args: {degrees: 10.0, elastic_px: 0.7, stroke: 0.4}}]"
]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fitted(mnist, *options, figures=False):
    """Metrics of the last epoch of a short fit, and the weights."""
    assert mnist("fit", *SHORT, *CNN, "--trainer.accelerator=gpu", *options, figures=figures) == 0
    state = torch.load("lightning_logs/version_0/checkpoints/last.ckpt", map_location="cpu", weights_only=True)
    return [row for row in metrics() if row["val/acc"]][-1], state["state_dict"]


def test_a_network_learns_on_distorted_digits_and_is_used_on_the_cpu(mnist, capfd):
    found, _ = fitted(mnist, *DISTORTED, figures=True)
    assert float(found["val/acc"]) > 0.8
    assert (RUN / "figures/samples.png").is_file()
    out, err = capfd.readouterr()
    assert "CUDA" not in out + err
    assert mnist("test", "--trainer.accelerator=cpu", "--figures=null") == 0
    assert mnist("predict", "--trainer.accelerator=gpu", "--trainer.limit_predict_batches=1") == 0


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_short_way_and_images_on_the_gpu_change_no_result(mnist, tmp_path, monkeypatch, precision):
    found, ways = [], []
    is_plain, place = EpochLoop._is_plain, DigitDataModule._place
    monkeypatch.setattr(EpochLoop, "_is_plain", lambda loop: ways.append(is_plain(loop)) or ways[-1])
    monkeypatch.setattr(
        DigitDataModule, "_place", lambda data, digits: ways.append(place(data, digits).images.is_cuda) or digits
    )
    for name, options in (("a", []), ("b", ["--short_steps=false"]), ("c", ["--data.on_device=false"])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found.append(fitted(mnist, f"--trainer.precision={precision}", "--trainer.deterministic=true", *options))
    assert ways == [True, True, True, False, True]  # images there and the short way; images alone; the short way alone
    for numbers, weights in found[1:]:
        assert numbers == found[0][0]
        assert all(torch.equal(weights[name], found[0][1][name]) for name in weights)


@pytest.mark.parametrize("mode", ["true", "reduce-overhead"])
def test_a_compiled_network_is_trained_tested_and_goes_on(mnist, mode):
    found, _ = fitted(mnist, f"--model.compile={mode}", "--trainer.precision=bf16-mixed")
    assert float(found["val/acc"]) > 0.8
    assert mnist("test", "--figures=null", "--trainer.accelerator=gpu") == 0
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--figures=null") == 0


def test_a_run_that_was_interrupted_draws_the_same_numbers(mnist, tmp_path, monkeypatch):
    states = []
    for name, epochs in (("whole", [2]), ("in two", [1, 2])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        options = [*DISTORTED, "--trainer.deterministic=warn", "--early_stopping=null"]
        fitted(mnist, *options, f"--trainer.max_epochs={epochs[0]}")
        if len(epochs) > 1:
            assert mnist("fit", "--ckpt_path=last", f"--trainer.max_epochs={epochs[1]}", "--figures=null") == 0
        saved = tmp_path.glob(f"{name}/lightning_logs/*/checkpoints/last.ckpt")
        last = max(saved, key=lambda path: path.stat().st_mtime)
        states.append(torch.load(last, map_location="cpu", weights_only=True)["state_dict"])
    for name, weights in states[0].items():
        torch.testing.assert_close(weights, states[1][name], atol=1e-3, rtol=1e-3)


def test_the_module_moves_to_the_gpu_and_back():
    from mnist_cli import CNN as Net

    module, images = DigitModule(Net([8, 16])).eval(), torch.rand(5, 1, 28, 28)
    with torch.no_grad():
        there = module.cuda()(images.cuda()).cpu()
        here = module.cpu()(images)
    torch.testing.assert_close(there, here, atol=1e-2, rtol=1e-2)  # TF32
