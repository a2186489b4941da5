"""Muon's steps are nearly orthogonal, Adam's are torch's, and a run learns with both."""

import pytest
import torch
from helpers import RUN, SHORT
from torch import nn

from mnist_cli.training.muon import MuonAdam, orthogonalize


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_singular_values_become_about_one_and_directions_stay(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert 0.3 < values.min() < values.max() < 1.3
    assert torch.nn.functional.cosine_similarity(orthogonalize(matrix).flatten(), (left @ right).flatten(), 0) > 0.9


def test_hidden_weights_are_muons_and_the_rest_is_adams():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 10))
    twin = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 10))
    twin.load_state_dict(net.state_dict())
    optimizer, adam = MuonAdam(net.parameters(), lr=0.1, adam_share=0.2), torch.optim.Adam(twin.parameters(), 0.02)
    adam.param_groups[0]["betas"] = (0.9, 0.99)
    images = torch.rand(5, 1, 4, 4)
    first = net[0].weight.clone()
    for model, steps in ((net, optimizer), (twin, adam)):
        model(images).square().mean().backward()
        steps.step()
    for name in ("0.bias", "2.bias", "4.weight", "4.bias"):
        assert torch.allclose(net.get_parameter(name), twin.get_parameter(name), atol=1e-6), name
    moved = torch.linalg.svdvals((net[0].weight - first).flatten(1))
    assert 0.1 * 0.6 < moved.max() < 0.1 * 1.3  # the filters are a 4 x 9 matrix: no side is longer by its outputs


def test_a_run_learns_with_it(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    options = ["--model.optimizer=mnist_cli.MuonAdam", "--model.lr_scheduler=OneCycleLR", "--figures=null"]
    schedule = ["--model.lr_scheduler.max_lr=0.05", "--trainer.limit_val_batches=1"]
    assert mnist("fit", *SHORT, *options, *schedule) == 0
    assert '"accuracy": 0.9' in (RUN / "test.json").read_text()
