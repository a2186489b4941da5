"""Loss and accuracy weigh every image alike, however the images were batched."""

import pytest
import torch
import torch.nn.functional as F

from mnist_cli.model.metrics import LossAndAccuracy


@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_sums_of_batches_are_the_figures_of_all_images(batch_size):
    logits, labels = torch.randn(50, 10), torch.randint(10, (50,))
    metric = LossAndAccuracy()
    for some, true in zip(logits.split(batch_size), labels.split(batch_size), strict=True):
        metric.update(F.cross_entropy(some, true), some, true)
    found = metric.compute()
    torch.testing.assert_close(found["loss"], F.cross_entropy(logits, labels))
    assert found["acc"] == (logits.argmax(1) == labels).float().mean()
