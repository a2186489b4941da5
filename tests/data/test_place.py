"""A fit goes on where its run was in the order of the images, and nowhere else."""

import torch
from helpers import QUICK, StopAt, metrics, stop_at

from mnist_cli.data.batches import Shuffled

FIT = [*QUICK, "--test_after_fit=false", "--figures=null", "--early_stopping=null", "--trainer.max_epochs=3"]


def test_an_epoch_that_was_cut_short_by_the_number_of_steps_is_not_taken_up(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    taken_up = []
    monkeypatch.setattr(Shuffled, "take_up", lambda self, *place: taken_up.append(place))
    assert mnist("fit", *FIT, "--trainer.max_steps=60") == 0  # in the middle of the second epoch
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_steps=-1", "--trainer.max_epochs=3") == 0
    assert not taken_up
    assert [row["step"] for row in metrics("lightning_logs/version_1")] == ["40", "60", "100"]
    assert metrics("lightning_logs/version_1")[-1]["val/acc"]


def test_within_an_epoch_a_fit_goes_on_with_batches_of_the_same_size(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *FIT, f"--trainer.callbacks=[{stop_at(50)}]") == 143
    state = torch.load("lightning_logs/version_0/checkpoints/last.ckpt", weights_only=True)["DigitDataModule"]["place"]
    assert (state["epoch"], state["batches"], state["batch_size"]) == (1, 10, 64)
    assert mnist("fit", "--ckpt_path=last", "--data.batch_size=32") == 2
    assert "--data.batch_size 32: the run was stopped within an epoch that was begun with 64" in capfd.readouterr().err
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    assert mnist("fit", "--ckpt_path=last") == 0


def test_between_epochs_the_batches_may_become_larger(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *FIT, "--trainer.max_epochs=1") == 0
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--data.batch_size=128") == 0
