"""Where a fit is in the order of its training images, so that one that was stopped within an epoch can go on there."""

from typing import Any

import lightning.pytorch as pl

from mnist_cli.errors import UserError


def place_in_order(trainer: pl.Trainer, seed: int, batch_size: int) -> dict[str, int]:
    """The epoch that is trained next, or was begun; how many of its batches are done; and the seed of its order."""
    loop: Any = trainer.fit_loop
    batches = loop.epoch_loop.batch_progress.current.processed
    return {
        "epoch": loop.epoch_progress.current.processed,
        "batches": batches if batches < loop.max_batches else 0,
        "seed": seed,
        "batch_size": int(batch_size),  # not jsonargparse's type: checkpoints hold plain data
    }


def images_done(place: dict[str, int], trainer: pl.Trainer, batch_size: int) -> int:
    """How many images of the epoch that was begun are done.

    Raises:
        UserError: If this fit has batches of another size: it would leave some images out, or train some twice.
    """
    epoch: Any = trainer.fit_loop.epoch_progress.current
    # An epoch that the last allowed step or second has ended counts as a whole one.
    if not place["batches"] or epoch.ready == epoch.processed:
        return 0
    if (before := place.get("batch_size", batch_size)) != batch_size:
        raise UserError(
            f"--data.batch_size {batch_size}: the run was stopped within an epoch that was begun with {before}; go on "
            f"with {before} until its end."
        )
    return place["batches"] * batch_size
