"""Checks of the parsed settings, before any object is built from them."""

import difflib
import math
import os
import platform
import re
from importlib.util import find_spec
from pathlib import Path

import torch
from jsonargparse import Namespace
from lightning.pytorch.accelerators import AcceleratorRegistry, CUDAAccelerator, MPSAccelerator
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities import rank_zero_only

from mnist_cli.command.mistakes import load
from mnist_cli.command.ranges import check_length, check_values
from mnist_cli.command.threads import count_processors
from mnist_cli.command.types import any_of
from mnist_cli.errors import UserError
from mnist_cli.runs.directory import RUNS, check_name

METRICS = ("val/loss", "val/acc", "train/loss", "train/acc", "lr")  # what there is to monitor
# What says that other machines take part: torchrun or the user, and the job managers that Lightning knows.
_CLUSTER = ("MASTER_ADDR", "SLURM_NTASKS", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
_PROFILERS = ("simple", "advanced", "pytorch")
_ACCELERATORS = sorted(AcceleratorRegistry.available_accelerators())
# Where 0 takes away what the command works on.
_NEEDED = {"fit": "limit_train_batches", "validate": "limit_val_batches", "test": "limit_test_batches"}
_NEEDED["predict"] = "limit_predict_batches"


def check_settings(config: Namespace, command: str) -> None:
    """Report what Lightning would report late, unclearly or not at all.

    Raises:
        UserError: If a number is out of its range, there is no such accelerator or metric, or a name cannot be one.
    """
    if config.name is not None:
        check_name(config.name)
    check_values(config)
    _check_devices(config.trainer)
    if command == "fit":
        _check_precision(config.trainer)
    if config.trainer.barebones:
        raise UserError("--trainer.barebones true: it leaves out checkpoints and metrics, which a run is made of.")
    profiler = config.trainer.profiler
    if isinstance(profiler, str) and profiler not in _PROFILERS:
        raise UserError(f"--trainer.profiler {profiler}: expected {any_of([*_PROFILERS])}, or the path of a class.")
    clip = config.trainer.gradient_clip_algorithm
    if clip not in (None, "norm", "value"):
        raise UserError(f"--trainer.gradient_clip_algorithm {clip}: expected norm or value.")
    _check_processes(config)
    if config.trainer.num_nodes > 1 and not any(name in os.environ for name in _CLUSTER):
        raise UserError(
            f"--trainer.num_nodes {config.trainer.num_nodes}: it would wait for processes that nobody starts; start "
            "the command on every machine with torchrun or SLURM."
        )
    _check_memory(config.model, training=command == "fit")
    name = _NEEDED[command]
    if config.trainer[name] == 0:
        raise UserError(f"--trainer.{name} 0: there would be nothing to {command} with; give at least 1.")
    if command == "fit" and config.test_after_fit and config.trainer.limit_test_batches == 0:
        raise UserError(
            "--trainer.limit_test_batches 0: fit ends with a test; leave it out with --test_after_fit false."
        )
    if command != "predict" and config.data.images is not None:
        raise UserError(f"--data.images: {command} reads the data set; pictures are read by `mnist predict`.")
    name = config.evaluation and config.evaluation.init_args.get("name")
    if name and Path(name).name != name:
        raise UserError(f"--evaluation.name {name}: give a plain name, and the folder with --evaluation.dirpath.")
    mode = config.early_stopping and config.early_stopping.init_args.get("mode")
    if mode not in (None, "min", "max"):
        raise UserError(f"early_stopping.mode: expected min or max, got '{mode}'.")
    if command == "fit":
        check_length(config.trainer)
        _check_monitors(config)
        _check_loggers(config.trainer)


def _check_processes(config: Namespace) -> None:
    """No more processes on CPUs than there are: each costs some 300 MB, and thousands stop the machine."""
    processors = count_processors()
    options = {"data.num_workers": config.data.num_workers}
    if _is_on_cpu(config.trainer):
        options["trainer.devices"] = config.trainer.devices
    for name, value in options.items():
        count = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(count, int) and count > processors:
            raise UserError(f"--{name} {value}: this machine has {processors} processors; give no more than that.")


def _check_memory(model: Namespace, *, training: bool) -> None:
    """Check that the weights fit; only for networks of this program, because it makes one, though without memory."""
    net = model.net
    made, name = load(net.class_path), net.class_path.rpartition(".")[2]
    if not made.__module__.startswith("mnist_cli."):
        return
    needed: float = math.inf
    try:
        with torch.device("meta"):
            needed = sum(weights.nbytes for weights in made(**net.init_args.as_dict()).parameters())
    except (RuntimeError, ValueError, TypeError) as error:
        if "overflow" not in str(error):
            return  # the network itself says what is wrong with its arguments
    if not hasattr(os, "sysconf"):
        return
    there, what = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), ""
    if training and needed <= there:
        needed, what = 2 * needed, " with their gradients"
        if re.fullmatch(r"torch\.optim\.(\w+\.)?\w*Adam\w*", model.optimizer.class_path):  # two averages of each
            needed, what = 2 * needed, " with their gradients and averages"
    if needed > there:
        size = f"{needed / 1e9:,.0f}" if needed < math.inf else "billions of"
        raise UserError(
            f"--model.net: the weights of this {name}{what} need {size} GB of memory, and this machine has "
            f"{there / 1e9:,.0f} GB; give smaller sizes."
        )


