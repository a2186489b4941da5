"""The benchmark of speed gives each choice its own figures."""

import importlib.util
import sys

import pytest
from helpers import ROOT


@pytest.fixture
def modules(monkeypatch):
    """benchmarks/speed.py and benchmarks/programs.py."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    loaded = []
    for name in ("speed", "programs"):
        spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", ROOT / f"benchmarks/{name}.py")
        loaded.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(loaded[-1])
    return loaded


def test_each_choice_is_run_once_uncounted_and_then_gets_its_own_figures(modules, monkeypatch, tmp_path, capsys):
    speed, programs = modules
    calls = []

    def mnist_fit(recipe, data_dir, device, seed, options):
        calls.append((seed, options[-1]))
        return {"epochs": [0.0, 1.0], "fit": 2.0, "options": options}

    monkeypatch.setattr(programs, "mnist_fit", mnist_fit)
    monkeypatch.setattr(programs, "prepare", lambda: None)
    monkeypatch.setattr(programs, "prepare_digits", lambda *_: None)
    monkeypatch.setattr(speed, "CHOICES", {"a": ["--a"], "b": ["--b"], "channels_last: false": ["--c"]})
    bench = speed.Bench(tmp_path, 2, "cpu")
    (tmp_path / "mine.yaml").write_text("model: {net: {class_path: mnist_cli.MLP}}")

    def run(command, folder):
        monkeypatch.setattr(sys, "argv", [str(part) for part in command[1:]])
        programs.main()
        return 1.0, 1.0, capsys.readouterr().out

    monkeypatch.setattr(speed, "run", run)
    found = speed.measure_choices(bench, "mine", None)
    assert {name: [one["options"][-1] for one in runs] for name, runs in found.items()} == {
        "a": ["--a", "--a"],
        "b": ["--b", "--b"],
    }
    assert calls == [(0, "--a"), (0, "--b"), (0, "--a"), (0, "--b"), (1, "--a"), (1, "--b")]
    assert all(one["epoch"] == 1.0 for runs in found.values() for one in runs)
