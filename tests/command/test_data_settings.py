"""Pixels are scaled as the data set needs it, unless the user says how."""

import numpy as np
import pytest
import torch
import yaml
from helpers import QUICK, RUN


@pytest.fixture
def own(tmp_path, test_digits, monkeypatch):
    """A data set of bright pictures with dark ink."""
    images, labels = (tensor[:200].numpy() for tensor in test_digits)
    np.savez(tmp_path / "own.npz", x_train=255 - images, y_train=labels, x_test=255 - images, y_test=labels)
    monkeypatch.chdir(tmp_path)
    return 1 - images.mean() / 255, (images / 255).std()


def test_the_numbers_follow_the_data_and_stand_in_settings_and_checkpoint(own, mnist):
    assert mnist("fit", "--data.dataset", "own.npz", *QUICK, "--test_after_fit=false", "--figures=null") == 0
    model = yaml.safe_load((RUN / "config.yaml").read_text())["model"]
    assert (model["mean"], model["std"]) == pytest.approx(own, abs=1e-4)
    checkpoint = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["state_dict"]["mean"].item() == pytest.approx(model["mean"])
    assert checkpoint["hyper_parameters"]["std"] == model["std"]


def test_what_the_user_gives_wins(own, mnist):
    options = ["--model.mean=0.5", *QUICK, "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", "--data.dataset", "own.npz", *options) == 0
    model = yaml.safe_load((RUN / "config.yaml").read_text())["model"]
    assert (model["mean"], model["std"]) == pytest.approx((0.5, own[1]), abs=1e-4)


@pytest.mark.parametrize("option", ["--data.split_seed=7", "--data.val_size=0.1"])
@pytest.mark.parametrize("command", [["validate"], ["fit", "--ckpt_path=last", "--trainer.max_epochs=9"]])
def test_images_that_were_trained_on_are_not_validated_on(command, option, workplace, mnist, capfd):
    assert mnist(*command, option) == 2
    name, value = option.removeprefix("--").split("=")
    was = {"data.split_seed": 42, "data.val_size": 0.2}[name]
    assert f"--{name} {value}: the checkpoint was trained with {was}, so that it has seen" in capfd.readouterr().err
