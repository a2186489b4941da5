"""How well does a recipe read? The mean over seeds, each run tested once, at the end.

    python benchmarks/accuracy.py --config configs/cnn.yaml --seeds 5
    python benchmarks/accuracy.py --config configs/cnn.yaml --seeds 3 --validation-only --model.net.dropout 0.4
    python benchmarks/accuracy.py --config configs/cnn.yaml --seeds 3 --data.dataset FashionMNIST

Other options go to `mnist fit`. Each seed is a run of the installed package in a process of its own, below
OUTPUT/RECIPE-FINGERPRINT; the fingerprint is that of all settings, so that two settings never share runs. What is
finished is kept: call again with more seeds, or after an interruption, which goes on from the last epoch. With
--validation-only the test set is never opened: choose with it, and test once what was chosen. The same runs are tested
then.
"""

import argparse
import csv
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

MNIST = (sys.executable, "-m", "mnist_cli")
PLACES = ("seed_everything", "trainer.default_root_dir", "data.data_dir")  # settings that make no other recipe
Result = dict[str, Any]


def resolve(config: Path, options: Sequence[str]) -> dict[str, Any]:
    """All settings of a recipe, as `mnist fit` understands them."""
    command = [*MNIST, "fit", "--config", str(config), *options, "--print_config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip() or f"{shlex.join(command)} failed")
    settings: dict[str, Any] = yaml.safe_load(done.stdout)
    return settings


def fingerprint(settings: dict[str, Any]) -> str:
    """Eight letters for all settings but the seed and the places of files."""
    kept = json.loads(json.dumps(settings))
    for name in PLACES:
        group, _, key = name.rpartition(".")
        (kept[group] if group else kept).pop(key, None)
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


class Recipe:
    """One recipe with its seeds.

    Args:
        config: The YAML file.
        options: Further options of `mnist fit`.
        folder: Where its runs go, a folder for each seed.
        jobs: Runs at a time.
        stage: test or validate.
    """

    def __init__(self, config: Path, options: Sequence[str], folder: Path, jobs: int, stage: str) -> None:
        self.config, self.options, self.folder, self.jobs, self.stage = config, options, folder, jobs, stage
        self.environment = dict(os.environ)
        if jobs > 1:
            self.environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))

    def train(self, seed: int) -> None:
        """Train a seed, or go on with it, unless it is finished."""
        root = self.folder / f"seed_{seed}"
        record = root / "fit.json"
        if record.exists():
            return
        options = ["--trainer.default_root_dir", str(root), "--test_after_fit=false"]
        fresh = ["--config", str(self.config), *self.options, "--seed_everything", str(seed)]
        resumed = any(root.glob("lightning_logs/*/checkpoints/last.ckpt"))
        print(f"seed {seed}: {'goes on' if resumed else 'trains'}, see {root / 'fit.log'}", flush=True)
        began = time.perf_counter()
        done = self._mnist(root, "fit", "fit", *(["--ckpt_path", "last"] if resumed else fresh), *options)
        log = (root / "fit.log").read_text()
        is_complete = resumed and "that run is complete" in log  # it was interrupted after its last epoch
        if done and not is_complete:
            raise SystemExit(f"seed {seed}: `mnist fit` ended with status {done}; {root / 'fit.log'} says why")
        parameters = re.search(r"with ([\d,]+) trainable parameters", log)
        newest = max(root.glob("lightning_logs/*/metrics.csv"), key=lambda path: path.stat().st_mtime)
        settings = json.loads(newest.with_name("run.json").read_text())["settings"]
        with newest.open() as file:
            epochs = max(int(row["epoch"]) for row in csv.DictReader(file) if row["epoch"])
        facts = {
            "parameters": int(parameters[1].replace(",", "")) if parameters else None,
            "epochs": epochs,
            "seconds": None if resumed else time.perf_counter() - began,
            "threads": int(self.environment.get("OMP_NUM_THREADS", settings["threads"])),
            "jobs": self.jobs,
            "commit": commit(),
            "date": datetime.date.today().isoformat(),
        }
        record.write_text(json.dumps(facts, indent=1) + "\n")

    def evaluate(self, seed: int) -> Result:
        """Test or validate the checkpoint that counts, once."""
        root = self.folder / f"seed_{seed}"
        record = root / f"{self.stage}.json"
        if not record.exists():
            options = ["--ckpt_path", "best", "--trainer.default_root_dir", str(root), "--figures=null"]
            if status := self._mnist(root, self.stage, self.stage, *options, f"--evaluation.dirpath={root}"):
                raise SystemExit(f"seed {seed}: `mnist {self.stage}` ended with status {status}, see {root}")
        report = json.loads(record.read_text())
        result = {"seed": seed} | {name: report[name] for name in ("accuracy", "errors", "images")}
        print(f"seed {seed}: {100 * report['accuracy']:.2f} %, {report['errors']} errors", flush=True)
        return result | json.loads((root / "fit.json").read_text())

    def _mnist(self, root: Path, log: str, *arguments: str) -> int:
        root.mkdir(parents=True, exist_ok=True)
        with (root / f"{log}.log").open("w") as out:
            return subprocess.run(
                [*MNIST, *arguments], env=self.environment, stdout=out, stderr=subprocess.STDOUT, check=False
            ).returncode

    def measure(self, seeds: Sequence[int]) -> list[Result]:
        """Train all seeds, then evaluate them; while tuning, each as soon as it is trained."""
        with ThreadPoolExecutor(self.jobs) as pool:
            if self.stage == "validate":
                return list(pool.map(lambda seed: (self.train(seed), self.evaluate(seed))[1], seeds))
            list(pool.map(self.train, seeds))
            return list(pool.map(self.evaluate, seeds))


