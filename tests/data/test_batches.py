"""Whole batches are the same digits as one image at a time."""

import torch
from torch.utils.data import DataLoader

from mnist_cli.data.batches import DigitBatches, make_loader


def digits(test_digits, count=1050):
    return DigitBatches(test_digits[0][:count], test_digits[1][:count])


def test_a_batch_is_the_stack_of_its_single_digits(test_digits):
    data = digits(test_digits)
    images, labels = data.__getitems__([5, 3, 9])
    assert images.shape == (3, 1, 28, 28)
    assert torch.equal(images, torch.stack([data[i][0] for i in (5, 3, 9)]))
    assert labels.tolist() == [data[i][1].item() for i in (5, 3, 9)]


def test_batched_loading_equals_a_plain_loader(test_digits):
    data = digits(test_digits)
    plain = DataLoader([data[i] for i in range(len(data))], batch_size=100)
    for ours, theirs in zip(make_loader(data, batch_size=100, num_workers=0), plain, strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


def test_shuffled_batches_hold_every_digit_once(test_digits):
    data = DigitBatches(test_digits[0], torch.arange(len(test_digits[0])))
    seen = torch.cat([labels for _, labels in make_loader(data, batch_size=64, num_workers=0, shuffle=True)])
    assert not torch.equal(seen, torch.arange(10_000))
    assert torch.equal(seen.sort().values, torch.arange(10_000))


def test_workers_give_the_same_batches(test_digits):
    data = digits(test_digits)
    here = list(make_loader(data, batch_size=500, num_workers=0))
    there = list(make_loader(data, batch_size=500, num_workers=2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(here, there, strict=True))
