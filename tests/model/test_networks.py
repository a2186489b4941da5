"""Networks have the shapes that their arguments say."""

import pytest
import torch
from torch import nn

from mnist_cli.errors import UserError
from mnist_cli.model.networks import ACTIVATIONS, CNN, MLP, Network


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("net", [MLP, CNN])
def test_images_become_ten_logits_and_every_weight_learns(net, activation):
    network = net(activation=activation)
    logits = network(torch.rand(3, 1, 28, 28))
    assert logits.shape == (3, 10)
    logits.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_the_quick_starts_network_has_its_109386_parameters():
    assert sum(parameter.numel() for parameter in MLP([128, 64]).parameters()) == 784 * 128 + 128 + 128 * 64 + 64 + 650


def test_without_hidden_layers_an_mlp_is_a_linear_classifier():
    assert [type(layer) for layer in MLP([]).layers] == [nn.Flatten, nn.Linear]


def test_memory_layout_changes_no_logits():
    torch.manual_seed(0)
    net = CNN(batch_norm=True, channels_last=True).eval()
    plain = CNN(batch_norm=True, channels_last=False).eval()
    plain.load_state_dict(net.state_dict())
    images = torch.rand(8, 1, 28, 28)
    torch.testing.assert_close(net(images), plain(images), atol=1e-5, rtol=1e-4)


def test_any_module_counts_as_a_network_and_a_string_does_not():
    assert issubclass(nn.Sequential, Network)
    assert not issubclass(str, Network)
    assert not issubclass(nn.Sequential, MLP)


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        # convolutions without bias, two numbers a map for the normalisation, then the dense layers
        ({"channels": [4, 6], "hidden_size": 0}, 25 * 4 + 8 + 9 * 4 * 6 + 12 + 6 * 49 * 10 + 10),
        ({"channels": [4, [6, 6]], "hidden_size": 5}, 108 + 216 + 12 + 324 + 12 + 6 * 49 * 5 + 10 + 60),
        ({"channels": [4, 6], "hidden_size": 0, "separable": True}, 108 + 36 + 24 + 12 + 2950),
        ({"channels": [4, 6], "hidden_size": 0, "padding": "valid", "crop": 2}, 108 + 216 + 12 + 6 * 16 * 10 + 10),
        ({"channels": [4, 6], "hidden_size": 0, "readout": "weighted"}, 108 + 216 + 12 + 6 * 49 + 70),
    ],
)
def test_a_cnn_has_the_weights_that_its_arguments_say(arguments, parameters):
    net = CNN(**arguments, batch_norm=True).eval()
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_a_list_of_channels_is_halved_once():
    halvings = [isinstance(layer, nn.MaxPool2d) for layer in CNN([[4, 4, 4], [6]]).layers]
    assert sum(halvings) == 2


def test_too_many_halvings_are_named():
    with pytest.raises(UserError, match=r"channels \[4, 4, 4, 4, 4\]: they leave no pixel"):
        CNN([4, 4, 4, 4, 4])
