"""The threads of a fit are a setting, chosen by the work of its steps."""

import pytest
import torch
import yaml
from helpers import QUICK, RUN


@pytest.fixture(autouse=True)
def four_processors(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2, 3})
    monkeypatch.chdir(tmp_path)


def threads_of_a_fit(mnist, *options):
    assert mnist("fit", *QUICK, "--test_after_fit=false", "--figures=null", "--trainer.logger=false", *options) == 0
    return yaml.safe_load((RUN / "config.yaml").read_text())["threads"]


@pytest.mark.parametrize(("batch_size", "threads"), [(16, 1), (64, 2), (512, 2)])
def test_small_steps_get_one_thread_and_those_of_the_quick_start_two(mnist, batch_size, threads):
    assert threads_of_a_fit(mnist, "--model.net.hidden_sizes=[128, 64]", f"--data.batch_size={batch_size}") == threads


def test_large_steps_get_all_processors(mnist):
    large = ["--model.net.hidden_sizes=[512, 256]", "--data.batch_size=512", "--trainer.limit_train_batches=2"]
    assert threads_of_a_fit(mnist, *large) == 4


def test_the_option_wins_over_the_work_and_the_process_keeps_its_threads(mnist):
    before = torch.get_num_threads()
    assert threads_of_a_fit(mnist, "--threads=3") == 3
    assert torch.get_num_threads() == before


def test_the_environment_wins_over_the_option(mnist, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    assert threads_of_a_fit(mnist, "--threads=7") == torch.get_num_threads()


def test_no_threads_are_refused(mnist, capsys):
    assert mnist("fit", *QUICK, "--threads=0") == 2
    assert "threads: expected a whole number of at least 1 or null, got '0'" in capsys.readouterr().err
