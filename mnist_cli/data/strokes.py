"""Strokes that some hands write, and those of MNIST hardly ever: a flag and a foot on a 1, a slash through a 0."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from jsonargparse.typing import ClosedUnitInterval
from torch import Tensor, nn

from mnist_cli.digits import SIDE
from mnist_cli.errors import UserError

# Width over length: of the 60,000 training images 5,343 of 6,742 ones are below it, and 8 other digits.
_STRAIGHT = 0.2
_INK = 0.4  # what is lighter is paper, where a ring is looked for
_FOOT = 0.3  # share of the flagged strokes that get a foot too
_MARGIN = 8  # pixels; no stroke moves the centre of mass further


class RandomAddedStrokes(nn.Module):
    """Adds a flag, some with a foot, to what is one straight stroke, and a slash to what is one ring.

    Augmentation sees no labels, and hardly needs them here: of the 60,000 training images that are one straight stroke
    5,343 are ones and 8 others, and of those that are one ring 4,237 are zeros and 71 others, most of them nines.
    Afterwards the image is centred by its mass again, by whole pixels, as MNIST's images are.

    Args:
        flag: Share of the straight strokes that get a flag.
        slash: Share of the rings that get a slash.

    Raises:
        UserError: If both are 0.
    """

    def __init__(self, flag: ClosedUnitInterval = 0.0, slash: ClosedUnitInterval = 0.0) -> None:
        super().__init__()
        if not flag and not slash:
            raise UserError("data.augment: RandomAddedStrokes adds nothing; give flag or slash a share above 0.")
        self.flag = flag
        self.slash = slash

    def forward(self, images: Tensor) -> Tensor:
        """From images, float32 in [0, 1], shape (B, 1, 28, 28), to images of the same shape and range."""
        drawn = images.clone()
        measures = _measure(images)
        for share, are_such, add in ((self.flag, _are_straight, _add_flags), (self.slash, _are_rings, _add_slashes)):
            if share:
                chosen = are_such(images, *measures) & (torch.rand(len(images), device=images.device) < share)
                places = chosen.nonzero()[:, 0]  # once: a GPU is waited for until the number is known
                drawn[places] = _centre(add(images[places], *(measure[places] for measure in measures)))
        return drawn


def _are_straight(images: Tensor, centres: Tensor, spreads: Tensor) -> Tensor:
    """Which images are one straight stroke, shape (B,)."""
    across, along, _ = _axes(spreads)
    is_straight: Tensor = across < _STRAIGHT**2 * along
    return is_straight


def _are_rings(images: Tensor, centres: Tensor, spreads: Tensor) -> Tensor:
    """Which images are one ring, shape (B,): 32 rays from its centre cross ink once each, none at the centre."""
    places = (centres[:, None, None] + _rays(images.device)) * (2 / SIDE) - 1
    ink = F.grid_sample(images, places, align_corners=False)[:, 0] > _INK
    is_ring: Tensor = ~ink[:, :, :3].flatten(1).any(1) & ((ink[:, :, 1:] & ~ink[:, :, :-1]).sum(2) == 1).all(1)
    return is_ring


def _add_flags(images: Tensor, centres: Tensor, spreads: Tensor) -> Tensor:
    """A flag that falls to the left from the upper end of the stroke; on some a level foot too, half as long as it."""
    _, variance, angle = _axes(spreads)
    length = (12 * variance).sqrt()  # of a strip with this variance
    width = images.sum((1, 2, 3)) / length
    down = torch.stack([angle.cos(), angle.sin()], 1) * torch.where(angle < 0, -1.0, 1.0)[:, None]
    top, bottom = (centres + side * down * ((length - width) / 2)[:, None] for side in (-1, 1))
    # The angle below the level: a flag that is nearly level would make a 7, and one along the stroke would not be seen.
    stroke = torch.atan2(down[:, 1], -down[:, 0]).rad2deg()
    angle = _draw(30, (stroke - 20).clamp(30, 60), length).deg2rad()
    reach = _draw(0.2, 0.45, length) * length
    tip = top + torch.stack([-angle.cos(), angle.sin()], 1) * reach[:, None]
    flagged = torch.maximum(images, _lines(top, tip, width))
    half = torch.stack([length / 4, torch.zeros_like(length)], 1)
    has_foot = (torch.rand_like(length) < _FOOT)[:, None, None, None]
    return torch.maximum(flagged, _lines(bottom - half, bottom + half, width) * has_foot)


def _add_slashes(images: Tensor, centres: Tensor, spreads: Tensor) -> Tensor:
    """A slash through the ring's centre, rising to the right, inside of it or a little beyond."""
    angle = _draw(35, 65, centres[:, 0]).deg2rad()
    direction = torch.stack([angle.cos(), -angle.sin()], 1)
    radius = (2 * torch.einsum("bi,bij,bj->b", direction, spreads, direction)).sqrt()  # of a ring with this variance
    half = direction * (_draw(0.6, 1.2, radius) * radius)[:, None]
    width = _draw(1.5, 3, radius)
    return torch.maximum(images, _lines(centres - half, centres + half, width))


