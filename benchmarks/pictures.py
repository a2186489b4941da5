"""How well pictures are read: folders of labelled pictures, and MNIST's test digits as pictures of several kinds.

    python benchmarks/pictures.py RUN [FOLDER ...] [--images 2000] [--data_dir data]

A picture's label is the digit that its name begins with. The digits of the test set are only counted here, never used
to choose anything.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mnist_cli.data.ink import PictureError
from mnist_cli.data.pictures import label_from_name
from mnist_cli.data.sources import read_digits
from mnist_cli.use.reader import Reader, load_reader


def saved(image: Image.Image, kind: str = "PNG") -> Image.Image:
    """The image after it was written as a file and opened again."""
    file = io.BytesIO()
    image.save(file, kind)
    return Image.open(file)


def on_sheet(image: Image.Image) -> Image.Image:
    """Dark on a larger white sheet, off its centre."""
    sheet = Image.new("L", (90, 70), 255)
    sheet.paste(Image.fromarray(255 - np.asarray(image)), (45, 8))
    return sheet


def on_coloured_paper(image: Image.Image) -> Image.Image:
    """Blue ink on yellow paper, enlarged four times, under a shadow that takes half of the light at one side."""
    ink = np.asarray(image.resize((112, 112), Image.Resampling.BICUBIC), np.float32)[..., None] / 255
    light = np.linspace(1, 0.5, 112, dtype=np.float32)[None, :, None]
    paper, pen = np.array([250, 240, 170], np.float32), np.array([30, 40, 120], np.float32)
    return Image.fromarray(((paper * (1 - ink) + pen * ink) * light).astype(np.uint8))


def in_rgba(image: Image.Image) -> Image.Image:
    """Black ink on nothing."""
    rgba = np.zeros((28, 28, 4), np.uint8)
    rgba[..., 3] = np.asarray(image)
    return Image.fromarray(rgba)


VARIANTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as PNG": saved,
    "inverted": lambda image: saved(Image.fromarray(255 - np.asarray(image))),
    "enlarged 8 times": lambda image: saved(image.resize((224, 224), Image.Resampling.BICUBIC)),
    "on a larger sheet": lambda image: saved(on_sheet(image)),
    "coloured paper, shadow": lambda image: saved(on_coloured_paper(image)),
    "RGBA": lambda image: saved(in_rgba(image)),
    "JPEG": lambda image: saved(image, "JPEG"),
}


def correct(reader: Reader, picture: Path | Image.Image, label: int | None) -> bool:
    try:
        return reader.read(picture).digit == label
    except PictureError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run directory or checkpoint")
    parser.add_argument("folders", nargs="*", type=Path, help="folders of pictures named LABEL_anything.png")
    parser.add_argument("--images", type=int, default=2000, help="test digits per kind of picture")
    parser.add_argument("--data_dir", default="data", help="folder of MNIST")
    args = parser.parse_args()
    reader = load_reader(args.run)
    for folder in args.folders:
        files = sorted(file for file in folder.rglob("*") if file.is_file() and label_from_name(file.name) is not None)
        right = sum(correct(reader, file, label_from_name(file.name)) for file in files)
        print(f"{folder.name}: {right} of {len(files)}")
    images, labels = (tensor.numpy()[: args.images] for tensor in read_digits("MNIST", args.data_dir, train=False))
    scaled = images[:, None].astype(np.float32) / 255
    with torch.inference_mode():
        plain = np.concatenate([reader.network(part).argmax(1).numpy() for part in torch.from_numpy(scaled).split(500)])
    print(f"{len(labels):,} test digits as they are: {100 * (plain == labels).mean():.2f} %")
    for name, change in VARIANTS.items():
        pairs = zip(images, labels, strict=True)
        right = sum(correct(reader, change(Image.fromarray(image)), int(label)) for image, label in pairs)
        print(f"  {name}: {100 * right / len(labels):.2f} %")


if __name__ == "__main__":
    main()
