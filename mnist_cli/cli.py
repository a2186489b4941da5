"""DigitCLI: binds data, model, trainer and callbacks to the subcommands, and knows which run is meant."""

import copy
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mnist_cli import UserError
from mnist_cli.callbacks import BatchLog, Figures, PredictionWriter
from mnist_cli.checkpoints import RunCheckpoint, describe_checkpoint, epochs_done, read_checkpoint
from mnist_cli.datamodule import DigitDataModule
from mnist_cli.evaluation import Evaluation
from mnist_cli.loggers import DigitProgressBar
from mnist_cli.loops import shorten_steps
from mnist_cli.messages import first_sentence, silence
from mnist_cli.module import DigitModule
from mnist_cli.parser import DigitArgumentParser
from mnist_cli.process import tune
from mnist_cli.runs import Run, find_checkpoint, reserve_run, run_of, wanted_checkpoint
from mnist_cli.settings import check_settings, set_places

# Callbacks and loggers of a default run; each is an option: `--early_stopping.patience 3`, `--checkpoint null`.
DEFAULTS: dict[str, Any] = {
    "trainer.max_epochs": 10,
    "trainer.num_sanity_val_steps": 0,
    "trainer.enable_model_summary": False,
    "trainer.logger": [
        {
            "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
            "init_args": {"save_dir": ".", "default_hp_metric": False},
        },
        {"class_path": "mnist_cli.loggers.EpochCSVLogger"},
    ],
    "model.net": {"class_path": "mnist_cli.networks.MLP"},
    "early_stopping": {
        "class_path": "lightning.pytorch.callbacks.EarlyStopping",
        "init_args": {"monitor": "val/loss", "patience": 5},
    },
    "checkpoint": {"class_path": "mnist_cli.checkpoints.RunCheckpoint"},
    "evaluation": {"class_path": "mnist_cli.evaluation.Evaluation"},
    "figures": {"class_path": "mnist_cli.callbacks.Figures"},
    "batch_log": {"class_path": "mnist_cli.callbacks.BatchLog"},
    "predictions": {"class_path": "mnist_cli.callbacks.PredictionWriter"},
}


CALLBACKS: dict[str, type[pl.Callback]] = {
    "early_stopping": EarlyStopping,
    "evaluation": Evaluation,
    "figures": Figures,
    "batch_log": BatchLog,
    "predictions": PredictionWriter,
    "checkpoint": RunCheckpoint,
}
# Which of them a command uses; the others accept the options of the same file all the same.
USED = {
    "fit": ("early_stopping", "evaluation", "figures", "batch_log", "checkpoint"),
    "validate": ("evaluation", "figures"),
    "test": ("evaluation", "figures"),
    "predict": ("predictions",),
}


# What Lightning says only when it is under way, and the option that it speaks of.
_MISTAKES = {
    "Early stopping conditioned on metric": "--early_stopping.monitor",
    "`val_check_interval`": "--trainer.val_check_interval",
    "is not in bounds, numpy accepts from": "--seed_everything",
}


