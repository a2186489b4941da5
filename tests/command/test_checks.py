"""What cannot work is said before anything is made."""

import json
import os
import platform
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import QUICK, RUN

from mnist_cli.command.checks import METRICS

STEPS, CYCLE = "--model.lr_scheduler=StepLR", "--model.lr_scheduler=OneCycleLR --model.lr_scheduler.max_lr=0.01"
AUGMENT = "--data.augment=[{class_path: %s, init_args: {%s}}]"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--early_stopping.monitor=val_acc", "there is no metric 'val_acc'; did you mean val/acc?"),
        ("--checkpoint.monitor=best", "there is no metric 'best'; did you mean val/loss?"),
        ("--trainer.callbacks+=Timer --checkpoint.monitor=val", "there is no metric 'val'; did you mean val/acc?"),
        ("--trainer.callbacks+=ModelCheckpoint --trainer.callbacks.monitor=x", "ModelCheckpoint.monitor: there is no"),
        (
            "--model.lr_scheduler=ReduceLROnPlateau --model.lr_scheduler.monitor=v",
            "--model.lr_scheduler.monitor: there",
        ),
        ("--checkpoint.monitor=train/loss --trainer.val_check_interval=0.5", "it would be an epoch old"),
        ("--trainer.callbacks+=LearningRateFinder", "leave it out and give --model.optimizer.lr."),
        ("--trainer.limit_train_batches=0", "there would be nothing to fit with"),
        ("--trainer.limit_test_batches=0", "leave it out with --test_after_fit false"),
        ("--evaluation.name=../up", "give a plain name"),
        ("--data.images=7.png", "--data.images: fit reads the data set; pictures are read by `mnist predict`."),
        ("--early_stopping.patience=-1", "--early_stopping.patience -1: give at least 0."),
        ("--early_stopping.min_delta=-0.1", "--early_stopping.min_delta -0.1: give at least 0."),
        ("--trainer.accumulate_grad_batches=-1", "--trainer.accumulate_grad_batches -1: give at least 1."),
        ("--trainer.gradient_clip_val=-1", "--trainer.gradient_clip_val -1: give at least 0."),
        ("--trainer.max_epochs=0", "--trainer.max_epochs 0: give at least 1, or -1 for no limit."),
        ("--trainer.max_epochs=-2", "--trainer.max_epochs -2: give at least 1, or -1 for no limit."),
        ("--trainer.max_steps=0", "--trainer.max_steps 0: give at least 1, or -1 for no limit."),
        ("--trainer.max_time=00:00:00:00", "--trainer.max_time 00:00:00:00: there would be no time to train"),
        ("--trainer.max_time={hours: 0}", "there would be no time to train"),
        ("--trainer.val_check_interval=0", "--trainer.val_check_interval 0: there would be no time to train"),
        ("--trainer.val_check_interval=0.0", "--trainer.val_check_interval 0.0: there would be no time to train"),
        ("--trainer.devices=99 --trainer.accelerator=cpu", "--trainer.devices 99: this machine has"),
        ("--trainer.devices=0", "--trainer.devices 0: give their number, of at least 1, or auto."),
        ("--trainer.devices=[]", "--trainer.devices []: give their number, of at least 1, or auto."),
        ("--trainer.devices=-2", "--trainer.devices -2: give their number, of at least 1, or auto."),
        ("--trainer.accelerator=cpu --trainer.devices=0,1", "--trainer.devices 0,1: on the CPU give a number of"),
        ("--trainer.devices=two", "--trainer.devices two: give their number, of at least 1, or auto."),
        ("--trainer.accelerator=gpuu", "--trainer.accelerator gpuu: expected cpu, cuda, mps, tpu, auto or gpu; give"),
        ("--trainer.accelerator=tpu", "--trainer.accelerator tpu: this machine has none; use cpu or auto."),
        ("--trainer.accelerator=TPU", "--trainer.accelerator TPU: this machine has none; use cpu or auto."),
        ("--trainer.accelerator=CPU --trainer.precision=16", "16: a CPU trains in bfloat16; give bf16-mixed."),
        (
            "--trainer.accelerator=cpu --trainer.precision=16-true",
            "16-true: a CPU trains in bfloat16; give bf16-mixed.",
        ),
        ("--trainer.accelerator=cpu --trainer.precision=transformer-engine", "it needs an NVIDIA GPU and the package"),
        ("--trainer.accelerator=cpu --trainer.precision=16-mixed", "16-mixed: a CPU trains in bfloat16; give"),
        ("--trainer.strategy=dpp", "--trainer.strategy dpp: there is no such strategy; did you mean ddp?"),
        (
            "--model.optimizer=SGD --model.optimizer.momentum=-1",
            "model.optimizer: Invalid momentum value: -1.0; change",
        ),
        ("--model.optimizer.lr=-1", "model.optimizer: Invalid learning rate: -1.0; change its arguments."),
        ("--ckpt_path=", "--ckpt_path is empty; give best, last, a run or a file, or leave it out."),
        ("--data.num_workers=100000", "--data.num_workers 100000: this machine has"),
        ("--data.num_workers=-1", "data.num_workers: expected a whole number"),
        (
            "--data.batch_size=12345678901234567890",
            "--data.batch_size 12345678901234567890: the number is too large",
        ),
        ("--data.split_seed=12345678901234567890123", "the number is too large"),
        ("--data.val_size=1", "data.val_size 1.0: of 60,000 images it leaves none for training"),
        ("--figures.per_class=-1", "figures.per_class: expected a whole number of at least 1"),
        ("--model.optimizer.lr=.nan", "--model.optimizer.lr nan: this is not a number"),
        (
            f"{STEPS} --model.lr_scheduler.step_size=0",
            "StepLR(step_size=0, gamma=0.1, last_epoch=-1) cannot take a step",
        ),
        (f"{CYCLE} --model.lr_scheduler.total_steps=3", "total_steps 3: the run has 7,500 steps"),
        ("--model.net.hidden_sizes=[100000000]", "the weights of this MLP need 318 GB of memory"),
        ("--model.net.hidden_sizes=[1000000000000,1000000000000]", "need billions of GB of memory"),
        ("--model.net=CNN --model.net.crop=14", "model.net.crop 14: it leaves no pixel of the 28 x 28; give less."),
        ("--model.net=CNN --model.net.crop=13", "they leave no pixel of the image; use fewer."),
        (
            "--model.net.batch_norm=true --data.batch_size=1",
            "data.batch_size 1: a batch of an epoch has a single image",
        ),
        (
            "--model.net.batch_norm=true --data.val_size=0.99 --data.batch_size=599",
            "has a single image, and batch_norm cannot train on one",
        ),
        ("--early_stopping.monitor=", "--early_stopping.monitor: there is no metric ''; did you mean"),
        ("--model.optimizer.lr={a: 1}", "model.optimizer.lr: expected"),
        ("--trainer.num_nodes=100000", "--trainer.num_nodes 100000: it would wait for processes that nobody starts"),
        (
            "--trainer.limit_test_batches=0.01",
            "--trainer.limit_test_batches 0.01: the test set has 10 batches, so this",
        ),
        ("--trainer.limit_val_batches=0.01", "--trainer.limit_val_batches: You requested to check 0.01 of the"),
        ("--model.tta=28", "model.tta 28: expected affine or a number of pixels from 0 to 27."),
        ("--model.net.dropout=-1", "these settings do not work: dropout probability has to be between 0 and 1"),
        (AUGMENT % ("torch.nn.Linear", "in_features: 2, out_features: 2"), "data.augment: Linear cannot be used ("),
        (AUGMENT % ("kornia.augmentation.RandomCrop", "size: [20, 20]"), "it makes (2, 1, 20, 20)"),
    ],
)
def test_it_is_one_sentence_and_leaves_no_run(option, says, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--trainer.enable_progress_bar=false", *re.split(r" (?=--)", option)) == 2
    said = capfd.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.name != "lightning_logs" or list(path.iterdir())]


