"""Augmentation on real digits."""

import pytest
import torch
import torch.nn.functional as F

from mnist_cli import RandomDistortion
from mnist_cli.data.batches import to_floats


@pytest.fixture(scope="module")
def digits(test_digits):
    return to_floats(test_digits[0][:200]).unsqueeze(1)


def centres(images):
    """Centres of mass, (x, y) in pixels."""
    total = images.sum((1, 2, 3))
    at = torch.arange(28.0)
    return torch.stack([(images.sum(2)[:, 0] * at).sum(1) / total, (images.sum(3)[:, 0] * at).sum(1) / total], 1)


def test_without_limits_images_stay_as_they_are(digits):
    assert torch.allclose(RandomDistortion()(digits), digits, atol=1e-5)


def test_each_image_is_distorted_in_a_way_of_its_own_and_stays_in_range(digits):
    distort = RandomDistortion(10, 0.1, 0.1, 10, 2, 0.7, stroke=0.5)
    same = digits[:1].expand(50, -1, -1, -1)
    distorted = distort(same)
    assert distorted.shape == same.shape
    assert distorted.min() >= 0
    assert distorted.max() <= 1 + 1e-5
    assert len(torch.unique(distorted.flatten(1), dim=0)) == 50


def test_images_move_no_further_than_the_limit_and_use_all_of_it(digits):
    moved = centres(RandomDistortion(translate_px=2)(digits)) - centres(digits)
    assert 1.7 < moved.abs().max() < 2.1
    assert moved.min() < -1.7


def test_a_turn_is_that_of_affine_grid(digits):
    distort = RandomDistortion(degrees=30)
    torch.manual_seed(0)
    turned = distort(digits)
    torch.manual_seed(0)
    angle = torch.deg2rad((torch.rand(len(digits)) * 2 - 1) * 30)
    zero = torch.zeros_like(angle)
    maps = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero], 1).view(-1, 2, 3)
    grid = F.affine_grid(maps, list(digits.shape), align_corners=False)
    assert torch.allclose(turned, F.grid_sample(digits, grid, align_corners=False), atol=1e-4)


def test_one_half_of_a_batch_gets_thicker_strokes_and_the_other_thinner(digits):
    change = RandomDistortion(stroke=0.5)(digits).sum((1, 2, 3)) / digits.sum((1, 2, 3))
    assert (change[:100] >= 1).all()
    assert (change[100:] <= 1 + 1e-5).all()
    assert change[:100].mean() > 1.1
    assert change[100:].mean() < 0.9


def test_elastic_moves_bend_and_do_not_only_move(digits):
    torch.manual_seed(0)
    bent = RandomDistortion(elastic_px=1.5)(digits)
    assert (bent - digits).abs().mean() > 0.02
    difference = [bent.roll((y, x), (2, 3)) - digits for y in range(-3, 4) for x in range(-3, 4)]
    assert torch.stack([one.abs().mean((1, 2, 3)) for one in difference]).amin(0).mean() > 0.02


def test_the_same_random_numbers_give_the_same_images(digits):
    distort = RandomDistortion(10, 0.1, 0.1, 10, 2, 0.7, stroke=0.5)
    torch.manual_seed(3)
    first = distort(digits)
    torch.manual_seed(3)
    assert torch.equal(distort(digits), first)
