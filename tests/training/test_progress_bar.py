"""A bar in one line on a terminal of 80 columns; a line an epoch in a pipe or a file."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

from helpers import BARE, QUICK, metrics

from mnist_cli import DigitModule

WITH_BAR = [option for option in QUICK if option not in ("--trainer.enable_progress_bar", "false")]
FIT = ["fit", *WITH_BAR, "--trainer.max_epochs=2", "--figures=null", "--evaluation=null"]


def test_without_a_terminal_every_epoch_has_a_line_and_there_is_no_bar(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist(*FIT) == 0
    out = capfd.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("epoch ")]
    figures = r"train/loss \d\.\d{4}, train/acc 0\.\d{4}, val/loss \d\.\d{4}, val/acc 0\.\d{4}"
    assert [bool(re.fullmatch(rf"epoch {n}/2: \d+\.\d s, {figures}", lines[n - 1])) for n in (1, 2)] == [True, True]
    assert len(lines) == 2
    assert "it/s" not in out
    assert "Testing" not in out


def test_an_epoch_without_validation_does_not_show_the_figures_of_an_earlier_one(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist(*FIT, "--trainer.max_epochs=3", "--trainer.check_val_every_n_epoch=2") == 0
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert ["val/acc" in line for line in lines] == [False, True, False]
    assert [row["val/acc"] != "" for row in metrics()[:3]] == [False, True, False]


def test_a_resumed_fit_shows_the_epochs_that_it_trains(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist(*FIT, "--test_after_fit=false") == 0
    assert mnist("fit", "--ckpt_path=last", "--trainer.max_epochs=3", "--test_after_fit=false") == 0
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2", "epoch 3/3"]


def test_an_epoch_that_is_stopped_in_its_validation_has_its_line(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    step = DigitModule.validation_step

    def stopping(module, *args):
        if module.current_epoch == 1:
            signal.raise_signal(signal.SIGTERM)
        return step(module, *args)

    monkeypatch.setattr(DigitModule, "validation_step", stopping)
    assert mnist(*FIT, "--trainer.max_epochs=3") == 143
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3"]


def test_on_a_terminal_the_bar_is_one_line_with_the_loss_and_epochs_count_from_1(tmp_path, data_dir):
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "mnist_cli", *FIT, "--data.data_dir", data_dir]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=other, stderr=other, env=environment)
    os.close(other)
    text = b""
    while True:
        try:
            text += os.read(main, 65536)
        except OSError:  # Linux says so at the end of a terminal's process
            break
    assert process.wait(60) == 0
    os.close(main)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode())
    bars = [line for line in re.split(r"[\r\n]+", plain) if line.startswith("Epoch ")]
    assert bars[0].startswith("Epoch 1/2")
    assert "loss: " in bars[-1]
    assert "val/acc: " in bars[-1]
    assert max(len(line.rstrip()) for line in bars) <= 80
    assert "v_num" not in plain


def test_a_bar_of_the_users_own_shows_no_version_number(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    bar = ["--trainer.callbacks=TQDMProgressBar", "--trainer.enable_progress_bar=true", "--test_after_fit=false"]
    assert mnist("fit", *WITH_BAR, "--trainer.limit_train_batches=2", *BARE, *bar) == 0
    out = "".join(capfd.readouterr())
    assert "it/s" in out
    assert "v_num" not in out
