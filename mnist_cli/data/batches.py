"""Digits in memory that come out a whole batch at a time."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


class DigitBatches(Dataset[tuple[Tensor, Tensor]]):
    """Digits in memory; a batch is one indexing operation, not one per image.

    A DataLoader hands the indices of a batch to `__getitems__`, so `collate_fn` has nothing left to do.

    Args:
        images: uint8, shape (N, 28, 28).
        labels: int64, shape (N,).
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        assert len(images) == len(labels), (images.shape, labels.shape)
        self.images = images.unsqueeze(1)
        self.labels = labels

    def to(self, device: torch.device) -> "DigitBatches":
        """Keep the digits on a device, so that no batch has to be copied there."""
        self.images, self.labels = self.images.to(device), self.labels.to(device)
        return self

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A batch: images uint8 (B, 1, 28, 28), labels int64 (B,)."""
        at = torch.as_tensor(indices, device=self.images.device)
        return self.images.index_select(0, at), self.labels.index_select(0, at)


def make_loader(
    digits: Dataset[Any],
    *,
    batch_size: int,
    num_workers: int,
    shuffle: bool = False,
    sampler: Sampler[int] | None = None,
) -> DataLoader[Any]:
    """A plain DataLoader over whole batches: samplers, workers and Lightning's distribution work as ever."""
    return DataLoader(
        digits,
        batch_size=batch_size,
        shuffle=shuffle,
        sampler=sampler,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=_identity,
    )


def _identity(batch: Any) -> Any:
    return batch
