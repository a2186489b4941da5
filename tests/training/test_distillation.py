"""A teacher's answers are learnt, its weights stay out of the checkpoint, and it knows no validation images."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from helpers import BARE, QUICK, RUN, SHORT, SPACE

from mnist_cli.training.distillation import Distillation
from mnist_cli.use.reader import load_reader


def callback(teacher, **arguments):
    extra = "".join(f", {name}: {value}" for name, value in arguments.items())
    return f"--trainer.callbacks=[{{class_path: mnist_cli.Distillation, init_args: {{teacher: {teacher}{extra}}}}}]"


def test_the_loss_is_that_of_the_paper(trained, test_digits):
    images, labels = test_digits[0][:20].unsqueeze(1) / 255, test_digits[1][:20]
    distillation = Distillation("unused", temperature=2, weight=0.7)
    distillation._network = load_reader(trained / RUN).network
    logits = torch.randn(20, 10)
    soft = (distillation._network(images) / 2).softmax(1)
    entropy = (soft * soft.log()).sum(1).mean()
    cross = -(soft * (logits / 2).log_softmax(1)).sum(1).mean()
    hard = F.cross_entropy(logits, labels)
    wanted = 0.7 * 4 * (entropy + cross) + 0.3 * hard
    assert distillation.loss(images, logits, hard).item() == pytest.approx(wanted.item(), rel=1e-4)


def test_a_network_learns_from_its_teacher_alone_and_is_tested_without_it(trained, tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / RUN, "teacher")
    labels_do_not_count = callback("teacher", weight=1.0)
    assert mnist("fit", *SHORT, labels_do_not_count, "--test_after_fit=false", "--figures=null") == 0
    shutil.rmtree("teacher")
    weights = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert len(weights) == len(torch.load(trained / RUN / "checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert mnist("test", "--figures=null") == 0
    assert json.loads((RUN / "test.json").read_text())["accuracy"] > 0.7


def test_a_teacher_that_may_know_the_validation_images_is_refused(trained, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    options = [callback(trained / RUN), "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", *QUICK, *options, "--data.split_seed=7") == 2
    assert "it was trained with data.split_seed 42, this run has 7" in capfd.readouterr().err
    assert mnist("fit", *QUICK, *options, "--data.val_size=0", "--data.split_seed=7") == 0  # nothing to leak into


def test_a_teacher_whose_images_are_not_known_is_refused(trained, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    content = torch.load(trained / RUN / "checkpoints/best.ckpt", weights_only=True)
    del content["datamodule_hyper_parameters"]
    torch.save(content, "unknown.ckpt")
    options = [callback("unknown.ckpt"), "--test_after_fit=false", "--figures=null"]
    assert mnist("fit", *QUICK, *options) == 2
    assert "does not say which images it was trained on; give --data.val_size 0" in capfd.readouterr().err
    assert mnist("fit", *QUICK, *options, "--data.val_size=0") == 0


def test_the_best_is_the_teacher_that_it_was_when_the_run_began(trained, tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / RUN, RUN)
    assert mnist("fit", *QUICK, callback("best"), "--test_after_fit=false", "--figures=null") == 0
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--test_after_fit=false") == 0
    for number in (1, 2):
        config = yaml.safe_load(Path(f"lightning_logs/version_{number}/config.yaml").read_text())
        assert config["trainer"]["callbacks"][0]["init_args"]["teacher"] == str(RUN / "checkpoints/best.ckpt")


def test_in_a_search_the_best_would_be_another_teacher_for_each_trial(trained, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / RUN, RUN)
    Path("s.yaml").write_text(f"{SPACE}\ntrials: 1\nrepeats: 0\n")
    search = ["search", "--search=s.yaml", *QUICK, *BARE, callback("best")]
    assert mnist(*search) == 2
    assert "teacher best: while a search makes runs that means others; give the directory" in capfd.readouterr().err


def test_a_callback_of_ones_own_with_that_name_is_left_alone(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    code = "import lightning.pytorch as pl\nclass Distillation(pl.Callback):\n    def __init__(self, alpha=1.0):\n"
    Path("own_callback.py").write_text(f"{code}        super().__init__()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert mnist("fit", *QUICK, *BARE, "--trainer.callbacks=own_callback.Distillation", "--test_after_fit=false") == 0
