"""A network made again from plain settings: the same logits as the module, and only classes that are trusted."""

import pytest
import torch
from torchvision.transforms.functional import InterpolationMode, affine

from mnist_cli.errors import UserError
from mnist_cli.model.forward import compute_logits
from mnist_cli.model.module import DigitModule
from mnist_cli.model.networks import CNN, MLP
from mnist_cli.model.trained import restore_network


@pytest.mark.parametrize("net", [MLP([32], dropout=0.5), CNN([4, 8], batch_norm=True)])
def test_a_network_made_again_gives_the_very_logits_of_the_module(net, test_digits):
    module = DigitModule(net, mean=0.2, std=0.4).eval()
    network = restore_network(module.hparams, module.state_dict())
    images = test_digits[0][:50].unsqueeze(1) / 255
    assert network.net is not net
    with torch.no_grad():
        assert torch.equal(network(images), module(images))


def test_shifts_average_the_probabilities_of_the_image_and_its_four_neighbours(test_digits):
    module = DigitModule(MLP([32]), tta=2).eval()
    network = restore_network(module.hparams, module.state_dict())
    images = test_digits[0][:50].unsqueeze(1) / 255
    images = torch.nn.functional.pad(images[..., 2:-2, 2:-2], [2] * 4)  # no ink at the border: rolling is moving
    moves = [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)]
    with torch.no_grad():
        plain = [module.net((images.roll(move, (2, 3)) - 0.1307) / 0.3081).softmax(1) for move in moves]
        assert torch.equal(network(images), module(images))
        assert torch.allclose(network(images).softmax(1), torch.stack(plain).mean(0), atol=1e-6)
        assert torch.equal(module.train()(images), DigitModule(module.net).eval()(images))  # not in training


def test_affine_averages_the_probabilities_of_the_image_turned_and_sized(test_digits):
    module = DigitModule(MLP([32]), tta="affine").eval()
    network = restore_network(module.hparams, module.state_dict())
    images = test_digits[0][:50].unsqueeze(1) / 255
    views = [(0.0, 1.0), (6.0, 1.0), (-6.0, 1.0), (0.0, 1.07), (0.0, 0.93)]
    with torch.no_grad():
        moved = [affine(images, angle, [0, 0], size, [0.0], InterpolationMode.BILINEAR) for angle, size in views]
        plain = [module.net((image - 0.1307) / 0.3081).softmax(1) for image in moved]
        assert torch.equal(network(images), module(images))
        assert torch.allclose(network(images).softmax(1), torch.stack(plain).mean(0), atol=1e-5)
        assert not torch.allclose(plain[0], torch.stack(plain).mean(0), atol=1e-3)
        assert torch.equal(module.train()(images), DigitModule(module.net).eval()(images))  # not in training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_affine_turns_as_exactly_in_bfloat16(dtype, test_digits):
    images, views = test_digits[0][:20].unsqueeze(1) / 255, []

    class Seen(torch.nn.Module):
        def forward(self, images):
            views.append(images.float())
            return images.flatten(1)[:, :10]

    number = torch.zeros((), dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        compute_logits(Seen(), images, number, number + 1, tta="affine")
    exact = [affine(images, angle, [0, 0], 1.0, [0.0], InterpolationMode.BILINEAR) for angle in (-6.0, 6.0)]
    assert len(views) == 5  # one after the other, so that they take no more memory
    close = [min((view - turned).abs().max() for turned in exact) for view in views[1:3]]
    assert max(close) < (1e-5 if dtype is torch.float32 else 4e-3)  # bfloat16 itself rounds pixels by up to 2e-3


@pytest.mark.parametrize("tta", ["flips", True, 1.0, -1, 28, 10**6, None, [1]])
def test_an_augmentation_at_test_time_that_there_is_not_is_refused(tta):
    module = DigitModule(MLP([8]))
    with pytest.raises(UserError, match="expected affine or a number of pixels from 0 to 27"):
        restore_network(dict(module.hparams) | {"tta": tta}, module.state_dict())
    with pytest.raises(UserError, match="expected affine or a number of pixels from 0 to 27"):
        DigitModule(MLP([8]), tta=tta)


def test_weights_in_half_precision_are_read_in_32_bits():
    module = DigitModule(MLP([8])).to(torch.bfloat16)
    network = restore_network(module.hparams, module.state_dict())
    assert {weight.dtype for weight in network.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("os.path.join", "not imported without --trust"),
        ("my_package.MyNet", "load_reader(..., net=MyNet())"),
        ("torch.hub.load", "not imported without --trust"),
        ("torch.nn.Nothing", "is not a torch.nn.Module"),
        ("torch.nn.nowhere.Linear", "is not a torch.nn.Module"),
        ("torchvision.models.resnet18", "is not a torch.nn.Module"),
        ("mnist_cli_evil.Net", "not imported without --trust"),
        ("MLP", "not imported without --trust"),
    ],
)
def test_a_class_from_elsewhere_is_not_imported_because_a_checkpoint_names_it(path, says):
    with pytest.raises(UserError) as error:
        restore_network({"net": {"class_path": path, "init_args": {}}}, {})
    assert says in str(error.value)


def test_classes_inside_of_arguments_are_not_imported_either():
    inside = {"class_path": "subprocess.Popen", "init_args": {"args": "true"}}
    with pytest.raises(UserError, match="not imported without --trust"):
        restore_network({"net": {"class_path": "mnist_cli.MLP", "init_args": {"hidden_sizes": [inside]}}}, {})


def test_weights_of_another_network_are_refused():
    weights = DigitModule(MLP([8])).state_dict()
    with pytest.raises(UserError, match="another network than MLP"):
        restore_network({"net": {"class_path": "mnist_cli.MLP", "init_args": {"hidden_sizes": [9]}}}, weights)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"model.net: MLP cannot be made .*'depth'"):
        restore_network({"net": {"class_path": "mnist_cli.MLP", "init_args": {"depth": 3}}}, {})


def test_a_network_of_ones_own_is_handed_over():
    class MyNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(784, 10)

        def forward(self, images):
            return self.layer(images.flatten(1))

    weights = DigitModule(MyNet()).state_dict()
    with pytest.raises(UserError, match=r"load_reader\(..., net=MyNet\(\)\)"):
        restore_network({}, weights)
    assert torch.equal(restore_network({}, weights, MyNet()).net.layer.weight, weights["net.layer.weight"])
