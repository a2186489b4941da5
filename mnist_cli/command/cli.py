"""DigitCLI: binds data, model, trainer and callbacks to the subcommands, and works with whole runs."""

import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ProgressBar, WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only

from mnist_cli.command.agreement import check_against_run, name_evaluation, say_useless
from mnist_cli.command.checks import check_settings, say_slow_precision
from mnist_cli.command.closing import choose_tested, options_for_more, say_why_stopped
from mnist_cli.command.data_settings import drop_validation, follow_data
from mnist_cli.command.endings import end, is_main_process
from mnist_cli.command.help import answer_help
from mnist_cli.command.mistakes import first_sentence
from mnist_cli.command.parser import DigitArgumentParser
from mnist_cli.command.parts import OPTIONS, PARTS, default_settings, keep_used, place_loggers, set_places
from mnist_cli.command.pictures import collect_pictures
from mnist_cli.command.recording import begin_run, compared_settings, end_run, leave_run, say_what_next
from mnist_cli.command.resume import arguments_for, choose_checkpoint, name_teachers, recipe_of, sort_options
from mnist_cli.command.threads import choose_threads, kept_threads
from mnist_cli.data.datamodule import DigitDataModule
from mnist_cli.errors import UserError
from mnist_cli.model.module import DigitModule
from mnist_cli.report.answers import Answers
from mnist_cli.report.tensorboard import Hyperparameters, count_epochs_from_1
from mnist_cli.runs.directory import Run
from mnist_cli.runs.history import History
from mnist_cli.runs.settings import load_settings
from mnist_cli.training.checkpoint_io import write_whole_checkpoints
from mnist_cli.training.epoch_state import EpochState
from mnist_cli.training.lost_processes import watch_processes
from mnist_cli.training.progress_bar import DigitProgressBar, EpochLines
from mnist_cli.training.run_checkpoint import LastCheckpoint
from mnist_cli.training.short_steps import shorten_steps
from mnist_cli.training.stop_signals import StopSignals

DEFAULTS: dict[str, Any] = {
    "trainer.max_epochs": 10,
    "trainer.num_sanity_val_steps": 0,
    "trainer.enable_model_summary": False,
    "trainer.logger": {
        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
        "init_args": {"save_dir": ".", "default_hp_metric": False},
    },
    "model.net": {"class_path": "mnist_cli.MLP"},
}