class DigitCLI(LightningCLI):
    """LightningCLI that works with whole runs.

    Args:
        args: Subcommand and options.
    """

    def __init__(self, args: Sequence[str]) -> None:
        self.run_directory: Run | None = None
        self.best: RunCheckpoint | None = None
        self.epochs_done = 0
        self.scheduled = False
        self.command, *options = args
        try:
            super().__init__(
                DigitModule,
                DigitDataModule,
                save_config_callback=None,
                seed_everything_default=42,
                parser_class=DigitArgumentParser,
                auto_configure_optimizers=False,
                args=[self.command, *self._with_checkpoint(options)],
            )
        except BaseException:
            if self.run_directory:
                self._leave(self.run_directory)
            raise

    @staticmethod
    def _leave(run: Run) -> None:
        """What becomes of a run that ends before its time."""
        last = run.checkpoint("last")
        if last.exists():
            print(f"This run can go on with `mnist fit --ckpt_path {last}`.", file=sys.stderr)
        else:
            run.discard_if_empty()

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Only the one that was asked for: each has a parser of its own, and building all four takes 2 s."""
        skipped = {"verbose", "weights_only", "return_predictions", "datamodule", "model", "dataloaders"}
        return {self.command: skipped | {"train_dataloaders", "val_dataloaders"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, name, subclass_mode=True, required=False)
        parser.add_argument(
            "--test_after_fit", type=bool, default=True, help="Whether fit ends with the test of the best checkpoint."
        )
        parser.set_defaults(DEFAULTS)

    def _with_checkpoint(self, options: list[str]) -> list[str]:
        """Put the settings of the run that is meant before the user's options, and the file it is after them."""
        wanted, root = wanted_checkpoint(options)
        if wanted is None and self.command != "fit":
            wanted = "best"
        if wanted is None or {"-h", "--help"} & set(options):
            self.checkpoint = None
            return options
        if _is_main_process() or "MNIST_CHECKPOINT" not in os.environ:
            # The processes that Lightning starts for DDP read the same options; the newest run may be another by then.
            found = find_checkpoint(wanted, root, resume=self.command == "fit")
            os.environ["MNIST_CHECKPOINT"] = str(found.absolute())
        self.checkpoint = Path(os.environ["MNIST_CHECKPOINT"])
        content = read_checkpoint(self.checkpoint)
        self.epochs_done = epochs_done(content)
        self.scheduled = any(state.get("total_steps") for state in content.get("lr_schedulers", []))
        run = run_of(self.checkpoint)
        precision = (run.settings().get("trainer") or {}).get("precision") if run else None
        if self.command == "fit" and run and run.config.is_file():
            settings = run.config.read_text()
        else:
            data = {**content["datamodule_hyper_parameters"], "images": None}
            parts = {"model": content["hyper_parameters"], "data": data}
            if precision:  # in another one the figures would be slightly different ones
                parts["trainer"] = {"precision": precision}
            settings = yaml.safe_dump(parts)
        if _is_main_process():
            print(describe_checkpoint(self.checkpoint, content), file=sys.stderr)
        return ["--config", settings, *options, "--ckpt_path", str(self.checkpoint)]

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Nothing: Lightning would let the checkpoint's settings win over the user's flags."""

    def before_instantiate_classes(self) -> None:
        config = self.config[self.command]
        check_settings(config)
        planned = config.trainer.max_epochs or -1
        if self.command == "fit" and 0 < planned <= self.epochs_done:
            more = f"go on with --trainer.max_epochs {self.epochs_done + 5}, for example."
            if self.scheduled:
                more = "its schedule has ended too: train anew without --ckpt_path."
            raise UserError(f"--ckpt_path: that run is complete, {self.epochs_done} of {planned} epochs; {more}")
        self.config = copy.deepcopy(self.config)  # what follows is of this run alone and stays out of config.yaml
        dump = self._parser(self.command).dump(config, skip_none=False)
        config = self.config[self.command]
        if self.command != "fit":
            config.trainer.logger = False
            assert self.checkpoint is not None
            set_places(config, run_of(self.checkpoint) or Run(self.checkpoint.parent))
        elif not config.trainer.fast_dev_run and _is_main_process():
            if config.trainer.logger in (True, None):  # for Lightning both mean its own choice
                config.trainer.logger = self._parser(self.command).get_defaults().trainer.logger
            elif config.trainer.logger and not isinstance(config.trainer.logger, list):
                config.trainer.logger = [config.trainer.logger]
            self.run_directory = reserve_run(Path(config.trainer.default_root_dir or "."))
            self.run_directory.config.write_text(dump)
            set_places(config, self.run_directory)

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, RuntimeError, AssertionError, IndexError) as error:
            raise UserError(f"these settings do not work: {first_sentence(error)}") from error

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        config = {**self._get(self.config_init, "trainer"), **kwargs}
        callbacks = config["callbacks"] or []
        config["callbacks"] = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        if config["enable_progress_bar"] is not False and not any(
            isinstance(c, ProgressBar) for c in config["callbacks"]
        ):
            config["callbacks"].append(DigitProgressBar())
        ours = {name: self._get(self.config_init, name) for name in USED[self.command]}
        if config["enable_checkpointing"] is False:
            ours.pop("checkpoint", None)
        if config["limit_val_batches"] == 0:  # without validation there is nothing to stop by or to choose by
            ours = {n: c for n, c in ours.items() if not str(getattr(c, "monitor", "")).startswith("val/")}
        self.best = ours.get("checkpoint")
        if self.command == "fit" and config["enable_checkpointing"] is not False:
            directory = str(self.run_directory.checkpoints) if self.run_directory else None
            ours["last"] = RunCheckpoint(directory, filename="last", monitor=None)
        trainer = self._instantiate_trainer(config, [callback for callback in ours.values() if callback])
        shorten_steps(trainer)
        return trainer

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}
        return kwargs | ({"verbose": self._verbose} if subcommand in ("validate", "test") else {})

    @property
    def _verbose(self) -> bool:
        """Whether Lightning prints its own table: where ours is switched off."""
        return not self.config[self.command].evaluation

    def before_fit(self) -> None:
        parameters = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        place = f"; run {self.run_directory.path}" if self.run_directory else ""
        rank_zero_only(print)(f"{type(self.model.net).__name__} with {parameters:,} trainable parameters{place}")

    def after_fit(self) -> None:
        if not self.config[self.command].test_after_fit or self.config[self.command].trainer.fast_dev_run:
            return
        stopping = self._get(self.config_init, "early_stopping")
        if stopping and stopping.stopped_epoch:
            waited = f"{stopping.monitor} was no better for {stopping.patience} epoch{'s'[: stopping.patience - 1]}"
            rank_zero_only(print)(f"Stopped early, after epoch {stopping.stopped_epoch + 1}: {waited}.")
        path = self.best.best_model_path if self.best else None
        if path:
            rank_zero_only(print)(describe_checkpoint(Path(path), read_checkpoint(Path(path))))
        self.trainer.test(
            self.model, datamodule=self.datamodule, ckpt_path=path or None, weights_only=True, verbose=self._verbose
        )


def run(args: Sequence[str]) -> int:
    """Run a subcommand; what the libraries raise for a mistake of the user becomes a `UserError`.

    Returns:
        Exit status.
    """
    silence()
    tune()
    try:
        DigitCLI(args)
    except (MisconfigurationException, OSError, ModuleNotFoundError) as error:
        raise UserError(first_sentence(error)) from error
    except (RuntimeError, ValueError) as error:
        options = [option for words, option in _MISTAKES.items() if words in str(error)]
        if not options:
            raise
        raise UserError(f"{options[0]}: {' '.join(str(error).split())}") from error
    except SIGTERMException:
        return 143
    except SystemExit as error:  # Lightning turns Ctrl-C into exit status 1, Rich a reader that has gone
        if isinstance(error.__context__, BrokenPipeError):
            return 141
        return 130 if isinstance(error.__context__, KeyboardInterrupt) else int(error.code or 0)
    return 0


def _is_main_process() -> bool:
    return int(getattr(rank_zero_only, "rank", 0)) == 0