@pytest.mark.parametrize(
    "option",
    [
        "--trainer.callbacks+=Timer",
        AUGMENT % ("torch.nn.Linear", "in_features: 28, out_features: 28"),
        "--model.net.batch_norm=true --data.val_size=0.99 --data.batch_size=598",
    ],
)
def test_what_is_odd_and_can_work_works(option, tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, *re.split(r" (?=--)", option), figures="augment" in option) == 0
    assert (RUN / "figures/samples.png").exists() == ("augment" in option)
    assert (RUN / "test.json").exists()


@pytest.mark.parametrize(("capability", "says"), [("AVX2", True), ("AVX512", False)])
def test_bfloat16_on_a_processor_without_it_works_and_is_said_to_be_slow(
    capability, says, tmp_path, monkeypatch, mnist, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert mnist("fit", *QUICK, "--trainer.accelerator=cpu", "--trainer.precision=bf16-mixed") == 0
    sentence = "--trainer.precision bf16-mixed: this processor computes bfloat16 piece by piece; 32-true is several"
    assert (sentence in capfd.readouterr().out) == says


@pytest.mark.parametrize(("command", "name"), [("validate", "val"), ("test", "test"), ("predict", "predict")])
def test_a_command_without_images_is_refused(command, name, workplace, mnist, capfd):
    assert mnist(command, f"--trainer.limit_{name}_batches=0") == 2
    assert f"--trainer.limit_{name}_batches 0: there would be nothing to {command} with" in capfd.readouterr().err


def test_labels_of_the_test_set_are_checked_before_training(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    zeros = np.zeros((20, 28, 28), np.uint8)
    np.savez("odd.npz", x_train=zeros, y_train=np.arange(20) % 10, x_test=zeros, y_test=np.arange(20))
    assert mnist("fit", "--data.dataset=odd.npz", "--trainer.enable_progress_bar=false") == 2
    assert "the labels of odd.npz go from 0 to 19; they must be in 0..9." in capfd.readouterr().err
    assert not list(Path("lightning_logs").iterdir())


def test_every_metric_that_is_named_can_be_monitored(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    for name in METRICS:
        quick = [*QUICK, "--trainer.limit_train_batches=2", "--test_after_fit=false"]
        assert mnist("fit", *quick, f"--early_stopping.monitor={name}") == 0


def test_a_network_that_cannot_be_trained_in_the_memory_is_refused(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    width = there // (4 * 795 * 3)  # three times its weights would fit: enough for SGD, not for Adam
    assert mnist("fit", f"--model.net.hidden_sizes=[{width}]", "--trainer.enable_progress_bar=false") == 2
    assert "the weights of this MLP with their gradients and averages need" in capfd.readouterr().err


def test_a_threshold_without_end_is_text_in_the_record(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    options = ["--early_stopping.divergence_threshold=.inf", "--figures=null", "--test_after_fit=false"]
    assert mnist("fit", *QUICK, *options) == 0
    text = (RUN / "run.json").read_text()
    assert "Infinity" not in text
    assert json.loads(text)["settings"]["early_stopping"]["init_args"]["divergence_threshold"] == "inf"
