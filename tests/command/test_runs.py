"""`mnist runs` on real runs: what it lists, compares, sorts, and says of what is damaged."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers import RUN
from PIL import Image

from mnist_cli.__main__ import main

FIGURES = {"accuracy": 0.97, "accuracy_interval_95": [0.966, 0.973], "errors": 300, "images": 10_000}


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def copy_run(number, *, seed=42, lr=0.001, name=None, accuracy=None, started=None, **changes):
    """Another run with other settings: a copy of the finished one."""
    run = RUN.parent / f"version_{number}"
    shutil.copytree(RUN, run)

    def change(record):
        record["settings"]["seed_everything"] = seed
        record["settings"]["model"]["optimizer"]["init_args"]["lr"] = lr
        record["name"] = name
        record["started"] = started or f"2026-11-24T10:{number:02}:00.000+00:00"
        record["ended"] = f"2026-11-24T10:{number + 1:02}:18.000+00:00"
        record.update(changes)

    edit(run / "run.json", change)
    if accuracy is not None:
        edit(run / "test.json", lambda report: report.update(FIGURES, accuracy=accuracy))
        lines = (run / "metrics.csv").read_text().splitlines()
        (run / "metrics.csv").write_text("\n".join(lines[:-1]))
    return run


@pytest.fixture
def one(workplace):
    edit(RUN / "run.json", lambda record: record.update(started="2026-11-24T09:00:00.000+00:00"))
    return workplace


@pytest.fixture
def three(one):
    copy_run(1, lr=0.01, name="fast", accuracy=0.98)
    copy_run(2, lr=0.1, accuracy=0.95)
    return one


def words(line):
    return " ".join(line.split())


def table(capsys, *arguments):
    assert main(["runs", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_run_is_a_line_the_newest_first_with_what_differs_and_only_that(three, capsys):
    head, newest, second, first = table(capsys)
    assert head.split() == [
        *("run", "when", "recipe", "epochs", "val/loss", "val/acc", "test/acc", "95", "%", "time", "state"),
        *("name", "optimizer.lr"),
    ]
    assert [line.split()[0] for line in (newest, second, first)] == ["2", "1", "0"]
    assert "MLP" in newest
    assert "% 95.00 % 96.60-97.30 1m18s finished" in words(newest)
    assert second.split()[-2:] == ["fast", "0.01"]
    report = json.loads((RUN / "test.json").read_text())
    assert f"{100 * report['accuracy']:.2f} %" in first


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("test/acc", "120"),
        ("optimizer.lr", "012"),
        ("name", "120"),
        ("when", "210"),
        ("run", "210"),
        ("val/loss", "210"),
    ],
)
def test_runs_are_sorted_by_figures_and_settings(three, capsys, by, order):
    if by == "test/acc":
        edit(RUN / "test.json", lambda report: report.update(accuracy=0.9))
    lines = table(capsys, "--sort", by)[1:4]
    assert "".join(line.split()[0] for line in lines) == order


def test_json_has_everything(three, capsys):
    newest, second, _ = json.loads("\n".join(table(capsys, "--json")))
    assert second["name"] == "fast"
    assert second["settings"]["optimizer.lr"] == 0.01
    assert second["test"] == {"accuracy": 0.98, "interval": [0.966, 0.973], "errors": 300, "images": 10_000}
    assert second["versions"]["torch"] == version("torch")
    assert (second["state"], second["seconds"], second["epochs"]) == ("finished", 78.0, 2)
    assert newest["best"]["val/loss"] > 0


def test_runs_that_differ_in_the_seed_alone_are_one_row(one, capsys):
    for number, accuracy in ((1, 0.97), (2, 0.98), (3, 0.99)):
        copy_run(number, seed=number, lr=0.5, accuracy=accuracy, name=f"seed {number}")
    copy_run(4, seed=3, lr=0.5, accuracy=0.5, started="2026-11-24T08:00:00.000+00:00")  # an older one with this seed
    copy_run(5, seed=5, lr=0.5, accuracy=0.1, state="failed")
    head, row, other = table(capsys, "--by-seed")
    assert row.split()[:2] == ["MLP", "3"]
    assert "98.00 ± 1.00 % 99.00 % (3) 97.00 % (1) 3 2 1" in words(row)
    assert row.split()[-6:] == ["5", "failed,", "4", "seed", "again", "0.5"]
    assert other.split()[:2] == ["MLP", "1"]
    assert "seed_everything" not in head


def test_runs_of_one_seed_row_with_other_versions_are_named(one, capsys):
    copy_run(1, seed=1, versions={"torch": "1.0.0"})
    assert "Runs 1 0 differ in torch and" in table(capsys, "--by-seed")[-1]


def test_two_runs_stand_side_by_side_with_their_curves(three, capsys):
    lines = table(capsys, "1", "0")
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert rows["run"] == ["1", "0"]
    assert rows["optimizer.lr"] == ["0.01", "0.001"]
    assert rows["test/acc"][:2] == ["98.00", "%"]
    assert lines[-1] == "curves: lightning_logs/runs-1-0.png"
    with Image.open("lightning_logs/runs-1-0.png") as picture:
        assert picture.width > 1000
    assert table(capsys, "fast", "--output", "mine.png")[-1] == "curves: mine.png"
    assert Path("mine.png").exists()


def test_other_folders_are_arguments(three, capsys):
    shutil.copytree("lightning_logs", "elsewhere/lightning_logs")
    lines = table(capsys, "elsewhere", ".")
    assert sorted(line.split()[0] for line in lines[1:]) == [
        *(f"./{n}" for n in "012"),
        *(f"elsewhere/{n}" for n in "012"),
    ]
    assert table(capsys, "elsewhere/lightning_logs") == table(capsys)
    assert table(capsys, "elsewhere", "fast")[0].split() == ["run", "1"]


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("run.json", "{", "run.json is damaged"),
        ("run.json", {"started": "yesterday"}, "run.json is damaged (Invalid isoformat"),
        ("run.json", {"ended": "later"}, "run.json is damaged (Invalid isoformat"),
        *(
            ("run.json", {key: 5}, f"run.json is damaged ({key} is 5)")
            for key in ("name", "state", "recipe", "problem")
        ),
        ("run.json", {"state": "odd"}, "run.json is damaged (state is 'odd')"),
        *(
            ("run.json", {"settings": {name: odd}}, f"the settings are damaged ({name} is no group of settings)")
            for name, odd in (("model", 5), ("checkpoint", "x"), ("trainer", [1]), ("evaluation", {"init_args": 3}))
        ),
        ("run.json", {"versions": None}, "run.json is damaged (versions is None)"),
        ("metrics.csv", "epoch,step\nnan,1\n", "metrics.csv is damaged (epoch nan)"),
        ("metrics.csv", "epoch,step\ninf,1\n", "metrics.csv is damaged (epoch inf)"),
        ("metrics.csv", "epoch,step\n1,x\n", "metrics.csv is damaged (could not convert"),
        ("metrics.csv", "", "metrics.csv is damaged (it has no rows)"),
        ("metrics.csv", None, "there is no metrics.csv"),
        ("test.json", '{"accuracy": 1}', "test.json is damaged ('accuracy_interval_95')"),
        ("config.yaml", None, "there is no config.yaml"),
    ],
)
def test_a_damaged_run_is_a_row_that_says_so(three, capsys, file, text, says):
    place = RUN.parent / "version_1" / file
    if isinstance(text, dict):
        text = json.dumps(json.loads(place.read_text()) | text)
    place.unlink()
    if text is not None:
        place.write_text(text)
    lines = table(capsys)
    assert sum("damaged" in line.split() for line in lines[:4]) == 1
    assert lines[-1].startswith(f"1: {says}")


def test_a_directory_with_nothing_in_it_is_a_row(three, capsys):
    (RUN.parent / "version_7").mkdir()
    assert table(capsys)[-1] == "7: there is no config.yaml."


def test_a_run_of_a_trainer_alone_is_not_called_damaged(three, capsys):
    checkpoint = RUN.parent / "version_7/checkpoints/epoch=0-step=20.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    (RUN.parent / "version_7/metrics.csv").write_text("epoch,step,loss\n,49,0.3\n")  # of a CSVLogger
    lines = table(capsys)
    assert "unrecorded" in next(line.split() for line in lines if line.split()[0] == "7")
    assert lines[-1].startswith("7: made by a Trainer without `mnist fit`; give the file of its checkpoint")
    assert main(["test", "--ckpt_path=7"]) == 2
    assert f"run version_7 has no best.ckpt; give its file, {checkpoint}." in capsys.readouterr().err


def test_a_run_of_an_older_version_is_shown_as_far_as_it_is_known(three, capsys):
    (RUN / "run.json").unlink()
    assert "unrecorded" in next(line.split() for line in table(capsys) if line.split()[0] == "0")


def test_a_later_test_of_another_checkpoint_is_told_apart(three, capsys):
    edit(RUN / "test.json", lambda report: report.update(FIGURES, checkpoint="a/last.ckpt"))
    assert "0: the test is a later one, of last on MNIST: 97.00 %; that of the fit gave " in table(capsys)[-1]


def test_a_test_of_the_last_checkpoint_alone_is_told_apart_from_the_best_epoch(three, capsys):
    edit(RUN.parent / "version_2/test.json", lambda report: report.update(checkpoint="a/last.ckpt"))
    assert table(capsys)[-1] == "2: the test is of last on MNIST; the other figures are those of the best epoch."


def test_a_run_on_another_machine_is_neither_running_nor_stopped(three, capsys):
    def elsewhere(record):
        record.update(state="running", ended=None)
        record["process"].update(host="gpu7", machine="x", boot="y")

    edit(RUN / "run.json", elsewhere)
    lines = table(capsys)
    assert "unknown" in lines[3]
    assert lines[-1].startswith("0: runs or ran on gpu7, and last wrote something 20")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sort", "val/ac"], "--sort val/ac: there is no such column; did you mean val/acc?"),
        (["9"], "there is no run and no folder of runs '9'; `mnist runs` lists"),
        (["fsat"], "there is no run and no folder of runs 'fsat'; did you mean fast?"),
        (["--jsno"], "there is no option --jsno; did you mean --json?"),
        (["empty"], "there are no runs in empty/lightning_logs; make one with `mnist fit`"),
        (["0", "1", "--output", "run.txt/x.png"], "cannot be written"),
        (["0", "1", "--output", ""], ". cannot be written (Is a directory); choose another place with --output."),
    ],
)
def test_a_mistake_is_one_sentence(three, capsys, arguments, says):
    Path("empty/lightning_logs").mkdir(parents=True)
    Path("run.txt").write_text("")
    assert main(["runs", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mnist: error: ")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("width", [80, 200])
def test_on_a_terminal_no_line_is_wider_than_it(three, capsys, monkeypatch, width):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    copy_run(3, name="a name that is long", lr=12.5, recipe="seed_quickstart")
    for arguments in ([], ["--by-seed"], ["0", "1", "3"]):
        lines = table(capsys, *arguments)
        assert max(map(len, lines)) <= width
        assert any("a name that is" in line for line in lines) or arguments == ["--by-seed"]
        assert any("12.5" in line for line in lines)


def test_neither_torch_nor_yaml_is_imported(three):
    code = (
        "import sys; from mnist_cli.__main__ import main; main(['runs']); print({'torch', 'yaml'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_runs_of_two_folders_with_one_number_are_told_apart(three, capsys):
    shutil.copytree("lightning_logs", "elsewhere/lightning_logs")
    lines = table(capsys, "1", "elsewhere/lightning_logs/version_1")
    assert lines[0].split() == ["run", "lightning_logs/version_1", "elsewhere/lightning_logs/version_1"]
    assert lines[-1] == "curves: lightning_logs/runs-1-1.png"
