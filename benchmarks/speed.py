"""How fast is `mnist`? Measured in one run, each program in a process of its own, the programs in turn.

    python benchmarks/speed.py                         # everything on the CPU
    python benchmarks/speed.py --parts recipes --recipes default --runs 5
    python benchmarks/speed.py --accelerator gpu --parts warm --recipes cnn speedrun_gpu

Times are only comparable within one run: machines are shared and noisy. The table gives medians, and ratios of medians.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "configs"
PARTS = ("recipes", "warm", "choices", "overhead", "startup", "data", "scaling", "speedrun")
PROGRAMS = ("floor", "floor, tuned", "mnist fit", "quickstart")
# What a recipe may choose for speed; the first is the recipe as it is.
CHOICES: dict[str, list[str]] = {
    "as it is": [],
    "images on the CPU": ["--data.on_device=false"],
    "bf16-mixed": ["--trainer.precision=bf16-mixed"],
    "channels_last: false": ["--model.net.channels_last=false"],
    "compile: true": ["--model.compile=true"],
    "compile: reduce-overhead": ["--model.compile=reduce-overhead"],
    "short_steps: false": ["--short_steps=false"],
}
Figures = dict[str, Any]


def run(command: Sequence[str | Path], folder: Path) -> tuple[float, float, str]:
    """Run a command; returns its wall seconds, its peak memory in MB, and what it printed."""
    path = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{text[-3000:]}")
    return seconds, usage.ru_maxrss / 1024, text


class Bench:
    """The place and the options of one measurement.

    Args:
        folder: Where runs and data go.
        runs: How often each program runs.
        device: cpu or cuda.
    """

    def __init__(self, folder: Path, runs: int, device: str) -> None:
        self.folder, self.runs, self.device = folder, runs, device
        self.mnist = Path(sys.executable).parent / "mnist"
        self.common = [
            "--data.data_dir",
            str(folder / "data"),
            "--trainer.accelerator",
            {"cuda": "gpu"}.get(device, device),
        ]

    def program(self, name: str, *options: str) -> Figures:
        command = [sys.executable, HERE / "programs.py", name, "--data_dir", str(self.folder / "data")]
        seconds, memory, text = run([*command, "--device", self.device, *options], self.folder)
        return {**json.loads(text.strip().splitlines()[-1]), "process": seconds, "memory": memory}

    def repeated(self, name: str, *options: str, runs: int | None = None) -> list[Figures]:
        """A program several times in one process, after a first time in which libraries load and networks compile."""
        print(f"{name} {' '.join(options)}: {runs or self.runs} times in one process", file=sys.stderr, flush=True)
        command = [sys.executable, HERE / "programs.py", name, "--data_dir", str(self.folder / "data")]
        repeat = ["--device", self.device, "--repeat", str(runs or self.runs)]
        found: list[Figures] = json.loads(run([*command, *repeat, *options], self.folder)[2].strip().splitlines()[-1])
        return found

    def fit(self, *options: str) -> Figures:
        """`mnist fit` as a user calls it, in a terminal of 80 columns, with one more callback that keeps the time."""
        path = self.folder / "timer.json"
        timer = f"--trainer.callbacks=[{{class_path: timer.Timer, init_args: {{path: {path}}}}}]"
        began = time.time()
        seconds, memory, _ = run([self.mnist, "fit", *options, *self.common, timer], self.folder)
        found = json.loads(path.read_text())
        found["first_batch"] = found.pop("first_batch_at") - began
        return {**found, "process": seconds, "memory": memory}

    def command(self, *command: str | Path) -> Figures:
        seconds, memory, _ = run(command, self.folder)
        return {"process": seconds, "memory": memory}

    def in_turn(self, programs: dict[str, Any], label: str, runs: int | None = None) -> dict[str, list[Figures]]:
        """Run each program, a function of the run's number, which is the seed too, as often as asked."""
        runs = runs or self.runs
        found: dict[str, list[Figures]] = {name: [] for name in programs}
        for number in range(runs):
            for name, program in programs.items():
                print(f"{label}: {name}, run {number + 1} of {runs}", file=sys.stderr, flush=True)
                found[name].append(program(number))
        return found


