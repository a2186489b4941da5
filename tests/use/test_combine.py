"""An ensemble of runs is a run: tested, predicted with, read and exported as the mean of its members."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from helpers import RUN

from mnist_cli import CNN, DigitModule
from mnist_cli.__main__ import main
from mnist_cli.use.export import Proof, export_hub, export_onnx
from mnist_cli.use.reader import load_reader


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory):
    """Writes checkpoints that scale their pixels otherwise, and may have another network or other settings."""

    def write(**changes):
        content = torch.load(trained / RUN / "checkpoints/last.ckpt", weights_only=True)
        content["state_dict"] |= {"mean": torch.tensor(0.4), "std": torch.tensor(0.7)}
        content["hyper_parameters"] |= {"mean": 0.4, "std": 0.7} | changes.get("model", {})
        content["datamodule_hyper_parameters"] |= changes.get("data", {})
        if net := changes.get("net"):
            module = DigitModule(net)
            content["hyper_parameters"] |= {"net": module.hparams["net"]}
            content["state_dict"] |= {name: value for name, value in module.state_dict().items() if "net." in name}
            content["state_dict"] = {name: content["state_dict"][name] for name in module.state_dict()}
        path = tmp_path_factory.mktemp("other") / "other.ckpt"
        torch.save(content, path)
        return str(path)

    return write


@pytest.fixture(scope="module")
def members(trained, other):
    return [str(trained / RUN), other(net=CNN([4, 8], batch_norm=True)), other()]


@pytest.fixture(scope="module")
def root(members, tmp_path_factory):
    """Folder with one run, the ensemble."""
    folder = tmp_path_factory.mktemp("ensemble")
    assert main(["ensemble", *members, "--trainer.default_root_dir", str(folder)]) == 0
    return folder


@pytest.fixture
def workplace(root, tmp_path, monkeypatch):
    shutil.copytree(root / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)


@torch.inference_mode()
def mean_of(members, images):
    answers = [load_reader(member).network(images).softmax(1) for member in members]
    return torch.stack(answers).mean(0)


def test_it_is_tested_as_the_mean_of_its_members(members, workplace, mnist, test_digits, capfd):
    assert mnist("test", "--ckpt_path", "best", "--figures=null") == 0
    images, labels = test_digits
    wanted = (mean_of(members, images.unsqueeze(1) / 255).argmax(1) == labels).float().mean().item()
    assert json.loads((RUN / "test.json").read_text())["accuracy"] == pytest.approx(wanted, abs=1.5e-4)
    assert "of run version_0, an ensemble of 3)" in capfd.readouterr().err


def test_it_predicts_the_mean_of_its_members(members, workplace, mnist, test_digits):
    np.save("images.npy", test_digits[0][:50].numpy())
    assert mnist("predict", "images.npy", "--ckpt_path", "best") == 0
    rows = [line.split(",") for line in (RUN / "predictions.csv").read_text().splitlines()]
    place = rows[0].index("p0")
    got = torch.tensor([[float(value) for value in row[place : place + 10]] for row in rows[1:]])
    # A few are moved by the geometry of pictures; those in MNIST's form are what the members were given.
    close = (got - mean_of(members, test_digits[0][:50].unsqueeze(1) / 255)).abs().amax(1) < 1e-4
    assert close.sum() >= 40


@pytest.mark.slow
def test_it_is_exported_like_any_other(members, root, tmp_path, test_digits, capsys):
    reader = load_reader(root / RUN)
    images, labels = test_digits[0][:200].unsqueeze(1) / 255, test_digits[1][:200]
    with torch.inference_mode():
        logits = reader.network(images)
    assert torch.allclose(logits.softmax(1), mean_of(members, images), atol=1e-5)
    proof = Proof(images, logits, int((logits.argmax(1) == labels).sum()))
    export_onnx(reader, tmp_path / "digits.onnx", proof)  # compares each form with torch
    assert capsys.readouterr().out.count("agrees with torch") == 2
    export_hub(reader, tmp_path / "hub", proof)
    assert load_reader(tmp_path / "hub").title == "Ensemble trained on MNIST"


def test_it_needs_none_of_the_runs_that_it_was_made_of(root):
    settings = yaml.safe_load((root / RUN / "config.yaml").read_text())
    assert [one["class_path"].rpartition(".")[2] for one in settings["model"]["net"]["init_args"]["members"]] == [
        "MLP",
        "CNN",
        "MLP",
    ]


def test_nothing_goes_on_with_it(workplace, mnist, capfd):
    assert mnist("fit", "--ckpt_path", "last") == 2
    assert "is an ensemble, whose members were trained before; go on with one of them" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": {"dataset": "FashionMNIST"}}, "reads FashionMNIST, and"),
        ({"model": {"net": {"class_path": "os.system"}}}, "which is not imported without --trust"),
        ({"model": {"tta": 1}}, "model.tta: the members differ in it (0, 1); choose one with --model.tta."),
        ({"model": {"tta": "affine"}}, "model.tta: the members differ in it (0, affine); choose"),
    ],
)
def test_members_that_cannot_answer_together_are_refused(changes, says, trained, other, tmp_path, capsys):
    members = [str(trained / RUN), other(**changes)]
    assert main(["ensemble", *members, "--trainer.default_root_dir", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_members_that_differ_in_tta_answer_together_with_the_one_that_is_chosen(trained, other, tmp_path, capsys):
    members = [str(trained / RUN), other(model={"tta": 1})]
    options = ["--trainer.default_root_dir", str(tmp_path)]
    assert main(["ensemble", *members, *options, "--model.tta", "affine"]) == 0
    assert load_reader(tmp_path / RUN).network.tta == "affine"
    assert main(["ensemble", *members, *options, "--model.tta", "afine"]) == 2
    assert "model.tta afine: expected affine or a number of pixels from 0 to 27." in capsys.readouterr().err


def test_two_different_members_are_the_least(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = str(trained / RUN)
    assert main(["ensemble", run]) == 2
    assert "needs at least two members" in capsys.readouterr().err
    assert main(["ensemble", run, f"{run}/checkpoints/best.ckpt"]) == 2
    assert "best.ckpt is given twice" in capsys.readouterr().err


def test_members_with_different_splits_leave_nothing_to_validate_on(
    trained, other, tmp_path, monkeypatch, mnist, capfd
):
    monkeypatch.chdir(tmp_path)
    assert main(["ensemble", str(trained / RUN), other(data={"split_seed": 7})]) == 0
    assert mnist("validate", "--ckpt_path", "best") == 2
    assert "data.val_size 0" in capfd.readouterr().err
