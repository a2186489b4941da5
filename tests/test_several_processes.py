"""Several processes do the work of one: every image once, the same figures, every prediction once and in order.

And several fits in one folder do not disturb each other.
"""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from helpers import BARE, ROOT, RUN, SHORT, metrics, stop_at
from PIL import Image

from mnist_cli.data.datamodule import DigitDataModule
from mnist_cli.data.sources import read_digits
from mnist_cli.runs.checkpoints import open_checkpoint
from mnist_cli.runs.directory import Run

pytestmark = pytest.mark.slow

MNIST = Path(sys.executable).parent / "mnist"


def run(processes, *arguments, status=0):
    """`mnist` in several processes: two as `--trainer.devices 2`, three as nodes, so that two processors will do."""
    command = [MNIST, *map(str, arguments)]
    ranks, environments = [], [{}]
    if processes > 1:
        nodes = processes if processes > 2 else 1
        command += ["--trainer.accelerator=cpu", "--trainer.strategy=ddp"]
        command += [f"--trainer.num_nodes={nodes}", f"--trainer.devices={processes // nodes}"]
        if nodes > 1:  # what torchrun sets
            common = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
            common |= {"WORLD_SIZE": str(nodes), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
            environments = [{**common, "RANK": str(rank), "GROUP_RANK": str(rank)} for rank in range(nodes)]
    try:
        for environment in environments:
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            ranks.append(subprocess.Popen(command, env={**os.environ, **environment}, **pipes))
        said = [rank.communicate(timeout=300)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()
    assert [rank.returncode for rank in ranks] == [status] * len(ranks), "\n".join(said)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# Called by every process at every step: writes what it trains on.
RECORDER = """
import lightning.pytorch as pl

class TrainedOn(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        with open(f"epoch{trainer.current_epoch}.rank{trainer.global_rank}", "ab") as file:
            file.write((batch[0] * 255).round().byte().numpy().tobytes())
"""


@pytest.mark.parametrize(("processes", "val_size"), [(1, 0.95), (2, 0.95), (2, 0.9), (3, 0.95)])
def test_fit_trains_on_every_image_once_an_epoch(tmp_path, data_dir, monkeypatch, processes, val_size):
    monkeypatch.chdir(tmp_path)
    Path("recorder.py").write_text(RECORDER)
    options = [f"--data.val_size={val_size}", "--trainer.limit_val_batches=1", "--trainer.max_epochs=2", *BARE]
    options += ["--trainer.callbacks=[recorder.TrainedOn]", "--trainer.logger=false", "--test_after_fit=false"]
    run(processes, "fit", "--data.data_dir", data_dir, *options)
    data = DigitDataModule(data_dir=data_dir, val_size=val_size)
    data.setup("fit")
    images = data.train_set.images.numpy()
    assert len(images) == {0.95: 3000, 0.9: 5999}[val_size]
    expected = Counter(image.tobytes() for image in images)
    for epoch in range(2):
        trained = [Path(f"epoch{epoch}.rank{rank}").read_bytes() for rank in range(processes)]
        shares = [[one[at : at + 784] for at in range(0, len(one), 784)] for one in trained]
        assert {len(share) for share in shares} == {-(-len(images) // processes)}, "equal shares"
        counted = sum(map(Counter, shares), Counter())
        assert not expected - counted, "every image"
        assert (counted - expected).total() == -len(images) % processes, "none twice but to make the shares equal"
    assert Path("epoch0.rank0").read_bytes() != Path("epoch1.rank0").read_bytes()
    assert [path.name for path in Path("lightning_logs").iterdir()] == ["version_0"]


@pytest.mark.parametrize("step", [30, 40])
def test_a_fit_that_was_stopped_in_an_epoch_or_at_the_end_of_one_goes_on_on_two_processes(
    tmp_path, data_dir, monkeypatch, step
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    fit = ["fit", "--data.data_dir", data_dir, *SHORT, "--trainer.max_epochs=3", *BARE, "--early_stopping=null"]
    fit += ["--trainer.logger=false", "--test_after_fit=false"]
    run(2, *fit)
    run(2, *fit, f"--trainer.callbacks=[{stop_at(step)}]", status=143)
    run(2, "fit", "--ckpt_path", "last")
    whole, stopped, resumed = (
        open_checkpoint(Path(f"lightning_logs/version_{n}/checkpoints/last.ckpt")) for n in range(3)
    )
    assert stopped.content["global_step"] == step
    assert resumed.content["global_step"] == 120
    for row, expected in zip(metrics("lightning_logs/version_2"), metrics("lightning_logs/version_0"), strict=True):
        # The sums of the epoch so far are added in another order.
        assert {name: float(value) for name, value in row.items()} == pytest.approx(
            {name: float(value) for name, value in expected.items()}, rel=1e-6
        )
    for name, weights in whole.content["state_dict"].items():
        assert torch.equal(resumed.content["state_dict"][name], weights)


@pytest.mark.parametrize("command", ["validate", "test"])
def test_figures_of_several_processes_are_those_of_one(workplace, command):
    file = RUN / f"{command}.json"
    reports = []
    for processes in (1, 2, 3):
        file.unlink(missing_ok=True)
        run(processes, command, "--figures=null")
        reports.append(json.loads(file.read_text()))
    one, *others = reports
    assert one["images"] == {"validate": 12_000, "test": 10_000}[command]
    for other in others:
        assert other.pop("loss") == pytest.approx(one["loss"], rel=1e-6)
        assert other.pop("expected_calibration_error") == pytest.approx(one["expected_calibration_error"], rel=1e-6)
        assert other == {name: value for name, value in one.items() if name in other}
        assert one.keys() - other.keys() == {"loss", "expected_calibration_error"}


def test_several_processes_predict_every_row_once_and_in_order(workplace):
    tables = []
    for processes in (1, 2, 3):
        run(processes, "predict")
        tables.append((RUN / "predictions.csv").read_text())
        assert (RUN / "predictions.png").exists()
    rows = tables[0].splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [f"test[{index}]" for index in range(10_000)]
    assert tables[1] == tables[0]
    assert tables[2] == tables[0]


def test_two_nodes_of_torchrun_on_one_machine_test_what_one_process_tests(workplace):
    file = RUN / "test.json"
    run(1, "test")
    one = json.loads(file.read_text())
    file.unlink()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1"]
    torchrun += ["--rdzv_backend=static", "--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    options = ["--trainer.accelerator=cpu", "--trainer.num_nodes=2", "--trainer.devices=1", "--trainer.strategy=ddp"]
    nodes = [
        subprocess.Popen(
            [*torchrun, f"--node_rank={rank}", "-m", "mnist_cli", "test", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        said = [node.communicate(timeout=300)[0] for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0, 0], "\n".join(said)
    two = json.loads(file.read_text())
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-6)
    assert two["confusion_matrix"] == one["confusion_matrix"]
    assert "Test on 10,000 images" in said[0]
    assert "Test on" not in said[1]


def test_four_fits_at_the_same_moment_in_an_empty_folder_are_four_complete_runs(tmp_path):
    options = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=20", "--model.net.hidden_sizes=[16]"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    fits = [subprocess.Popen([MNIST, "fit", *options], cwd=tmp_path, **pipes) for _ in range(4)]
    try:
        said = [fit.communicate(timeout=500)[0] for fit in fits]
    finally:
        for fit in fits:
            fit.kill()
    assert [fit.returncode for fit in fits] == [0, 0, 0, 0], "\n".join(said)
    runs = [f"lightning_logs/version_{number}" for number in range(4)]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("lightning_logs/*")) == runs
    assert sorted(next(run for run in runs if f"The run with its figures is in {run}." in one) for one in said) == runs
    for path in (tmp_path / run for run in runs):
        assert yaml.safe_load((path / "config.yaml").read_text())["trainer"]["max_epochs"] == 1
        assert Run(path).record().current_state() == "finished"
        assert [row["epoch"] for row in metrics(path)] == ["1", ""]  # of the epoch, and of the test
        assert json.loads((path / "test.json").read_text())["images"] == 10_000
        assert [open_checkpoint(path / f"checkpoints/{name}.ckpt").epochs_done for name in ("best", "last")] == [1, 1]
        figures = list(path.glob("figures/*.png"))
        assert len(figures) == 6
        for figure in figures:
            Image.open(figure).verify()
    assert not [path for path in tmp_path.rglob(".*")]
    for train in (True, False):
        read_digits("MNIST", str(tmp_path / "data"), train=train)  # compares the published sums
