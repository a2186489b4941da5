"""What cannot work is said before anything is made."""

import pytest
from helpers import QUICK

from mnist_cli.command.checks import METRICS


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--early_stopping.monitor=val_acc", "there is no metric 'val_acc'; did you mean val/acc?"),
        ("--checkpoint.monitor=best", "there is no metric 'best'; did you mean val/loss?"),
        ("--trainer.limit_train_batches=0", "there would be nothing to train with"),
        ("--evaluation.name=../up", "give a plain name"),
    ],
)
def test_it_is_one_sentence_and_leaves_no_run(option, says, tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", option) == 2
    assert says in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_every_metric_that_is_named_can_be_monitored(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    for name in METRICS:
        assert mnist("fit", *QUICK, f"--early_stopping.monitor={name}", "--figures=null", "--test_after_fit=false") == 0
