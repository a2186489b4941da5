"""A shorter way for plain training steps: Lightning's loop over the batches of an epoch, without its checks.

At every step Lightning's loop checks what could be checked once an epoch: who has overridden which hook, whether there
is a profiler, which arguments training_step takes. That adds 0.4 ms to a step of the quick start, which takes 1.1 ms.

The shorter way uses private parts of Lightning, so it is taken only with the minor version that it was tested with, and
only by steps that need nothing else; `--short_steps false` switches it off. It skips Lightning's gradient accumulation,
clipping, profiling, transfer hooks and hook look-up, none of which would do anything in a plain step.
`test_the_short_way_is_lightnings_way` proves that weights, metrics, progress and the calls of every hook are equal.
"""

from collections.abc import Callable
from typing import Any

import lightning
import lightning.pytorch as pl
import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

_TESTED_WITH = "2.6"  # minor version of Lightning

# Hooks of callbacks that are called at every step.
_STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
# What a module or a data module may override for a step; then Lightning's own loop has to run.
_MODULE_HOOKS = (
    *_STEP_HOOKS,
    "optimizer_step",
    "optimizer_zero_grad",
    "backward",
    "configure_gradient_clipping",
    "on_before_batch_transfer",
    "on_after_batch_transfer",
    "transfer_batch_to_device",
)
_DATA_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device")


class EpochLoop(_TrainingEpochLoop):
    """Lightning's loop over an epoch, which takes plain steps in a shorter way.

    A plain step runs on one CPU or CUDA device, with a data module, in full precision or bfloat16, with automatic
    optimization and one optimizer, without accumulation, clipping or a profiler, and the module overrides no hook of a
    step. Callbacks may do what they like.
    """

    def on_run_start(self, data_fetcher: Any) -> None:
        super().on_run_start(data_fetcher)
        self._plain = self._is_plain()
        self._device = self.trainer.strategy.root_device
        self._hooks = {name: self._overridden_hooks(name) for name in _STEP_HOOKS}

    def _is_plain(self) -> bool:
        trainer, precision = self.trainer, self.trainer.precision_plugin
        module, data = trainer.lightning_module, trainer.datamodule
        return (
            type(trainer.strategy) is SingleDeviceStrategy
            and trainer.strategy.root_device.type in ("cpu", "cuda")
            and (type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None))
            and type(trainer.profiler) is PassThroughProfiler
            and module.automatic_optimization
            and not self.automatic_optimization._skip_backward
            and trainer.accumulate_grad_batches == 1
            and not trainer.gradient_clip_val
            and not any(_is_overridden(module, pl.LightningModule, name) for name in _MODULE_HOOKS)
            and data is not None
            and not any(_is_overridden(data, pl.LightningDataModule, name) for name in _DATA_HOOKS)
        )

    def _overridden_hooks(self, name: str) -> list[Callable[..., None]]:
        return [getattr(c, name) for c in self.trainer.callbacks if _is_overridden(c, pl.Callback, name)]

    def advance(self, data_fetcher: Any) -> None:
        if self.restarting or not self._plain:
            super().advance(data_fetcher)
            return
        trainer, progress, connector = self.trainer, self.batch_progress, self.trainer._logger_connector
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        batch_idx = self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        if self._device.type == "cuda":
            batch = move_data_to_device(batch, self._device)
        batch = trainer.datamodule.on_after_batch_transfer(batch, 0)
        progress.increment_ready()
        connector.on_batch_start(batch)
        self._call("on_train_batch_start", batch, batch_idx)
        progress.increment_started()
        loss = self._step(batch, batch_idx)
        progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self._call("on_train_batch_end", {"loss": loss}, batch, batch_idx)
        connector.on_batch_end()
        progress.increment_completed()
        connector.update_train_step_metrics()

    def _step(self, batch: Any, batch_idx: int) -> Tensor:
        trainer, module = self.trainer, self.trainer.lightning_module
        progress = self.automatic_optimization.optim_progress.optimizer
        optimizer = trainer.optimizers[0]
        names = vars(module)  # setting the attribute would have torch.nn.Module look among the parameters first

        losses: list[Tensor] = []

        @torch.enable_grad()
        def closure() -> Tensor:
            names["_current_fx_name"] = "training_step"
            with trainer.precision_plugin.train_step_context():
                loss: Tensor = module.training_step(batch, batch_idx)
            progress.zero_grad.increment_ready()
            self._call("on_before_zero_grad", optimizer)
            progress.zero_grad.increment_started()
            optimizer.zero_grad()
            progress.zero_grad.increment_completed()
            self._call("on_before_backward", loss)
            torch.autograd.backward(loss)
            self._call("on_after_backward")
            self._call("on_before_optimizer_step", optimizer)
            losses.append(loss.detach())
            return losses[-1]

        progress.step.increment_ready()
        optimizer.step(closure)
        progress.step.increment_completed()
        names["_current_fx_name"] = None
        return losses[-1]

    def _call(self, name: str, *args: Any) -> None:
        module = self.trainer.lightning_module
        for hook in self._hooks[name]:
            vars(module)["_current_fx_name"] = name
            hook(self.trainer, module, *args)
        vars(module)["_current_fx_name"] = None


def _is_overridden(owner: Any, base: type, name: str) -> bool:
    return getattr(type(owner), name) is not getattr(base, name) or name in vars(owner)


def shorten_steps(trainer: pl.Trainer) -> None:
    """Give a trainer the loop above, if Lightning has the version that it was tested with."""
    if lightning.__version__.startswith(f"{_TESTED_WITH}."):
        loop = trainer.fit_loop.epoch_loop
        trainer.fit_loop.epoch_loop = EpochLoop(trainer, loop.min_steps, loop.max_steps)
