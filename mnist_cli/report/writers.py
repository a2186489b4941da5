"""What a run leaves for people to look at: the evaluation as a table and as JSON, and figures as PNG files."""

import dataclasses
import io
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from jsonargparse.typing import PositiveInt
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from rich.console import Console

from mnist_cli.data.batches import to_floats
from mnist_cli.data.datamodule import data_of
from mnist_cli.digits import NUM_CLASSES, class_names
from mnist_cli.files import write_whole
from mnist_cli.report.answers import answers_of, collect_answers
from mnist_cli.report.evaluation import render, wilson_interval
from mnist_cli.report.tensorboard import write_picture
from mnist_cli.runs.directory import shown
from mnist_cli.runs.history import history_of


class Evaluation(Callback):
    """Prints a table of the test or the validation, and writes it as JSON.

    Args:
        name: Name of the file without `.json`, and of the figures; by default test or validate. What has the same name
            from an earlier evaluation is replaced.
        dirpath: Folder of the file; by default the run directory of `mnist`, and for a Trainer of your own none.
    """

    def __init__(self, name: str | None = None, dirpath: str | None = None) -> None:
        self.name = name
        self.dirpath = dirpath

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        collect_answers(trainer)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        report = answers_of(trainer).report
        console = Console()
        with suppress(SystemExit):  # Rich raises it when the reader, such as `head`, has seen enough
            for part in render(report, class_names(report.dataset)):
                console.print(part, highlight=False, soft_wrap=isinstance(part, str))
        if self.dirpath:
            path = Path(self.dirpath) / f"{self.name or report.stage}.json"
            write_whole(path, json.dumps(dataclasses.asdict(report), indent=1, allow_nan=False) + "\n")
            console.print(f"written to {shown(path)}", highlight=False, soft_wrap=True)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.on_test_end(trainer, pl_module)


class Figures(Callback):
    """Draws samples, curves, and for a test or validation confusions, galleries and calibration.

    Args:
        dirpath: Folder of the PNG files; by default `figures` in the run directory of `mnist`. For a Trainer of your
            own nothing is drawn without one.
        name: What the file names of an evaluation begin with; by default test or validate. An evaluation replaces the
            figures of an earlier one of the same name.
        per_class: Images per class among the samples.
    """

    def __init__(self, dirpath: str | None = None, name: str | None = None, per_class: PositiveInt = 8) -> None:
        self.dirpath = dirpath
        self.name = name
        self.per_class = per_class

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        collect_answers(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if history_of(trainer).rows and self.dirpath and trainer.is_global_zero:
            self._draw_samples(trainer)
            self._draw_curves(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if trainer.state.fn == "fit" and isinstance(exception, Exception):  # who stops a run wants it to end
            self.on_train_end(trainer, pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.dirpath and trainer.is_global_zero:
            self._draw_evaluation(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.on_test_end(trainer, pl_module)

    def _draw_samples(self, trainer: pl.Trainer) -> None:
        from mnist_cli.report.figures import samples_figure

        data = data_of(trainer)
        digits = data.train_set
        first = torch.cat([(digits.labels == k).nonzero()[: self.per_class, 0] for k in range(NUM_CLASSES)])
        images = to_floats(digits.images[first].cpu())
        augmented = None
        if data.augment:
            # The run goes on with the random numbers that it would have without figures.
            with torch.random.fork_rng(), torch.no_grad():
                augmented = data.augment(images.to(trainer.strategy.root_device)).squeeze(1).cpu().numpy()
        labels = digits.labels[first].cpu().numpy()
        names = class_names(data.dataset)
        draw = partial(samples_figure, augmented=augmented, per_class=self.per_class, class_names=names)
        draw = partial(draw, title=f"Some training images of every class of {data.dataset}")
        self._save(trainer, "samples", partial(draw, images.squeeze(1).numpy(), labels))

    def _draw_curves(self, trainer: pl.Trainer) -> None:
        from mnist_cli.report.figures import curves_figure

        history, chooser = history_of(trainer), trainer.checkpoint_callback
        monitor = getattr(chooser, "monitor", None) or "val/loss"
        best = history.best_row(monitor, getattr(chooser, "mode", "min"))
        best_epoch = int(best["epoch"]) if monitor in best else None
        self._save(trainer, "curves", partial(curves_figure, history.rows, best_epoch=best_epoch))

    def _draw_evaluation(self, trainer: pl.Trainer) -> None:
        from mnist_cli.report import figures
        from mnist_cli.report.calibration import calibration_figure

        answers = answers_of(trainer)
        images, labels, probabilities = answers.images, answers.labels, answers.probabilities
        report, names = answers.report, class_names(answers.report.dataset)
        save, prefix = partial(self._save, trainer, source=report.source), self.name or report.stage
        matrix = np.array(report.confusion_matrix)
        save(f"{prefix}-confusion", partial(figures.confusion_figure, matrix, class_names=names))
        galleries = {
            "correct": (figures.correct_order(labels, probabilities), "Correct, the least certain first"),
            "misclassified": (
                figures.misclassified_order(labels, probabilities),
                "Misclassified, the most certain first",
            ),
        }
        for kind, (order, title) in galleries.items():
            chosen = (images[order], labels[order], probabilities[order])
            places = [answers.places[index] for index in order]
            draw = partial(figures.gallery_figure, *chosen, class_names=names, title=title, places=places)
            save(f"{prefix}-{kind}", draw)
        confidences, correct = probabilities.max(1), probabilities.argmax(1) == labels
        draw = partial(calibration_figure, confidences, correct, interval=wilson_interval)
        save(f"{prefix}-calibration", partial(draw, error=report.expected_calibration_error))

    def _save(self, trainer: pl.Trainer, name: str, draw: Callable[[], Any], source: str = "") -> None:
        """Draw and compress once, for the PNG file and for TensorBoard; *source* stands below the title."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        from mnist_cli.report.figures import add_source

        figure = draw()
        if source:
            add_source(figure, source)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        png = io.BytesIO()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        picture.save(png, "png")
        path = Path(str(self.dirpath)) / f"{name}.png"
        try:
            write_whole(path, png.getvalue())
        except OSError as error:
            rank_zero_warn(
                f"{path} cannot be written ({error.strerror or error}); the run goes on without this figure."
            )
        write_picture(trainer, f"figures/{name}", png.getvalue(), picture.width, picture.height)
