"""A trained network teaches another one."""

from pathlib import Path

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from jsonargparse.typing import ClosedUnitInterval, PositiveFloat
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mnist_cli.data.datamodule import data_of
from mnist_cli.errors import UserError
from mnist_cli.model.module import DigitModule
from mnist_cli.model.trained import TrainedNetwork, restore_network
from mnist_cli.runs.checkpoints import ChosenCheckpoint, open_checkpoint
from mnist_cli.runs.directory import find_checkpoint, is_own

_SPLIT = {"dataset": "MNIST", "val_size": 0.2, "split_seed": 42}


class Distillation(Callback):
    """Adds to the training loss how far the network's probabilities are from those of a trained one, the teacher.

    The teacher reads each batch as the network does, after augmentation and once, whatever its `tta`; its weights do
    not get into the checkpoint. It has to have been trained on the same split, or the validation accuracy would be too
    high.

    Args:
        teacher: A run or a checkpoint, of one network or an ensemble: what `--ckpt_path` takes.
        temperature: Both logits are divided by it, so that the smaller probabilities count.
        weight: Share of the teacher in the loss; the rest is the loss on the labels.

    Source:
        Hinton, Vinyals, Dean: Distilling the knowledge in a neural network, 2015, section 2.
    """

    def __init__(self, teacher: str, temperature: PositiveFloat = 4.0, weight: ClosedUnitInterval = 0.9) -> None:
        self.teacher = teacher
        self.temperature = temperature
        self.weight = weight
        self._network: TrainedNetwork | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, DigitModule)
        root = Path(trainer.default_root_dir)
        file = find_checkpoint(self.teacher, root)
        chosen = open_checkpoint(file, trusted=is_own(file, root))
        self._check_split(chosen, trainer)
        settings, weights = chosen.network_settings()["model"] | {"tta": 0}, chosen.content["state_dict"]
        network = restore_network(settings, weights, trust=chosen.trusted)
        self._network = network.to(trainer.strategy.root_device)
        pl_module.add_loss = self.loss

    def _check_split(self, chosen: ChosenCheckpoint, trainer: pl.Trainer) -> None:
        theirs, ours = chosen.content["datamodule_hyper_parameters"], data_of(trainer)
        if not theirs and ours.val_size:
            raise UserError(
                f"teacher {self.teacher}: its checkpoint does not say which images it was trained on; give "
                "--data.val_size 0, or a teacher that `mnist fit` has trained."
            )
        for name, default in _SPLIT.items():
            if name != "dataset" and ours.val_size == 0:
                return
            if theirs.get(name, default) != getattr(ours, name):
                raise UserError(
                    f"teacher {self.teacher}: it was trained with data.{name} {theirs.get(name, default)}, this run "
                    f"has {getattr(ours, name)}; give both the same data and split, or the validation accuracy would "
                    "be too high."
                )

    def loss(self, images: Tensor, logits: Tensor, loss: Tensor) -> Tensor:
        """The whole loss of a training batch.

        Args:
            images: Float in [0, 1], shape (B, 1, 28, 28).
            logits: The network's, shape (B, 10).
            loss: That on the labels.
        """
        assert self._network is not None
        with torch.no_grad():
            target = (self._network(images) / self.temperature).softmax(1)
        distance = F.kl_div((logits / self.temperature).log_softmax(1), target, reduction="batchmean")
        # The gradients of the first shrink with the square of the temperature.
        whole: Tensor = self.weight * self.temperature**2 * distance + (1 - self.weight) * loss
        return whole