def median(runs: list[Figures], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def complete(bench: Bench, recipe: str, epochs: int | None) -> Path:
    """A file with all settings of a recipe, for so many epochs if they are given.

    Without augmentation at test time, which the programs that it is compared with do not have.
    """
    options = ["--model.tta=0", *([f"--trainer.max_epochs={epochs}"] if epochs else [])]
    path = bench.folder / f"{recipe}.yaml"
    if not path.exists():
        command = [bench.mnist, "fit", "--config", CONFIGS / f"{recipe}.yaml", *options, "--print_config"]
        path.write_text(run(command, bench.folder)[2])
    return path


def measure_recipe(bench: Bench, recipe: str, epochs: int | None, names: Sequence[str]) -> dict[str, list[Figures]]:
    path = str(complete(bench, recipe, epochs))
    programs: dict[str, Any] = {
        "floor": lambda seed: bench.program("floor", "--recipe", path, "--seed", str(seed)),
        "floor, tuned": lambda seed: bench.program("floor", "--recipe", path, "--seed", str(seed), "--tuned"),
        "mnist fit": lambda seed: bench.fit("--config", path, "--early_stopping=null", "--seed_everything", str(seed)),
        "quickstart": lambda seed: bench.program("quickstart", "--recipe", path, "--seed", str(seed)),
    }
    return bench.in_turn({name: programs[name] for name in names}, recipe)


def measure_warm(
    bench: Bench, recipe: str, epochs: int | None, seeds: int, names: Sequence[str]
) -> dict[str, list[Figures]]:
    """The recipe in processes that have begun already: how published times of GPUs are measured."""
    config = ["--recipe", str(complete(bench, recipe, epochs))]
    programs: dict[str, tuple[str, ...]] = {
        "one_epoch": ("one_epoch",),
        "floor": ("floor", *config),
        "floor, tuned": ("floor", *config, "--tuned"),
        "mnist fit": ("mnist", *config, '--options=["--early_stopping=null", "--figures=null"]'),
    }
    compared = ("one_epoch", "mnist fit") if recipe.startswith("speedrun") else names
    return {name: bench.repeated(*programs[name], runs=seeds) for name in programs if name in compared}


def measure_choices(bench: Bench, recipe: str, epochs: int | None) -> dict[str, list[Figures]]:
    """The last epoch of a fit with each choice, one after the other in a process that has begun."""
    path = complete(bench, recipe, epochs)
    is_cnn = yaml.safe_load(path.read_text())["model"]["net"]["class_path"].endswith("CNN")
    choices = {name: choice for name, choice in CHOICES.items() if is_cnn or "channels_last" not in name}
    common = ["--early_stopping=null", "--figures=null", "--test_after_fit=false"]
    options = json.dumps([[*common, *choice] for choice in choices.values()])
    runs = bench.repeated("mnist", "--recipe", str(path), f"--options={options}")
    found = {name: runs[number :: len(choices)] for number, name in enumerate(choices)}
    for figures in runs:
        figures["epoch"] = figures["epochs"][-1]
    return found


def measure_overhead(bench: Bench) -> dict[str, list[Figures]]:
    """What figures and logs cost the quick start's work."""
    config = ["--config", str(CONFIGS / "seed_quickstart.yaml")]
    off = [f"--{name}=null" for name in ("figures", "batch_log", "evaluation")] + ["--trainer.logger=false"]
    programs = {"everything on": lambda _: bench.fit(*config), "everything off": lambda _: bench.fit(*config, *off)}
    return bench.in_turn(programs, "overhead")


def measure_startup(bench: Bench) -> dict[str, list[Figures]]:
    config = ["--config", str(CONFIGS / "default.yaml")]
    one_step = ["--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--test_after_fit=false", "--figures=null"]

    def first_batch(_: int) -> Figures:
        found = bench.fit(*config, *one_step)
        return {**found, "process": found["first_batch"]}

    programs = {
        "import lightning.pytorch.cli": lambda _: bench.command(sys.executable, "-c", "import lightning.pytorch.cli"),
        "mnist --help": lambda _: bench.command(bench.mnist, "--help"),
        "mnist --version": lambda _: bench.command(bench.mnist, "--version"),
        "mnist fit --print_config": lambda _: bench.command(bench.mnist, "fit", *config, "--print_config"),
        "mnist fit, to the first batch": first_batch,
    }
    return bench.in_turn(programs, "startup")


def measure_data(bench: Bench) -> dict[str, list[Figures]]:
    code = (
        "import sys, time; from mnist_cli.data.sources import prepare_digits; began = time.perf_counter(); "
        "prepare_digits('MNIST', sys.argv[1]); print(time.perf_counter() - began)"
    )

    def prepare(_: int) -> Figures:
        with tempfile.TemporaryDirectory(dir=bench.folder) as empty:
            seconds, memory, text = run([sys.executable, "-c", code, empty], bench.folder)
        return {"process": seconds, "memory": memory, "prepare": float(text)}

    return bench.in_turn({"first preparation": prepare}, "data")


def measure_scaling(bench: Bench) -> dict[str, list[Figures]]:
    """Seconds of the second epoch, for more images and for larger batches."""
    config = ["--config", str(CONFIGS / "default.yaml"), "--trainer.max_epochs=2", "--test_after_fit=false"]
    raw = bench.folder / "data" / "MNIST" / "raw"
    images = np.frombuffer((raw / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer((raw / "train-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    programs: dict[str, Any] = {}
    for times in (1, 2, 4, 8):
        folder = bench.folder / f"images_x{times}"
        folder.mkdir(exist_ok=True)
        for split, count in (("train", times), ("test", 1)):
            np.save(folder / f"{split}.image.npy", np.tile(images, (count, 1, 1)))
            np.save(folder / f"{split}.label.npy", np.tile(labels, count))
        programs[f"{times}x images"] = lambda _, folder=folder: bench.fit(*config, "--data.dataset", str(folder))
    for batch_size in (64, 256, 1024, 8192):
        options = ["--data.batch_size", str(batch_size)]
        programs[f"batch {batch_size}"] = lambda _, options=options: bench.fit(*config, *options)
    found = bench.in_turn(programs, "scaling")
    for runs in found.values():
        for figures in runs:
            figures["epoch"] = figures["epochs"][-1]
    return found


def measure_speedrun(bench: Bench, seeds: int) -> dict[str, list[Figures]]:
    """Some seeds of the speedrun and of the one-epoch recipe."""
    config = ["--config", str(CONFIGS / "speedrun.yaml")]
    programs: dict[str, Any] = {
        "one_epoch": lambda seed: bench.program("one_epoch", "--seed", str(seed)),
        "mnist fit": lambda seed: bench.fit(*config, "--seed_everything", str(seed)),
    }
    return bench.in_turn(programs, "speedrun", seeds)


def show(
    console: Console, title: str, found: dict[str, list[Figures]], *, base: str | None, names: dict[str, str]
) -> None:
    """A row a program: medians, and the ratio of each to the base."""
    table = Table("program", *names.values(), title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for program, runs in found.items():
        cells = []
        for name in names:
            if name not in runs[0]:
                cells.append("")
                continue
            value = median(runs, name)
            ratio = (
                f" ({value / median(found[base], name):.2f} x)"
                if base and program != base and name in found[base][0]
                else ""
            )
            unit = {"memory": f"{value:,.0f} MB", "accuracy": f"{100 * value:.2f} %"}.get(name, f"{value:.2f} s")
            cells.append(unit if name in ("memory", "accuracy") else unit + ratio)
        table.add_row(program, *cells)
    console.print(table)


def say_spread(console: Console, found: dict[str, list[Figures]]) -> None:
    for name, runs in found.items():
        scores, fits = ([factor * run[key] for run in runs] for key, factor in (("accuracy", 100), ("fit", 1)))
        spread = f" ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else ""
        console.print(
            f"{name}: {statistics.mean(scores):.3f}{spread} % (n = {len(scores)}), "
            f"fit {min(fits):.3f} to {max(fits):.3f} s"
        )


def unequal_accuracies(recipe: str, found: dict[str, list[Figures]]) -> list[str]:
    """A complaint unless the mean accuracies are the same, within half a point or three standard errors.

    Nobody may be fast by doing less.
    """
    scores = {name: [figures["accuracy"] for figures in runs] for name, runs in found.items()}
    means = {name: statistics.mean(values) for name, values in scores.items()}
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    pair = [scores[name] for name in (low, high) if len(scores[name]) > 1]
    error = sum(statistics.variance(values) / len(values) for values in pair) ** 0.5
    if means[high] - means[low] <= max(0.005, 3 * error):
        return []
    return [f"{recipe}: the programs do not reach the same accuracy: {scores}"]


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    packages = ("mnist-cli", "torch", "lightning", "jsonargparse", "kornia")
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [part for part in PARTS if part not in ("warm", "choices")]
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=usual, help="what to measure")
    parser.add_argument("--recipes", nargs="+", default=["seed_quickstart", "default", "cnn"], help="files in configs/")
    parser.add_argument(
        "--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), help="for the recipes, and for warm"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each program, of which the median counts")
    parser.add_argument("--epochs", type=int, help="epochs of every recipe, instead of its own number")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of a speedrun")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--output", type=Path, default=Path("speed.json"), help="file for all figures of all runs")
    args = parser.parse_args()
    if "warm" in args.parts and args.programs == ["quickstart"]:
        parser.error("--programs quickstart: it is not measured by --parts warm; name floor or mnist fit too")
    complaints: list[str] = []
    console, everything = Console(width=120), {"machine": machine(), "command": " ".join(sys.argv)}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.runs, {"gpu": "cuda"}.get(args.accelerator, "cpu"))
        run(
            [sys.executable, "-c", f"from mnist_cli.data.sources import *; prepare_digits('MNIST', '{folder}/data')"],
            Path(folder),
        )
        training = {
            "fit": "fit",
            "first_step": "its first step",
            "process": "whole process",
            "test": "test",
            "memory": "peak memory",
            "accuracy": "test accuracy",
        }
        if "recipes" in args.parts:
            for recipe in args.recipes:
                found = measure_recipe(bench, recipe, args.epochs, args.programs)
                everything[recipe] = found
                show(console, recipe, found, base="floor" if "floor" in found else None, names=training)
                settings = yaml.safe_load((bench.folder / f"{recipe}.yaml").read_text())
                images = int(60_000 * (1 - settings["data"]["val_size"])) * settings["trainer"]["max_epochs"]
                rates = {name: f"{images / median(runs, 'fit'):,.0f}" for name, runs in found.items()}
                console.print("training images per second of fit: " + ", ".join(f"{k} {v}" for k, v in rates.items()))
                if {"quickstart", "mnist fit"} <= found.keys():
                    gain = median(found["quickstart"], "process") / median(found["mnist fit"], "process")
                    console.print(f"the whole process, against the quick start's way: {gain:.1f} times faster")
                complaints += unequal_accuracies(recipe, found)
        if "choices" in args.parts:
            for recipe in args.recipes:
                everything[f"choices, {recipe}"] = found = measure_choices(bench, recipe, args.epochs)
                names = {"epoch": "last epoch", "fit": "fit"}
                show(console, f"choices, {recipe}", found, base="as it is", names=names)
        if "warm" in args.parts:
            for recipe in args.recipes:
                seeds = args.seeds if recipe.startswith("speedrun") else args.runs
                everything[f"warm, {recipe}"] = found = measure_warm(bench, recipe, args.epochs, seeds, args.programs)
                names = {name: training[name] for name in ("fit", "first_step", "test", "accuracy")}
                base = next(iter(found))
                show(console, f"{recipe}, in a process that has begun", found, base=base, names=names)
                say_spread(console, found)
        process = {"process": "whole process", "memory": "peak memory"}
        if "overhead" in args.parts:
            everything["overhead"] = found = measure_overhead(bench)
            show(
                console,
                "figures and logs",
                found,
                base="everything off",
                names={"fit": "fit", "process": "whole process"},
            )
        if "startup" in args.parts:
            everything["startup"] = found = measure_startup(bench)
            show(console, "start-up", found, base="import lightning.pytorch.cli", names=process)
        if "data" in args.parts:
            everything["data"] = found = measure_data(bench)
            show(console, "first-run data preparation", found, base=None, names={"prepare": "prepare", **process})
        if "scaling" in args.parts:
            everything["scaling"] = found = measure_scaling(bench)
            show(
                console,
                "one epoch of default.yaml",
                found,
                base="1x images",
                names={"epoch": "epoch", "memory": "peak memory"},
            )
        if "speedrun" in args.parts:
            everything["speedrun"] = found = measure_speedrun(bench, args.seeds)
            show(console, f"speedrun, {args.seeds} seeds", found, base="one_epoch", names=training)
            say_spread(console, found)
        args.output.write_text(json.dumps(everything, indent=1) + "\n")
        console.print(f"all figures are in {args.output}")
    if complaints:
        raise SystemExit("\n".join(complaints))


if __name__ == "__main__":
    main()