def _check_precision(trainer: Namespace) -> None:
    """Check that a CPU can train in this precision; a run of a GPU may be tested on any CPU."""
    if trainer.precision in (16, "16", "16-mixed", "16-true") and _is_on_cpu(trainer):
        raise UserError(f"--trainer.precision {trainer.precision}: a CPU trains in bfloat16; give bf16-mixed.")
    name = "transformer_engine"
    if str(trainer.precision).startswith("transformer-engine") and (_is_on_cpu(trainer) or not find_spec(name)):
        raise UserError(
            f"--trainer.precision {trainer.precision}: it needs an NVIDIA GPU and the package {name}; give bf16-mixed."
        )


def say_slow_precision(trainer: Namespace) -> None:
    """Say so if a fit is to compute in what the processor has no instructions for."""
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    is_without = is_x86 and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2")
    if is_without and str(trainer.precision).startswith("bf16") and _is_on_cpu(trainer):
        rank_zero_only(print)(
            f"--trainer.precision {trainer.precision}: this processor computes bfloat16 piece by piece; 32-true is "
            "several times as fast."
        )


def _is_on_cpu(trainer: Namespace) -> bool:
    return trainer.accelerator == "cpu" or not (CUDAAccelerator.is_available() or MPSAccelerator.is_available())


def _check_monitors(config: Namespace) -> None:
    """Check that what is monitored exists, and is newly measured, when it is looked at."""
    given = config.trainer.callbacks or []
    given = given if isinstance(given, list) else [given]
    if any(one.class_path.endswith(".LearningRateFinder") for one in given):
        raise UserError(
            "--trainer.callbacks: LearningRateFinder sets `lr` of a model, and here the optimizer has it; leave it out "
            "and give --model.optimizer.lr."
        )
    if not all(one.class_path.startswith("lightning.") for one in given):
        return  # those of the user's own may log other metrics
    parts = {f"--{name}": config[name] for name in ("early_stopping", "checkpoint") if config[name]}
    parts |= {f"--trainer.callbacks {one.class_path.rpartition('.')[2]}": one for one in given}
    parts["--model.lr_scheduler"] = config.model.lr_scheduler
    for name, part in parts.items():
        monitor = part and (part.get("init_args") or {}).get("monitor")
        if monitor is not None and monitor not in METRICS:
            near = (difflib.get_close_matches(monitor, METRICS, n=1) or METRICS)[0]
            raise UserError(f"{name}.monitor: there is no metric '{monitor}'; did you mean {near}?")
    monitor = str(config.model.lr_scheduler and (config.model.lr_scheduler.init_args or {}).get("monitor"))
    if monitor.startswith("val/") and 0 in (config.data.val_size, config.trainer.limit_val_batches):
        raise UserError(f"--model.lr_scheduler.monitor {monitor}: nothing is validated; give train/loss or train/acc.")
    monitor = config.checkpoint and config.checkpoint.init_args.get("monitor")
    interval = config.trainer.val_check_interval
    once = interval in (None, 1.0) and not isinstance(interval, int) and config.trainer.check_val_every_n_epoch == 1
    if monitor and not monitor.startswith("val/") and not once:
        raise UserError(
            f"--checkpoint.monitor {monitor}: checkpoints are chosen after a validation, and then it would be an "
            "epoch old; monitor val/loss or val/acc, or validate once an epoch."
        )