class DigitCLI(LightningCLI):
    """LightningCLI that works with whole runs.

    Args:
        args: Subcommand and options.
        signals: What ends the work when the process is told to stop; without it Lightning's own handlers do.
    """

    def __init__(self, args: Sequence[str], signals: StopSignals | None = None) -> None:
        self.signals = signals
        self.command, *arguments = args
        if self.command == "predict":
            arguments = collect_pictures(arguments)
        self.run_directory: Run | None = None
        self.settings_yaml = ""  # all of them
        self.options = sort_options(arguments)
        self.chosen = choose_checkpoint(self.command, self.options, announce=is_main_process())
        try:
            super().__init__(
                DigitModule,
                DigitDataModule,
                save_config_callback=None,
                seed_everything_default=42,
                parser_class=DigitArgumentParser,
                auto_configure_optimizers=False,
                args=[self.command, *arguments_for(self.command, self.options, self.chosen)],
            )
        except BaseException as error:
            if self.run_directory:
                leave_run(self.run_directory, error)
            raise
        if self.run_directory:
            end_run(self.run_directory)
            say_what_next(self.run_directory, None if self.model.lr_scheduler else options_for_more(self.trainer))

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Only the one that was asked for: each has a parser of its own, and building all four takes 2 s."""
        skipped = {"verbose", "weights_only", "return_predictions", "datamodule", "model", "dataloaders"}
        return {self.command: skipped | {"train_dataloaders", "val_dataloaders"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name, part in PARTS.items():
            parser.add_lightning_class_args(part.callback, name, subclass_mode=True, required=False)
        for name, (kind, default, text) in OPTIONS.items():
            parser.add_argument(f"--{name}", type=kind, default=default, help=text)
        parser.set_defaults(DEFAULTS | default_settings())

    def parse_arguments(self, parser: DigitArgumentParser, args: Any) -> None:  # type: ignore[override]
        answer_help(self.command, self._parser(self.command), args[1:])
        self.config = parser.parse_command(["--help" if one == "--help=all" else one for one in args])

    def _parse_ckpt_path(self) -> None:
        """Lightning would let the checkpoint's settings win over the user's flags."""

    def before_instantiate_classes(self) -> None:
        config, parser = self.config[self.command], self._parser(self.command)
        check_settings(config, self.command)
        if self.chosen:
            check_against_run(config, self.command, self.chosen)
        else:
            say_useless(config, self.options.flags)
        if self.command == "fit":
            say_slow_precision(config.trainer)
            follow_data(config)
            name_teachers(config.trainer.callbacks, self.options.root)
            config.threads = choose_threads(config)
            torch.set_num_threads(config.threads)
        self.settings_yaml = parser.dump(config, skip_none=False)
        self.config = copy.deepcopy(self.config)  # what follows stays out of config.yaml
        config = self.config[self.command]
        keep_used(config, self.command)
        if self.command != "fit":
            config.trainer.logger, config.trainer.enable_checkpointing = False, False
            assert self.chosen is not None
            name_evaluation(config, self.command, self.chosen)
            set_places(config, self.chosen.run or Run(self.chosen.path.parent))
        elif not config.trainer.fast_dev_run and is_main_process():
            if config.trainer.logger in (True, None):  # for Lightning both mean its own choice
                config.trainer.logger = parser.get_defaults().trainer.logger
            root, recipe = Path(config.trainer.default_root_dir or "."), recipe_of(self.options, self.chosen)
            old = self.chosen.run if self.chosen else None
            self.run_directory = begin_run(root, self.settings_yaml, name=config.name, recipe=recipe, goes_on=old)
            set_places(config, self.run_directory)
            place_loggers(config.trainer.logger, self.run_directory)

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, RuntimeError, AssertionError, IndexError) as error:
            raise UserError(f"these settings do not work: {first_sentence(error).rstrip('.')}; change them.") from error

    def _dump_config(self) -> None:
        """The settings of model and data, for their hyperparameters; they were written as YAML before."""
        if not hasattr(self, "config_dump"):
            self.config_dump = load_settings(self.settings_yaml, "the settings")

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        config = self.config_init[self.command]
        if config.trainer.enable_checkpointing is False:
            config.checkpoint = None
        if self.command == "fit":
            drop_validation(config)
        given = config.trainer.callbacks or []
        given = given if isinstance(given, list) else [given]
        config.trainer.callbacks = [*given, *self._own_callbacks(given)]
        parser = self._parser(self.command)
        parser.callback_keys = [name for name in parser.callback_keys if config[name]]  # Lightning takes None too
        if self.command == "fit" and config.trainer.enable_checkpointing is not False:
            last = LastCheckpoint()
            for checkpoint in filter(None, (config.checkpoint, last)):
                checkpoint.dirpath = str(self.run_directory.checkpoints) if self.run_directory else None
            # Lightning appends these, so that `last` is saved after `best` and has its newest state.
            self.trainer_defaults = {"callbacks": last}
        trainer = super().instantiate_trainer(**kwargs)
        write_whole_checkpoints(trainer)
        watch_processes(trainer)
        count_epochs_from_1(trainer)
        if config.short_steps:
            shorten_steps(trainer)
        return trainer

    def _own_callbacks(self, given: list[Callback]) -> list[Callback]:
        """The callbacks that are not options, because the others and the run directory rely on them."""
        trainer = self.config_init[self.command].trainer
        ours: list[Callback] = [self.signals] if self.signals else []
        chosen = self.chosen if self.command != "fit" else None
        if self.command != "predict":
            ours.append(Answers(chosen.changes(self.config[self.command].as_dict()) if chosen else {}))
        if self.command == "fit":
            ours += [EpochState(), History(self.run_directory.metrics if self.run_directory else None)]
            defaults = self._parser("fit").get_defaults(skip_validation=True).as_dict()
            ours.append(Hyperparameters(compared_settings(load_settings(self.settings_yaml, "the settings"), defaults)))
        if trainer.enable_progress_bar is not False and not any(isinstance(one, ProgressBar) for one in given):
            trainer.enable_progress_bar = sys.stdout.isatty()  # else Lightning would draw parts of a bar into a file
            ours.append(DigitProgressBar() if trainer.enable_progress_bar else EpochLines())
        return ours

    @property
    def status(self) -> int:
        """The exit status: 1 if a picture could not be read."""
        return int(bool(getattr(self.config_init[self.command].predictions, "failed", 0)))

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}
        return kwargs | ({"verbose": self._verbose} if subcommand in ("validate", "test") else {})

    @property
    def _verbose(self) -> bool:
        """Whether Lightning prints its own table: where ours is switched off."""
        return not self.config[self.command].evaluation

    def before_fit(self) -> None:
        if self.config_init[self.command].test_after_fit:
            self.datamodule.check_test_set(self.config_init[self.command].trainer.limit_test_batches)
        parameters = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        place = f"; run {self.run_directory.path}" if self.run_directory else ""
        rank_zero_only(print)(f"{type(self.model.net).__name__} with {parameters:,} trainable parameters{place}")

    def after_fit(self) -> None:
        config = self.config_init[self.command]
        if not config.test_after_fit or config.trainer.fast_dev_run:
            return
        say_why_stopped(config.early_stopping, self.trainer)
        path = choose_tested(self.trainer)
        # Averaging would put back the weights that training goes on with, in place of the average that was saved.
        trainer: Any = self.trainer  # its callbacks are set by a connector of Lightning's
        trainer.callbacks = [one for one in trainer.callbacks if not isinstance(one, WeightAveraging)]
        self.trainer.test(
            self.model, datamodule=self.datamodule, ckpt_path=path, weights_only=True, verbose=self._verbose
        )


def run(args: Sequence[str]) -> int:
    """Run a subcommand.

    Returns:
        Exit status.
    """
    signals = StopSignals()
    with signals.handled(), kept_threads():
        return end(lambda: DigitCLI(args, signals).status, signals)
