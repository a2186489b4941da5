"""Muon for the weights of hidden layers, Adam for the rest, as one optimizer that one learning rate steers."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class MuonAdam(Optimizer):
    """Steps of one size in every direction for hidden matrices and filters; Adam for biases, norms and the last layer.

    torch.optim.Muon takes matrices only; here filters count as matrices, a row for each output.

    Args:
        params: The parameters of a network, in the order of its layers.
        lr: Learning rate of the matrices; a step of 1 changes a weight matrix by about its own size.
        momentum: Of the matrices.
        adam_share: Adam's learning rate as a share of lr, so that a schedule moves both.
        betas: Adam's.

    Source:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024: kellerjordan.github.io/posts/muon
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.9,
        adam_share: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        given = list(params)
        matrices = [param for param in given if param.ndim >= 2][:-1]  # the last one makes the logits
        hidden = {id(param) for param in matrices}
        others = [param for param in given if id(param) not in hidden]
        groups = [{"params": matrices, "matrices": True}, {"params": others, "matrices": False}]
        defaults = {"lr": lr, "momentum": momentum, "adam_share": adam_share, "betas": betas}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            move = self._move_matrix if group["matrices"] else self._move_other
            for param in group["params"]:
                if param.grad is not None:
                    move(group, param, param.grad)
        return loss

    def _move_matrix(self, group: dict[str, Any], param: Tensor, grad: Tensor) -> None:
        state = self.state[param]
        average = state.setdefault("momentum", torch.zeros_like(param))
        average.lerp_(grad, 1 - group["momentum"])
        direction = orthogonalize(grad.lerp(average, group["momentum"]).flatten(1))
        size = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
        param.add_(direction.view_as(param), alpha=-group["lr"] * size)

    def _move_other(self, group: dict[str, Any], param: Tensor, grad: Tensor) -> None:
        state, (beta1, beta2) = self.state[param], group["betas"]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(param), "square": torch.zeros_like(param)}
        state["step"] += 1
        state["mean"].lerp_(grad, 1 - beta1)
        state["square"].lerp_(grad.square(), 1 - beta2)
        mean = state["mean"] / (1 - beta1 ** state["step"])
        spread = (state["square"] / (1 - beta2 ** state["step"])).sqrt().add_(1e-8)
        param.addcdiv_(mean, spread, value=-group["lr"] * group["adam_share"])


def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix whose singular values are all 1, roughly: they come out between 0.7 and 1.2.

    Args:
        matrix: Shape (rows, columns); of any size but 0.
        steps: Of Newton and Schulz's iteration, with the coefficients of the source of `MuonAdam`.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    result: Tensor = matrix.T if tall else matrix
    result = result / (result.norm() + 1e-7)
    for _ in range(steps):
        square = result @ result.T
        result = 3.4445 * result + (-4.7750 * square + 2.0315 * square @ square) @ result
    return result.T if tall else result
