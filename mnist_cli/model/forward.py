"""From ink of any size to an image as MNIST's authors made them, and from images to logits."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnist_cli.digits import DIGIT_SIDE, SIDE
from mnist_cli.errors import UserError

_CENTRE = SIDE / 2 + 0.5  # MNIST was moved by whole pixels: its centres of mass lie evenly between 14 and 15
_FAINT = 0.1  # ink below it does not count for the box of a digit
_TURN, _SIZE = math.radians(6.0), 0.07  # of the images that test-time augmentation adds


class Geometry(nn.Module):
    """Brings ink of any size into MNIST's form, by two matrix products.

    The weights are the overlaps of source and target pixels along each axis, so that shrinking is exact area averaging
    and centring works below a pixel. Ink of 18 to 20 pixels is moved by whole pixels, as MNIST's authors did, so that
    it is not blurred; an image that already has MNIST's form (28 x 28 pixels, its centre of mass within a pixel of the
    usual one) is returned as it is. The module has no loop and no weights, and exports to ONNX with height and width
    free.

    Source:
        The MNIST home page (LeCun, Cortes, Burges): "size normalized to fit in a 20x20 pixel box while preserving their
        aspect ratio [...] centered in a 28x28 image by computing the center of mass".
    """

    def forward(self, ink: Tensor) -> Tensor:
        """From ink, float in [0, 1], shape (H, W), to an image, float32 in [0, 1], shape (1, 1, 28, 28)."""
        ink = ink.double()  # on a large sheet, edges minus the centre lose 1e-5 in float32, which moves logits by 3e-4
        total = ink.sum().clamp(min=1e-6)
        tops, lefts, box, size, centres = *_edges(ink), *_measures(ink, total)
        longest = box.amax(0).clamp(min=1.0)
        off_centre = (centres - _CENTRE).abs().amax(0)
        of_size = (longest >= DIGIT_SIDE - 2.5) & (longest <= DIGIT_SIDE + 0.5)
        ready = of_size & ((size - SIDE).abs().amax(0) < 0.5) & (off_centre <= 1.0)
        scale = torch.where(of_size, torch.ones_like(longest), DIGIT_SIDE / longest)
        # What is moved to the middle of the image, SIDE / 2: by whole pixels where nothing needs to be resampled.
        origin = torch.where(of_size, centres.floor(), centres - (_CENTRE - SIDE / 2) / scale)
        origin = torch.where(ready, torch.full_like(centres, SIDE / 2), origin)
        rows = _overlaps(tops, origin[0], scale)
        columns = _overlaps(lefts, origin[1], scale)
        # onnxruntime before 1.27 has no float64 kernel for what it makes of this product.
        image: Tensor = rows.float() @ ink.float() @ columns.float().T
        return image.clamp(0.0, 1.0)[None, None]


def make_images(inks: Sequence[Tensor]) -> Tensor:
    """From the inks of pictures, each (H, W), to images, float32 in [0, 1], shape (B, 1, 28, 28)."""
    geometry = Geometry()
    return torch.cat([geometry(ink) for ink in inks])


def scale(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """From pixels in [0, 1] to what networks are trained on, same shape.

    Args:
        images: Pixels, shape (B, 1, 28, 28).
        mean: Mean of the pixels of the training images, a scalar; its dtype is that of the result.
        std: Their standard deviation, a scalar.
    """
    return (images.to(mean.dtype) - mean).div_(std)


@contextmanager
def reading(module: nn.Module) -> Iterator[None]:
    """Let a module read rather than learn, until the end of the block; what its user has frozen stays as it is."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def check_tta(tta: Any) -> None:
    """Check that there is such an augmentation at test time.

    Raises:
        UserError: Unless it is affine, or a whole number of pixels that leaves some of the image.
    """
    is_number = isinstance(tta, int) and not isinstance(tta, bool)
    if tta != "affine" and not (is_number and 0 <= tta < SIDE):
        raise UserError(f"model.tta {str(tta)[:40]}: expected affine or a number of pixels from 0 to {SIDE - 1}.")


def compute_logits(
    net: nn.Module, images: Tensor, mean: Tensor, std: Tensor, *, tta: int | Literal["affine"] = 0
) -> Tensor:
    """From images in [0, 1], shape (B, 1, 28, 28), to logits, shape (B, 10).

    Args:
        net: Network from scaled images to logits.
        images: Float pixels, 1 is ink.
        mean: Mean of the pixels that the network was trained on.
        std: Their standard deviation.
        tta: If not 0, the probabilities are averaged over the image and four others of the same digit, and the logits
            are the logarithm of that mean: moved by this many pixels up, down, to the left and to the right; or, with
            affine, turned by 6 degrees both ways, and 7 % larger and smaller.
    """
    if not tta:
        logits: Tensor = net(scale(images, mean, std))
        return logits
    views = [images, *(_turned_and_sized(images) if tta == "affine" else _moved(images, tta))]
    # One after the other: at once they would take five times the memory.
    parts = [net(scale(view, mean, std)).float().log_softmax(1) for view in views]
    return torch.stack(parts).logsumexp(0) - math.log(len(views))


def _moved(images: Tensor, pixels: int) -> list[Tensor]:
    padded, far = F.pad(images, [pixels] * 4), 2 * pixels
    corners = [(0, pixels), (far, pixels), (pixels, 0), (pixels, far)]
    return [padded[..., top : top + SIDE, left : left + SIDE] for top, left in corners]


def _turned_and_sized(images: Tensor) -> list[Tensor]:
    """In float32 whatever the network computes in: bfloat16 would be off by a fifteenth of a pixel."""
    cos, sin = math.cos(_TURN), math.sin(_TURN)
    centres = (torch.arange(SIDE, dtype=torch.float32, device=images.device) * 2 + 1) / SIDE - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    maps = [(cos, sin), (cos, -sin), (1 / (1 + _SIZE), 0.0), (1 / (1 - _SIZE), 0.0)]
    grids = [torch.stack([a * x - b * y, b * x + a * y], -1)[None] for a, b in maps]
    together = images.float().transpose(0, 1)  # as channels of one, so that one grid serves them all
    views = [F.grid_sample(together, grid, align_corners=False) for grid in grids]
    return [view.transpose(0, 1).to(images.dtype) for view in views]


def _edges(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Upper edges of the rows, shape (H,), and left edges of the columns, shape (W,)."""
    ones = torch.ones_like(ink)
    return ones[:, 0].cumsum(0) - 1, ones[0].cumsum(0) - 1


def _measures(ink: Tensor, total: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Size of the box of the ink, size of the sheet, and centre of mass; each (height, width) in pixels, shape (2,)."""
    boxes, sizes, centres = [], [], []
    for axis, edges in enumerate(_edges(ink)):
        used = ink.amax(1 - axis) > _FAINT
        first = torch.where(used, edges, edges.amax(0)).amin(0)
        last = torch.where(used, edges, torch.zeros_like(edges)).amax(0)
        boxes.append(last - first + 1)
        sizes.append(edges.amax(0) + 1)
        centres.append((ink.sum(1 - axis) * (edges + 0.5)).sum() / total)
    return torch.stack(boxes), torch.stack(sizes), torch.stack(centres)


def _overlaps(edges: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    """How much of each target pixel each source pixel covers, in [0, 1], shape (28, length of the axis)."""
    start = ((edges - centre) * scale + SIDE / 2)[None, :]
    target = torch.arange(SIDE, dtype=edges.dtype, device=edges.device)[:, None]
    return (torch.minimum(start + scale, target + 1) - torch.maximum(start, target)).clamp(min=0.0)
