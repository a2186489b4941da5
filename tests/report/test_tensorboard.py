"""What TensorBoard shows of a run: every tag of the quick start, and the same figures as the table of metrics."""

import pytest
from helpers import RUN, events, metrics


def test_tensorboard_has_every_tag_of_the_quick_start(trained):
    tags = events(trained / RUN).Tags()
    assert {"train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc", "lr"} <= set(tags["scalars"])
    assert {f"{stage}/inputs" for stage in ("train", "val", "test")} <= set(tags["images"])
    assert {f"figures/{path.stem}" for path in (trained / RUN / "figures").iterdir()} <= set(tags["images"])
    texts = {f"{stage}/{kind}/text_summary" for stage in ("train", "val", "test") for kind in ("targets", "preds")}
    assert texts <= set(tags["tensors"])
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(events(trained / RUN).summary_metadata)


def test_tensorboard_says_what_the_table_of_metrics_says(trained):
    log, rows = events(trained / RUN), metrics(trained / RUN)
    for name in ("train/loss", "train/acc", "val/loss", "val/acc"):
        assert [e.value for e in log.Scalars(name)] == pytest.approx([float(row[name]) for row in rows[:2]])
    assert [e.value for e in log.Scalars("test/acc")] == pytest.approx([float(rows[-1]["test/acc"])])


def test_inputs_are_logged_once_an_epoch_with_their_own_labels(trained, test_digits):
    log = events(trained / RUN)
    assert [len(log.Images(f"{stage}/inputs")) for stage in ("train", "val", "test")] == [2, 2, 1]
    (text,) = log.Tensors("test/targets/text_summary")
    assert text.tensor_proto.string_val[0].decode() == ", ".join(map(str, test_digits[1][:64].tolist()))
