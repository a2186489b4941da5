"""What makes training fast changes nothing of what Lightning promises."""

import re
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from helpers import SHORT, events

from mnist_cli.data.batches import to_floats
from mnist_cli.data.datamodule import DigitDataModule
from mnist_cli.model.module import DigitModule
from mnist_cli.model.networks import MLP
from mnist_cli.training.short_steps import shorten_steps

OFF = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False)


def train(
    data_dir,
    tmp_path,
    *,
    batch_size=64,
    steps=20,
    callbacks=(),
    model=None,
    short=True,
    **kwargs,
):
    """A module after some steps on real digits, and its trainer; the order of the digits is that of seed 0."""
    torch.manual_seed(0)
    module = DigitModule(MLP([32]), **{"optimizer": lambda params: torch.optim.SGD(params, lr=0.1), **(model or {})})
    data = DigitDataModule(data_dir=data_dir, batch_size=batch_size)
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        limit_train_batches=steps,
        limit_val_batches=0,
        callbacks=list(callbacks),
        **{"max_epochs": 1, **OFF, **kwargs},
    )
    if short:
        shorten_steps(trainer)
    torch.manual_seed(1)
    trainer.fit(module, data)
    return module, trainer


class Batches(pl.Callback):
    """Keeps the batches as the network gets them."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append(batch)


def test_a_fit_takes_the_very_steps_of_a_plain_loop(data_dir, tmp_path):
    batches = Batches()
    make = {"fused": True, "lr": 1e-3}
    module, _ = train(
        data_dir, tmp_path, callbacks=[batches], model={"optimizer": lambda p: torch.optim.Adam(p, **make)}
    )
    torch.manual_seed(0)
    net = MLP([32])
    optimizer = torch.optim.Adam(net.parameters(), **make)
    assert len(batches.seen) == 20
    for images, labels in batches.seen:
        optimizer.zero_grad()
        F.cross_entropy(net((images - 0.1307) / 0.3081), labels).backward()
        optimizer.step()
    for ours, plain in zip(module.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)


def test_accumulated_batches_are_one_large_batch(data_dir, tmp_path):
    small, trainer = train(data_dir, tmp_path, batch_size=32, steps=20, accumulate_grad_batches=4)
    large, _ = train(data_dir, tmp_path, batch_size=128, steps=5)
    assert trainer.global_step == 5
    for ours, plain in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)


def test_gradients_are_clipped(data_dir, tmp_path):
    torch.manual_seed(0)
    start = MLP([32]).state_dict()
    module, _ = train(data_dir, tmp_path, steps=3, gradient_clip_val=0.01)
    moved = torch.cat([(value - start[name]).flatten() for name, value in module.net.state_dict().items()]).norm()
    assert 0.0015 < moved < 3 * 0.1 * 0.01 + 1e-6


def note(hook):
    def called(self, trainer, module, *args):
        arguments = re.sub(r", grad_fn=<\w+>", "", str(args))  # Lightning divides the loss by one
        self.notes.append((hook, module._current_fx_name, arguments))

    return called


class Diary(pl.Callback):
    """Notes which hooks of a step are called, and what they are given."""

    def __init__(self):
        self.notes = []

    on_train_batch_start = note("on_train_batch_start")
    on_before_zero_grad = note("on_before_zero_grad")
    on_before_backward = note("on_before_backward")
    on_after_backward = note("on_after_backward")
    on_before_optimizer_step = note("on_before_optimizer_step")
    on_train_batch_end = note("on_train_batch_end")


def nobody():
    return pl.Callback()


def average():
    return pl.callbacks.EMAWeightAveraging(decay=0.9)


def swa():
    return pl.callbacks.StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)


@pytest.mark.parametrize(
    ("precision", "other"), [("32-true", nobody), ("bf16-mixed", nobody), ("32-true", average), ("32-true", swa)]
)
def test_the_short_way_is_lightnings_way(data_dir, tmp_path, precision, other):
    found = []
    for short in (True, False):
        diary = Diary()
        one_cycle = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=0)
        module, trainer = train(
            data_dir,
            tmp_path,
            short=short,
            callbacks=[diary, other()],
            model={"lr_scheduler": None if other is swa else one_cycle},
            max_epochs=2,
            precision=precision,
        )
        assert getattr(trainer.fit_loop.epoch_loop, "_plain", False) is short
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        found.append((diary.notes, metrics, trainer.fit_loop.state_dict(), trainer.global_step, module.state_dict()))
    (*ours, our_weights), (*theirs, their_weights) = found
    assert ours == theirs
    assert len(ours[0]) == 6 * 20 * 2
    assert all(torch.equal(our_weights[name], their_weights[name]) for name in their_weights)


@pytest.mark.parametrize(
    "settings", [{"gradient_clip_val": 1.0}, {"accumulate_grad_batches": 2}, {"profiler": "simple"}]
)
def test_what_is_not_plain_goes_lightnings_way(data_dir, tmp_path, settings):
    _, trainer = train(data_dir, tmp_path, steps=2, **settings)
    assert not trainer.fit_loop.epoch_loop._plain


def test_an_optimizer_that_steps_several_times_gets_its_closure(data_dir, tmp_path):
    model = {"optimizer": lambda p: torch.optim.LBFGS(p, max_iter=3)}
    module, _ = train(data_dir, tmp_path, steps=2, model=model)
    slow, _ = train(data_dir, tmp_path, steps=2, model=model, short=False)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), slow.parameters(), strict=True))


def test_the_loss_of_single_steps_is_logged_as_often_as_asked(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert (
        mnist("fit", *SHORT, "--trainer.limit_val_batches=1", "--trainer.log_every_n_steps=10", "--figures=null") == 0
    )
    log = events("lightning_logs/version_0")
    assert [event.step for event in log.Scalars("train/loss_step")] == [9, 19, 29, 39]


@pytest.mark.parametrize(
    "options",
    [["--trainer.log_every_n_steps=0"], ["--trainer.log_every_n_steps=5", "--trainer.callbacks=LearningRateMonitor"]],
)
def test_however_often_steps_are_logged_metrics_have_a_row_an_epoch(tmp_path, monkeypatch, mnist, options):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=1", "--figures=null", *options) == 0
    text = Path("lightning_logs/version_0/metrics.csv").read_text()
    assert text.count("\n") == 3


def test_workers_train_the_same_network(data_dir, tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    quick = [
        "--trainer.limit_train_batches=5",
        "--trainer.limit_val_batches=1",
        "--test_after_fit=false",
        "--figures=null",
    ]
    for workers in ("0", "2"):
        assert mnist("fit", *SHORT, *quick, "--data.num_workers", workers) == 0
    states = [
        torch.load(f"lightning_logs/version_{n}/checkpoints/last.ckpt", weights_only=True)["state_dict"] for n in (0, 1)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_scaled_pixels_are_the_plain_formula(test_digits):
    module = DigitModule(MLP([]), mean=0.1307, std=0.3081)
    seen = []
    module.net.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0]))
    images = to_floats(test_digits[0][:50].unsqueeze(1))
    module(images)
    torch.testing.assert_close(seen[0], (images - 0.1307) / 0.3081, atol=2e-6, rtol=1e-5)
