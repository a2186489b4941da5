"""Several processes in one search, and what is left when one of them is killed or stopped."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from helpers import SPACE, TINY, metrics, rows
from optuna.distributions import FloatDistribution

from mnist_cli.runs.record import Process
from mnist_cli.search.storage import open_storage, open_study
from mnist_cli.search.study import TakenOverError

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "mnist_cli", "search", "--search", "small.yaml", *TINY]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def wait_for(condition, seconds=300):
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
    # Trials that take longer than the second process takes to start.
    options = ["--jobs=2", "--trainer.max_epochs=60", "--early_stopping=null", "--data.data_dir", data_dir]
    command = [*COMMAND, *options]
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


@pytest.fixture
def postgresql():
    """The address of a PostgreSQL server of the test's own, run by an ordinary user on a free port of this machine."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *filter(None, [shutil.which("initdb")])]
    if not found:
        pytest.skip("needs PostgreSQL, such as Debian's package postgresql")
    programs, user = Path(found[0]).parent, "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        if user:
            shutil.chown(place, user)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        initialize = [programs / "initdb", "-D", f"{place}/data", "-U", "mnist", "-A", "trust", "--no-sync"]
        subprocess.run(initialize, check=True, user=user, cwd=place, stdout=subprocess.DEVNULL)
        serve = [programs / "postgres", "-D", f"{place}/data", "-p", str(port), "-h", "127.0.0.1", "-k", place]
        with Path(place, "log").open("w") as log:
            server = subprocess.Popen(serve, user=user, cwd=place, stderr=log)
        try:
            ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_for(lambda: subprocess.run(ready).returncode == 0)
            yield f"postgresql://mnist@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # it ends its sessions
            server.wait()


def test_a_postgresql_hands_out_each_trial_once_and_an_abandoned_one_once_more(tmp_path, postgresql):
    lr = {"lr": FloatDistribution(1e-4, 0.1, log=True)}
    storages = [open_storage(postgresql, tmp_path) for _ in range(6)]
    studies = [open_study(storage, "some", "max", 5) for storage in storages[:4]]
    claimed = []
    barrier = threading.Barrier(len(studies))

    def work(study):
        barrier.wait()
        while found := study.claim(lr):
            claimed.append((found[0].number, found[1], study))

    threads = [threading.Thread(target=work, args=(study,)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, *_ in claimed) == [1, 2, 3, 4, 5]
    trial, study = next((trial, study) for number, trial, study in claimed if number == 2)
    study.report(trial, 0, 0.5, 1.0)
    study.note(trial, run="version_2", process=asdict(replace(Process.this(), pid=2**22 - 1, began="1")))
    first, second = (open_study(storage, "some", "max", 5).claim(lr) for storage in storages[4:])
    assert (first[0].number, first[0].note["run"], first[0].trial.intermediate_values) == (2, "version_2", {0: 0.5})
    assert second is None
    with pytest.raises(TakenOverError):
        study.finish(trial, value=0.9)
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()


def test_workers_that_start_at_once_make_the_tables_of_a_new_database_once(tmp_path, postgresql):
    code = "import sys; from pathlib import Path; from mnist_cli.search.storage import open_storage; input(); "
    command = [sys.executable, "-c", code + "open_storage(sys.argv[1], Path())", postgresql]
    workers = [subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE) for _ in range(4)]
    for worker in workers:
        worker.stdin.write(b"\n")
        worker.stdin.close()
    assert [worker.wait() for worker in workers] == [0] * 4


def test_three_workers_share_a_postgresql_and_one_of_them_is_killed(workplace, postgresql, data_dir):
    Path("small.yaml").write_text(f"{SPACE}\ntrials: 8\nrepeats: 2\n")
    options = ["--storage", postgresql, "--data.data_dir", data_dir, "--trainer.max_epochs=40", "--early_stopping=null"]
    said = [Path(f"said-{number}.txt") for number in range(3)]
    workers = []
    for file in said:
        with file.open("w") as out:
            workers.append(subprocess.Popen([*COMMAND, *options], stdout=out))
    victim, *survivors = workers

    def runs_of(process):
        records = Path("lightning_logs").glob("*/run.json")
        return [file.parent for file in records if json.loads(file.read_text())["process"]["pid"] == process.pid]

    def is_at_work():
        assert all(worker.poll() is None for worker in workers)
        return [run for run in runs_of(victim) if (run / "metrics.csv").exists() and 3 < len(metrics(run)) < 30]

    wait_for(is_at_work)
    killed = is_at_work()[0]
    victim.kill()
    victim.wait()
    done = metrics(killed)
    assert len(done) < 40
    assert [worker.wait() for worker in survivors] == [0, 0]
    table = rows("searches/small/trials.csv")
    assert [(row["trial"], row["state"], row["epochs"]) for row in table] == [
        (str(number), "complete", "40") for number in range(1, 9)
    ]
    finished = {row["run"] for row in table}
    assert len(finished) == 8
    assert str(killed) not in finished
    successors = [run for run in map(Path, finished) if metrics(run)[: len(done) - 1] == done[:-1]]
    assert len(successors) == 1  # it went on where the killed one was
    assert successors[0] in runs_of(survivors[0]) + runs_of(survivors[1])
    assert len(list(Path("lightning_logs").glob("*/test.json"))) == 2
    assert all("The best: trial" in said[number].read_text() for number in (1, 2))
