"""Where a fit is in the order of its training images, so that one that was stopped within an epoch can go on there."""

from typing import Any

import lightning.pytorch as pl

from mnist_cli.errors import UserError


def place_in_order(trainer: pl.Trainer, seed: int, batch_size: int) -> dict[str, int]:
    """The epoch that is trained next, or was begun; how many of its batches are done; and the seed of its order."""
    loop: Any = trainer.fit_loop
    epoch, batches = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed
    # An epoch that the last allowed step or second has ended counts as a whole one.
    is_begun = epoch.ready > epoch.processed and batches < loop.max_batches
    place = {"epoch": epoch.processed, "batches": batches if is_begun else 0, "seed": seed}
    return place | {"batch_size": int(batch_size)}  # not jsonargparse's type: checkpoints hold plain data


def check_place(place: dict[str, int], batch_size: int) -> None:
    """Check that the batches of a checkpoint that was saved within an epoch are as large as those of this fit.

    Which images are done is known only by their number: others would leave some out, or train some twice.

    Raises:
        UserError: If they are not.
    """
    if place.get("batches") and (before := place.get("batch_size", batch_size)) != batch_size:
        raise UserError(
            f"--data.batch_size {batch_size}: the run was stopped within an epoch that was begun with {before}; go on "
            f"with {before} until its end."
        )
