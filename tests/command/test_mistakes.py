"""Every plausible mistake gets one sentence with the value and the remedy, exit status 2, and leaves nothing behind."""

import re
import shlex
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SHORT

from mnist_cli.command.cli import DigitCLI
from mnist_cli.command.silence import silence
from mnist_cli.command.types import describe_type
from mnist_cli.errors import UserError

GIBBERISH = {"empty.ckpt": b"", "text.ckpt": b"not a checkpoint", "cut.ckpt": b"PK\3\4" + bytes(100)}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fti", "there is no command 'fti'; did you mean fit?"),
        ("--config x.yaml fit", "there is no command '--config'; it comes first: mnist fit --config ..."),
        ("fit --model.net.hidden_sizes 256", "give [256], or several as in --model.net.hidden_sizes [256,256]."),
        ('fit --data.augment "[{class_pth: x}]"', "no setting data.augment.class_pth; did you mean class_path?"),
        ("fit --data.bach_size 3", "no option --data.bach_size; did you mean --data.batch_size?"),
        ("fit --trainer.max_ep 3", "no option --trainer.max_ep; did you mean --trainer.max_epochs?"),
        ("fit --config bad_key.yaml", "no setting data.bach_size; did you mean data.batch_size?"),
        ("fit --model.net.hiden [1]", "no setting model.net.hiden; did you mean model.net.hidden_sizes?"),
        ("fit --early_stopping.pationce 3", "did you mean early_stopping.patience?"),
        ("fit --data.batch_size 0", "data.batch_size: expected a whole number of at least 1, got '0'."),
        ("fit --data.val_size 1.5", "data.val_size: expected a number from 0 to 1, got '1.5'."),
        ("fit --trainer.max_epochs ten", "trainer.max_epochs: expected a whole number or null, got 'ten'."),
        ("fit --model.loss mes", "model.loss: expected cross_entropy or mse, got 'mes'; did you mean mse?"),
        ("fit --model.net MPL", "got 'MPL'; did you mean MLP?"),
        ("fit --model.optimizer SDG", "got 'SDG'; did you mean SGD?"),
        ("fit --model.optimizer Adma", "got 'Adma'; did you mean Adam?"),
        ("fit --model.net.activation rleu", "got 'rleu'; did you mean relu?"),
        ("fit --model.net.dropout 2", "dropout probability has to be between 0 and 1, but got 2"),
        ("fit --model.net torch.nn.Flatten", "Flatten does not turn images"),
        ("fit --model.optimizer.lr -1", "model.optimizer: Invalid learning rate: -1"),
        ("fit --trainer.max_epochs", "--trainer.max_epochs needs a value"),
        ("fit --config nowhere.yaml", "--config nowhere.yaml: No such file"),
        ("fit --config broken.yaml", "--config broken.yaml, line 3: this is not valid YAML"),
        (
            "fit --config twice.yaml",
            "--config twice.yaml, line 3: this is not valid YAML (the key 'batch_size'",
        ),
        ("fit --config words.yaml", "--config words.yaml has no settings"),
        ("test --ckpt_path best", "no run in lightning_logs has a checkpoint; train one with"),
        ("fit --ckpt_path nowhere.ckpt", "--ckpt_path nowhere.ckpt: there is no such file"),
        ("fit --name best", "--name best: for --ckpt_path that word means something else"),
        ("test --name warmup", "--name is for `mnist fit`, which makes a run; choose a run with --ckpt_path NAME"),
        ("test --ckpt_path empty.ckpt", "empty.ckpt is not a checkpoint, or is incomplete"),
        ("test --ckpt_path text.ckpt", "text.ckpt is not a checkpoint, or is incomplete"),
        ("test --ckpt_path cut.ckpt", "cut.ckpt is not a checkpoint, or is incomplete"),
        ("test --ckpt_path other.ckpt", "other.ckpt is a checkpoint of another program"),
        ("fit --data.dataset MNITS", "no data set 'MNITS'; did you mean MNIST?"),
        ("fit --data.dataset ./arrays", "arrays has no train.label.npy"),
        ("fit --data.dataset uneven.npz", "4 images but 3 labels"),
        ("fit --data.dataset eleven.npz", "go from 8 to 11"),
        ("fit --trainer.default_root_dir words.yaml", "no run directory can be made in words.yaml"),
        ("fit --data.data_dir words.yaml/data", "words.yaml/data"),
        ("fit --config", "--config needs a value"),
        ("fit --epochs 5", "there is no option --epochs; did you mean --trainer.max_epochs?"),
        ("fit default.yaml", "a file of settings is given with --config default.yaml."),
        ("fit --model.net my_net.MyNet", "my_net.MyNet cannot be imported (No module named 'my_net'); give a class"),
        ("fit --model.net.hidden_sizes 256,512", "expected a list such as [1, 2], got '256,512'."),
        ("fit --checkpoint.monitor val_acc", "there is no metric 'val_acc'; did you mean val/acc?"),
        ("fit --evaluation.name a/b", "--evaluation.name a/b: give a plain name"),
        ("fit --config group.yaml", "--config group.yaml: trainer needs settings below it, not '3'."),
        ("fit --config class.yaml", "model.net: expected the name or path of a class, got 'MLPP'; did you mean MLP?"),
        ("fit --model.lr_scheduler StepLR", "StepLR needs a value for --model.lr_scheduler.step_size"),
        ("fit --trainer.logger WandbLogger", "WandbLogger: Requirement 'wandb"),
        ("fit --seed_everything=-5", "--seed_everything: -5 is not in bounds"),
        ("fit --trainer.accumulate_grad_batches 0", "--trainer.accumulate_grad_batches 0: "),
        ("fit --trainer.limit_train_batches 0", "--trainer.limit_train_batches 0: "),
        ("fit --trainer.val_check_interval 100000", "--trainer.val_check_interval: "),
        ("fit --data.dataset one.npz", "one.npz is not an .npz file"),
        ("fit --data.dataset cut.npz", "cut.npz is not an .npz file"),
        ("fit --data.augment [kornia.augmentation.RandomAffin]", "did you mean RandomAffine?"),
        ("fit --config augment.yaml", "RandomAffin cannot be imported (module 'kornia.augmentation' has no attribute"),
        ("fit --data.augment kornia.augmentation.RandomAffine", "did you mean [kornia.augmentation.RandomAffine]?"),
        ("fit --model.net.channels [2]", "MLP takes hidden_sizes, activation, dropout, batch_norm."),
        ("fit --model.optimizer.lrr 1", "no setting model.optimizer.lrr; did you mean model.optimizer.lr?"),
        ("fit --model.optimizer.learning_rate 1", "learning_rate; did you mean model.optimizer.lr?"),
        ("fit --checkpoint.mode least", "checkpoint.mode: expected min or max, got 'least'."),
        ("fit --early_stopping.mode least", "early_stopping.mode: expected min or max, got 'least'."),
        (
            "fit --model.net.help MPL",
            "model.net.help: expected the name or path of a class, got 'MPL'; did you mean MLP?",
        ),
        ("fit --model.lr_scheduler.gamma 1", "choose the class first, with --model.lr_scheduler NAME; "),
        ("fit --model CNN", "model: expected settings in YAML, got 'CNN'; set one with --model.net VALUE."),
        ("fit --data '{batch_size: 0}'", "data.batch_size: expected a whole number of at least 1, got '0'."),
        ("fit --mode max", "there is no option --mode; did you mean --early_stopping.mode or --checkpoint.mode?"),
        ("fit --gpus 1", "there is no option --gpus; did you mean --trainer.devices?"),
        ("fit --early_stoppin null", "there is no option --early_stoppin; did you mean --early_stopping?"),
        ("fit 5", "unexpected argument '5'; a value stands behind its option, as in --data.batch_size 64."),
        ("fit --print_config=x", "--print_config=x: expected comments, skip_default or skip_null"),
        ("fit --trainer.precision bf16-mixd", "bf16 or null, got 'bf16-mixd'; did you mean bf16-mixed?"),
        ("fit --lr 1", "there is no option --lr; did you mean --model.optimizer.lr?"),
        (
            "fit --model.net my_net.py",
            "my_net.py is a file, not a class; give the class in it, such as my_net.ClassName.",
        ),
        ("fit --data.dataset even.npz --data.val_size 0.1", "data.val_size 0.1: of 4 images it leaves none"),
    ],
)
def test_a_mistake_gets_one_sentence(tmp_path, monkeypatch, mnist, capfd, command, message):
    monkeypatch.chdir(tmp_path)
    Path("bad_key.yaml").write_text("data:\n  bach_size: 3\n")
    Path("broken.yaml").write_text("data:\n  batch_size: [3\n")
    Path("words.yaml").write_text("just words")
    Path("twice.yaml").write_text("data:\n  batch_size: 3\n  batch_size: 4\n")
    for name, content in GIBBERISH.items():
        Path(name).write_bytes(content)
    torch.save({"state_dict": {}}, "other.ckpt")
    Path("group.yaml").write_text("trainer: 3\n")
    Path("class.yaml").write_text("model:\n  net:\n    class_path: MLPP\n")
    Path("augment.yaml").write_text("data:\n  augment:\n  - class_path: kornia.augmentation.RandomAffin\n")
    Path("cut.npz").write_bytes(b"PK\3\4" + bytes(100))
    np.save("one.npy", zeros := np.zeros((4, 28, 28), np.uint8))
    Path("one.npy").rename("one.npz")
    for name, labels in (("uneven", np.arange(3)), ("eleven", np.arange(4) + 8), ("even", np.arange(4))):
        np.savez(f"{name}.npz", x_train=zeros, y_train=labels, x_test=zeros, y_test=labels)
    Path("arrays").mkdir()
    np.save("arrays/train.image.npy", zeros)
    before = sorted(tmp_path.rglob("*"))
    name, *given = shlex.split(command)
    given = given if "data_dir" in command or name != "fit" else [*given, "--trainer.enable_progress_bar=false"]
    status = mnist_without_data(name, given) if "data_dir" in command else mnist(name, *given)
    err = capfd.readouterr().err
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert err.startswith("mnist: error: ")
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.name != "lightning_logs"] == []


