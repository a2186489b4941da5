"""How well pictures are read: folders of labelled pictures, and MNIST's test digits as pictures of several kinds.

Then come strokes that MNIST hardly has: ones drawn with a flag, some with a foot, and test zeros with a slash; and at
the end how often a picture is said to hold more than one digit, of single digits and of lines of several.

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
from PIL import Image, ImageDraw

from mnist_cli.data.ink import PictureError
from mnist_cli.data.pictures import label_from_name, read_with_doubt
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


def one_with_flag(random: np.random.Generator) -> Image.Image:
    """A 1 of two or three shaky lines, as with a mouse in a paint program."""
    image = Image.new("L", (120, 120), 255)
    pen, width = ImageDraw.Draw(image), int(random.integers(1, 8))
    height, angle = random.uniform(60, 90), np.radians(random.uniform(25, 55))
    half = height / 2 * np.array([np.tan(np.radians(random.uniform(-8, 20))), -1])
    top, bottom, foot = 60 + half, 60 - half, np.array([height / 4, 0])
    flag = random.uniform(0.25, 0.5) * height * np.array([-np.cos(angle), np.sin(angle)])
    lines = [(top + flag, top), (top, bottom)]
    if random.random() < 0.3:
        lines.append((bottom - foot, bottom + foot))
    for start, end in lines:
        points = start + np.linspace(0, 1, 9)[:, None] * (end - start) + random.normal(0, 0.6, (9, 2))
        pen.line([tuple(point) for point in points], fill=40, width=width, joint="curve")
    return image


def zero_with_slash(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """The digit with a line through its middle that rises to the right."""
    large = Image.fromarray(255 - image).resize((112, 112), Image.Resampling.BICUBIC)
    y, x = (4 * axis.mean() + 2 for axis in np.nonzero(image))
    angle, half = np.radians(random.uniform(40, 60)), random.uniform(25, 45)
    across, up = half * np.cos(angle), half * np.sin(angle)
    ImageDraw.Draw(large).line([(x - across, y + up), (x + across, y - up)], fill=0, width=int(random.integers(4, 11)))
    return large


def side_by_side(images: np.ndarray, random: np.random.Generator, slant: float = 0.0) -> Image.Image:
    """The digits in a line, not quite of one size and height, 1 to 8 pixels between them; enlarged, and slanted."""
    sheet, at = np.zeros((60, 30 + 32 * len(images)), np.uint8), 15
    for image in images:
        digit = Image.fromarray(image).crop(Image.fromarray(image).getbbox())
        factor, top = random.uniform(0.85, 1.15), 18 + int(random.integers(-3, 4))
        size = [max(1, round(factor * side)) for side in digit.size]
        pixels = np.asarray(digit.resize((size[0], size[1]), Image.Resampling.BILINEAR))
        sheet[top : top + size[1], at : at + size[0]] = pixels
        at += size[0] + int(random.integers(1, 9))
    line = Image.fromarray(sheet[:, : at + 15])
    line = line.resize((4 * line.width, 4 * line.height), Image.Resampling.BICUBIC)
    wider = (line.width + round(slant * line.height), line.height)
    line = line.transform(wider, Image.Transform.AFFINE, (1, slant, -slant * line.height, 0, 1, 0))
    return Image.fromarray(255 - np.asarray(line))


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
    random = np.random.default_rng(0)
    right = sum(correct(reader, one_with_flag(random), 1) for _ in range(500))
    print(f"ones drawn with a flag: {right} of 500")
    zeros = images[labels == 0][:500]
    right = sum(correct(reader, zero_with_slash(zero, random), 0) for zero in zeros)
    print(f"test zeros with a slash: {right} of {len(zeros)}")
    several = sum(bool(read_with_doubt(image)[1]) for image in images)
    print(f"said to hold more than one digit: {several} of the {len(images):,} test digits as they are")
    for count, slant in ((2, 0.0), (2, 0.5), (3, 0.0), (8, 0.0)):
        lines = (side_by_side(random.choice(images, count), random, slant) for _ in range(200))
        found = sum(bool(read_with_doubt(line)[1]) for line in lines)
        print(f"  {found} of 200 lines of {count}{' that slant by half of their height' if slant else ''}")


if __name__ == "__main__":
    main()
