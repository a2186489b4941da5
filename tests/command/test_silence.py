"""Messages that users can ignore are silenced for the time of a command; everything else is heard."""

import logging
import warnings

import pytest

from mnist_cli.command.silence import silence


def test_advertisements_are_dropped_and_other_lines_are_heard(caplog):
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    log.propagate = True
    with silence(), caplog.at_level(logging.INFO, log.name):
        log.info("💡 Tip: buy this")
        log.info("the disk is nearly full")
    assert caplog.messages == ["the disk is nearly full"]
    with caplog.at_level(logging.INFO, log.name):
        log.info("💡 Tip: buy this")
    assert caplog.messages[-1] == "💡 Tip: buy this"


def test_known_warnings_are_dropped_and_others_are_heard():
    before = list(warnings.filters)
    with silence():
        warnings.warn("The 'train_dataloader' does not have many workers", stacklevel=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    assert warnings.filters == before
