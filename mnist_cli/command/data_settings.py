"""What the settings of the data mean for those of a fit: how pixels are scaled, and what goes without validation."""

from collections.abc import Mapping
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from mnist_cli.data.statistics import pixel_statistics
from mnist_cli.errors import UserError


def follow_data(config: Namespace) -> None:
    """Put mean and deviation of the training images into the settings where the user gives none.

    So config.yaml and the checkpoints have the numbers that were used.

    Raises:
        UserError: If the data cannot be read.
    """
    model = config.model
    if model.mean is None or model.std is None:
        mean, std = pixel_statistics(config.data.dataset, config.data.data_dir)
        model.mean = mean if model.mean is None else model.mean
        model.std = std if model.std is None else model.std


def check_split(config: Namespace, trained_on: Mapping[str, Any]) -> None:
    """Check that no image is validated on that the chosen checkpoint was trained on.

    Args:
        config: Settings of a fit that goes on, or of a validation.
        trained_on: The data settings of the checkpoint; empty if it has none.

    Raises:
        UserError: If the split is another one.
    """
    data = config.data
    if not trained_on or data.val_size == 0 or data.dataset != trained_on.get("dataset", data.dataset):
        return
    for name in ("val_size", "split_seed"):
        if data[name] != trained_on.get(name, data[name]):
            raise UserError(
                f"--data.{name} {data[name]}: the checkpoint was trained with {trained_on[name]}, so that it has seen "
                "images of this validation split; leave the option out, or use `mnist test`."
            )


def drop_validation(config: Namespace) -> None:
    """For a fit without validation there is nothing to stop by or to choose by: leave out what would, and say so."""
    options = {"data.val_size": config.data.val_size, "trainer.limit_val_batches": config.trainer.limit_val_batches}
    off = next((name for name, value in options.items() if value == 0), None)
    if off is None:
        return
    says = {"early_stopping": "no early stopping", "checkpoint": "the last checkpoint counts"}
    dropped = [name for name in says if str(getattr(config[name], "monitor", "")).startswith("val/")]
    config.trainer.limit_val_batches = 0
    for name in dropped:
        config[name] = None
    if dropped:
        rank_zero_only(print)(f"No validation ({off} 0): {', and '.join(says[name] for name in dropped)}.")
