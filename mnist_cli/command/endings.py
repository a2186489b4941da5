"""How a command ends: its exit status, and the sentence for what the libraries raise."""

import errno
import os
import re
import select
import sys
import traceback
from collections.abc import Callable

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mnist_cli.command.mistakes import first_sentence, while_restoring
from mnist_cli.errors import UserError
from mnist_cli.training.lost_processes import LOST
from mnist_cli.training.stop_signals import Stopped, StopSignals

# Errors that Lightning raises only during a run, and the option that each is about.
_MISTAKES = {
    "Early stopping conditioned on metric": "--early_stopping.monitor",
    "`val_check_interval`": "--trainer.val_check_interval",
    "is not in bounds, numpy accepts from": "--seed_everything",
}
_FROM_LIBRARIES = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(ArithmeticError, MemoryError),
)
# What torch says when there is no memory for a tensor, on the CPU and on a GPU; NumPy and Python say MemoryError.
_TOO_MUCH = re.compile(r"can't allocate memory|Storage size calculation overflowed|out of memory|Unable to allocate")
# What torch says when a process that it exchanges numbers with is gone.
_ALONE = re.compile(r"gloo|NCCL|TCPStore|[Cc]onnection (was )?(closed|reset|refused)|Broken pipe|[Tt]imed out")


def end(work: Callable[[], int], signals: StopSignals) -> int:
    """Do the work of a command; what the libraries raise for a mistake of the user becomes a `UserError`.

    Args:
        work: Gives the exit status.
        signals: What has noticed the signals.

    Returns:
        The exit status: 130 after SIGINT, 143 after SIGTERM, 1 where another process of the run was lost.
    """
    try:
        status = work()
    except (MisconfigurationException, OSError, ModuleNotFoundError) as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            raise
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            what = error.filename or "a file"
            raise UserError(f"the disk is full: {what} cannot be written; free some space.") from error
        sentence = first_sentence(error)
        sentence += "" if sentence.endswith((".", "?")) else "."
        if found := re.search(r"Please increase the `(limit_\w+)", str(error)):
            sentence = f"--trainer.{found[1]}: {sentence.rstrip('.')}; give more, or a whole number of batches."
        raise UserError(sentence) from error
    except _FROM_LIBRARIES as error:
        if signals.received:
            return 128 + signals.received
        if isinstance(error, MemoryError) or _TOO_MUCH.search(str(error)):
            raise UserError(
                "this needs more memory than there is; give a smaller --data.batch_size or a smaller network."
            ) from error
        several = signals.num_processes > 1 or int(os.environ.get("WORLD_SIZE", 1)) > 1  # Lightning deletes it
        if several and _ALONE.search(str(error)):
            print(LOST, file=sys.stderr)
            return 1
        restoring = while_restoring(error)
        place = traceback.extract_tb(error.__traceback__)[-1].filename
        if not restoring and "/torch/optim/" in place:
            name, other = "model.optimizer", ", or those of model.lr_scheduler"
            if place.endswith("lr_scheduler.py"):
                name, other = "model.lr_scheduler", ""
            raise UserError(
                f"{name}: a step of it fails ({first_sentence(error).rstrip('.')}); change its arguments{other}."
            ) from error
        if found := re.search(r"Early stopping conditioned on metric `(val/\w+)`", str(error)):
            raise UserError(
                f"--early_stopping.monitor: nothing was validated before the end, so {found[1]} is not known; give "
                "--early_stopping null, or train for an epoch at least."
            ) from error
        options = [option for words, option in _MISTAKES.items() if words in str(error)] + restoring
        if not options:
            raise
        raise UserError(f"{options[0]}: {' '.join(str(error).split()).rstrip('.')}.") from error
    except (Stopped, SIGTERMException):
        # One that stops because the main process got the signal ends well: Lightning kills all if one does not.
        status = 0
    except SystemExit as error:  # Lightning turns Ctrl-C into exit status 1, Rich a reader that has gone
        if isinstance(error.__context__, BrokenPipeError):
            return 141
        status = 130 if isinstance(error.__context__, KeyboardInterrupt) else int(error.code or 0)
    return 128 + signals.received if signals.received and is_main_process() else status


def _reader_is_gone() -> bool:
    """Whether the program that reads this one's output, such as `head`, has ended."""
    streams = select.poll()
    for descriptor in (1, 2):
        streams.register(descriptor, select.POLLOUT)
    return any(event & select.POLLERR for _, event in streams.poll(0))


def is_main_process() -> bool:
    """Whether this is the process that writes and speaks, of the several that a run may have."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)
