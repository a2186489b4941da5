"""Where a fit is in the order of its training images, so that one that was stopped within an epoch can go on there."""

from typing import Any

import lightning.pytorch as pl

from mnist_cli.errors import UserError

# What one batch is made of: within an epoch the images that are done are known only by the number of batches.
_OPTIONS = {"batch_size": "--data.batch_size", "processes": "--trainer.devices"}


def place_in_order(trainer: pl.Trainer, seed: int, batch_size: int) -> dict[str, int]:
    """The epoch that is trained next, or was begun; how many of its batches are done; and the seed of its order."""
    loop: Any = trainer.fit_loop
    epoch, batches = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed
    # An epoch that the last allowed step or second has ended counts as a whole one.
    is_begun = epoch.ready > epoch.processed and batches < loop.max_batches
    return {
        "epoch": epoch.processed,
        "batches": batches if is_begun else 0,
        "seed": seed,
        "batch_size": int(batch_size),  # not jsonargparse's type: checkpoints hold plain data
        "processes": trainer.world_size,
    }


def check_place(place: dict[str, int], trainer: pl.Trainer, batch_size: int) -> None:
    """Check that the batches of a checkpoint that was saved within an epoch are those of this fit.

    Raises:
        UserError: If they are not.
    """
    if not place.get("batches"):
        return
    for name, now in (("batch_size", batch_size), ("processes", trainer.world_size)):
        if (before := place.get(name, now)) != now:
            raise UserError(
                f"{_OPTIONS[name]} {now}: the run was stopped within an epoch that was begun with {before}; go on with "
                f"{before} until its end."
            )
