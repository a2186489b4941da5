"""What would fail at the first step, or at the end of an epoch, fails before training; see command/test_checks.py."""

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from mnist_cli.data.batches import DigitBatches, make_loader
from mnist_cli.errors import UserError
from mnist_cli.model.module import DigitModule
from mnist_cli.model.networks import MLP
from mnist_cli.model.trials import try_last_batch, try_network, try_schedule


@pytest.mark.parametrize("net", [nn.Linear(3, 3), nn.Flatten(), nn.Identity()])
def test_a_network_that_reads_no_digits_is_refused(net):
    with pytest.raises(UserError, match=rf"model.net: {type(net).__name__} does not turn images"):
        DigitModule(net)


def test_checking_the_network_draws_no_random_numbers_and_keeps_its_mode():
    net = MLP([8], dropout=0.5, batch_norm=True)
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in net.state_dict().items()}
    DigitModule(net)
    assert torch.equal(before, torch.get_rng_state())
    assert net.training
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("num_images", "size", "batches", "fails"), [(9, 4, 3, True), (9, 4, 2, False), (8, 4, 2, False), (3, 1, 1, True)]
)
def test_a_batch_of_one_image_is_found_if_an_epoch_has_it(num_images, size, batches, fails):
    digits = DigitBatches(torch.zeros(num_images, 28, 28, dtype=torch.uint8), torch.zeros(num_images).long())
    loader = make_loader(digits, batch_size=size, num_workers=0)
    try_last_batch(MLP([8]), loader, batches)
    if not fails:
        try_last_batch(MLP([8], batch_norm=True), loader, batches)
        return
    with pytest.raises(UserError, match=rf"data.batch_size {size}: a batch of an epoch has a single image"):
        try_last_batch(MLP([8], batch_norm=True), loader, batches)


def test_a_schedule_that_cannot_go_on_is_found():
    try_schedule(StepLR, {"step_size": 1}, SGD, 10)
    try_schedule(OneCycleLR, {"max_lr": 0.1, "total_steps": 10}, SGD, 10)
    try_schedule(OneCycleLR, {"max_lr": 0.1, "total_steps": 1}, SGD, 1)
    with pytest.raises(UserError, match=r"StepLR\(step_size=0\) cannot take a step"):
        try_schedule(StepLR, {"step_size": 0}, SGD, 10)
    with pytest.raises(UserError, match="total_steps 10: the run has 11 steps"):
        try_schedule(OneCycleLR, {"max_lr": 0.1, "total_steps": 10}, SGD, 11)


def test_what_is_frozen_stays_frozen():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2).eval(), nn.Flatten(), nn.Linear(2 * 26**2, 10))
    try_network(net)
    assert [part.training for part in net] == [True, False, True, True]
