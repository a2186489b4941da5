"""Export a trained network, to ONNX or as a folder for the Hub; what disagrees with torch is not written."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import mnist_cli
from mnist_cli.data.batches import to_floats
from mnist_cli.data.sources import prepare_digits, read_digits
from mnist_cli.digits import SIDE, class_names
from mnist_cli.errors import UserError
from mnist_cli.report.evaluation import wilson_interval
from mnist_cli.runs.directory import shown
from mnist_cli.use.hub import model_card, write_hub_folder
from mnist_cli.use.onnx_file import (
    DrawingForm,
    ImagesForm,
    OnnxFile,
    compare_drawings,
    compare_images,
    describe_file,
    write_onnx,
)
from mnist_cli.use.reader import Reader, load_reader

_CHUNK = 1000  # images at a time through torch
_EVERY = 10  # of the test digits every tenth becomes a drawing


@dataclass(frozen=True)
class Proof:
    """What the network is measured on, and what it says there.

    Attributes:
        images: The test set, float in [0, 1], shape (N, 1, 28, 28).
        logits: torch's, float32, shape (N, 10).
        correct: How many it reads correctly.
    """

    images: Tensor
    logits: Tensor
    correct: int

    @property
    def accuracy(self) -> float:
        return self.correct / len(self.images)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson_interval(self.correct, len(self.images))

    def describe(self) -> str:
        low, high = (100 * bound for bound in self.interval)
        return f"{100 * self.accuracy:.2f} % (95 % interval {low:.2f} to {high:.2f}, {len(self.images):,} images)"


@torch.inference_mode()
def measure(reader: Reader, data_dir: str | None = None) -> Proof:
    """Let the network read the test set of the data that it was trained on.

    Raises:
        UserError: If it no longer exists.
    """
    data_dir = data_dir or str(reader.settings["data"].get("data_dir", "data"))
    prepare_digits(reader.dataset, data_dir)
    images_u8, labels = read_digits(reader.dataset, data_dir, train=False)
    images = to_floats(images_u8.unsqueeze(1))
    logits = torch.cat([reader.network(chunk) for chunk in torch.split(images, _CHUNK)])
    return Proof(images, logits, int((logits.argmax(1) == labels).sum()))


def export_onnx(reader: Reader, output: Path, proof: Proof) -> None:
    """Write OUTPUT.onnx for images and, of a network for digits, OUTPUT-drawing.onnx, and print what was measured.

    Both are written in a folder of their own and get to their places only when they agree with torch.

    Raises:
        UserError: If one disagrees with torch, or cannot be written.
    """
    if output.suffix != ".onnx":
        raise UserError(f"--output {output}: the name of an ONNX file ends with .onnx; give such a name.")
    forms: list[ImagesForm | DrawingForm] = [ImagesForm(reader.network)]
    if class_names(reader.dataset) == class_names("MNIST"):
        forms.append(DrawingForm(reader.network))
    else:
        print(f"The form for drawings is left out: it prepares digits, and this network reads {reader.dataset}.")
    places = [output, output.with_stem(f"{output.stem}-drawing")]
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as scratch:
        written = []
        for form, place in zip(forms, places, strict=False):
            file = Path(scratch) / place.name
            write_onnx(form, file, _metadata(reader, proof))
            print(describe_file(form, file))
            with torch.inference_mode():
                if isinstance(form, ImagesForm):
                    _prove_images(form, OnnxFile(file), proof)
                else:
                    _prove_drawings(form, OnnxFile(file), proof)
            written.append((file, place))
        for file, place in written:
            file.replace(place)
    print(f"written to {' and '.join(str(shown(place)) for _, place in written)}")


def _metadata(reader: Reader, proof: Proof) -> dict[str, str]:
    values = {
        "version": mnist_cli.__version__,
        "settings": reader.settings,
        "class_names": class_names(reader.dataset),
        "dataset": reader.dataset,
        "test_images": len(proof.images),
        "test_accuracy": proof.accuracy,
        "test_accuracy_interval_95": proof.interval,
        "pixels": "ink is bright: 0 is paper, 1 is ink, float32",
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _prove_images(form: ImagesForm, file: OnnxFile, proof: Proof) -> None:
    sizes = (1, 7, len(proof.images))
    worst = compare_images(file, proof.images, proof.logits, sizes)
    listed = ", ".join(f"{size:,}" for size in sizes)
    print(
        f"  agrees with torch on all {len(proof.images):,} test images at batch sizes {listed}: "
        f"the same digits, logits within {worst:.1e}"
    )
    array, singles = proof.images.numpy(), proof.images[:1000]
    pairs = {
        "one image": (
            lambda: [form(one[None]) for one in singles],
            lambda: [file(one[None].numpy()) for one in singles],
        ),
        f"{len(array):,} images": (lambda: form(proof.images), lambda: file(array)),
    }
    for name, (ours, theirs) in pairs.items():
        times = _in_turn(ours, theirs)
        if name == "one image":
            times = [seconds / len(singles) for seconds in times]
        unit, factor = ("ms", 1000) if times[0] < 0.1 else ("s", 1)
        print(f"  {name}: torch {times[0] * factor:.2f} {unit}, onnxruntime {times[1] * factor:.2f} {unit}")


def _in_turn(*programs: Callable[[], object], rounds: int = 3) -> list[float]:
    """Seconds that each takes, the median of some rounds in turn after one to warm up."""
    times: list[list[float]] = [[] for _ in programs]
    for round_ in range(rounds + 1):
        for program, seconds in zip(programs, times, strict=True):
            start = time.perf_counter()
            program()
            if round_:
                seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times]


def _prove_drawings(form: DrawingForm, file: OnnxFile, proof: Proof) -> None:
    worst, count = compare_drawings(file, form, _drawings(proof.images[::_EVERY, 0]))
    print(
        f"  agrees with torch on {count:,} drawings of different sizes, made from test digits: "
        f"the same digits, logits within {worst:.1e}"
    )


def _drawings(images: Tensor) -> Iterator[Tensor]:
    """Images (N, 28, 28) as drawings: up to eight times as large, somewhere on a larger sheet, each of its own size."""
    draw = torch.Generator().manual_seed(0)
    for image in images:
        height, width, top, bottom, left, right = torch.randint(0, 100, (6,), generator=draw).tolist()
        size = (SIDE + 2 * height, SIDE + 2 * width)
        ink = F.interpolate(image[None, None], size, mode="bilinear")[0, 0]
        yield F.pad(ink, (left, right, top, bottom)).contiguous()


def export_hub(reader: Reader, folder: Path, proof: Proof) -> None:
    """Write a folder as the Hugging Face Hub expects one, read it back, and print what was measured.

    Raises:
        UserError: If safetensors is not installed, or the folder cannot be written.
    """
    low, high = proof.interval
    config = {
        "version": mnist_cli.__version__,
        "model": reader.settings["model"],
        "data": reader.settings["data"],
        "class_names": class_names(reader.dataset),
        "test_accuracy": proof.accuracy,
        "test_accuracy_interval_95": [low, high],
        "test_images": len(proof.images),
    }
    parameters = sum(weight.numel() for weight in reader.network.net.parameters())
    figures = {"accuracy": proof.describe(), "trainable parameters": f"{parameters:,}"}
    card = model_card(title=reader.title, figures=figures, config=config, accuracy=proof.accuracy)
    write_hub_folder(folder, reader.network.state_dict(), config, card)
    again = load_reader(folder, trust=True)  # it was written a line before
    with torch.inference_mode():
        same = torch.equal(again.network(proof.images[:_CHUNK]), reader.network(proof.images[:_CHUNK]))
    if not same:
        raise UserError(f"{folder} gives other answers than the checkpoint; please report this network.")
    print(f"{reader.title}: accuracy {proof.describe()}")
    print(f"written to {shown(folder)}: model.safetensors, config.json, README.md")
