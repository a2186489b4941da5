"""Loss and accuracy are those of a plain pass; optimizers and schedulers do what their names say."""

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from mnist_cli.data.batches import DigitBatches, Shuffled, make_loader, to_floats
from mnist_cli.errors import UserError
from mnist_cli.model.module import DigitModule
from mnist_cli.model.networks import MLP


class FloatModule(DigitModule):
    def on_after_batch_transfer(self, batch, dataloader_idx):
        return to_floats(batch[0]), batch[1]


def make_trainer(tmp_path, **kwargs):
    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False)
    return pl.Trainer(accelerator="cpu", default_root_dir=tmp_path, num_sanity_val_steps=0, **quiet, **kwargs)


@pytest.fixture
def digits(test_digits):
    return DigitBatches(test_digits[0][:1003], test_digits[1][:1003])


def make_module(**kwargs):
    torch.manual_seed(0)
    return FloatModule(MLP([32]), **kwargs)


def plain_metrics(module, digits, loss="cross_entropy"):
    """Loss and accuracy over all digits at once, in float64."""
    with torch.no_grad():
        logits = module.double().eval()(to_floats(digits.images).double())
    module.float()
    if loss == "mse":
        value = F.mse_loss(logits.softmax(1), F.one_hot(digits.labels, 10).double())
    else:
        value = F.cross_entropy(logits, digits.labels)
    return value.item(), (logits.argmax(1) == digits.labels).double().mean().item()


@pytest.mark.parametrize("batch_size", [1, 64, 1000, 5000])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_test_metrics_are_those_of_one_plain_pass_for_any_batch_size(tmp_path, digits, batch_size, loss):
    module = make_module(loss=loss)
    loader = make_loader(digits, batch_size=batch_size, num_workers=0)
    (result,) = make_trainer(tmp_path).test(module, loader, verbose=False)
    expected_loss, expected_acc = plain_metrics(module, digits, loss)
    assert result["test/acc"] == pytest.approx(expected_acc, abs=1e-7)
    assert result["test/loss"] == pytest.approx(expected_loss, rel=2e-6)


@pytest.mark.parametrize("batch_size", [1, 64, 300])
def test_training_metrics_weigh_every_image_alike(tmp_path, digits, batch_size):
    module = make_module(optimizer=lambda params: torch.optim.SGD(params, lr=0.0))
    trainer = make_trainer(tmp_path, max_epochs=1, limit_val_batches=0)
    trainer.fit(module, make_loader(digits, batch_size=batch_size, num_workers=0, sampler=Shuffled(digits)))
    loss, acc = plain_metrics(module, digits)
    assert trainer.callback_metrics["train/acc"].item() == pytest.approx(acc, abs=1e-7)
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(loss, rel=2e-6)


def test_the_scaled_pixels_are_the_quick_starts(test_digits):
    module = DigitModule(MLP([]), mean=0.5, std=0.5)
    seen = []
    module.net.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0]))
    images = to_floats(test_digits[0][:4].unsqueeze(1))
    module(images)
    torch.testing.assert_close(seen[0], (images - 0.5) / 0.5)


def test_smoothed_labels_count_in_training_only():
    module = make_module(label_smoothing=0.3)
    logits, labels = torch.randn(8, 10), torch.arange(8)
    assert module.train().compute_loss(logits, labels) == F.cross_entropy(logits, labels, label_smoothing=0.3)
    assert module.eval().compute_loss(logits, labels) == F.cross_entropy(logits, labels)


def learning_rates(tmp_path, digits, scheduler, interval="epoch", epochs=3):
    module = make_module(
        optimizer=lambda params: torch.optim.SGD(params, lr=0.1), lr_scheduler=scheduler, lr_scheduler_interval=interval
    )
    trainer = make_trainer(tmp_path, max_epochs=epochs, limit_val_batches=0)
    rates = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, *args):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    trainer.callbacks.append(Watch())
    trainer.fit(module, make_loader(digits, batch_size=100, num_workers=0))
    return rates


def partial_of(scheduler, **keywords):
    """As the command line gives it: with all arguments as keywords."""
    from functools import partial

    return partial(scheduler, **keywords)


def test_a_one_cycle_schedule_spans_the_run_batch_by_batch(tmp_path, digits):
    rates = learning_rates(tmp_path, digits, partial_of(OneCycleLR, max_lr=0.1, total_steps=None))
    assert len(rates) == 33
    assert max(rates) == pytest.approx(0.1, rel=1e-3)
    assert rates[-1] < 1e-3


def test_a_cosine_schedule_spans_the_run_by_epochs_or_by_batches(tmp_path, digits):
    by_epoch = learning_rates(tmp_path, digits, partial_of(CosineAnnealingLR, T_max=0))
    assert len(set(by_epoch)) == 3
    by_step = learning_rates(tmp_path, digits, partial_of(CosineAnnealingLR, T_max=0), interval="step")
    assert len(set(by_step)) == 33
    assert by_step[-1] < 1e-3


def test_a_given_number_of_steps_is_kept(tmp_path, digits):
    rates = learning_rates(tmp_path, digits, partial_of(OneCycleLR, max_lr=0.1, total_steps=100))
    assert rates[-1] > 0.05


def test_a_checkpoint_of_another_network_is_refused_with_the_difference():
    module, other = make_module(), DigitModule(MLP([16]))
    with pytest.raises(UserError, match=r"layers.1.bias is \(16,\) there, \(32,\) here"):
        module.on_load_checkpoint({"state_dict": other.state_dict()})
