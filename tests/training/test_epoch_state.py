"""A run that was stopped, and gone on with, is the run that was left alone: to the last bit."""

import pytest
import torch
from helpers import SHORT, metrics, stop_at

ONE_CYCLE = ["--model.lr_scheduler=OneCycleLR", "--model.lr_scheduler.max_lr=0.01"]
PLATEAU = [
    *("--model.lr_scheduler=ReduceLROnPlateau", "--model.lr_scheduler.monitor=val/loss"),
    *("--model.lr_scheduler.patience=0", "--model.lr_scheduler.threshold=0.5"),
]
EMA = "{class_path: EMAWeightAveraging, init_args: {decay: 0.9}}"
KEYS = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "history")


def differences(one, other, place=""):
    """Where two parts of checkpoints differ."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [place]
    if isinstance(one, dict):
        keys = [f"{place}: {one.keys() ^ other.keys()}"] if one.keys() != other.keys() else []
        return keys or [found for key in one for found in differences(one[key], other[key], f"{place}/{key}")]
    if isinstance(one, (list, tuple)):
        return differences(dict(enumerate(one)), dict(enumerate(other)), place)
    return [] if one == other else [f"{place}: {one} {other}"]


def compare(run, other, keys=KEYS):
    assert metrics(run) == metrics(other)
    for name in ("last", "best"):
        one, two = (torch.load(f"{path}/checkpoints/{name}.ckpt", weights_only=True) for path in (run, other))
        parts = ({key: checkpoint.get(key) for key in keys} for checkpoint in (one, two))
        assert differences(*parts, name) == []
        assert (one["epoch"], one["global_step"]) == (two["epoch"], two["global_step"])


@pytest.fixture
def check(tmp_path, monkeypatch, mnist):
    """Trains 3 epochs of 40 batches without a stop, and with stops after some steps; compares the two."""
    monkeypatch.chdir(tmp_path)

    def check(*options, steps, callbacks=(), kind="StopAt"):
        fit = [
            *(
                "fit",
                *SHORT,
                "--trainer.max_epochs=3",
                "--trainer.limit_val_batches=3",
                "--model.net.hidden_sizes=[32]",
            ),
            *(
                "--model.net.dropout=0.3",
                "--test_after_fit=false",
                "--figures=null",
                "--trainer.logger=false",
                *options,
            ),
            "--data.augment=[{class_path: kornia.augmentation.RandomAffine, init_args: {degrees: 10.0}}]",
        ]
        assert mnist(*fit, f"--trainer.callbacks=[{', '.join(callbacks)}]") == 0
        stopped = ", ".join([*callbacks, stop_at(*steps, kind=kind)])
        statuses = [mnist(*fit, f"--trainer.callbacks=[{stopped}]")]
        statuses += [mnist("fit", "--ckpt_path", "last") for _ in steps]
        assert statuses == [143] * len(steps) + [0]
        compare("lightning_logs/version_0", f"lightning_logs/version_{len(steps) + 1}")

    return check


def test_a_run_stopped_in_an_epoch_and_at_the_end_of_one_equals_one_that_was_left_alone(check):
    check(*ONE_CYCLE, "--data.num_workers=2", steps=(33, 80), callbacks=[EMA])


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(40,), (41,), (33, 34, 90)])
@pytest.mark.parametrize(
    "options",
    [
        [],
        ONE_CYCLE,
        PLATEAU,
        [*ONE_CYCLE, "--data.num_workers=2"],
        [*ONE_CYCLE, "--short_steps=false"],
        [*ONE_CYCLE, "--trainer.val_check_interval=0.5"],
        ["--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size=1"],
        ["--trainer.check_val_every_n_epoch=2"],
    ],
    ids=lambda options: " ".join(option.partition("=")[0].rpartition(".")[2] for option in options),
)
def test_whatever_the_settings_a_resumed_run_equals_one_that_was_left_alone(check, options, steps):
    check(*options, steps=steps)


@pytest.mark.slow
@pytest.mark.parametrize(("options", "steps"), [([], (40,)), (["--trainer.val_check_interval=0.5"], (60,))])
def test_a_validation_that_has_begun_is_finished_before_the_run_stops(check, options, steps):
    check(*options, *ONE_CYCLE, steps=steps, kind="StopInValidation")


@pytest.mark.slow
def test_accumulated_gradients_are_not_lost(check):
    check(*ONE_CYCLE, "--trainer.accumulate_grad_batches=4", steps=(8, 22))