def summarize(runs: Sequence[Result]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1), minimum and maximum of the accuracy; and of errors and seconds."""
    accuracies, errors = [run["accuracy"] for run in runs], [run["errors"] for run in runs]
    seconds = [run["seconds"] for run in runs if run["seconds"] is not None]
    return {
        "n": len(runs),
        "seeds": [run["seed"] for run in runs],
        "images": runs[0]["images"],
        "accuracy_mean": statistics.mean(accuracies),
        "accuracy_std": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "accuracy_min": min(accuracies),
        "accuracy_max": max(accuracies),
        "errors_mean": statistics.mean(errors),
        "errors_min": min(errors),
        "errors_max": max(errors),
        "parameters": runs[0]["parameters"],
        "epochs": sorted({run["epochs"] for run in runs}),
        "seconds_median": statistics.median(seconds) if seconds else None,
        "seconds_range": [min(seconds), max(seconds)] if seconds else None,
        "threads": sorted({run["threads"] for run in runs}),
        "jobs": sorted({run["jobs"] for run in runs}),
        "commits": sorted({run["commit"] for run in runs}),
        "dates": sorted({run["date"] for run in runs}),
    }


def machine() -> dict[str, str]:
    """Processor, memory, GPU and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {"cpu": f"{os.cpu_count()} x {names[0] if names else platform.machine()}, {gib:.0f} GiB"}
    if smi := shutil.which("nvidia-smi"):
        query = [smi, "--query-gpu=name", "--format=csv,noheader"]
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    packages = ("mnist-cli", "torch", "lightning", "kornia")
    return found | {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def commit() -> str:
    """The commit of this code, with a mark if files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    found = subprocess.run([*git, "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return (found.stdout.strip() or "unknown") + ("+changes" if changed.stdout.strip() else "")


def describe(summary: dict[str, Any]) -> str:
    """The summary in words."""
    low, high = (100 * summary[f"accuracy_{end}"] for end in ("min", "max"))
    spread = f" ± {100 * summary['accuracy_std']:.3f}" if summary["accuracy_std"] is not None else ""
    seconds, epochs = summary["seconds_median"], summary["epochs"]
    parameters = f"{summary['parameters']:,} parameters" if summary["parameters"] else "parameters not known"
    trained = f"{epochs[0]} to {epochs[-1]} epochs" if len(epochs) > 1 else f"{epochs[0]} epoch{'s'[: epochs[0] - 1]}"
    took = f"{seconds:.0f} s a fit ({' to '.join(f'{one:.0f}' for one in summary['seconds_range'])})" if seconds else ""
    versions = ", ".join(f"{name} {value}" for name, value in summary["machine"].items() if name not in ("cpu", "gpu"))
    hardware = ", ".join(summary["machine"][name] for name in ("cpu", "gpu") if name in summary["machine"])
    return "\n".join(
        (
            f"{summary['stage']} accuracy {100 * summary['accuracy_mean']:.3f}{spread} % over n = {summary['n']} "
            f"(seeds {', '.join(map(str, summary['seeds']))}), {low:.2f} to {high:.2f} %",
            f"errors {summary['errors_mean']:.1f} ({summary['errors_min']} to {summary['errors_max']}) "
            f"of {summary['images']:,}; {parameters}, {trained}{', ' if took else ''}{took}",
            f"{hardware}; threads {', '.join(map(str, summary['threads']))}, "
            f"runs at a time {', '.join(map(str, summary['jobs']))}; {versions}",
            f"commit {', '.join(summary['commits'])}; {', '.join(summary['dates'])}",
            summary["command"],
        )
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, required=True, help="the recipe")
    parser.add_argument("--seeds", type=int, required=True, help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--validation-only", action="store_true", help="leave the test set alone: for choosing")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, which share the cores (default 1)")
    parser.add_argument("--output", type=Path, default=Path("accuracy"), help="folder of the runs (default accuracy)")
    args, options = parser.parse_known_args(argv)
    if args.seeds < 1 or args.jobs < 1:
        parser.error("--seeds and --jobs must be at least 1")
    settings = resolve(args.config, options)
    stage = "validate" if args.validation_only else "test"
    if args.validation_only and settings["data"]["val_size"] == 0:
        raise SystemExit("this recipe trains on all images; give --data.val_size 0.1667 to choose on 10,000 of them")
    folder = args.output / f"{args.config.stem}-{fingerprint(settings)}"
    recipe = Recipe(args.config, options, folder, args.jobs, stage)
    runs = recipe.measure(range(args.first_seed, args.first_seed + args.seeds))
    summary = {
        "stage": "validation" if args.validation_only else "test",
        "recipe": args.config.stem,
        "options": options,
        "command": shlex.join(["python", "benchmarks/accuracy.py", *(sys.argv[1:] if argv is None else argv)]),
        **summarize(runs),
        "machine": machine(),
        "runs": runs,
        "settings": settings,
    }
    (folder / f"{summary['stage']}.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(f"\n{describe(summary)}\nwritten to {folder / summary['stage']}.json")


if __name__ == "__main__":
    main()
