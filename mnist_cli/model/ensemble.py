"""Several networks that answer as one, by the mean of their probabilities."""

import math

import torch
from torch import Tensor, nn

from mnist_cli.model.networks import Network


class Ensemble(Network):
    """Averages the probabilities of several networks; `mnist ensemble RUN RUN ...` makes one of trained runs.

    The members may differ in everything but their classes. Each gets its pixels scaled as it was trained: `gain` and
    `offset` turn the scaling of the whole module into the member's own.

    Args:
        members: The networks, at least one.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, members: list[Network]) -> None:
        super().__init__()
        if not members:
            raise ValueError("an ensemble needs at least one member")
        self.members = nn.ModuleList(members)
        self.register_buffer("gain", torch.ones(len(members)))
        self.register_buffer("offset", torch.zeros(len(members)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits whose softmax is the mean of the members' probabilities: its logarithm.

        The members run one after the other: one forward pass for all by torch.vmap is slower on a CPU, where it makes
        grouped convolutions of them (benchmarks/README.md).
        """
        answers = [
            member(images * self.gain[index] + self.offset[index]).float().log_softmax(1)
            for index, member in enumerate(self.members)
        ]
        return torch.stack(answers).logsumexp(0) - math.log(len(answers))
