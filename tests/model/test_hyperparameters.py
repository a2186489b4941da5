"""A module made in Python saves hyperparameters with which Lightning and the command line make it again."""

from functools import partial

import lightning.pytorch as pl
import torch
from torch import nn

from mnist_cli import CNN, DigitDataModule, DigitModule
from mnist_cli.model.hyperparameters import describe


def test_a_checkpoint_of_a_plain_trainer_loads_and_is_tested(data_dir, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    net = CNN([4], hidden_size=8, channels_last=False)
    module = DigitModule(net, optimizer=partial(torch.optim.SGD, lr=0.1), loss="mse")
    options = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "max_epochs": 1}
    trainer = pl.Trainer(limit_train_batches=2, limit_val_batches=0, enable_checkpointing=False, **options)
    trainer.fit(module, DigitDataModule(data_dir=data_dir, augment=[nn.Identity()]))
    trainer.save_checkpoint("plain.ckpt")
    again = DigitModule.load_from_checkpoint("plain.ckpt", weights_only=True)
    assert again.net.arguments == net.arguments
    assert again.loss == "mse"
    assert again.configure_optimizers()["optimizer"].defaults["lr"] == 0.1
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in module.state_dict().items())
    assert mnist("test", "--ckpt_path=plain.ckpt", "--figures=null", "--trainer.limit_test_batches=1") == 0
    assert "Test on 1,000 images" in capfd.readouterr().out


def test_what_cannot_be_described_is_left_out():
    assert describe(nn.Flatten(), optimizer=lambda params: torch.optim.SGD(params, lr=0.1)) == {}


def test_a_network_with_named_arguments_of_any_number_is_described_and_one_without_names_is_not():
    class Named(CNN):
        def __init__(this, **arguments):
            super().__init__(**arguments)

    class Unnamed(CNN):
        def __init__(self, *channels):
            super().__init__(list(channels))

    assert Named(channels=[4]).arguments == {"channels": [4]}
    assert describe(Named(channels=[4]))["net"]["init_args"] == {"channels": [4]}
    assert describe(Unnamed(4), optimizer=partial(torch.optim.SGD, lr=0.1)) == {}