def _check_loggers(trainer: Namespace) -> None:
    """Check that TensorBoard's events go into the run directory, and no logger makes what looks like another run."""
    loggers = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
    root = Path(trainer.default_root_dir or ".").absolute()
    for logger in (one for one in loggers if isinstance(one, Namespace)):
        kind, given = logger.class_path.rpartition(".")[2], logger.init_args or {}
        folder = Path(given.get("save_dir") or ".").absolute()
        if kind == "TensorBoardLogger":
            usual = {"save_dir": folder in (root, Path.cwd()), "name": given.get("name") in (None, RUNS)}
            usual["version"] = given.get("version") is None
            for name in (name for name, as_usual in usual.items() if not as_usual):
                raise UserError(
                    f"--trainer.logger.{name} {given[name]}: TensorBoard writes into the run directory; leave it "
                    "out, and choose the place of the run with --trainer.default_root_dir and its name with --name."
                )
        elif kind == "CSVLogger" and folder / (given.get("name") or "") == root / RUNS:
            raise UserError(
                f"--trainer.logger.save_dir {given['save_dir']}: {kind} would write beside the runs in {RUNS}; give it "
                "a folder of its own."
            )


def _check_devices(trainer: Namespace) -> None:
    """Check that the accelerator is there, and that the strategy and the number of devices are valid."""
    accelerator, strategy, devices = trainer.accelerator, trainer.strategy, trainer.devices
    found = {name: AcceleratorRegistry[name]["accelerator"].is_available() for name in _ACCELERATORS}
    found |= {"auto": True, "gpu": found["cuda"] or found["mps"]}
    if isinstance(accelerator, str):
        trainer.accelerator = accelerator.lower()
        if not found.get(trainer.accelerator):
            is_known = trainer.accelerator in found
            problem = "this machine has none; use" if is_known else f"expected {any_of([*found])}; give"
            raise UserError(f"--trainer.accelerator {accelerator}: {problem} cpu or auto.")
        accelerator = trainer.accelerator
    strategies = ["auto", *StrategyRegistry.available_strategies()]
    if isinstance(strategy, str) and strategy.lower() not in strategies:
        near = (difflib.get_close_matches(strategy.lower(), strategies, n=1) or ["auto"])[0]
        raise UserError(f"--trainer.strategy {strategy}: there is no such strategy; did you mean {near}?")
    text = f"{devices}".replace(" ", "")
    if devices == [] or not re.fullmatch(r"auto|-1|0*[1-9]\d*|\d+(,\d*)+|\[.+\]", text):
        raise UserError(f"--trainer.devices {devices}: give their number, of at least 1, or auto.")
    others = [name for name, is_there in found.items() if is_there and name not in ("cpu", "auto")]
    if (accelerator == "cpu" or (accelerator == "auto" and not others)) and not re.fullmatch(r"auto|\d+", text):
        raise UserError(f"--trainer.devices {devices}: on the CPU give a number of processes, or auto.")
