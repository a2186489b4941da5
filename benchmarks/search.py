"""What does `mnist search` save, and does its sampler find more than chance?

    python benchmarks/search.py cost --trials 40
    python benchmarks/search.py samplers --trials 40 --repetitions 3

`cost` trains the trials of a search in one process, then repeats each with `mnist fit --config` on its config.yaml.
`samplers` runs the same search with TPE and with random choice, in turn, each repetition with another seed; the score
is that on the validation split, and the test set is never opened. Both go on where an interrupted call stopped; only
the search of `cost`, which is timed as a whole, has to be begun again. The space is that of configs/search_mlp.yaml
with smaller networks.
"""

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

MNIST = (sys.executable, "-m", "mnist_cli")
ROOT = Path(__file__).parents[1]
SPACE = yaml.safe_load((ROOT / "configs/search_mlp.yaml").read_text())
SPACE["space"]["model.net.hidden_sizes"] = {"values": [[32], [128, 64], [256]]}
FIT = [
    *("--config", str(ROOT / "configs/seed_quickstart.yaml"), "--trainer.max_epochs=3", "--trainer.logger=false"),
    *("--figures=null", "--trainer.enable_progress_bar=false"),
]


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of a command, and seconds of processor time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (folder / "said.txt").open("a") as said:
        subprocess.run([*MNIST, *command], cwd=folder, stdout=said, stderr=said, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu


def search(folder: Path, trials: int, options: list[str], **changes: object) -> tuple[float, float]:
    """Run a search in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "search.yaml").write_text(yaml.safe_dump({**SPACE, "trials": trials, "repeats": 0, **changes}))
    return timed(["search", "--search", "search.yaml", *FIT, *options], folder)


def trials_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "searches/search/trials.csv").open() as file:
        return list(csv.DictReader(file))


def cost(folder: Path, trials: int, options: list[str]) -> None:
    """All trials in one process, without pruning, against a process for each."""
    kept, place = folder / "cost.json", folder / "cost"
    if not kept.exists():
        if place.exists():
            raise SystemExit(f"{place} holds a search that was interrupted, so that its time is not known; delete it")
        kept.write_text(json.dumps({"search": search(place, trials, options, pruner=None), "fits": []}))
    found = json.loads(kept.read_text())
    for row in trials_of(place)[len(found["fits"]) :]:
        fit = ["fit", "--config", f"{row['run']}/config.yaml", "--name=null", "--test_after_fit=false"]
        found["fits"].append(timed(fit, place))
        kept.write_text(json.dumps(found))
    for at, name in enumerate(("seconds", "processor time")):
        alone = sum(fit[at] for fit in found["fits"])
        together = found["search"][at]
        print(
            f"{name}: {len(found['fits'])} x mnist fit {alone:.0f} s, search {together:.0f} s: {alone / together:.2f} x"
        )


def samplers(folder: Path, trials: int, repetitions: int, options: list[str]) -> None:
    """The best score of each repetition of the search, with either sampler."""
    best: dict[str, list[float]] = {"TPESampler": [], "RandomSampler": []}
    for repetition in range(repetitions):
        for sampler, found in best.items():
            place = folder / f"{sampler}-{repetition}"
            search(place, trials, [*options, f"--seed_everything={repetition}"], sampler=sampler, pruner=None)
            found.append(max(float(row["val/acc"]) for row in trials_of(place)))
            print(f"{sampler} {repetition}: best {100 * found[-1]:.2f} %", flush=True)
    for sampler, found in best.items():
        spread = f" ± {100 * statistics.stdev(found):.2f}" if len(found) > 1 else ""
        print(f"{sampler}: best of {trials} trials {100 * statistics.mean(found):.2f}{spread} %, n = {len(found)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "samplers"))
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("search"), help="folder of the runs (default search)")
    args, options = parser.parse_known_args()
    args.output.mkdir(parents=True, exist_ok=True)
    if args.what == "cost":
        cost(args.output.resolve(), args.trials, options)
    else:
        samplers(args.output.resolve(), args.trials, args.repetitions, options)


if __name__ == "__main__":
    main()
