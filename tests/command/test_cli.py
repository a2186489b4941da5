"""The application through its front door: real digits in, files out."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import QUICK, RUN, SHORT, metrics, rows, stop_at

from mnist_cli import __version__
from mnist_cli.__main__ import HELP, SUBCOMMANDS


def test_a_run_directory_explains_itself(trained):
    run = trained / "lightning_logs" / "version_0"
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {"config.yaml", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)


def test_metrics_have_a_row_an_epoch_and_the_test_last(trained):
    first, second, test = metrics(trained / "lightning_logs" / "version_0")
    for row in (first, second):
        assert all(float(row[name]) > 0 for name in ("train/loss", "train/acc", "val/loss", "val/acc", "lr"))
    assert float(test["test/acc"]) > 0.8
    assert float(test["test/loss"]) > 0


def test_nothing_in_a_checkpoint_is_executable(trained):
    content = torch.load(trained / "lightning_logs/version_0/checkpoints/best.ckpt", weights_only=True)
    assert content["hyper_parameters"]["net"]["class_path"] == "mnist_cli.MLP"
    assert content["datamodule_hyper_parameters"]["dataset"] == "MNIST"


@pytest.mark.parametrize(
    "wanted",
    ["best", "last", "version_0", "lightning_logs/version_0", "lightning_logs/version_0/checkpoints/last.ckpt"],
)
def test_a_new_process_tests_the_chosen_checkpoint(workplace, mnist, capfd, wanted):
    best = min(metrics()[:2], key=lambda row: float(row["val/loss"]))
    assert mnist("test", "--ckpt_path", wanted) == 0
    out, err = capfd.readouterr()
    assert f"of run version_0, after epoch {int(best['epoch']) if 'last' not in wanted else 2}" in err
    assert ("val/loss" in err) == ("last" not in wanted)
    if "last" not in wanted:
        assert f"accuracy {100 * float(metrics()[-1]['test/acc']):.2f} %" in out


def test_validate_repeats_the_figures_of_the_fit(workplace, capfd, mnist):
    best = min(metrics()[:2], key=lambda row: float(row["val/loss"]))
    assert mnist("validate", "--ckpt_path", "best") == 0
    assert f"accuracy {100 * float(best['val/acc']):.2f} %" in capfd.readouterr().out
    report = json.loads(Path("lightning_logs/version_0/validate.json").read_text())
    assert report["loss"] == pytest.approx(float(best["val/loss"]), rel=1e-6)


def test_the_seed_and_the_settings_repeat_a_run_exactly(workplace, mnist):
    assert mnist("fit", "--config", "lightning_logs/version_0/config.yaml") == 0
    assert metrics("lightning_logs/version_1") == metrics("lightning_logs/version_0")


def test_a_run_goes_on_from_its_last_checkpoint_and_from_its_best(workplace, mnist):
    more = ["--trainer.max_epochs=3", "--test_after_fit=false", "--figures=null"]
    for wanted in ("last", "lightning_logs/version_0", "lightning_logs/version_0/checkpoints/best.ckpt"):
        assert mnist("fit", "--ckpt_path", wanted, *more) == 0
    last, directory, best = (metrics(f"lightning_logs/version_{number}") for number in (1, 2, 3))
    assert last == directory
    for rows_of_run in (last, best):
        assert [row["epoch"] for row in rows_of_run] == ["1", "2", "3"]
        assert all(0 < float(row["train/loss"]) < 10 and float(row["val/loss"]) > 0 for row in rows_of_run)
    for row, resumed in zip(metrics(), last[:2], strict=False):
        assert resumed.items() <= row.items()


def test_a_run_in_the_middle_of_an_epoch_is_not_complete(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    every_20 = "{class_path: ModelCheckpoint, init_args: {dirpath: mid, filename: '{step}', every_n_train_steps: 20}}"
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=1", f"--trainer.callbacks=[{every_20}]") == 0
    (checkpoint,) = Path("mid").glob("*.ckpt")
    assert mnist("test", "--ckpt_path", str(checkpoint)) == 0
    assert "(in epoch 1)" in capfd.readouterr().err


def test_a_schedule_that_was_planned_shorter_and_has_not_ended_can_be_finished(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    schedule = ["--model.lr_scheduler=OneCycleLR", "--model.lr_scheduler.max_lr=0.01", "--trainer.max_epochs=2"]
    quick = ["--trainer.limit_val_batches=1", "--test_after_fit=false", f"--trainer.callbacks=[{stop_at(45)}]"]
    assert mnist("fit", *SHORT, *schedule, *quick) == 143
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=3") == 2
    assert "planned for 80 steps, not 120; give the run's own number of epochs, or start" in capfd.readouterr().err


def test_a_test_with_another_tta_says_so(workplace, mnist, capfd):
    assert mnist("test", "--model.tta=affine") == 0
    assert "tta affine" in capfd.readouterr().out
    assert json.loads((RUN / "test.json").read_text())["changed"] == {"tta": "affine"}
    assert mnist("test") == 0
    assert json.loads((RUN / "test.json").read_text())["changed"] == {}


def test_a_schedule_that_was_planned_shorter_is_named(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    schedule = ["--model.lr_scheduler=OneCycleLR", "--model.lr_scheduler.max_lr=0.01"]
    quick = ["--trainer.limit_val_batches=1", "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", *SHORT, *schedule, *quick) == 0
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=2") == 2
    said = capfd.readouterr().err
    assert "the run's schedule was planned for 40 steps, not 80; it has ended; start a new run without" in said
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--trainer.limit_train_batches=15") == 2
    assert "the run's schedule was planned for 40 steps, not 55; it has ended; start" in capfd.readouterr().err
    assert mnist("fit", "--ckpt_path=last") == 2
    assert "that run is complete, 1 of 1 epochs; its schedule has ended too" in capfd.readouterr().err
    assert not Path("lightning_logs/version_1").exists()


@pytest.mark.parametrize("logger", ["null", "true", "{class_path: TensorBoardLogger, init_args: {save_dir: .}}"])
def test_whatever_the_logger_a_run_has_one_directory(tmp_path, monkeypatch, mnist, logger):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=1", "--figures=null", f"--trainer.logger={logger}") == 0
    assert [path.name for path in Path("lightning_logs").iterdir()] == ["version_0"]
    assert list(Path("lightning_logs/version_0").glob("events*"))


def test_flags_win_over_the_settings_of_the_run(workplace, mnist):
    assert mnist("test", "--ckpt_path", "best", "--model.loss", "mse") == 0
    report = json.loads(Path("lightning_logs/version_0/test.json").read_text())
    assert report["accuracy"] == pytest.approx(float(metrics()[-1]["test/acc"]))
    assert report["loss"] < 0.5 * float(metrics()[-1]["test/loss"])  # squares of probabilities, not their logarithms


def test_a_convolutional_run_is_tested_as_one_on_its_own_data(tmp_path, monkeypatch, mnist, test_digits, capfd):
    monkeypatch.chdir(tmp_path)
    images, labels = (tensor[:300].numpy() for tensor in test_digits)
    np.savez("three_hundred.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert (
        mnist("fit", *SHORT, "--model.net", "CNN", "--model.net.channels", "[4]", "--data.dataset", "three_hundred.npz")
        == 0
    )
    shutil.move("lightning_logs/version_0", "moved")
    capfd.readouterr()
    assert mnist("predict", "--ckpt_path", "moved") == 0
    assert len(rows("moved/predictions.csv")) == 300


def test_predictions_agree_with_the_test(workplace, mnist, test_digits):
    assert mnist("predict", "--ckpt_path", "best") == 0
    table = rows("lightning_logs/version_0/predictions.csv")
    digits = [int(row["digit"]) for row in table]
    accuracy = np.mean(np.array(digits) == test_digits[1].numpy())
    assert accuracy == pytest.approx(float(metrics()[-1]["test/acc"]), abs=1e-6)
    for row in table[:100]:
        probabilities = [float(row[f"p{digit}"]) for digit in range(10)]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == max(probabilities) == probabilities[int(row["digit"])]


def test_images_of_a_numpy_file_are_predicted_where_the_user_wants(workplace, mnist, test_digits, capfd):
    np.save("mine.npy", test_digits[0][:7].numpy() / 255)
    assert mnist("predict", "--data.images", "mine.npy", "--predictions.path", "out/mine.csv") == 0
    assert "7 predictions are in out/mine.csv" in capfd.readouterr().out
    mine, _ = rows("out/mine.csv"), mnist("predict")
    theirs = rows("lightning_logs/version_0/predictions.csv")[:7]
    for row, other in zip(mine, theirs, strict=True):  # a batch of 7 is multiplied in another order than one of 1,000
        assert row["digit"] == other["digit"]
        shares = [[float(one[f"p{digit}"]) for digit in range(10)] for one in (row, other)]
        assert shares[0] == pytest.approx(shares[1], abs=2e-6)


def test_printed_settings_are_complete_and_run(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--print_config") == 0
    text = capfd.readouterr().out
    settings = yaml.safe_load(text)
    assert settings["early_stopping"]["init_args"]["monitor"] == "val/loss"
    assert settings["model"]["net"]["init_args"]["hidden_sizes"] == [256, 512]
    Path("mine.yaml").write_text(text)
    assert mnist("fit", "--config", "mine.yaml", "--trainer.fast_dev_run", "true") == 0
    assert not Path("lightning_logs").exists()


@pytest.mark.parametrize(
    "option",
    ["--early_stopping=null", "--checkpoint=null", "--trainer.logger=false", "--trainer.enable_checkpointing=false"],
)
def test_each_default_can_be_switched_off(tmp_path, monkeypatch, mnist, option):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=1", option) == 0
    assert Path("lightning_logs/version_0/config.yaml").exists()
    assert Path("lightning_logs/version_0/metrics.csv").exists()


def test_a_fit_without_validation_trains_and_tests(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=0") == 0
    assert Path("lightning_logs/version_0/checkpoints/last.ckpt").exists()
    assert float(metrics()[-1]["test/acc"]) > 0.8


def test_a_fit_on_all_training_images_tests_its_last_checkpoint(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    size = ["--data.val_size=0", "--data.batch_size=20000", "--trainer.enable_progress_bar=false"]
    size.append("--model.net.hidden_sizes=[16]")
    assert mnist("fit", *size, "--trainer.max_epochs=2", figures=True) == 0
    out = capfd.readouterr().out
    assert "No validation (data.val_size 0): no early stopping, and the last checkpoint counts." in out
    assert {path.name for path in (RUN / "checkpoints").iterdir()} == {"last.ckpt"}
    assert [row["step"] for row in metrics()[:2]] == ["3", "6"]  # 60,000 images make 3 steps of 20,000
    assert "val/loss" not in metrics()[0]
    assert {path.stem for path in (RUN / "figures").iterdir()} >= {"samples", "curves", "test-confusion"}
    tested = json.loads((RUN / "test.json").read_text())
    (RUN / "test.json").unlink()
    assert mnist("test", "--ckpt_path", "best") == 0
    again = json.loads((RUN / "test.json").read_text())
    assert (again["accuracy"], again["loss"]) == (tested["accuracy"], tested["loss"])
    assert "last.ckpt" in again["checkpoint"]
    assert mnist("validate", "--ckpt_path", "best") == 2
    assert "data.val_size 0: this run kept none of its images" in capfd.readouterr().err
    assert mnist("fit", "--ckpt_path", str(RUN), "--trainer.max_epochs=3", "--figures=null") == 0
    assert [row["step"] for row in metrics("lightning_logs/version_1")[:3]] == ["3", "6", "9"]


def test_a_new_process_tests_in_the_precision_of_the_run(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    report = Path("lightning_logs/version_0/test.json")
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=0", "--trainer.precision=bf16-mixed") == 0
    first = json.loads(report.read_text())
    report.unlink()
    assert mnist("test", "--ckpt_path", "best") == 0
    again = json.loads(report.read_text())
    assert first["loss"] == again["loss"]
    assert first["confusion_matrix"] == again["confusion_matrix"]
    assert mnist("test", "--ckpt_path", "best", "--trainer.precision=32-true") == 0
    assert first["loss"] != json.loads(report.read_text())["loss"]


def test_early_stopping_ends_a_run_that_gets_no_better(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    options = ["--trainer.max_epochs=9", "--early_stopping.patience=1", "--model.optimizer.lr=0", "--figures=null"]
    assert mnist("fit", *SHORT, *options) == 0
    assert len(metrics()) == 3
    out = capfd.readouterr().out
    assert "Stopped early, after epoch 2: val/loss was no better for 1 epoch." in out
    assert "Checkpoint lightning_logs/version_0/checkpoints/best.ckpt (of run version_0, after epoch 1" in out


def test_every_option_of_the_seed_has_its_flag(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    options = [
        *("--trainer.max_epochs", "3", "--data.batch_size", "32", "--model.net.hidden_sizes", "[64, 32]"),
        *(
            "--model.net.activation",
            "sigmoid",
            "--model.loss",
            "mse",
            "--model.optimizer",
            "SGD",
            "--model.optimizer.lr",
            "0.1",
        ),
    ]
    assert mnist("fit", *options, "--print_config") == 0
    settings = yaml.safe_load(capfd.readouterr().out)
    assert settings["trainer"]["max_epochs"] == 3
    assert settings["data"]["batch_size"] == 32
    assert settings["model"]["net"]["init_args"]["activation"] == "sigmoid"
    assert settings["model"]["loss"] == "mse"
    assert settings["model"]["optimizer"]["class_path"] == "torch.optim.SGD"


def test_the_number_of_trainable_parameters_is_printed(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--model.net.hidden_sizes=[128, 64]", "--trainer.fast_dev_run=true") == 0
    assert "109,386 trainable parameters" in capfd.readouterr().out


def test_the_installed_command_prints_no_warning_and_no_advertisement(tmp_path, data_dir):
    command = [Path(sys.executable).parent / "mnist", "fit", *SHORT, "--data.data_dir", data_dir]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "337,674 trainable parameters" in done.stdout
    module = [sys.executable, "-m", "mnist_cli", "validate", "--figures=null"]
    again = subprocess.run(module, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stderr.count("\n") == 1
    assert again.stderr.startswith("Checkpoint lightning_logs/version_0/checkpoints/best.ckpt")


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_costs_nothing(workplace):
    shutil.rmtree("lightning_logs/version_0/figures")
    Path("lightning_logs/version_0/test.json").unlink()
    command = f"set -o pipefail; '{Path(sys.executable).parent / 'mnist'}' test | grep -m1 'Test on'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Test on 10,000 images")
    assert done.stderr.count("\n") == 1
    assert Path("lightning_logs/version_0/test.json").exists()
    assert Path("lightning_logs/version_0/figures/test-calibration.png").exists()


@pytest.mark.slow
def test_two_processes_are_one_process(workplace, data_dir):
    """DDP on two CPUs: exact figures on an odd number of images, predictions once each and in order."""
    mnist = Path(sys.executable).parent / "mnist"
    two = [
        "--trainer.accelerator=cpu",
        "--trainer.devices=2",
        "--trainer.strategy=ddp",
        "--trainer.enable_progress_bar=false",
    ]
    fit = [
        "fit",
        *SHORT,
        "--data.data_dir",
        data_dir,
        "--data.val_size=0.03335",
        "--data.eval_batch_size=500",
        "--test_after_fit=false",
    ]
    subprocess.run([mnist, *fit, *two], check=True, timeout=150, capture_output=True)
    one, distributed = (
        subprocess.run([mnist, "test", *options], check=True, capture_output=True, text=True) for options in ([], two)
    )
    figures = [[line for line in done.stdout.splitlines() if "%" in line] for done in (one, distributed)]
    assert figures[0]
    assert figures[0] == figures[1]
    subprocess.run([mnist, "predict", *two], check=True, capture_output=True)
    names = [row["file"] for row in rows("lightning_logs/version_1/predictions.csv")]
    assert names == [f"test[{n}]" for n in range(10_000)]


@pytest.mark.slow
def test_torchrun_tests_what_one_process_tests(workplace, mnist):
    assert mnist("test") == 0
    report = Path("lightning_logs/version_0/test.json")
    one = json.loads(report.read_text())
    report.unlink()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    options = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"]
    subprocess.run([*torchrun, "-m", "mnist_cli", "test", *options], check=True, timeout=150, capture_output=True)
    two = json.loads(report.read_text())
    assert two["confusion_matrix"] == one["confusion_matrix"]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)


def test_help_and_version_do_without_torch():
    code = (
        "import sys; from mnist_cli.__main__ import main; "
        "[main([option]) for option in ('--help', '--version')]; print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == f"{HELP}\nmnist {__version__}\nFalse\n"
    assert all(name in HELP for name in SUBCOMMANDS)


def test_a_fit_whose_loss_is_not_finite_ends_with_a_sentence_and_no_test(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *QUICK, "--model.optimizer", "SGD", "--model.optimizer.lr", "1e30") == 2
    said = capfd.readouterr()
    assert re.search(r"loss is (nan|inf) in epoch 1, step 40: .* rate was 1e\+30, choose a lower one", said.err)
    assert "accuracy" not in said.out
    assert not list(tmp_path.rglob("test.json"))
    assert not list(tmp_path.rglob("*.ckpt"))


def test_the_learning_rate_of_an_epoch_is_the_one_that_it_was_trained_with(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    step = ["--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size=1", "--model.lr_scheduler.gamma=0.1"]
    assert mnist("fit", *QUICK, *step, "--trainer.max_epochs=2", "--test_after_fit=false", "--figures=null") == 0
    assert [float(row["lr"]) for row in metrics()] == pytest.approx([1e-3, 1e-4])
