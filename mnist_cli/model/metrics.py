"""The metrics of an epoch: the mean loss and the accuracy over all images."""

import torch
from torch import Tensor
from torchmetrics import Metric


class LossAndAccuracy(Metric):
    """Loss and accuracy of an epoch, from three sums, so that every image counts alike however it was batched.

    The sums stay on the module's device, and several processes add theirs only when the metric is computed.
    """

    full_state_update = False
    loss: Tensor
    correct: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("loss", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("correct", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch; see `add`."""
        self._sum(loss, logits, labels)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch, as `update` does, without what torchmetrics puts around that: half of the time.

        Args:
            loss: Mean loss of the batch, a scalar without a graph.
            logits: float, shape (B, 10).
            labels: int64, shape (B,).
        """
        self._sum(loss, logits, labels)
        # Past torch.nn.Module: assigning an attribute of a module costs as much as a sum.
        vars(self).update(_computed=None, _update_count=self._update_count + 1)

    def _sum(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.loss.add_(loss, alpha=len(labels))
        self.correct.add_(torch.count_nonzero(logits.argmax(1) == labels))
        self.count.add_(len(labels))

    def sums(self) -> dict[str, Tensor]:
        """The sums so far, of all processes together."""
        with self.sync_context():
            return {name: value.clone() for name, value in self.metric_state.items()}  # type: ignore[union-attr]

    def take_up(self, sums: dict[str, Tensor]) -> None:
        """Go on from the sums of an earlier process."""
        for name, value in sums.items():
            getattr(self, name).copy_(value)
        self._update_count = 1  # or it would warn that there is nothing to compute

    def compute(self) -> dict[str, Tensor]:
        """The mean loss, and the share of images read correctly, in [0, 1]."""
        return {"loss": self.loss / self.count, "acc": self.correct / self.count}
