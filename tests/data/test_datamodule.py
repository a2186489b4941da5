"""Splits are the published ones, pixels are floats in [0, 1], augmentation draws for each image."""

import kornia.augmentation as K
import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import random_split
from torchvision.datasets import MNIST

from mnist_cli.data.batches import equal_batches, to_floats
from mnist_cli.data.datamodule import DigitDataModule
from mnist_cli.data.sources import read_digits
from mnist_cli.errors import UserError


def make_data(data_dir, stage="fit", **kwargs):
    data = DigitDataModule(data_dir=data_dir, **kwargs)
    data.prepare_data()
    data.setup(stage)
    return data


def test_the_split_is_the_one_of_the_quick_start(data_dir):
    full = MNIST(data_dir, train=True)
    train, val = random_split(full, [48_000, 12_000], generator=torch.Generator().manual_seed(42))
    data = make_data(data_dir)
    assert torch.equal(data.train_set.images.squeeze(1), full.data[train.indices])
    assert torch.equal(data.val_set.images.squeeze(1), full.data[val.indices])
    assert torch.equal(data.val_set.labels, full.targets[val.indices])


def test_validation_split_never_contains_training_images_nor_test_images(data_dir):
    data = make_data(data_dir)
    everything = read_digits("MNIST", data_dir, train=True)[0]
    together = torch.cat([data.train_set.images, data.val_set.images]).reshape(60_000, -1)
    rows = [{bytes(row) for row in part.numpy()} for part in (together, everything.reshape(60_000, -1))]
    assert rows[0] == rows[1]
    assert not hasattr(data, "test_set")


def test_without_validation_all_images_train(data_dir):
    data = make_data(data_dir, val_size=0)
    assert len(data.train_set) == 60_000
    assert data.val_dataloader() == []
    with pytest.raises(UserError, match="val_size 0: this run kept none of its images"):
        data.setup("validate")


def test_the_test_set_is_the_official_ten_thousand(data_dir, test_digits):
    data = make_data(data_dir, "test")
    assert torch.equal(data.test_set.images.squeeze(1), test_digits[0])
    assert not hasattr(data, "train_set")


def test_pixels_are_the_published_bytes_over_255(data_dir, test_digits):
    data = make_data(data_dir, "test")
    images, _ = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    assert images.dtype == torch.float32
    assert torch.equal(images.squeeze(1), test_digits[0][:1000].float() / 255)


class Recorder(pl.LightningModule):
    """Keeps the batches that it gets."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = {"train": [], "val": [], "test": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"].append(batch[0])
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.seen["val"].append(batch[0])

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def make_trainer(tmp_path, **kwargs):
    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False)
    return pl.Trainer(accelerator="cpu", default_root_dir=tmp_path, num_sanity_val_steps=0, **quiet, **kwargs)


@pytest.mark.parametrize("val_size", [0.2, 0])
def test_batches_from_the_device_are_those_that_are_copied_there(data_dir, tmp_path, val_size):
    seen = []
    for on_device in (False, True):
        pl.seed_everything(3, verbose=False)
        data, recorder = DigitDataModule(data_dir=data_dir, on_device=on_device, val_size=val_size), Recorder()
        trainer = make_trainer(tmp_path, max_epochs=1, limit_train_batches=3, limit_val_batches=0)
        trainer.fit(recorder, data)
        assert data.train_set.images.device == trainer.strategy.root_device
        seen.append(torch.cat(recorder.seen["train"]))
    assert torch.equal(*seen)


def test_processes_cannot_load_what_is_kept_on_the_device():
    with pytest.raises(UserError, match=r"num_workers 2: with data.on_device nothing is left to load"):
        DigitDataModule(on_device=True, num_workers=2)


def test_only_training_images_are_augmented(data_dir, tmp_path):
    data = DigitDataModule(data_dir=data_dir, augment=[K.RandomInvert(p=1.0)])
    recorder = Recorder()
    trainer = make_trainer(tmp_path, max_epochs=1, limit_train_batches=1, limit_val_batches=1, limit_test_batches=1)
    trainer.fit(recorder, data)
    trainer.test(recorder, data, verbose=False)
    means = {stage: batches[0].mean().item() for stage, batches in recorder.seen.items()}
    assert means["train"] > 0.8
    assert means["val"] < 0.2
    assert means["test"] < 0.2


def test_augmentation_draws_for_each_image(data_dir):
    data = make_data(data_dir, augment=[K.RandomAffine(degrees=30.0, p=1.0)])
    image = to_floats(data.train_set.images[:1])
    assert len({bytes(copy.numpy()) for copy in data.augment(image.repeat(20, 1, 1, 1))}) == 20


def test_zero_augmentation_is_the_identity(data_dir):
    data = make_data(data_dir, augment=[K.RandomAffine(degrees=0.0, p=0.0), K.RandomInvert(p=0.0)])
    images = to_floats(data.train_set.images[:10])
    assert torch.equal(data.augment(images), images)


def test_fewer_images_than_processes_are_refused():
    with pytest.raises(UserError, match="3 images are too few for 4 processes"):
        equal_batches(3, 4, 1000)
    assert equal_batches(10_001, 2, 1000) == 1001
