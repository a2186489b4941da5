"""Settings that do not agree with the run, or with one another: refused, or said."""

import json
import re
from pathlib import Path

import pytest
from helpers import QUICK, RUN

STEPS = ["--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size=1"]
CYCLE = "--model.lr_scheduler=OneCycleLR --model.lr_scheduler.max_lr=0.01"


@pytest.mark.parametrize(
    ("command", "option", "says"),
    [
        (
            "validate",
            "--data.val_size=0.5",
            "--data.val_size 0.5: the checkpoint was trained with 0.2, so",
        ),
        ("validate", "--data.split_seed=7", "--data.split_seed 7: the checkpoint was trained with 42, so"),
        ("fit", "--ckpt_path=last --trainer.max_epochs=3 --data.split_seed=7", "the checkpoint was trained with 42"),
        ("test", "--model.mean=0.5", "--model.mean 0.5: the checkpoint has its own, 0.1307"),
        ("test", "--model.std=0.5", "--model.std 0.5: the checkpoint has its own, 0.3081"),
    ],
)
def test_what_the_run_has_settled_is_not_changed(command, option, says, workplace, mnist, capfd):
    assert mnist(command, *option.split()) == 2
    assert says in capfd.readouterr().err
    assert not (RUN / "validate.json").exists()


def test_a_run_with_a_schedule_goes_on_with_its_settings(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    quick = [*QUICK, "--trainer.limit_train_batches=2", "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", *quick, *STEPS) == 0
    more = ["fit", "--ckpt_path=last", "--trainer.max_epochs=2"]
    for option, value in (("optimizer.lr", 0.5), ("lr_scheduler.gamma", 0.5)):
        assert mnist(*more, f"--model.{option}={value}") == 2
        assert f"--model.{option} {value}: a run with a schedule goes on with" in capfd.readouterr().err
    assert mnist(*more) == 0


def test_a_test_on_another_data_set_stands_beside_the_runs_own(workplace, mnist, capfd):
    before = (RUN / "test.json").read_bytes(), (RUN / "figures/test-confusion.png").read_bytes()
    assert mnist("test", "--data.dataset=MNIST-NumPy", "--trainer.limit_test_batches=1", figures=True) == 0
    assert f"written to {RUN}/test-MNIST-NumPy.json" in capfd.readouterr().out
    report = json.loads((RUN / "test-MNIST-NumPy.json").read_text())
    assert (report["dataset"], report["changed"]) == ("MNIST-NumPy", {"dataset": "MNIST-NumPy"})
    assert (RUN / "figures/test-MNIST-NumPy-confusion.png").exists()
    assert before == ((RUN / "test.json").read_bytes(), (RUN / "figures/test-confusion.png").read_bytes())


def test_a_test_of_another_network_than_the_runs_says_so(workplace, mnist, capfd):
    options = ["--model.net.activation=sigmoid", "--trainer.limit_test_batches=1", "--figures=null"]
    assert json.loads((RUN / "test.json").read_text())["changed"] == {}
    assert mnist("test", *options) == 0
    assert "with other settings than the run's: net.activation sigmoid\n" in capfd.readouterr().out
    assert json.loads((RUN / "test.json").read_text())["changed"] == {"net.activation": "sigmoid"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            f"{CYCLE} --model.optimizer.lr=0.001",
            "--model.optimizer.lr 0.001 has no effect: OneCycleLR sets the",
        ),
        (
            f"{CYCLE} --model.optimizer=SGD --model.optimizer.momentum=0.5",
            "momentum 0.5 has no effect: OneCycleLR",
        ),
        (f"{CYCLE} --model.optimizer.betas=[0.5,0.9]", "betas [0.5, 0.9] has no effect: OneCycleLR sets"),
        (f"{CYCLE} --model.optimizer.betas=[0.5,0.9] --model.lr_scheduler.cycle_momentum=false", ""),
        (CYCLE, ""),
        ("--model.optimizer.lr=0.001", ""),
        ("--model.loss=mse --model.label_smoothing=0.1", "label_smoothing 0.1 has no effect: only cross_entropy"),
    ],
)
def test_a_setting_without_effect_is_said_in_one_line(options, says, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    quick = ["--trainer.fast_dev_run=true", "--trainer.enable_progress_bar=false", "--test_after_fit=false"]
    assert mnist("fit", *quick, *re.split(r" (?=--)", options)) == 0
    said = [line for line in capfd.readouterr().err.splitlines() if "has no effect" in line]
    assert len(said) == bool(says)
    assert says in "".join(said)


def test_the_config_of_a_run_names_the_run(workplace, mnist, capfd):
    Path("lightning_logs/version_0").rename("lightning_logs/version_7")
    old = Path("lightning_logs/version_3")
    old.mkdir()
    for path in ("config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        (old / path).parent.mkdir(exist_ok=True)
        (old / path).write_bytes((Path("lightning_logs/version_7") / path).read_bytes())
    quick = ["--config", str(old / "config.yaml"), "--trainer.limit_test_batches=1", "--figures=null"]
    for more, file in (([], "best"), (["--ckpt_path=last"], "last"), (["--ckpt_path=best"], "best")):
        assert mnist("test", *quick, *more) == 0
        assert f"Checkpoint {old}/checkpoints/{file}.ckpt" in capfd.readouterr().err
    assert (old / "test.json").exists()
