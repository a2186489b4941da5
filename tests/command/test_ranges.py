"""Values that a type allows and that make no sense are refused before anything is made."""

import pytest

from mnist_cli.command.types import default_of


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--figures.per_class=100000", "--figures.per_class 100000: give at most 100."),
        ("--trainer.fast_dev_run=-1", "--trainer.fast_dev_run -1: give at least 0."),
        ("--trainer.limit_val_batches=1.5", "--trainer.limit_val_batches 1.5: give a whole number of batches, or a sh"),
        ("--trainer.limit_train_batches=.inf", "--trainer.limit_train_batches inf: the number is too large"),
        ("--model.optimizer.weight_decay=.inf", "--model.optimizer.weight_decay inf: the number is too large"),
        (
            "--trainer.max_time=3h",
            "--trainer.max_time 3h: give a time as days:hours:minutes:seconds, such as 00:01:30:",
        ),
        ("--trainer.val_check_interval=often", "--trainer.val_check_interval often: give a time as days:hours"),
        ("--trainer.gradient_clip_algorithm=norms", "--trainer.gradient_clip_algorithm norms: expected norm or value."),
        ("--threads=100000", "--threads 100000: give at most 1,024."),
        (
            "--model.lr_scheduler=OneCycleLR --model.lr_scheduler.max_lr=0.01 --model.lr_scheduler.pct_start=0.5 "
            "--trainer.max_steps=2",
            "model.lr_scheduler: float division by zero; change its arguments.",
        ),
        (
            "--model.lr_scheduler=StepLR --model.lr_scheduler.step_size=1 --model.lr_scheduler.last_epoch=5",
            "model.lr_scheduler.last_epoch: a run begins with the schedule; leave it out.",
        ),
        ("--early_stopping.mode=null", "--early_stopping.mode null: expected text; leave it out for the default."),
        ("--model.net.activation=null", "--model.net.activation null: expected relu"),
        (
            "--model.net.hidden_sizes=null",
            "--model.net.hidden_sizes null: expected a list such as [1, 2]; leave it out",
        ),
        ("--model.optimizer.lr=null", "--model.optimizer.lr null: expected a number"),
        ("--model.optimizer.lr=1e300", "--model.optimizer.lr 1e+300: the number is too large"),
        (
            "--trainer.min_epochs=5 --trainer.max_epochs=3",
            "--trainer.min_epochs 5: --trainer.max_epochs is 3; give no more",
        ),
        (
            "--trainer.min_steps=5 --trainer.max_steps=3",
            "--trainer.min_steps 5: --trainer.max_steps is 3; give no more",
        ),
        (
            "--trainer.check_val_every_n_epoch=11",
            "--trainer.check_val_every_n_epoch 11: the run has 10 epochs, so none",
        ),
    ],
)
def test_it_is_one_sentence_and_leaves_no_run(option, says, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--trainer.enable_progress_bar=false", *option.split()) == 2
    said = capfd.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.name != "lightning_logs"]


@pytest.mark.parametrize(
    "option", ["--early_stopping.stopping_threshold=null", "--checkpoint.monitor=null", "--model.optimizer.fused=null"]
)
def test_null_is_taken_where_it_has_a_meaning(option, tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--trainer.fast_dev_run=true", "--trainer.enable_progress_bar=false", option) == 0


def test_the_default_of_an_argument_that_is_passed_on_is_that_of_the_base():
    class Base:
        def __init__(self, size: int = 3) -> None: ...

    class Made(Base):
        def __init__(self, name: str, **kwargs: int) -> None: ...

    assert default_of(Made, "size") == 3
    assert default_of(Made, "name") is default_of(Made, "other")