def mnist_without_data(name, given):
    from mnist_cli.__main__ import main

    return main([name, *given])


def test_a_checkpoint_of_another_network_is_refused(trained, monkeypatch, mnist, capfd):
    monkeypatch.chdir(trained)
    assert mnist("test", "--ckpt_path", "best", "--model.net.hidden_sizes", "[8]") == 2
    assert "the checkpoint holds another network" in capfd.readouterr().err


def test_a_metric_that_is_not_there_is_named(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=1", "--early_stopping.monitor", "val/los") == 2
    err = capfd.readouterr().err
    assert "val/los" in err
    assert "Traceback" not in err


def test_a_complete_run_has_nothing_to_go_on_with(trained, monkeypatch, mnist, capfd):
    monkeypatch.chdir(trained)
    assert mnist("fit", "--ckpt_path", "last") == 2
    assert "that run is complete, 2 of 2 epochs; go on with --trainer.max_epochs 7" in capfd.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_named(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--trainer.accelerator", "cuda") == 2
    assert "--trainer.accelerator cuda: this machine has none; use cpu or auto." in capfd.readouterr().err


def test_the_traceback_is_there_for_those_who_ask(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DEBUG", "1")
    with pytest.raises(Exception, match=r"there is no such file"):
        mnist("test", "--ckpt_path", "nowhere.ckpt")


def test_a_mistake_in_a_short_run_leaves_earlier_runs_alone(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", *SHORT, "--trainer.limit_val_batches=1", "--test_after_fit=false") == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert mnist("fit", *SHORT, "--model.optimizer.lr=-1") == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


# What shows that a sentence was not written for the user: jsonargparse's words, Python's types, several lines.
RAW = re.compile(r"\n|Parser key|Namespace|NestedArg|Union|<class|typing\.|Expected a|Unable to|Subtypes|Traceback")


class Parsers(DigitCLI):
    """The command line up to its parser."""

    def parse_arguments(self, parser, args):
        self.parser = parser
        raise StopIteration


def mistakes_of(command, *, every=1):
    """Each option of a command with a wrong value and with a misspelt name, as a flag and in YAML.

    Yields:
        What was given, the option, whether the name is the mistake, and the sentence (None: it was taken).
    """
    cli = Parsers.__new__(Parsers)
    with suppress(StopIteration):
        cli.__init__([command, "--help"])
    options = cli.parser._options()
    names = [name for name in options if name not in ("help", "config", "print_config")]
    with silence():
        for name in names[::every]:
            flags = [(False, [f"--{name}", "[wrong"]), (True, [f"--{name[:-1]}~", "1"]), (True, [f"--{name}s", "1"])]
            in_yaml = name.replace(".", ": {") + ": {}" + "}" * name.count(".")
            settings = [(False, in_yaml.replace("{}", "wrong")), (True, in_yaml.replace(": {}", "s: 1"))]
            if name.endswith((".help", "+")):
                flags, settings = flags[:1], []
            for misspelt, given in [*flags, *((one, ["--config", text]) for one, text in settings)]:
                sentence = None
                try:
                    cli.parser.parse_args([command, *given])
                except UserError as error:
                    sentence = str(error)
                yield given, name, options[name].kind, misspelt, sentence


def check_sentences(mistakes):
    count = 0
    for given, name, kind, misspelt, sentence in mistakes:
        count += 1
        if sentence is None:
            takes_text = kind is None or {"text", "a value", "settings"} & {*describe_type(kind)} or "Path" in str(kind)
            assert takes_text, f"{given} was taken"
            assert not misspelt, f"{given} was taken"
            continue
        assert not RAW.search(sentence), f"{given}: {sentence}"
        assert re.search(r"[^.][.?]$", sentence), f"{given}: {sentence}"
        assert len(sentence) < 250, f"{given}: {sentence}"
        near = name.rstrip("+") if misspelt else name.removesuffix(".help").rstrip("+")
        assert near in sentence, f"{given}: {sentence}"
        if misspelt:
            assert f"did you mean {'--' * given[0].startswith(f'--{name[:-1]}')}{near}" in sentence, (
                f"{given}: {sentence}"
            )
        else:
            assert ": expected " in sentence or "needs settings below it" in sentence, f"{given}: {sentence}"
            assert "wrong'" in sentence, f"{given}: {sentence}"
    return count


def test_some_options_of_fit_get_a_sentence_for_a_wrong_value_and_a_misspelt_name():
    assert check_sentences(mistakes_of("fit", every=12)) > 25


@pytest.mark.slow
@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_every_option_gets_a_sentence_for_a_wrong_value_and_a_misspelt_name(command):
    assert check_sentences(mistakes_of(command)) > 300
