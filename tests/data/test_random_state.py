"""Random numbers go on where a checkpoint left them, whoever draws them."""

import io
import random

import numpy as np
import torch

from mnist_cli.data.random_state import random_state, restore_random_state


def draw():
    return [torch.rand(3).tolist(), random.random(), random.gauss(), np.random.rand(3).tolist(), np.random.normal()]


def test_all_generators_go_on_after_a_checkpoint_was_saved_and_loaded_as_plain_data():
    random.gauss(), np.random.normal()  # each draws two, and keeps one for later
    file = io.BytesIO()
    torch.save(random_state(), file)
    file.seek(0)
    first = draw()
    assert draw() != first
    restore_random_state(torch.load(file, weights_only=True))
    assert draw() == first


def test_version_0_1_0_kept_the_numbers_of_torch_alone():
    state = {"rng": torch.get_rng_state()}
    first = torch.rand(3)
    restore_random_state(state)
    assert torch.equal(torch.rand(3), first)
