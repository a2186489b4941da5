"""Strokes that are added to real digits: to which, and which."""

import pytest
import torch

from mnist_cli import RandomAddedStrokes, read_digits
from mnist_cli.data import strokes as strokes_module
from mnist_cli.data.batches import to_floats
from mnist_cli.errors import UserError


@pytest.fixture(scope="module")
def digits(data_dir):
    """2,000 to train on, and their labels."""
    images, labels = read_digits("MNIST", data_dir, train=True)
    return to_floats(images[:2000]).unsqueeze(1), labels[:2000]


def changed(images, drawn):
    return (images != drawn).flatten(1).any(1)


@pytest.mark.parametrize(("share", "label"), [("flag", 1), ("slash", 0)])
def test_most_ones_get_a_flag_and_most_zeros_a_slash_and_hardly_anything_else(digits, share, label):
    images, labels = digits
    torch.manual_seed(0)
    drawn = RandomAddedStrokes(**{share: 1.0})(images)
    got = changed(images, drawn)
    assert got[labels == label].float().mean() > 0.65
    assert got[labels != label].float().mean() < 0.005
    assert drawn.shape == images.shape
    assert (drawn.min(), drawn.max()) == (0, 1)
    ink = drawn[got].sum((1, 2, 3)) / images[got].sum((1, 2, 3))
    assert 1.05 < ink.mean() < 1.8
    assert ink.min() >= 1 - 1e-5  # nothing of a digit is lost


def test_strokes_that_are_never_added_are_a_mistake():
    with pytest.raises(UserError, match="give flag or slash a share above 0"):
        RandomAddedStrokes()


def test_the_share_is_the_share(digits):
    images, _ = digits
    torch.manual_seed(0)
    few, all_of_them = (changed(images, RandomAddedStrokes(flag=share)(images)).sum() for share in (0.25, 1.0))
    assert 0.15 < few / all_of_them < 0.35


def test_a_flag_hangs_to_the_left_of_the_upper_end():
    image = torch.zeros(1, 1, 28, 28)
    image[..., 4:24, 13:15] = 1.0
    torch.manual_seed(0)
    flagged = RandomAddedStrokes(flag=1.0)(image.expand(200, -1, -1, -1))
    stem = flagged.sum(2).argmax(2)[:, 0]
    left = torch.stack([one[0, :, : at - 1].sum(1) for one, at in zip(flagged, stem, strict=True)])
    right = torch.stack([one[0, :, at + 3 :].sum(1) for one, at in zip(flagged, stem, strict=True)])
    assert (left[:, :18].sum(1) > 1).all()
    assert (right[:, :18].sum(1) < 1e-3).all()
    has_foot = right[:, 18:].sum(1) > 1
    assert 0.2 < has_foot.float().mean() < 0.4
    assert len(torch.unique(flagged.flatten(1), dim=0)) == 200


def test_a_slash_goes_through_the_middle_and_rises_to_the_right():
    at = torch.arange(28.0) - 14
    ring = ((at[:, None] ** 2 + at**2).sqrt() - 9).abs() < 1
    image = ring.float()[None, None]
    torch.manual_seed(0)
    slashed = RandomAddedStrokes(slash=1.0)(image.expand(100, -1, -1, -1))
    added = (slashed - image).clamp(min=0)[:, 0]
    rising = added[:, :14, 15:].sum((1, 2)), added[:, 15:, :14].sum((1, 2))
    falling = added[:, :13, :13].sum((1, 2)) + added[:, 16:, 16:].sum((1, 2))
    assert min(part.min() for part in rising) > 3
    assert (falling < 0.3 * (rising[0] + rising[1])).all()
    assert added[:, 14, 14].min() > 0.9
    assert len(torch.unique(slashed.flatten(1), dim=0)) == 100


def test_what_got_a_stroke_is_centred_by_its_mass(digits):
    images, _ = digits
    torch.manual_seed(0)
    drawn = RandomAddedStrokes(flag=1.0, slash=1.0)(images)
    drawn = drawn[changed(images, drawn)]
    at = torch.arange(28.0) + 0.5
    for axis in (2, 3):
        centre = (drawn.sum((1, 5 - axis)) * at).sum(1) / drawn.sum((1, 2, 3))
        assert ((centre >= 14 - 1e-3) & (centre < 15)).all()


def test_the_same_random_numbers_give_the_same_images(digits):
    draw = RandomAddedStrokes(flag=0.5, slash=0.5)
    torch.manual_seed(3)
    first = draw(digits[0])
    torch.manual_seed(3)
    assert torch.equal(draw(digits[0]), first)


def test_an_empty_image_and_an_empty_batch_stay_as_they_are():
    draw = RandomAddedStrokes(flag=1.0, slash=1.0)
    for size in (0, 3):
        empty = torch.zeros(size, 1, 28, 28)
        assert torch.equal(draw(empty), empty)


def test_strokes_drawn_in_inference_mode_leave_nothing_that_training_cannot_use(digits):
    strokes = RandomAddedStrokes(flag=1.0, slash=1.0)
    strokes_module._pixels.cache_clear()
    strokes_module._rays.cache_clear()
    with torch.inference_mode():
        strokes(digits[0][:100])
    assert strokes(digits[0][:100].clone().requires_grad_()).requires_grad
