"""Messages of the libraries that users can ignore, and how they are silenced."""

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Warnings that users can ignore, each with the reason why.
_WARNINGS = (
    # LightningCLI 2.6 calls what jsonargparse has renamed (Lightning issue 21900); pyproject.toml bounds both versions.
    r"(?s).*(was deprecated in v4|JsonargparseDeprecationWarning)",
    # Digits in memory are handed over faster by the main process than by any number of workers (benchmarks/README.md).
    r".*does not have many workers.*",
    # One log entry every 50 steps suits longer epochs; metrics are logged once an epoch here anyway.
    r".*The number of training batches \(\d+\) is smaller than the logging interval.*",
    # Those callbacks steer training; validate, test and predict do not train.
    r".*callbacks used to create the checkpoint need to be provided.*",
    # Our data module keeps the place in the epoch, where Lightning looks for it in the loader.
    r".*You're resuming from a checkpoint that ended before the epoch ended.*",
    # Our metrics add the sums of all processes when they are computed: what is logged is the same on each of them.
    r".*It is recommended to use `self\.log\(.*sync_dist=True\)`.*",
    # RunCheckpoint keeps its files in the run directory that was reserved for it, where config.yaml already is.
    r".*Checkpoint directory .* exists and is not empty.*",
    # A machine with SLURM on it is used without it as well.
    r".*The `srun` command is available on your system but is not used.*",
)
_LOGGERS = ("lightning.pytorch", "lightning.fabric")
_LOG_LINES = (
    "💡 Tip:",  # advertisement
    "GPU available:",  # a default run takes what there is
    "TPU available:",
    "HPU available:",
    "LOCAL_RANK: 0 - CUDA_VISIBLE_DEVICES",
    "You are using a CUDA device",  # and advice that the command follows (process.py)
    "`Trainer.fit` stopped:",  # the progress bar and the curves show how long it ran
    "Loading `train_dataloader` to estimate",  # so that a scheduler can span the run
    "Restoring states from",  # the command has named the checkpoint already
    "Restored all states",
    "Loaded model weights",
    "Seed set to",  # it is in config.yaml
    "SLURM auto-requeueing enabled",  # every job on SLURM would say so
)
_RANK = re.compile(r"\[rank: \d+\] ")  # what begins a line where several processes work


@contextmanager
def silence() -> Iterator[None]:
    """Silence the messages above, and no others, until the end of the block."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith(_LOGGERS)]
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        for logger in loggers:
            logger.addFilter(_concerns_the_user)
        report = threading.excepthook

        def report_others(failed: Any) -> None:
            # TensorBoard's thread hands a full disk on to the main one at its next line: there it becomes a sentence.
            if type(failed.thread).__name__ != "_AsyncWriterThread" or not isinstance(failed.exc_value, OSError):
                report(failed)

        threading.excepthook = report_others
        try:
            yield
        finally:
            threading.excepthook = report
            for logger in loggers:
                logger.removeFilter(_concerns_the_user)


def _concerns_the_user(record: logging.LogRecord) -> bool:
    return not _RANK.sub("", record.getMessage(), count=1).startswith(_LOG_LINES)
