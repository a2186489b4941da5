"""One trial of a search: an ordinary `mnist fit` in this process, which reports every epoch and can be stopped."""

import io
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mnist_cli.command.checks import check_settings
from mnist_cli.command.cli import DigitCLI
from mnist_cli.command.data_settings import follow_data
from mnist_cli.command.parts import PARTS
from mnist_cli.command.resume import check_teachers
from mnist_cli.errors import UserError
from mnist_cli.runs.checkpoints import open_checkpoint
from mnist_cli.runs.directory import Run
from mnist_cli.runs.history import history_of, to_number
from mnist_cli.runs.record import end_record
from mnist_cli.runs.summary import Row, best_row
from mnist_cli.search.space import Dimension, SearchFile, as_flags, as_text

Report = Callable[[int, float], bool]  # epoch, counted from 0, and metric -> whether to stop here


@dataclass(frozen=True)
class Outcome:
    """The result of a trial.

    Attributes:
        run: Its run directory.
        score: The metric of the epoch whose checkpoint `mnist test` would take.
        epochs: How many it trained.
        stopped: Whether it was told to stop before its last epoch.
        test_acc: Accuracy on the test set, if it was tested.
    """

    run: Run
    score: float
    epochs: int
    stopped: bool
    test_acc: float | None


class Reporter(Callback):
    """Reports the metric after each epoch, and stops the trainer in the ordinary way if it is told to."""

    def __init__(self, metric: str, report: Report) -> None:
        self._metric = metric
        self._report = report
        self.stopped = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._metric not in trainer.callback_metrics:
            return
        last = trainer.current_epoch + 1 == trainer.max_epochs
        if self._report(trainer.current_epoch, to_number(trainer.callback_metrics[self._metric])) and not last:
            trainer.should_stop = self.stopped = True


class TrialCLI(DigitCLI):
    """`mnist fit` with a reporter, and without its output.

    Args:
        arguments: Options of fit.
        metric: What is reported.
        begun: Called with the run directory before the first epoch.
        report: Called after each epoch.
    """

    def __init__(self, arguments: Sequence[str], metric: str, begun: Callable[[Run], None], report: Report) -> None:
        self.metric, self.begun, self.reporter = metric, begun, Reporter(metric, report)
        super().__init__(["fit", *arguments])
        if self.reporter.stopped and self.run_directory:
            end_record(self.run_directory.record_file, "stopped", "pruned by the search")

    def _own_callbacks(self, given: list[Callback]) -> list[Callback]:
        return [*super()._own_callbacks(given), self.reporter]

    def before_fit(self) -> None:
        if self.run_directory is None:
            raise UserError("--trainer.fast_dev_run leaves no run; a search needs runs.")
        self.begun(self.run_directory)

    def outcome(self) -> Outcome:
        """What it came to."""
        chooser, tested = self.config_init["fit"].checkpoint, self.trainer.callback_metrics.get("test/acc")
        assert self.run_directory is not None
        return Outcome(
            self.run_directory,
            score_of(
                history_of(self.trainer).rows,
                self.metric,
                getattr(chooser, "monitor", None),
                getattr(chooser, "mode", "max"),
            ),
            int(history_of(self.trainer).rows[-1]["epoch"]),
            self.reporter.stopped,
            None if tested is None else to_number(tested),
        )


def score_of(rows: list[Row], metric: str, monitor: str | None, mode: str) -> float:
    """The metric of the epoch that `mnist test` would take: the best by what the checkpoint monitors, else the last.

    Raises:
        UserError: If the metric was not measured there.
    """
    row = best_row(rows, monitor, mode)
    if metric not in row:
        raise UserError(f"{metric} was not measured; a search needs a validation after every epoch.")
    return row[metric]


def finished(run: Run, metric: str) -> Outcome | None:
    """The result of a run whose process ended before it could report it; None if it can go on.

    Raises:
        UserError: If its last checkpoint cannot be read.
    """
    settings, chosen = run.settings(), open_checkpoint(run.checkpoint("last"))
    with suppress(UserError):
        chosen.check_going_on(settings["trainer"], early_stopping=bool(settings.get("early_stopping")))
        return None
    chooser = (settings.get("checkpoint") or {}).get("init_args") or {}
    score = score_of(chosen.content["history"], metric, chooser.get("monitor"), chooser.get("mode", "min"))
    tested = None
    if settings.get("test_after_fit"):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            metrics = DigitCLI(["test", "--ckpt_path", str(run.path)]).trainer.callback_metrics
        tested = to_number(metrics["test/acc"])
    return Outcome(run, score, chosen.epochs_done, False, tested)


