"""What TensorBoard shows of a run: metrics, those of the table, figures and hyperparameters."""

import pytest
from helpers import RUN, events, metrics
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData


def test_tensorboard_has_metrics_figures_and_hyperparameters(trained):
    tags = events(trained / RUN).Tags()
    assert {"train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc", "lr"} <= set(tags["scalars"])
    assert {f"figures/{path.stem}" for path in (trained / RUN / "figures").iterdir()} <= set(tags["images"])
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(events(trained / RUN).summary_metadata)


def test_tensorboard_says_what_the_table_of_metrics_says(trained):
    log, rows = events(trained / RUN), metrics(trained / RUN)
    for name in ("train/loss", "train/acc", "val/loss", "val/acc"):
        assert [e.value for e in log.Scalars(name)] == pytest.approx([float(row[name]) for row in rows[:2]])
    assert [e.value for e in log.Scalars("test/acc")] == pytest.approx([float(rows[-1]["test/acc"])])


def test_figures_and_curves_share_one_axis(trained):
    """The step is the number of optimizer steps: 40 an epoch."""
    log = events(trained / RUN)
    assert {event.step for tag in log.Tags()["images"] if "figures" in tag for event in log.Images(tag)} == {80}
    assert [event.step for event in log.Scalars("val/loss")] == [39, 79]


def test_hyperparameters_are_what_runs_are_compared_by_and_what_differs_from_the_defaults(trained):
    summary = events(trained / RUN).summary_metadata["_hparams_/session_start_info"]
    content = HParamsPluginData.FromString(summary.plugin_data.content).session_start_info.hparams
    compared = {"net", "optimizer", "optimizer.lr", "batch_size", "max_epochs"}
    assert set(content) == compared | {"limit_train_batches", "enable_progress_bar", "data_dir", "mean", "std"}
    assert [content["net"].string_value, content["optimizer.lr"].number_value] == ["MLP", 0.001]
    experiment = events(trained / RUN).summary_metadata["_hparams_/experiment"].plugin_data.content
    shown = [info.name.tag for info in HParamsPluginData.FromString(experiment).experiment.metric_infos]
    assert shown == ["val/acc", "test/acc", "val/loss", "test/loss"]


def test_the_epoch_in_tensorboard_is_that_of_the_table_of_metrics(trained):
    """Lightning alone writes 0 where the table says 1."""
    log, rows = events(trained / RUN), metrics(trained / RUN)
    shown = [(event.step, event.value) for event in log.Scalars("epoch")]
    assert set(shown) == {(39, 1.0), (49, 2.0), (79, 2.0), (80, 2.0)}  # the last is that of the test
    assert {int(row["epoch"]) for row in rows[:2]} == {1, 2}
