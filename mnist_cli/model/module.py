"""DigitModule: scales pixels, runs the network, counts loss and accuracy. Network and optimizer come from outside."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveFloat
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from mnist_cli.digits import MNIST_MEAN, MNIST_STD, NUM_CLASSES
from mnist_cli.errors import DivergedError, UserError
from mnist_cli.model.forward import check_tta, compute_logits, make_images
from mnist_cli.model.hyperparameters import describe
from mnist_cli.model.metrics import LossAndAccuracy
from mnist_cli.model.networks import Network
from mnist_cli.model.schedules import construct, make_schedule
from mnist_cli.model.trials import try_last_batch, try_network

Batch = tuple[Tensor, Tensor]

# Lightning 2.6 asks torch in an old way whether a tree is a leaf (Lightning issue 21326); a user cannot change it.
warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)


class DigitModule(pl.LightningModule):
    """Learns to read digits.

    Args:
        net: Network from images (B, 1, 28, 28) to logits (B, 10): MLP, CNN, or the class path of any torch.nn.Module.
        loss: cross_entropy or mse: that of the logits, or that between the probabilities and the one-hot label.
        optimizer: Any torch optimizer.
        lr_scheduler: Any torch scheduler. With total_steps left out, or T_max or total_iters 0, it spans the whole run.
        lr_scheduler_interval: When the scheduler steps; OneCycleLR always steps after each batch.
        mean: Mean of the pixels, in [0, 1], subtracted before the network; by default that of the data set's training
            images, and without one MNIST's.
        std: Standard deviation of the pixels, divided by after that; by default likewise.
        label_smoothing: Share of the target that is spread over all classes in training; cross_entropy only.
        tta: Test-time augmentation by pixels or affine. If not 0, an answer is the mean of the probabilities for the
            image and four others, at five times the work: moved by this many pixels up, down, left and right; or, with
            affine, turned a little both ways, larger and smaller. Batches of training are read once.
        compile: Run the network through torch.compile: worth it for long runs on a GPU. reduce-overhead makes CUDA
            graphs of it, max-autotune also tries out kernels.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: Network,
        loss: Literal["cross_entropy", "mse"] = "cross_entropy",
        optimizer: OptimizerCallable = lambda params: torch.optim.Adam(params, lr=1e-3),
        lr_scheduler: LRSchedulerCallable | None = None,
        lr_scheduler_interval: Literal["epoch", "step"] = "epoch",
        mean: ClosedUnitInterval | None = None,
        std: PositiveFloat | None = None,
        label_smoothing: ClosedUnitInterval = 0.0,
        tta: NonNegativeInt | Literal["affine"] = 0,
        compile: bool | Literal["reduce-overhead", "max-autotune"] = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["net", "optimizer", "lr_scheduler"])
        if "_instantiator" in self.hparams:  # the command line has these three as settings
            self.save_hyperparameters()
        else:
            self.save_hyperparameters(describe(net, optimizer=optimizer, lr_scheduler=lr_scheduler))
        check_tta(tta)
        try_network(net)
        self.net = net
        if compile:
            self.net.compile(mode=None if compile is True else compile)
        self.loss = loss
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_scheduler_interval = lr_scheduler_interval
        self.label_smoothing = label_smoothing
        self.tta = tta
        self.register_buffer("mean", torch.tensor(MNIST_MEAN if mean is None else mean))
        self.register_buffer("std", torch.tensor(MNIST_STD if std is None else std))
        self.train_metrics, self.val_metrics, self.test_metrics = (LossAndAccuracy() for _ in range(3))
        self.add_loss: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None  # set by Distillation
        self._optimizer_settings: list[dict[str, Any]] = []
        self._schedules: list[dict[str, Any]] = []  # those of the checkpoint
        self._epochs_begun = 0  # likewise
        self._lr = float("nan")  # of the last step; at the end of an epoch the scheduler has set the next one

    def forward(self, images: Tensor) -> Tensor:
        """From images in [0, 1], shape (B, 1, 28, 28), to logits, shape (B, 10)."""
        return compute_logits(self.net, images, self.mean, self.std, tta=0 if self.training else self.tta)

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch; smoothed labels count in training only, so that all runs can be compared."""
        if self.loss == "mse":
            return F.mse_loss(logits.softmax(1), F.one_hot(labels, NUM_CLASSES).to(logits.dtype))
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing if self.training else 0.0)

    def on_train_start(self) -> None:
        try_last_batch(self.net, self.trainer.train_dataloader, int(self.trainer.num_training_batches))
        # A resumed optimizer comes with the learning rate of the checkpoint; the settings of this run win.
        for optimizer in self.trainer.optimizers[:1]:
            for group, settings in zip(optimizer.param_groups, self._optimizer_settings, strict=False):
                group.update(settings)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self._step(batch, self.train_metrics)[1]
        trainer = self.trainer
        vars(self)["_lr"] = trainer.optimizers[0].param_groups[0]["lr"]  # a plain assignment takes ten times as long
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by a connector of Lightning's
        if every and (trainer.global_step + 1) % every == 0:
            self.log("train/loss_step", loss, on_step=True, on_epoch=False)
        return loss

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train", self.train_metrics)
        self.log("lr", self._lr)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The logits, for callbacks."""
        return self._step(batch, self.val_metrics)[0]

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val", self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The logits, for callbacks."""
        return self._step(batch, self.test_metrics)[0]

    def on_test_epoch_end(self) -> None:
        self._log_epoch("test", self.test_metrics)

    def _step(self, batch: Batch, metrics: LossAndAccuracy) -> tuple[Tensor, Tensor]:
        images, labels = batch
        logits = self(images)
        loss = self.compute_loss(logits, labels)
        if self.add_loss is not None and self.training:
            loss = self.add_loss(images, logits, loss)
        metrics.add(loss.detach(), logits, labels)
        return logits, loss

    def _log_epoch(self, stage: str, metrics: LossAndAccuracy) -> None:
        if metrics.update_called:  # not if the run was resumed after the last batch of an epoch
            values = {f"{stage}/{name}": value for name, value in metrics.compute().items()}
            loss = float(values[f"{stage}/loss"])
            if not math.isfinite(loss):
                raise DivergedError(self._diverged(f"{stage}/loss is {loss}"))
            self.log_dict(values, prog_bar=stage != "test")
            metrics.reset()

    def _diverged(self, problem: str) -> str:
        if self._trainer is None or self.trainer.state.fn != "fit" or self.trainer.testing:
            return f"{problem}: the weights of this checkpoint are of no use; choose another one."
        return (
            f"{problem} in epoch {self.current_epoch + 1}, step {self.global_step:,}: the network has diverged; the "
            f"learning rate was {self._lr:g}, choose a lower one{self._last_good()}."
        )

    def _last_good(self) -> str:
        """Names the newest checkpoint of the run whose weights are all finite, if there is one."""
        for callback in reversed(self.trainer.checkpoint_callbacks):
            if not isinstance(callback, ModelCheckpoint) or not callback.dirpath:
                continue
            file = Path(callback.format_checkpoint_name({}))
            if file.is_file():
                weights = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
                if all(bool(weight.isfinite().all()) for weight in weights.values()):
                    return f"; the last good checkpoint is {file}"
        return ""

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities, shape (B, 10), of images, shape (B, 1, 28, 28), or of a list of inks, each (H, W)."""
        images = batch[0]
        logits: Tensor = self(make_images(images) if isinstance(images, list) else images)
        return logits.float().softmax(1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = construct("model.optimizer", self.optimizer, self.parameters())
        if self.lr_scheduler is None:
            self._optimizer_settings = [
                {name: group[name] for name in optimizer.defaults} for group in optimizer.param_groups
            ]
            return {"optimizer": optimizer}
        schedule = make_schedule(self.lr_scheduler, self.lr_scheduler_interval, optimizer, self.optimizer, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": schedule}  # type: ignore[return-value]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check_shapes(checkpoint)
        self._schedules = checkpoint.get("lr_schedulers", [])
        self._epochs_begun = checkpoint.get("epoch", -1) + 1

    def on_fit_start(self) -> None:
        planned = [state.get("total_steps") for state in self._schedules]
        if planned and planned[0]:
            trainer, done = self.trainer, self._schedules[0]["last_epoch"]
            steps = trainer.estimated_stepping_batches  # not earlier: the random numbers have to be restored
            if trainer.max_epochs and trainer.max_epochs > 0:  # the rest may have other epochs than those that are done
                an_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
                steps = max(steps, done + an_epoch * (trainer.max_epochs - self._epochs_begun))
            if steps > planned[0]:
                ended = done >= planned[0] - 1
                remedy = "it has ended; " if ended else "give the run's own number of epochs, or "
                raise UserError(
                    f"--trainer.max_epochs: the run's schedule was planned for {planned[0]:,} steps, not {steps:,.0f}; "
                    f"{remedy}start a new run without --ckpt_path."
                )

    def _check_shapes(self, checkpoint: dict[str, Any]) -> None:
        ours, theirs = self.state_dict(), checkpoint["state_dict"]
        for name in sorted(ours.keys() | theirs.keys()):
            shapes = [tuple(state[name].shape) if name in state else "absent" for state in (ours, theirs)]
            if shapes[0] != shapes[1]:
                raise UserError(
                    f"the checkpoint holds another network: {name} is {shapes[1]} there, {shapes[0]} here; leave out "
                    "--model.net, so that the run's own network is taken, or give the checkpoint's."
                )
