"""Networks: float images of shape (B, 1, 28, 28) -> logits of shape (B, 10)."""

import inspect
from abc import ABCMeta
from itertools import pairwise
from typing import Any, Literal, Self

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from mnist_cli.digits import NUM_CLASSES, SIDE
from mnist_cli.errors import UserError

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}
Activation = Literal["relu", "sigmoid", "tanh", "gelu"]


class Network(nn.Module, metaclass=ABCMeta):
    """Any torch.nn.Module that turns images (B, 1, 28, 28) into logits (B, 10).

    Its subclasses here can be named without their module. Every other module counts as a subclass too, so that the
    command line takes it by class path; without this class a short name such as MLP would be ambiguous, for torchvision
    has modules of the same name.

    Attributes:
        arguments: What the network was made with, by the names of its constructor's arguments; missing if some have
            no names.
    """

    arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        network = super().__new__(cls)
        given = inspect.signature(cls.__init__).bind_partial(network, *args, **kwargs)
        given.apply_defaults()
        arguments: dict[str, Any] = {}
        for name, value in list(given.arguments.items())[1:]:  # without the network itself, whatever that is called
            kind = given.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                if value:
                    return network  # they have no names
            else:
                arguments |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
        vars(network)["arguments"] = arguments
        return network

    @classmethod
    def __subclasshook__(cls, other: Any) -> Any:
        return issubclass(other, nn.Module) if cls is Network else NotImplemented


class MLP(Network):
    """A multilayer perceptron.

    Args:
        hidden_sizes: Width of each hidden layer.
        activation: What follows each hidden layer.
        dropout: Share of hidden units that is dropped in training, in [0, 1).
        batch_norm: Normalise each hidden layer over the batch.
    """

    def __init__(
        self,
        hidden_sizes: list[PositiveInt] = [256, 512],  # noqa: B006  the command line shows it, nobody changes it
        activation: Activation = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise([SIDE**2, *hidden_sizes]):
            layers.append(nn.Linear(inputs, outputs, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(outputs))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear([SIDE**2, *hidden_sizes][-1], NUM_CLASSES))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


class CNN(Network):
    """A convolutional network: convolutions with halvings between them, then the dense layers.

    Halving before the activation gives the same values as after it, for a fourth of the work (with gelu, which falls
    before it rises, nearly the same).

    Args:
        channels: Number of feature maps of each convolution, a halving after each; or lists of them, a halving after
            each list.
        kernel_size: Width and height of the first convolution, in pixels; the others have `inner_kernel_size`.
        inner_kernel_size: Width and height of the other convolutions, in pixels.
        padding: same keeps the width of the image at each convolution; valid takes no pixels from beyond the border.
        crop: Pixels left out at each border: MNIST's digits lie in the middle 20 x 20 of the 28 x 28.
        separable: Split each convolution but the first into one for each map and a mix of the maps, for fewer weights.
        readout: dense flattens all feature maps; weighted learns one weighted sum of the pixels of each map.
        hidden_size: Width of the dense layer before the logits; 0 leaves it out.
        activation: What follows each layer.
        dropout: Share of the values before the logits that is dropped in training, in [0, 1).
        batch_norm: Normalise each layer over the batch.
        channels_last: Keep the feature maps with the channels innermost, which is faster on most devices.

    Raises:
        UserError: If the convolutions and halvings leave no pixel.
    """

    def __init__(
        self,
        channels: list[PositiveInt | list[PositiveInt]] = [24, 32],  # noqa: B006  shown by the command line
        kernel_size: PositiveInt = 5,
        inner_kernel_size: PositiveInt = 3,
        padding: Literal["same", "valid"] = "same",
        crop: NonNegativeInt = 0,
        separable: bool = False,
        readout: Literal["dense", "weighted"] = "dense",
        hidden_size: NonNegativeInt = 256,
        activation: Activation = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        if 2 * crop >= SIDE:
            raise UserError(f"model.net.crop {crop}: it leaves no pixel of the {SIDE} x {SIDE}; give less.")
        self.crop = crop
        layers: list[nn.Module] = []
        width, inputs = SIDE - 2 * crop, 1
        for group in channels:
            sizes = group if isinstance(group, list) else [group]
            for depth, outputs in enumerate(sizes, start=1):
                size = inner_kernel_size if layers else kernel_size
                width -= 0 if padding == "same" else size - 1
                if separable and layers:
                    layers.append(nn.Conv2d(inputs, inputs, size, padding=padding, groups=inputs, bias=False))
                    size = 1
                layers.append(nn.Conv2d(inputs, outputs, size, padding=padding, bias=not batch_norm))
                if depth == len(sizes):
                    layers.append(nn.MaxPool2d(2))
                    width //= 2
                if batch_norm:
                    layers.append(nn.BatchNorm2d(outputs))
                layers.append(ACTIVATIONS[activation]())
                inputs = outputs
        if width < 1:
            raise UserError(f"model.net.channels {channels}: they leave no pixel of the image; use fewer.")
        if readout == "weighted":
            layers.append(nn.Conv2d(inputs, inputs, width, groups=inputs, bias=False))
            width = 1
        layers.append(nn.Flatten())
        features = inputs * width**2
        if hidden_size:
            layers.append(nn.Linear(features, hidden_size, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(hidden_size))
            layers.append(ACTIVATIONS[activation]())
        layers += [nn.Dropout(dropout), nn.Linear(hidden_size or features, NUM_CLASSES)]
        self.layers = nn.Sequential(*layers)
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        if self.crop:
            images = images[..., self.crop : -self.crop, self.crop : -self.crop]
        logits: Tensor = self.layers(images)
        return logits
