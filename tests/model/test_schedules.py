"""Schedules of Python code span the run as those of the command line do, whatever makes them."""

from functools import partial
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from helpers import QUICK, metrics
from torch.optim import Adam
from torch.optim.lr_scheduler import LinearLR, OneCycleLR

from mnist_cli import MLP, DigitDataModule, DigitModule
from mnist_cli.model.schedules import make_schedule


@pytest.mark.parametrize(
    "make",
    [
        partial(OneCycleLR, max_lr=0.1),
        partial(OneCycleLR, max_lr=0.1, epochs=2, steps_per_epoch=5),
        lambda optimizer: OneCycleLR(optimizer, 0.1, total_steps=10),
    ],
    ids=["filled in", "epochs", "lambda"],
)
def test_one_cycle_steps_after_each_batch_whoever_makes_it(data_dir, make):
    module, rates = DigitModule(MLP([16]), lr_scheduler=make), []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False)
    trainer = pl.Trainer(max_epochs=2, limit_train_batches=5, limit_val_batches=0, callbacks=[Rates()], **quiet)
    trainer.fit(module, DigitDataModule(data_dir=data_dir))
    assert len(set(rates)) == 10
    assert max(rates) == pytest.approx(0.1, rel=0.2)
    assert rates[-1] < 0.02


def test_a_default_that_is_a_number_of_steps_stays():
    trainer = SimpleNamespace(max_epochs=20, estimated_stepping_batches=200)
    make_adam = partial(Adam, lr=0.1)
    optimizer = make_adam([torch.nn.Parameter(torch.zeros(1))])
    made = make_schedule(partial(LinearLR, start_factor=0.5), "epoch", optimizer, make_adam, trainer)
    assert (made["scheduler"].total_iters, made["interval"]) == (5, "epoch")


PLATEAU = ["--model.lr_scheduler=ReduceLROnPlateau", "--model.lr_scheduler.monitor=val/loss"]
PLATEAU += ["--model.lr_scheduler.patience=0", "--model.lr_scheduler.threshold=0.99", "--figures=null"]


def test_a_plateau_of_the_validation_is_looked_for_where_there_is_one(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    options = ["--trainer.max_epochs=6", "--trainer.check_val_every_n_epoch=2", "--test_after_fit=false"]
    assert mnist("fit", *QUICK, *PLATEAU, *options) == 0
    rates = [float(row["lr"]) for row in metrics()]
    assert rates[:4] == [rates[0]] * 4
    assert rates[4] == pytest.approx(rates[0] / 10)


@pytest.mark.parametrize("off", ["--data.val_size=0", "--trainer.limit_val_batches=0"])
def test_without_validation_no_schedule_can_follow_it(tmp_path, monkeypatch, mnist, capfd, off):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, *PLATEAU, off) == 2
    assert "--model.lr_scheduler.monitor val/loss: nothing is validated" in capfd.readouterr().err
