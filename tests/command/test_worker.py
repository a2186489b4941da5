"""Several processes in one search, and what is left when one of them is killed or stopped."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from helpers import SPACE, TINY, metrics, rows

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "mnist_cli", "search", "--search", "small.yaml", *TINY]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_search_that_was_killed_goes_on_with_the_trial_from_its_last_checkpoint(workplace, data_dir):
    options = ["--data.data_dir", data_dir, "--trainer.max_epochs=60", "--early_stopping=null"]
    Path("small.yaml").write_text(f"{SPACE}\ntrials: 2\nrepeats: 0\n")
    command = [*COMMAND, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    killed = Path("lightning_logs/version_0")
    wait_for(lambda: (killed / "checkpoints/last.ckpt").exists() and len(metrics(killed)) > 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(metrics(killed))
    assert done < 60
    subprocess.run(command, check=True)
    table = rows("searches/small/trials.csv")
    assert [(row["trial"], row["state"], row["epochs"]) for row in table] == [
        ("1", "complete", "60"),
        ("2", "complete", "60"),
    ]
    assert table[0]["run"] == "lightning_logs/version_1"
    resumed = metrics(table[0]["run"])
    assert len(resumed) == 60
    assert resumed[: done - 1] == metrics(killed)[: done - 1]  # its epochs before the kill were not trained again
    first = yaml.safe_load((killed / "config.yaml").read_text())["model"]["optimizer"]["init_args"]["lr"]
    assert float(table[0]["model.optimizer.lr"]) == first


def test_two_jobs_share_the_trials(workplace, data_dir):
    Path("small.yaml").write_text(f"{SPACE}\ntrials: 6\nrepeats: 0\n")
    command = [*COMMAND, "--jobs=2", "--data.data_dir", data_dir]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    table = rows("searches/small/trials.csv")
    assert [row["state"] for row in table] == ["complete"] * 6
    assert len({row["run"] for row in table}) == 6
    for number in range(1, 7):
        assert said.count(f"trial {number}/6  lr") == 1
    processes = {yaml.safe_load((Path(row["run"]) / "run.json").read_text())["process"]["pid"] for row in table}
    assert len(processes) == 2


def test_ctrl_c_ends_with_what_there_is_and_says_how_to_go_on(workplace, data_dir):
    Path("small.yaml").write_text(f"{SPACE}\ntrials: 400\n")
    command = [*COMMAND, "--data.data_dir", data_dir]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: Path("lightning_logs/version_2/metrics.csv").exists())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "The same command goes on with search 'small'" in err
    assert "Traceback" not in err
    assert "The best: trial" in out
    assert len(rows("searches/small/trials.csv")) >= 2
    assert Path("searches/small/best.yaml").exists()
