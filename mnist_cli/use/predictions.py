"""Predictions as a CSV file: a row for each picture, written as they come."""

import csv
import io
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import lightning.pytorch as pl
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback

from mnist_cli.data.datamodule import data_of
from mnist_cli.digits import NUM_CLASSES
from mnist_cli.files import whole_file
from mnist_cli.report.evaluation import wilson_interval
from mnist_cli.runs.directory import shown

COLUMNS = ("file", "digit", "probability", *(f"p{digit}" for digit in range(NUM_CLASSES)), "label", "note")
Row = tuple[int, list[float], str, str]  # index of the picture, the ten probabilities, why it was not read, a doubt


class PredictionWriter(Callback):
    """Writes a CSV file: the picture's file, the digit, its probability, the ten probabilities, the label, and a note.

    The label is the true one: that of the test set or, with `labels_from_name`, of the file's name; else it is empty.
    A picture that cannot be read has its reason in the note, and neither digit nor probabilities; of one that seems to
    hold several digits the note says so.

    Args:
        path: The file, or - for standard output; by default predictions.csv in the checkpoint's run directory.

    Attributes:
        failed: How many pictures could not be read.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = "-" if path == "/dev/stdout" else path
        self.failed = 0
        self._doubtful = 0
        self._stack = ExitStack()  # holds the file until it is whole
        self._file: IO[str] | None = None
        self._rows: list[Row] = []  # of this process, where there are several
        self._confusions: Counter[tuple[int, int | None]] = Counter()  # (label, digit): pictures; no digit if unread
        self._unlabelled = 0
        self._written = 0

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        if self.path == "-":
            self._file = out = sys.stdout
            if isinstance(out, io.TextIOWrapper):  # names of files need not be text
                self._stack.callback(out.reconfigure, errors=out.errors)
                out.reconfigure(errors="surrogateescape")
        else:
            file = self._stack.enter_context(whole_file(Path(self.path or "predictions.csv")))
            self._file = io.TextIOWrapper(file, newline="", encoding="utf-8", errors="surrogateescape")
        csv.writer(self._file).writerow(COLUMNS)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        notes = batch[2:] if len(batch) > 2 else [[""] * len(outputs)] * 2
        rows = list(zip(batch[1].tolist(), outputs.tolist(), *notes, strict=True))
        if trainer.world_size > 1:
            self._rows += rows
        else:
            self._write(trainer, rows)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.world_size > 1:
            parts: list[list[Row]] = [[] for _ in range(trainer.world_size)]
            dist.all_gather_object(parts, self._rows)
            self._rows = []
            if trainer.is_global_zero:
                self._write(trainer, sorted(row for part in parts for row in part))
        if not trainer.is_global_zero:
            return
        assert self._file is not None
        self._file.flush()
        self._stack.close()
        self._file = None
        self._report(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stack.__exit__(type(exception), exception, exception.__traceback__)  # what is not whole is dropped

    def _write(self, trainer: pl.Trainer, rows: list[Row]) -> None:
        assert self._file is not None
        writer = csv.writer(self._file)
        data = data_of(trainer)
        for index, probabilities, problem, doubt in rows:
            name, label = data.predict_set.names[index], data.true_label(index)
            digit = None if problem else max(range(NUM_CLASSES), key=probabilities.__getitem__)
            if digit is None:
                self.failed += 1
                writer.writerow([name, *[""] * (1 + 1 + NUM_CLASSES), label, problem])
            else:
                shares = (f"{share:.6f}" for share in (probabilities[digit], *probabilities))
                writer.writerow([name, digit, *shares, label, doubt])
                self._doubtful += bool(doubt)
            if data.labels_from_name:
                self._unlabelled += label is None
                if label is not None:
                    self._confusions[label, digit] += 1
        self._written += len(rows)

    def _report(self, trainer: pl.Trainer) -> None:
        """Say what was written, and the accuracy if labels are known."""
        out = sys.stderr if self.path == "-" else sys.stdout
        data = data_of(trainer)
        if self.path != "-":
            count = self._written - self.failed
            what = f"{count:,} prediction{'s are' if count != 1 else ' is'}"
            place = f"{what} in {shown(Path(self.path or 'predictions.csv'))}"
            print(f"{place}, of the test images of {data.dataset}" if data.images is None else place, file=out)
        if self.failed:
            verb = "picture cannot" if self.failed == 1 else "pictures cannot"
            print(f"{self.failed:,} {verb} be read; the column note says why", file=out)
        if self._doubtful:
            seem = "picture seems" if self._doubtful == 1 else "pictures seem"
            print(f"{self._doubtful:,} {seem} to hold more than one digit; see the column note", file=out)
        if not data.labels_from_name:
            return
        total = self._confusions.total()
        if self._unlabelled:
            print(f"{self._unlabelled:,} names do not begin with one digit, as in 7_anything.png", file=out)
        if not total:
            return
        correct = sum(count for (label, digit), count in self._confusions.items() if label == digit)
        low, high = (100 * bound for bound in wilson_interval(correct, total))
        print(
            f"accuracy {100 * correct / total:.2f} % (95 % interval {low:.2f} to {high:.2f}), "
            f"{correct:,} of {total:,} read correctly",
            file=out,
        )
        wrong = [
            f"{label} {'not read' if digit is None else f'read as {digit}'} ({count})"
            for (label, digit), count in self._confusions.most_common()
            if label != digit
        ]
        print(f"confusions: {', '.join(wrong) or 'none'}", file=out)
