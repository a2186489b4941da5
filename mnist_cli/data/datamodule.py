"""DigitDataModule: from files to batches of float images in [0, 1], shape (B, 1, 28, 28), on the batch's device."""

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveInt
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from lightning.pytorch.utilities.types import EVAL_DATALOADERS, TRAIN_DATALOADERS
from torch import Tensor, nn

from mnist_cli.data.arrays import read_images
from mnist_cli.data.augment import try_augment
from mnist_cli.data.batches import (
    MOST_ON_DEVICE,
    DigitBatches,
    Share,
    Shuffled,
    equal_batches,
    make_loader,
    new_order,
    numbered,
    split,
    to_floats,
)
from mnist_cli.data.pictures import MOST_PICTURES, GivenPictures, label_from_name
from mnist_cli.data.place import check_place, place_in_order
from mnist_cli.data.random_state import random_state, restore_random_state
from mnist_cli.data.sources import prepare_digits, read_digits
from mnist_cli.data.statistics import say_if_dark_on_light
from mnist_cli.digits import class_names
from mnist_cli.errors import UserError


class DigitDataModule(pl.LightningDataModule):
    """Handwritten digits in memory, split into training, validation and test.

    The test set is the data set's own; nothing but `test` and `predict` hands it to a network (a fit looks before it
    begins whether it is whole). Images leave as floats in [0, 1]; scaling to mean and standard deviation is the model's
    part.

    Args:
        dataset: MNIST, FashionMNIST, KMNIST, QMNIST, EMNIST (its digits) or MNIST-NumPy (MNIST as four NumPy files);
            or a folder with train.image.npy, train.label.npy, test.image.npy and test.label.npy; or an .npz file with
            x_train, y_train, x_test and y_test.
        data_dir: Folder that holds the named data sets; what is missing there is put there.
        batch_size: Images per training step.
        eval_batch_size: Images per step of validation, test and prediction; no result depends on it.
        val_size: Share of the training images that is kept for validation; 0 trains on all of them, for every epoch,
            and the last checkpoint is the one that counts.
        split_seed: Seed of that split.
        augment: Modules that change a batch of training images, one after the other, drawing for each image; for
            example those of kornia.augmentation.
        images: What `predict` reads instead of the test set: a picture, a folder, a pattern such as 'scans/*.png', a
            .npy file of images, or a list of these.
        labels_from_name: Whether the names of these files begin with their label, as in 7_anything.png.
        on_device: Keep the training images on the GPU; by default up to 1 GiB (MNIST takes 47 MB) without num_workers.
        num_workers: Processes that load batches; with 0 the main process does, which is faster for data in memory.
    """

    def __init__(
        self,
        dataset: str = "MNIST",
        data_dir: str = "data",
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 1000,
        val_size: ClosedUnitInterval = 0.2,
        split_seed: int = 42,
        augment: list[nn.Module] | None = None,
        images: str | list[str] | None = None,
        labels_from_name: bool = False,
        on_device: bool | None = None,
        num_workers: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        if on_device and num_workers:
            raise UserError(f"data.num_workers {num_workers}: with data.on_device nothing is left to load; give 0.")
        self.save_hyperparameters(ignore=["augment"])
        if "_instantiator" in self.hparams:  # the command line has the modules as settings
            self.save_hyperparameters()
        self.dataset = dataset
        self.data_dir = data_dir
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.val_size = val_size
        self.split_seed = split_seed
        self.augment = nn.Sequential(*augment or [])
        self.images = [images] if isinstance(images, str) else images
        self.labels_from_name = labels_from_name
        self.on_device = on_device
        self.num_workers = num_workers
        self.train_set: DigitBatches
        self.val_set: DigitBatches
        self.test_set: DigitBatches
        self.predict_set: DigitBatches | GivenPictures
        self._order: Shuffled | Share
        self._restored: dict[str, Any] | None = None  # the state of the checkpoint that a fit goes on from
        self.predict_labels: Tensor | None = None

    def prepare_data(self) -> None:
        if self.images is None:
            prepare_digits(self.dataset, self.data_dir)

    def setup(self, stage: str) -> None:
        if stage == "predict":
            self.predict_set = self._to_predict()
        elif stage == "test":
            images, labels = self._read(train=False)
            self.test_set = DigitBatches(images, labels, numbered("test", range(len(labels))))
        else:
            try_augment(self.augment.cpu())
            self.augment.to(self.trainer.strategy.root_device if self.trainer else "cpu")
            images, labels = self._read(train=True)
            if self.val_size == 0:
                if stage == "validate":
                    raise UserError(
                        "data.val_size 0: this run kept none of its images for validation; use `mnist test`."
                    )
                self.train_set = self._place(DigitBatches(images, labels))
                return
            train, val = split(len(labels), self.val_size, self.split_seed)
            self.val_set = DigitBatches(images.index_select(0, val), labels[val], numbered("train", val.tolist()))
            if stage == "fit":
                self.train_set = self._place(DigitBatches(images.index_select(0, train), labels[train]))

    def _place(self, digits: DigitBatches) -> DigitBatches:
        by_default = self.on_device is None and not self.num_workers and digits.images.nbytes <= MOST_ON_DEVICE
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return digits.to(device) if self.on_device or by_default else digits

    def check_test_set(self, limit: float | None = None) -> None:
        """Find what is wrong with the test set before the training, not after it.

        Args:
            limit: The trainer's limit_test_batches: a number of batches, or as a float a share of them.
        """
        self.prepare_data()
        images, _ = read_digits(self.dataset, self.data_dir, train=False)
        num_batches = -(-len(images) // self.eval_batch_size)
        if isinstance(limit, float) and int(limit * num_batches) < 1:
            raise UserError(
                f"--trainer.limit_test_batches {limit}: the test set has {num_batches:,} batches, so this is none; "
                "give a whole number of them, or a smaller --data.eval_batch_size."
            )

    def _to_predict(self) -> DigitBatches | GivenPictures:
        """The test set; or what was given, which is prepared as digits if the network reads digits."""
        if self.images is not None and class_names(self.dataset) == class_names("MNIST"):
            return GivenPictures(self.images)
        if self.images is None:
            images, self.predict_labels = self._read(train=False)
            names = numbered("test", range(len(images)))
        elif any(not name.lower().endswith(".npy") for name in self.images):
            raise UserError(
                f"--data.images: pictures are prepared as digits, and this network reads {self.dataset}; give .npy "
                "files of images in its own form."
            )
        else:
            read = {name: read_images(Path(name)) for name in self.images}
            images = torch.cat(list(read.values()))
            say_if_dark_on_light(images, ", ".join(read))
            names = [place for name, some in read.items() for place in numbered(name, range(len(some)))]
        return DigitBatches(images, torch.arange(len(images)), names)

    def true_label(self, index: int) -> int | None:
        """The label of an image of `predict_set`: the test set's, or what its name begins with; None if unknown."""
        if self.predict_labels is not None:
            return int(self.predict_labels[index])
        return label_from_name(self.predict_set.names[index]) if self.labels_from_name else None

    def _read(self, *, train: bool) -> tuple[Tensor, Tensor]:
        images, labels = read_digits(self.dataset, self.data_dir, train=train)
        say_if_dark_on_light(images, f"the {'training' if train else 'test'} images of {self.dataset}")
        return images, labels

    def train_dataloader(self) -> TRAIN_DATALOADERS:
        world = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        order = self._order = new_order(self.train_set, *world)
        if self._restored and (place := self._restored.get("place")):
            if isinstance(order, Share):  # workers read ahead before Lightning says which epoch it is
                order.set_epoch(place["epoch"])
            if place["batches"]:
                go_on = partial(restore_random_state, self._restored)  # a loader draws a number when it starts
                order.take_up(place["seed"], place["batches"] * self.batch_size, go_on)
        self._restored = None
        return make_loader(self.train_set, batch_size=self.batch_size, num_workers=self.num_workers, sampler=order)

    def val_dataloader(self) -> EVAL_DATALOADERS:
        if self.val_size == 0:
            return []
        return self._eval_loader(self.val_set)

    def test_dataloader(self) -> EVAL_DATALOADERS:
        return self._eval_loader(self.test_set)

    def predict_dataloader(self) -> EVAL_DATALOADERS:
        """Batches of images, or of the inks of pictures, with their indices in `predict_set` in place of labels."""
        return self._eval_loader(self.predict_set)

    def _eval_loader(self, digits: DigitBatches | GivenPictures) -> EVAL_DATALOADERS:
        """Each image once, on however many processes; Lightning's own sampler would repeat some to fill up."""
        world_size = self.trainer.world_size if self.trainer else 1
        batch_size = self.eval_batch_size
        if isinstance(digits, GivenPictures):
            batch_size = min(batch_size, MOST_PICTURES)
        if world_size == 1:
            return make_loader(digits, batch_size=batch_size, num_workers=self.num_workers)
        assert self.trainer is not None
        sampler = UnrepeatedDistributedSampler(
            digits, num_replicas=world_size, rank=self.trainer.global_rank, shuffle=False
        )
        batch_size = equal_batches(len(digits), world_size, batch_size)
        return make_loader(digits, batch_size=batch_size, num_workers=self.num_workers, sampler=sampler)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        if isinstance(batch[0], list):  # ink of pictures; the model makes images of it
            return batch
        images, labels = batch
        images = to_floats(images)
        if self.augment and self.trainer is not None and self.trainer.training:
            with torch.no_grad():  # augmentation does not learn
                images = self.augment(images)
        return images, labels

    def state_dict(self) -> dict[str, Any]:
        """The random numbers that come next, and the place in the order of the images.

        With them a resumed run shuffles, augments and drops out as an uninterrupted one.
        """
        state = random_state()
        if self.trainer and self.trainer.state.fn == "fit":
            state["place"] = place_in_order(self.trainer, self._order.seed, self.batch_size)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        restore_random_state(state_dict)
        if self.trainer and self.trainer.state.fn == "fit":
            check_place(state_dict.get("place", {}), self.batch_size)
            self._restored = state_dict


def data_of(trainer: pl.Trainer) -> DigitDataModule:
    """The data of a trainer that runs on a `DigitDataModule`."""
    data: DigitDataModule = trainer.datamodule  # type: ignore[attr-defined]  # set when the trainer gets its data
    return data
