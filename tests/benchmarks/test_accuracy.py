"""The benchmark of accuracies: its statistics, that settings never share runs, that finished seeds are kept."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time

import pytest
from helpers import ROOT

SCRIPT = ROOT / "benchmarks/accuracy.py"
accuracy = runpy.run_path(str(SCRIPT))


def result(seed, errors, **facts):
    shared = {"images": 1000, "parameters": 10, "epochs": 3, "seconds": 2.0, "threads": 1, "jobs": 1}
    dated = {"commit": "abc", "date": "2026-01-01"}
    return {"seed": seed, "accuracy": 1 - errors / 1000, "errors": errors} | shared | dated | facts


def test_the_summary_has_the_mean_and_the_deviation_of_a_sample():
    summary = accuracy["summarize"]([result(0, 10), result(1, 14), result(2, 12, seconds=None, epochs=5)])
    assert summary["accuracy_mean"] == pytest.approx(0.988)
    assert summary["accuracy_std"] == pytest.approx(0.002)  # n - 1; with n it would be 0.00163
    assert (summary["accuracy_min"], summary["accuracy_max"], summary["n"]) == (0.986, 0.99, 3)
    assert (summary["errors_mean"], summary["epochs"], summary["seconds_range"]) == (12, [3, 5], [2.0, 2.0])
    text = accuracy["describe"](summary | {"stage": "test", "machine": {"cpu": "2 x CPU"}, "command": "c"})
    assert "98.800 ± 0.200 % over n = 3 (seeds 0, 1, 2), 98.60 to 99.00 %" in text


def test_one_seed_has_no_deviation():
    summary = accuracy["summarize"]([result(4, 10)])
    assert summary["accuracy_std"] is None
    assert "±" not in accuracy["describe"](summary | {"stage": "test", "machine": {"cpu": ""}, "command": ""})


def test_settings_share_runs_only_if_nothing_but_seed_and_places_differ():
    fingerprint = accuracy["fingerprint"]
    settings = {"seed_everything": 1, "trainer": {"max_epochs": 2}, "data": {"data_dir": "a", "batch_size": 3}}
    moved = {"seed_everything": 2, "trainer": {"max_epochs": 2}, "data": {"data_dir": "b", "batch_size": 3}}
    assert fingerprint(settings) == fingerprint(moved)
    assert fingerprint(settings) != fingerprint(settings | {"trainer": {"max_epochs": 3}})


@pytest.mark.slow
def test_finished_seeds_are_kept_and_an_interrupted_one_goes_on(tmp_path, data_dir):
    options = ["--data.data_dir", data_dir, "--trainer.limit_train_batches=20", "--trainer.max_epochs=3"]
    recipe = ["--config", str(ROOT / "configs/seed_quickstart.yaml"), *options]
    command = [sys.executable, str(SCRIPT), *recipe]
    assert subprocess.run([*command, "--seeds=1", "--validation-only"], cwd=tmp_path, check=False).returncode == 0
    (folder,) = (tmp_path / "accuracy").iterdir()
    assert not list(folder.rglob("test.json"))
    before = (folder / "seed_0/fit.json").read_bytes()

    process = subprocess.Popen([*command, "--seeds=2"], cwd=tmp_path, start_new_session=True)
    while process.poll() is None and not list(folder.glob("seed_1/lightning_logs/version_0/checkpoints/last.ckpt")):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    assert process.wait() != 0
    assert not (folder / "seed_1/fit.json").exists()

    done = subprocess.run([*command, "--seeds=2"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "seed 1: goes on" in done.stdout
    assert "seed 0: trains" not in done.stdout
    assert (folder / "seed_0/fit.json").read_bytes() == before
    summary = json.loads((folder / "test.json").read_text())
    assert (summary["n"], summary["epochs"], summary["images"]) == (2, [3], 10_000)
    (folder / "seed_0/fit.json").unlink()  # it was interrupted after its last epoch
    again = subprocess.run([*command, "--seeds=1"], cwd=tmp_path, check=False)
    assert again.returncode == 0
    assert json.loads((folder / "seed_0/fit.json").read_text())["epochs"] == 3
    assert len(list(folder.glob("seed_0/lightning_logs/*"))) == 1
    assert 0.8 < summary["accuracy_min"] <= summary["accuracy_mean"] <= summary["accuracy_max"]
