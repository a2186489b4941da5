"""A LightningCLI application that learns to read handwritten digits.

The command line is `mnist` (see `mnist --help`). From Python, with Lightning's own `Trainer`:

    import lightning.pytorch as pl
    from mnist_cli import MLP, DigitDataModule, DigitModule

    model, data = DigitModule(MLP([256])), DigitDataModule(batch_size=256)
    trainer = pl.Trainer(max_epochs=3)
    trainer.fit(model, data)
    trainer.test(model, data)

The names below are the public ones: settings in YAML files and in checkpoints refer to them as `mnist_cli.NAME`, and
they stay when a file inside the package moves. Each is imported when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_cli.__main__ import main as main
    from mnist_cli.data.augment import RandomDistortion as RandomDistortion
    from mnist_cli.data.datamodule import DigitDataModule as DigitDataModule
    from mnist_cli.data.sources import read_digits as read_digits
    from mnist_cli.data.strokes import RandomAddedStrokes as RandomAddedStrokes
    from mnist_cli.errors import UserError as UserError
    from mnist_cli.model.ensemble import Ensemble as Ensemble
    from mnist_cli.model.module import DigitModule as DigitModule
    from mnist_cli.model.networks import CNN as CNN
    from mnist_cli.model.networks import MLP as MLP
    from mnist_cli.report.batch_log import BatchLog as BatchLog
    from mnist_cli.report.tensorboard import Hyperparameters as Hyperparameters
    from mnist_cli.report.writers import Evaluation as Evaluation
    from mnist_cli.report.writers import Figures as Figures
    from mnist_cli.runs.directory import Run as Run
    from mnist_cli.training.distillation import Distillation as Distillation
    from mnist_cli.training.muon import MuonAdam as MuonAdam
    from mnist_cli.training.run_checkpoint import RunCheckpoint as RunCheckpoint
    from mnist_cli.use.contact_sheet import ContactSheet as ContactSheet
    from mnist_cli.use.predictions import PredictionWriter as PredictionWriter
    from mnist_cli.use.reader import load_reader as load_reader

_MODULES = {
    "main": "__main__",
    "read_digits": "data.sources",
    "RandomDistortion": "data.augment",
    "RandomAddedStrokes": "data.strokes",
    "DigitDataModule": "data.datamodule",
    "UserError": "errors",
    "CNN": "model.networks",
    "MLP": "model.networks",
    "DigitModule": "model.module",
    "Ensemble": "model.ensemble",
    "Run": "runs.directory",
    "Distillation": "training.distillation",
    "MuonAdam": "training.muon",
    "RunCheckpoint": "training.run_checkpoint",
    "Evaluation": "report.writers",
    "Figures": "report.writers",
    "BatchLog": "report.batch_log",
    "Hyperparameters": "report.tensorboard",
    "ContactSheet": "use.contact_sheet",
    "PredictionWriter": "use.predictions",
    "load_reader": "use.reader",
}
__all__ = sorted(_MODULES)
__version__ = version("mnist-cli")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'mnist_cli' has no attribute '{name}'")
    return getattr(import_module(f"mnist_cli.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