def train(arguments: Sequence[str], metric: str, begun: Callable[[Run], None], report: Report) -> Outcome:
    """Train one trial; what a fit prints is left out, its warnings are kept.

    Raises:
        UserError: If the settings do not work, or the network diverged.
        KeyboardInterrupt: After Ctrl-C, which Lightning turns into a SystemExit.
        SIGTERMException: After SIGTERM.
    """
    warnings = io.StringIO()
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(warnings):
            outcome = TrialCLI(arguments, metric, begun, report).outcome()
    except SIGTERMException:
        raise
    except SystemExit as error:
        raise KeyboardInterrupt from error
    said = [line for line in warnings.getvalue().splitlines() if not line.startswith("Checkpoint ")]
    print("".join(f"{line}\n" for line in said), end="", file=sys.stderr)
    return outcome


class SettingsCLI(DigitCLI):
    """Reads the settings of a fit, makes its network and optimizer once to see that it can be done, and trains nothing.

    Attributes:
        complete: All settings, as YAML.
    """

    complete: str

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__(["fit", *arguments])

    def before_instantiate_classes(self) -> None:
        config, parser = self.config["fit"], self._parser("fit")
        check_settings(config, "fit")
        _check_one_process(config.trainer)
        check_teachers(config.trainer.callbacks)
        if config.trainer.limit_val_batches == 0:
            raise UserError("--trainer.limit_val_batches 0: a search chooses by the validation; leave it out.")
        follow_data(config)
        self.settings_yaml = self.complete = parser.dump(config, skip_none=False)
        for name in PARTS:
            config[name] = None
        config.trainer.logger, config.trainer.enable_checkpointing = False, False

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            self.model.optimizer(self.model.parameters())
        except (ValueError, TypeError) as error:
            raise UserError(f"model.optimizer: {' '.join(str(error).split())}; change its arguments.") from error

    def value(self, name: str) -> Any:
        """The value of an option."""
        found: Any = self.config["fit"]
        for key in name.split("."):
            found = found["init_args"][key] if "init_args" in found and key not in found else found[key]
        return found


def _check_one_process(trainer: Any) -> None:
    several = trainer.devices not in ("auto", 1, "1", [0], "0") or trainer.num_nodes != 1
    if several or "ddp" in str(trainer.strategy) or "fsdp" in str(trainer.strategy):
        raise UserError(
            "--trainer.devices: a trial of a search runs in one process on one device; leave devices, num_nodes and "
            "strategy out, and train trials beside each other with --jobs 2."
        )


def check_space(search: SearchFile, arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """See with the parser of `mnist fit` that every option is one, and takes all of its values.

    Args:
        search: The file of the search.
        arguments: The options of fit that all trials share.

    Returns:
        All settings that the trials share, as YAML, and Optuna's distribution of every option.

    Raises:
        UserError: If an option is none, or does not take one of its values.
    """
    shared = SettingsCLI(arguments).complete
    space = search.space.items()
    for place in range(max(len(one.probes) for one in search.space.values())):
        probe = {name: one.probes[place % len(one.probes)] for name, one in space}
        try:
            settings = SettingsCLI([*arguments, *as_flags(probe)])
        except UserError as error:
            _find_culprit(search, probe, arguments)
            raise UserError(f"{search.path}: space: {error}") from error
    return shared, {name: _distribution(search, name, one, settings.value(name)) for name, one in space}


def _find_culprit(search: SearchFile, probe: dict[str, Any], arguments: Sequence[str]) -> None:
    """Try values one by one, so that the message can name the option."""
    for name, value in probe.items():
        classes = {other: one for other, one in probe.items() if name.startswith(f"{other}.")}  # they have this option
        try:
            SettingsCLI([*arguments, *as_flags({**classes, name: value})])
        except UserError as error:
            text = str(error) if name in str(error) else f"{name}: {as_text(value)}: {error}"
            raise UserError(f"{search.path}: space: {text}") from error


def _distribution(search: SearchFile, name: str, dimension: Dimension, accepted: Any) -> Any:
    """Whole numbers, if the ends of the range are and the option keeps them so."""
    whole = isinstance(accepted, int) and dimension.is_whole
    if whole and not float(dimension.step or 1).is_integer():
        raise UserError(f"{search.path}: space: {name}.step: the option takes whole numbers, not {dimension.step}.")
    return dimension.distribution(whole=whole)
