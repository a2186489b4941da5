"""Whole batches are the same digits as one image at a time."""

import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, random_split

from mnist_cli.data.batches import DigitBatches, Share, Shuffled, make_loader, split


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
    seen = torch.cat([labels for _, labels in make_loader(data, batch_size=64, num_workers=0, sampler=Shuffled(data))])
    assert not torch.equal(seen, torch.arange(10_000))
    assert torch.equal(seen.sort().values, torch.arange(10_000))


def test_workers_give_the_same_batches(test_digits):
    data = digits(test_digits)
    here = list(make_loader(data, batch_size=500, num_workers=0))
    there = list(make_loader(data, batch_size=500, num_workers=2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(here, there, strict=True))


def test_an_order_is_that_of_torchs_own_sampler(test_digits):
    data = digits(test_digits)
    torch.manual_seed(3)
    ours = list(Shuffled(data))
    torch.manual_seed(3)
    assert ours == list(RandomSampler(data))


def test_an_epoch_is_taken_up_where_it_was_left(test_digits):
    data, called = digits(test_digits), []
    order = Shuffled(data)
    whole = list(order)
    again = Shuffled(data)
    again.take_up(order.seed, 64, lambda: called.append(1))
    assert called == []
    assert list(again) == whole[64:]
    assert called == [1]
    assert again.seed == order.seed
    assert sorted(again) == list(range(len(data)))  # the next epoch is a whole one


def test_shares_hold_every_digit_once_and_are_taken_up_where_they_were_left(test_digits):
    data = digits(test_digits)
    shares = [Share(data, 2, rank, seed=42) for rank in (0, 1)]
    for share in shares:
        share.set_epoch(3)
    both = [list(share) for share in shares]
    assert sorted(both[0] + both[1]) == list(range(len(data)))
    shares[1].take_up(42, 100, lambda: None)
    assert list(shares[1]) == both[1][100:]
    assert list(shares[1]) == both[1]


@pytest.mark.parametrize("share", [0.2, 0.8, 0.9, 0.1667, 1 / 3])
def test_the_split_is_that_of_torch(share):
    train, val = random_split(range(60_000), [1 - share, share], torch.Generator().manual_seed(7))
    ours = split(60_000, share, 7)
    assert (ours[0].tolist(), ours[1].tolist()) == (list(train.indices), list(val.indices))
