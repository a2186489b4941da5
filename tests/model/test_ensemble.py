"""An ensemble averages probabilities, trains, and is made again from plain settings."""

import pytest
import torch

from mnist_cli import CNN, MLP, DigitModule, Ensemble
from mnist_cli.model.trained import restore_network


def test_the_probabilities_are_the_mean_of_the_members(test_digits):
    members = [MLP([16]), CNN([4, 8], batch_norm=True)]
    ensemble = Ensemble(members).eval()
    images = test_digits[0][:50].unsqueeze(1) / 255
    with torch.no_grad():
        wanted = torch.stack([member(images).softmax(1) for member in members]).mean(0)
        assert torch.allclose(ensemble(images).softmax(1), wanted, atol=1e-6)


def test_it_is_made_again_from_plain_settings(test_digits):
    module = DigitModule(Ensemble([MLP([8]), Ensemble([CNN([4]), MLP([4], dropout=0.1)])])).eval()
    images = test_digits[0][:20].unsqueeze(1) / 255
    network = restore_network(module.hparams, module.state_dict())
    with torch.no_grad():
        assert torch.equal(network(images), module(images))


def test_a_member_that_cannot_be_described_leaves_the_settings_without_a_network():
    own = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    assert "net" not in DigitModule(Ensemble([MLP([8]), own])).hparams


def test_there_has_to_be_a_member():
    with pytest.raises(ValueError, match="at least one member"):
        Ensemble([])
