"""Digits in memory that come out a whole batch at a time."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, RandomSampler, Sampler

from mnist_cli.errors import UserError

MOST_ON_DEVICE = 2**30  # bytes of images that are kept on a GPU without being asked for


class DigitBatches(Dataset[tuple[Tensor, Tensor]]):
    """Digits in memory; a batch is one indexing operation, not one per image.

    A DataLoader hands the indices of a batch to `__getitems__`, so `collate_fn` has nothing left to do.

    Args:
        images: uint8, shape (N, 28, 28).
        labels: int64, shape (N,).
        names: What each image is called, so that it can be looked up, as in `test[17]`.
    """

    def __init__(self, images: Tensor, labels: Tensor, names: Sequence[str] = ()) -> None:
        assert len(images) == len(labels), (images.shape, labels.shape)
        self.images = images.unsqueeze(1)
        self.labels = labels
        self.names = names

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
        at = torch.from_numpy(np.array(indices, np.int64))  # torch.as_tensor(indices) takes five times as long
        if self.images.is_cuda:  # copying from memory that is not pinned waits for all earlier steps
            at = at.pin_memory()
        at = at.to(self.images.device, non_blocking=True)
        return self.images.index_select(0, at), self.labels.index_select(0, at)


def to_floats(images: Tensor) -> Tensor:
    """From uint8 to float32 in [0, 1], same shape."""
    return images.float().div_(255)  # torch.div(images, 255) is the same and takes 10 times as long for 1,000 images


class Shuffled(RandomSampler):
    """A new order for each epoch, drawn as torch's own sampler does; an epoch that was begun can be taken up again.

    Attributes:
        seed: Seed of this epoch's order.
    """

    def __init__(self, digits: Any) -> None:
        super().__init__(digits)
        self.seed = 0
        self._take_up: tuple[int, Callable[[], None]] | None = None

    def take_up(self, seed: int, num_done: int, before: Callable[[], None]) -> None:
        """Let the next epoch be the rest of one that was begun.

        Args:
            seed: Seed of its order.
            num_done: How many images are left out at its beginning.
            before: Is called before the first batch.
        """
        self.seed, self._take_up = seed, (num_done, before)

    def __iter__(self) -> Iterator[int]:
        num_done = 0
        if self._take_up:
            (num_done, before), self._take_up = self._take_up, None
            before()
        else:
            self.seed = int(torch.empty((), dtype=torch.int64).random_().item())
        return iter(self._order(torch.Generator().manual_seed(self.seed))[num_done:])

    def _order(self, generator: torch.Generator) -> list[int]:
        order: list[int] = torch.randperm(self.num_samples, generator=generator).tolist()
        return order


class Share(DistributedSampler[Any]):
    """What one of several processes gets of a new order for each epoch; it can be taken up again as `Shuffled` can."""

    seed: int
    _take_up: tuple[int, Callable[[], None]] | None = None

    def take_up(self, seed: int, num_done: int, before: Callable[[], None]) -> None:
        """See `Shuffled`; *num_done* counts the images of this process."""
        self.seed, self._take_up = seed, (num_done, before)

    def __iter__(self) -> Iterator[int]:
        order, num_done = list(super().__iter__()), 0
        if self._take_up:
            (num_done, before), self._take_up = self._take_up, None
            before()
        return iter(order[num_done:])


def new_order(digits: Any, world_size: int, rank: int) -> Shuffled | Share:
    """The sampler of training images of one process."""
    if world_size == 1:
        return Shuffled(digits)
    return Share(digits, world_size, rank, seed=int(os.environ.get("PL_GLOBAL_SEED", 0)))


class _Loader(DataLoader[Any]):
    """A DataLoader that draws as many of the run's random numbers with workers as without."""

    def __iter__(self) -> Any:
        if self.num_workers:  # workers that stay have torch draw in the first epoch only, also of a resumed run
            torch.empty((), dtype=torch.int64).random_()
        return super().__iter__()


def make_loader(
    digits: Dataset[Any], *, batch_size: int, num_workers: int, sampler: Sampler[int] | None = None
) -> DataLoader[Any]:
    """A plain DataLoader over whole batches: samplers, workers and Lightning's distribution work as usual."""
    return _Loader(
        digits,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        generator=torch.Generator() if num_workers else None,  # not the run's: see above
        collate_fn=_identity,
    )


def _identity(batch: Any) -> Any:
    return batch


def split(num_images: int, val_size: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the images to train on and of those to validate on: the split that torch's random_split makes.

    Raises:
        UserError: If one of them would be empty.
    """
    num_train = num_images - int(num_images * val_size)
    if not 0 < num_train < num_images:
        raise UserError(
            f"data.val_size {val_size}: of {num_images:,} images it leaves none for training or none for validation; "
            "choose another share."
        )
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed))
    return order[:num_train], order[num_train:]


def numbered(name: str, indices: Sequence[int]) -> list[str]:
    """Names of images by their place, as in `test[17]`."""
    return [f"{name}[{index}]" for index in indices]


def equal_batches(num_images: int, world_size: int, batch_size: int) -> int:
    """The next batch size with which all processes have as many batches: where one has more, DDP hangs."""
    fewest, most = num_images // world_size, -(-num_images // world_size)
    if not fewest:
        raise UserError(f"--trainer.devices: {num_images} images are too few for {world_size} processes; use fewer.")
    while -(-fewest // batch_size) != -(-most // batch_size):
        batch_size += 1
    return batch_size
