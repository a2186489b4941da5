"""Augmentation: a batch of images -> a batch of the same digits as another hand might have written them."""

import math

import torch
import torch.nn.functional as F
from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from mnist_cli.digits import SIDE
from mnist_cli.errors import UserError


class RandomDistortion(nn.Module):
    """Thickens or thins strokes, then turns, scales, slants, moves and bends, all drawn for each image.

    Everything but the strokes is one resampling, so that the digit is blurred once. It takes as long as kornia's
    RandomAffine alone, and kornia's RandomElasticTransform takes four times as long (benchmarks/README.md).

    Args:
        degrees: Largest turn, in degrees.
        scale: Largest change of the size: 0.1 scales by 0.9 to 1.1.
        aspect: Largest change of width against height, likewise.
        shear_deg: Largest slant, in degrees.
        translate_px: Largest move along each axis, in pixels.
        elastic_px: Standard deviation of the moves of a grid of points, in pixels; the image between bends smoothly.
        elastic_grid: Points of that grid along each side; fewer bend the digit as a whole.
        stroke: Largest change of the strokes: 1 thickens or thins by a pixel on each side, 0 leaves them.

    Source:
        Simard, Steinkraus, Platt: Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis
        (2003), for elastic distortions of MNIST.
    """

    base: Tensor
    spline: Tensor

    def __init__(
        self,
        degrees: NonNegativeFloat = 0.0,
        scale: ClosedUnitInterval = 0.0,
        aspect: ClosedUnitInterval = 0.0,
        shear_deg: NonNegativeFloat = 0.0,
        translate_px: NonNegativeFloat = 0.0,
        elastic_px: NonNegativeFloat = 0.0,
        elastic_grid: PositiveInt = 4,
        stroke: ClosedUnitInterval = 0.0,
    ) -> None:
        super().__init__()
        self.degrees = degrees
        self.scale = scale
        self.aspect = aspect
        self.shear_deg = shear_deg
        self.translate_px = translate_px
        self.elastic_px = elastic_px
        self.stroke = stroke
        centres = (torch.arange(SIDE) * 2 + 1) / SIDE - 1  # of the pixels, from -1 to 1, as grid_sample counts
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("base", torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1), persistent=False)
        points = torch.eye(elastic_grid**2).view(1, -1, elastic_grid, elastic_grid)
        spline = F.interpolate(points, size=SIDE, mode="bicubic", align_corners=True)
        self.register_buffer("spline", spline[0].flatten(1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """From images, float in [0, 1], shape (B, 1, 28, 28), to images of the same shape and range."""
        if self.stroke:
            images = _change_strokes(images, self._draw(len(images), 1.0).abs() * self.stroke)
        grid = (self.base @ self._affine_maps(len(images)).transpose(1, 2)).view(-1, SIDE, SIDE, 2)
        if self.elastic_px:
            points = torch.randn(len(images), 2, len(self.spline), device=self.base.device)
            moves = points * (self.elastic_px * 2 / SIDE) @ self.spline
            grid = grid + moves.view(-1, 2, SIDE, SIDE).permute(0, 2, 3, 1)
        return F.grid_sample(images, grid.to(images.dtype), align_corners=False)

    def _draw(self, num_images: int, limit: float) -> Tensor:
        """Uniform in [-limit, limit], shape (B,)."""
        return (torch.rand(num_images, device=self.base.device) * 2 - 1) * limit

    def _affine_maps(self, num_images: int) -> Tensor:
        """Where each target pixel comes from, shape (B, 2, 3): the inverses of the turn, slant, scales and move."""
        angle = self._draw(num_images, math.radians(self.degrees))
        slant = self._draw(num_images, math.tan(math.radians(self.shear_deg)))
        size = 1 + self._draw(num_images, self.scale)
        width = 1 + self._draw(num_images, self.aspect)
        cos, sin = angle.cos() / size, angle.sin() / size
        across, along = (self._draw(num_images, self.translate_px * 2 / SIDE) for _ in range(2))
        rows = torch.stack([cos / width, slant * cos - sin, across], 1)
        return torch.stack([rows, torch.stack([sin / width, slant * sin + cos, along], 1)], 1)


def _change_strokes(images: Tensor, amounts: Tensor) -> Tensor:
    """Thicken one half of a batch, and thin the other, by blending with the widest and the narrowest strokes.

    The images of a batch are in random order, so it does not matter which half is which.
    """
    half = len(images) // 2
    shares = amounts.to(images.dtype)[:, None, None, None]
    thick, thin = images[:half], images[half:]
    return torch.cat([thick.lerp(_widen(thick), shares[:half]), thin.lerp(1 - _widen(1 - thin), shares[half:])])


def _widen(images: Tensor) -> Tensor:
    """The largest of each 3 x 3 pixels; five times as fast on a CPU as max pooling with a stride of 1."""
    padded = F.pad(images, (1, 1, 1, 1))
    rows = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 2:]), padded[..., 1:-1])
    return torch.maximum(torch.maximum(rows[..., :-2, :], rows[..., 2:, :]), rows[..., 1:-1, :])


def try_augment(augment: nn.Sequential) -> None:
    """Check that an augmentation returns images as it gets them: found before the first step, not at it.

    Raises:
        UserError: If it fails, or returns another shape.
    """
    images = torch.zeros(2, 1, SIDE, SIDE)
    try:
        with torch.random.fork_rng(), torch.no_grad():
            shape = tuple(augment(images).shape)
        problem = "" if shape == images.shape else f"from images of shape (B, 1, 28, 28) it makes {shape}"
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError) as error:
        problem = " ".join(str(error).split())
    if problem:
        names = ", ".join(type(module).__name__ for module in augment)
        raise UserError(f"data.augment: {names} cannot be used ({problem}); change its arguments.")
