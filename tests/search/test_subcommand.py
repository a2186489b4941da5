"""`mnist search` through its front door; test_worker has what needs processes of its own."""

import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, SPACE, TINY, metrics, rows

from mnist_cli.__main__ import main


@pytest.fixture
def search(mnist, tmp_path, monkeypatch):
    """Runs a small search in this process."""
    monkeypatch.chdir(tmp_path)

    def run(text, *options):
        Path("small.yaml").write_text(text)
        return main(["search", "--search", "small.yaml", *TINY, *options])

    return run


@pytest.fixture(scope="module")
def searched(made_once, data_dir):
    """A finished search of four trials and two repeats, and what it said."""

    def search():
        Path("small.yaml").write_text(f"{SPACE}\ntrials: 4\nrepeats: 2\npruner: MedianPruner\n")
        with Path("said.txt").open("w") as file, redirect_stdout(file):
            assert main(["search", "--search", "small.yaml", *TINY, "--data.data_dir", data_dir]) == 0

    return made_once("searched", search)


def test_a_trial_is_an_ordinary_run_that_a_fit_repeats(searched, mnist, tmp_path, monkeypatch):
    table = rows(searched / "searches/small/trials.csv")
    assert [row["trial"] for row in table] == ["1", "2", "3", "4"]
    first = next(row for row in table if row["state"] == "complete")
    run = searched / first["run"]
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert settings["model"]["optimizer"]["init_args"]["lr"] == float(first["model.optimizer.lr"])
    assert settings["data"]["batch_size"] == int(first["data.batch_size"])
    best = min(metrics(run), key=lambda row: float(row["val/loss"]))
    assert float(first["val/acc"]) == float(best["val/acc"])
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--config", str(run / "config.yaml")) == 0
    assert metrics() == metrics(run)


def test_the_winner_is_trained_with_fresh_seeds_and_each_is_tested_once(searched):
    said = (searched / "said.txt").read_text()
    runs = sorted((searched / "lightning_logs").iterdir(), key=lambda path: int(path.name.removeprefix("version_")))
    tested = [run for run in runs if (run / "test.json").exists()]
    assert tested == runs[4:]
    assert len(tested) == 2
    seeds = {yaml.safe_load((run / "config.yaml").read_text())["seed_everything"] for run in tested}
    assert seeds == {43, 44}
    accuracies = [float(metrics(run)[-1]["test/acc"]) for run in tested]
    assert f"test/acc {50 * sum(accuracies):.2f} ±" in said
    assert re.search(r"the search was (optimistic|pessimistic) by \d", said)
    assert "trial 4/4  lr" in said


def test_best_yaml_is_a_recipe_with_the_winners_settings(searched, mnist, tmp_path, monkeypatch):
    table = rows(searched / "searches/small/trials.csv")
    best = max((row for row in table if row["state"] == "complete"), key=lambda row: float(row["val/acc"]))
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--config", str(searched / "searches/small/best.yaml")) == 0
    settings = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert settings["model"]["optimizer"]["init_args"]["lr"] == float(best["model.optimizer.lr"])
    assert settings["test_after_fit"] is True
    assert settings["name"] is None


def test_the_figures_of_a_search_are_there(searched):
    folder = searched / "searches/small"
    assert {path.name for path in folder.glob("*.png")} == {
        "history.png",
        "slices.png",
        "parallel.png",
        "importance.png",
    }


def test_the_test_set_is_never_opened_before_the_winner_is_known(search, data_dir, tmp_path, capfd):
    raw = tmp_path / "data/MNIST/raw"
    raw.mkdir(parents=True)
    for file in (Path(data_dir) / "MNIST/raw").iterdir():
        if file.name.startswith("train"):
            (raw / file.name).symlink_to(file)
        else:
            (raw / file.name).write_bytes(b"the reader of test files raises")
    assert search(f"{SPACE}\ntrials: 2\nrepeats: 0\n") == 0
    table = rows("searches/small/trials.csv")
    assert [row["state"] for row in table] == ["complete", "complete"]
    assert "not trained with fresh seeds" in capfd.readouterr().out
    assert search(f"{SPACE}\ntrials: 2\nrepeats: 1\n") == 2  # the same files do raise when the winner is tested
    assert "is not the published MNIST file" in capfd.readouterr().err


