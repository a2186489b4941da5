"""From ink of any size to an image as MNIST's authors made them: cropped, shrunk to 20 pixels, centred by its mass."""

import torch
from torch import Tensor, nn

from mnist_cli.digits import SIDE

_DIGIT_SIDE = 20  # pixels of the longest side of a digit
_CENTRE = SIDE / 2 + 0.5  # MNIST was moved by whole pixels: its centres of mass lie evenly between 14 and 15
_FAINT = 0.1  # ink below it does not count for the box of a digit


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
        ink = ink.double()  # on a large sheet, edges less the centre lose 1e-5 in float32, which moves logits by 3e-4
        total = ink.sum().clamp(min=1e-6)
        tops, lefts, box, size, centres = *_edges(ink), *_measures(ink, total)
        longest = box.amax(0).clamp(min=1.0)
        off_centre = (centres - _CENTRE).abs().amax(0)
        of_size = (longest >= _DIGIT_SIDE - 2.5) & (longest <= _DIGIT_SIDE + 0.5)
        ready = of_size & ((size - SIDE).abs().amax(0) < 0.5) & (off_centre <= 1.0)
        scale = torch.where(of_size, torch.ones_like(longest), _DIGIT_SIDE / longest)
        # What is moved to the middle of the image, SIDE / 2: by whole pixels where nothing needs to be resampled.
        origin = torch.where(of_size, centres.floor(), centres - (_CENTRE - SIDE / 2) / scale)
        origin = torch.where(ready, torch.full_like(centres, SIDE / 2), origin)
        rows = _overlaps(tops, origin[0], scale)
        columns = _overlaps(lefts, origin[1], scale)
        # In 64 bits onnxruntime before 1.27 has no kernel for what it makes of this.
        image: Tensor = rows.float() @ ink.float() @ columns.float().T
        return image.clamp(0.0, 1.0)[None, None]


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
