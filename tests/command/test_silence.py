"""Messages that users can ignore are silenced for the time of a command; everything else is heard."""

import logging
import warnings

import pytest

from mnist_cli.command.silence import silence


class Heard(logging.Handler):
    """Keeps what a logger says."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def test_advertisements_are_dropped_and_other_lines_are_heard():
    log, heard = logging.getLogger("lightning.pytorch.utilities.rank_zero"), Heard()
    log.addHandler(heard)
    try:
        with silence():
            for line in ("💡 Tip: buy this", "the disk is nearly full", "Seed set to 42", "[rank: 1] Seed set to 42"):
                log.info(line)
        assert heard.messages == ["the disk is nearly full"]
        log.info("💡 Tip: buy this")
        assert heard.messages[-1] == "💡 Tip: buy this"
    finally:
        log.removeHandler(heard)


def test_known_warnings_are_dropped_and_others_are_heard():
    before = list(warnings.filters)
    with silence():
        warnings.warn("The 'train_dataloader' does not have many workers", stacklevel=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    assert warnings.filters == before
