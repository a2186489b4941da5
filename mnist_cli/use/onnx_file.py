"""A network as an ONNX file: written, and compared with torch.

An ONNX graph has one set of inputs, and there are two uses, so there are two forms:

    images    images (N, 1, 28, 28) in MNIST's form -> logits and probabilities (N, 10)
    drawing   ink (H, W) of any size -> logits and probabilities (10,), and the image (28, 28) that the network saw

Scaling to mean and standard deviation is inside both; cropping, shrinking and centring inside the second.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mnist_cli.digits import SIDE
from mnist_cli.errors import UserError
from mnist_cli.model.forward import Geometry
from mnist_cli.model.trained import TrainedNetwork

TOLERANCE = 1e-4  # between the logits of onnxruntime and those of torch
_EXTRA = "is not installed; install what the export needs with `pip install -e '.[export]'`."


class ImagesForm(nn.Module):
    """From images (N, 1, 28, 28) to logits and probabilities (N, 10)."""

    inputs, outputs = ("images",), ("logits", "probabilities")
    shapes = ({0: "N"},)

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images)
        return logits, logits.softmax(1)

    def example(self) -> Tensor:
        return torch.zeros(2, 1, SIDE, SIDE)


class DrawingForm(nn.Module):
    """From ink (H, W) to logits and probabilities (10,), and the image (28, 28)."""

    inputs, outputs = ("ink",), ("logits", "probabilities", "seen")
    shapes = ({0: "H", 1: "W"},)

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.geometry = Geometry()
        self.network = network

    def forward(self, ink: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        image = self.geometry(ink)
        logits = self.network(image)[0]
        return logits, logits.softmax(0), image[0, 0]

    def example(self) -> Tensor:
        ink = torch.zeros(60, 50)
        ink[10:45, 20:32] = 1
        return ink


Form = ImagesForm | DrawingForm


def write_onnx(form: Form, file: Path, metadata: Mapping[str, str]) -> None:
    """Export one form, all in one file.

    Raises:
        UserError: If the packages for it are missing, or the network has something that ONNX cannot express.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"--format onnx: {str(error.name).partition('.')[0]} {_EXTRA}") from error
    shapes = tuple({axis: torch.export.Dim(name) for axis, name in axes.items()} for axes in form.shapes)
    try:
        with _quiet():
            program = torch.onnx.export(
                form.eval(),
                (form.example(),),
                input_names=form.inputs,
                output_names=form.outputs,
                dynamic_shapes=shapes,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        name = type(form.network.net).__name__
        cause = str(error.__cause__ or error).strip().split("\n")[0]
        raise UserError(f"{name} cannot be exported to ONNX ({cause}); export it with --format hub instead.") from error
    assert program is not None
    program.model.metadata_props.update(metadata)
    program.save(file)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress messages; its failures are exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class OnnxFile:
    """An ONNX file, opened to be run on the CPU.

    Args:
        file: What `write_onnx` wrote.
    """

    def __init__(self, file: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise UserError(f"--format onnx: onnxruntime {_EXTRA}") from error
        self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The logits."""
        try:
            logits: np.ndarray = self._session.run(["logits"], {self._input: array})[0]
        except Exception as error:  # onnxruntime's own classes of errors have no base but this
            problem = str(error).split("Status Message: ")[-1].strip()
            raise UserError(
                f"the exported file does not run in onnxruntime for shape {array.shape} ({problem}); nothing was "
                "written, try other releases of torch and onnxruntime."
            ) from error
        return logits


def compare_images(file: OnnxFile, images: Tensor, logits: Tensor, batch_sizes: Sequence[int]) -> float:
    """The largest difference between the file's logits and torch's, over all images at each batch size.

    Args:
        file: The exported form of images.
        images: float in [0, 1], shape (N, 1, 28, 28).
        logits: What torch says, shape (N, 10).
        batch_sizes: How many images the file gets at once.

    Raises:
        UserError: If one differs by more than `TOLERANCE`, or a digit is another.
    """
    arrays, worst = images.numpy(), 0.0
    for size in batch_sizes:
        answers = [file(arrays[start : start + size]) for start in range(0, len(arrays), size)]
        worst = max(worst, _difference(np.concatenate(answers), logits.numpy(), f"at batch size {size:,}"))
    return worst


def compare_drawings(file: OnnxFile, form: DrawingForm, drawings: Iterator[Tensor]) -> tuple[float, int]:
    """The largest difference over drawings (H, W), and how many there were.

    Raises:
        UserError: If one differs by more than `TOLERANCE`, or a digit is another.
    """
    pairs = [(file(ink.numpy()), form(ink)[0].numpy()) for ink in drawings]
    ours, theirs = (np.stack(side) for side in zip(*pairs, strict=True))
    return _difference(ours, theirs, "on drawings"), len(pairs)


def _difference(ours: np.ndarray, theirs: np.ndarray, where: str) -> float:
    others = int((ours.argmax(1) != theirs.argmax(1)).sum()) if ours.shape == theirs.shape else len(theirs)
    worst = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
    if others or not worst <= TOLERANCE:
        raise UserError(
            f"the exported file disagrees with torch {where}: {others:,} of {len(theirs):,} digits differ, logits "
            f"differ by up to {worst:.2g}; nothing was written, try other releases of torch and onnxruntime."
        )
    return worst


def describe_file(form: Form, file: Path) -> str:
    """One line: name, size, what goes in and what comes out."""
    takes: dict[type[Any], str] = {ImagesForm: "images (N, 1, 28, 28)", DrawingForm: "one drawing (H, W)"}
    return f"{file.name}: {takes[type(form)]} -> {', '.join(form.outputs)}; {file.stat().st_size / 1e6:.1f} MB"