def _draw(low: float, high: float | Tensor, like: Tensor) -> Tensor:
    """Uniform between low and high, of the shape of another tensor."""
    return low + (high - low) * torch.rand_like(like)


def _measure(images: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of mass, (x, y) in pixels, shape (B, 2), and the covariances of the ink, shape (B, 2, 2)."""
    ink = images.flatten(1)
    shares, pixels = ink / ink.sum(1, keepdim=True).clamp(min=1e-6), _pixels(images.device)
    centres = shares @ pixels
    products = shares @ (pixels[:, :, None] * pixels[:, None, :]).flatten(1)
    return centres, products.view(-1, 2, 2) - centres[:, :, None] * centres[:, None, :]


def _axes(spreads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Variances across and along the longest axis, and its angle in [-pi/2, pi/2], down from the x axis; each (B,).

    In closed form: torch.linalg.eigh does not run on every device.
    """
    mean, half = (spreads[:, 0, 0] + spreads[:, 1, 1]) / 2, (spreads[:, 0, 0] - spreads[:, 1, 1]) / 2
    covariance = spreads[:, 0, 1]
    radius = torch.hypot(half, covariance)
    return mean - radius, mean + radius, torch.atan2(covariance, half) / 2


@cache
@torch.inference_mode(False)  # what is made in that mode can be used in no other
def _pixels(device: torch.device) -> Tensor:
    """The centres of the pixels, (x, y), shape (784, 2)."""
    at = torch.arange(SIDE, device=device) + 0.5
    return torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).flatten(0, 1)


@cache
@torch.inference_mode(False)
def _rays(device: torch.device) -> Tensor:
    """Half-pixel steps along 32 directions, (x, y), shape (32, 28, 2)."""
    angles = torch.arange(32, device=device) * (math.pi / 16)
    steps = torch.arange(0, SIDE / 2, 0.5, device=device)
    return torch.stack([angles.cos(), angles.sin()], 1)[:, None] * steps[:, None]


def _lines(starts: Tensor, ends: Tensor, widths: Tensor) -> Tensor:
    """Images of one straight line each, with soft edges, shape (B, 1, 28, 28)."""
    way = (ends - starts)[:, None]
    offset = _pixels(starts.device) - starts[:, None]
    share = ((offset * way).sum(2) / way.square().sum(2).clamp(min=1e-6)).clamp(0, 1)
    distances: Tensor = torch.linalg.vector_norm(offset - share[:, :, None] * way, dim=2)
    return ((widths[:, None] + 1) / 2 - distances).clamp(0, 1).view(-1, 1, SIDE, SIDE)


def _centre(images: Tensor) -> Tensor:
    """The images moved by whole pixels, until their centres of mass are where those of MNIST are."""
    ink = images.flatten(1)
    centres = ink @ _pixels(images.device) / ink.sum(1, keepdim=True)
    moves = (centres.floor().long() - SIDE // 2).clamp(-_MARGIN, _MARGIN) + _MARGIN
    columns, rows = (torch.arange(SIDE, device=images.device) + move[:, None] for move in moves.T)
    padded, numbers = F.pad(images, [_MARGIN] * 4), torch.arange(len(images), device=images.device)
    return padded[numbers[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)