def test_the_same_command_finds_a_finished_search_finished(searched, data_dir, capfd, monkeypatch):
    monkeypatch.chdir(searched)
    runs = len(list(Path("lightning_logs").iterdir()))
    elsewhere = ["--trainer.logger=CSVLogger", "--trainer.logger.save_dir=csv"]  # this may differ between machines
    assert main(["search", "--search", "small.yaml", *TINY, "--data.data_dir", data_dir, *elsewhere]) == 0
    assert len(list(Path("lightning_logs").iterdir())) == runs
    said = capfd.readouterr().out
    assert "4 of them done" in said
    assert "test/acc" in said


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        (f"{SPACE.replace('1e-1', '1e-2')}\ntrials: 4", [], "begun with another space (model.optimizer.lr); give"),
        (f"{SPACE}\ntrials: 4\nmetric: val/loss", [], "begun with another metric (val/acc)"),
        (f"{SPACE}\ntrials: 4", ["--model.loss=mse"], "begun with other settings (loss)"),
    ],
)
def test_a_search_of_the_same_name_searches_the_same(searched, monkeypatch, data_dir, text, options, sentence, capfd):
    monkeypatch.chdir(searched)
    Path("other.yaml").write_text(text)
    arguments = ["--search", "other.yaml", "--name=small", *TINY, "--data.data_dir", data_dir, *options]
    assert main(["search", *arguments]) == 2
    assert sentence in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "--search: give the file of the search"),
        (["--search", "nowhere.yaml"], "--search nowhere.yaml: No such file"),
        (["--search"], "--search needs a value"),
        (["--search", "small.yaml", "--name", ""], "--name '': give letters, digits"),
        (["--search", "small.yaml", "--storage", "postgresql://a:{b}@/c"], "--storage postgresql: the database cannot"),
        (["--search", "small.yaml", "--jobs", "100000"], "--jobs 100000: this machine has"),
        (["--search", "small.yaml", "--jobs", "0"], "--jobs: expected a whole number of at least 1, got '0'"),
        (["--search", "small.yaml", "--ckpt_path", "best"], "--ckpt_path: a search trains from the beginning"),
        (["--search", "small.yaml", "--name", "a/b"], "--name 'a/b'"),
        (["--search", "small.yaml", "--trainer.devices", "2"], "--trainer.devices: a trial of a search runs in one"),
        (["--search", "small.yaml", "--trainer.limit_val_batches", "0"], "a search chooses by the validation"),
        (
            ["--search", "small.yaml", "--model.los", "mse"],
            "there is no option --model.los; did you mean --model.loss?",
        ),
        (
            ["--search", "small.yaml", "--storage", "postgresql://me:secret@127.0.0.1:1/x"],
            "--storage postgresql: the database cannot be used (connection failed",
        ),
        (["--search", "small.yaml", "--storage", "sqlite:///x.db"], "cannot share SQLite safely"),
        (["--search", "small.yaml", "--storage", "nonsense"], "--storage nonsense: the database cannot be used"),
    ],
)
def test_a_mistake_in_an_option_is_a_sentence(search, options, sentence, capfd):
    Path("small.yaml").write_text(f"{SPACE}\ntrials: 2\n")
    assert main(["search", *options]) == 2
    err = capfd.readouterr().err
    assert sentence in err
    assert "secret" not in err
    assert err.count("\n") == 1
    assert not Path("lightning_logs").exists()


def test_settings_that_never_work_end_the_search(search, data_dir, capfd):
    options = ["--data.data_dir", data_dir, "--model.lr_scheduler=OneCycleLR", "--model.lr_scheduler.max_lr=0.1"]
    options += ["--model.lr_scheduler.pct_start=3"]
    assert search(f"{SPACE}\ntrials: 9\n", *options) == 2
    assert "the first 3 trials all failed; the last one with: model.lr_scheduler" in capfd.readouterr().err


def test_a_diverged_trial_is_a_bad_one_and_the_search_goes_on(search, data_dir, capfd):
    space = "space: {model.optimizer.lr: {values: [1e30, 0.001]}}\ntrials: 2\nrepeats: 0\nsampler: GridSampler"
    assert search(space, "--data.data_dir", data_dir, "--model.optimizer=SGD") == 0
    table = {row["model.optimizer.lr"]: row for row in rows("searches/small/trials.csv")}
    assert table["1e+30"]["state"] == "pruned"
    assert "the network has diverged" in table["1e+30"]["problem"]
    assert table["0.001"]["state"] == "complete"
    assert "can go on" not in capfd.readouterr().err


def test_without_optuna_the_extra_is_named(search, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search(f"{SPACE}\ntrials: 2\n") == 2
    assert "pip install -e '.[search]'" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["search_mlp", "search_cnn"])
def test_a_shipped_search_is_understood(name, tmp_path, monkeypatch):
    from mnist_cli.search.space import read_search_file
    from mnist_cli.search.trial import check_space

    monkeypatch.chdir(tmp_path)
    path = ROOT / "configs" / f"{name}.yaml"
    command = next(line for line in path.read_text().splitlines() if "mnist search" in line).split()
    recipe = ROOT / command[command.index("--config") + 1]
    assert command[command.index("--search") + 1] == f"configs/{name}.yaml"
    assert check_space(read_search_file(str(path)), ["--config", str(recipe)])[1]


def test_a_grid_is_searched_point_by_point(search, data_dir):
    space = "space: {model.optimizer.lr: {values: [0.001, 0.01]}, data.batch_size: {values: [64, 128, 256]}}"
    options = ["--data.data_dir", data_dir, "--trainer.max_epochs=1"]
    assert search(f"{space}\ntrials: 6\nrepeats: 0\nsampler: GridSampler\n", *options) == 0
    table = rows("searches/small/trials.csv")
    assert len({(row["model.optimizer.lr"], row["data.batch_size"]) for row in table}) == 6
