"""Gives every option of a command odd values, each in a process of its own: works, or one sentence and status 2.

    python tests/odd_values.py fit [--only trainer.] [--jobs 2]

The processes are forked from one that has imported everything, with a limit of time and one of memory, so that a case
takes a third of a second. The runs are small: two steps of a small network on 300 digits. Prints what was tried, what
worked and what was refused; exits with 1 if a case did neither.
"""

import argparse
import io
import json
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from helpers import BARE

from mnist_cli.__main__ import main
from mnist_cli.command.cli import DigitCLI
from mnist_cli.command.parts import PARTS
from mnist_cli.command.process import prepare
from mnist_cli.command.silence import silence
from mnist_cli.command.types import arguments_of
from mnist_cli.data.sources import prepare_digits, read_digits

SECONDS = 60
NOTICED = 50  # tenths of a second that a process has to notice that its parent has ended
MEMORY = 3 * 2**30  # more than this process has
VALUES = (
    *("0", "-1", "100000", "1000000000000", "0.5", "1e300", ".nan", ".inf", "", "null", "[]"),
    *("[[[0]]]", "{a: {b: [1]}}"),
)
LIMITS = [f"--trainer.limit_{stage}_batches=2" for stage in ("val", "test", "predict")]
TINY = [
    *("--data.dataset=digits.npz", "--threads=1", "--trainer.enable_progress_bar=false", *LIMITS),
    *("--trainer.limit_train_batches=2", "--trainer.max_epochs=1", "--trainer.max_steps=4"),
    *("--model.net.hidden_sizes=[8]", "--trainer.logger=false", *BARE, "--evaluation.name=null"),
]
AGAIN = ["--threads=1", "--trainer.enable_progress_bar=false", *LIMITS, "--figures=null"]
# Options of a class are walked with what makes it the class in use.
CLASSES = {
    "model.net": [("mnist_cli.MLP", []), ("mnist_cli.CNN", [])],
    "model.optimizer": [("torch.optim.Adam", []), ("torch.optim.SGD", [])],
    "model.lr_scheduler": [
        ("torch.optim.lr_scheduler.OneCycleLR", ["--model.lr_scheduler.max_lr=0.01"]),
        ("torch.optim.lr_scheduler.StepLR", ["--model.lr_scheduler.step_size=1"]),
        ("torch.optim.lr_scheduler.CosineAnnealingLR", ["--model.lr_scheduler.T_max=0"]),
        ("lightning.pytorch.cli.ReduceLROnPlateau", ["--model.lr_scheduler.monitor=val/loss"]),
    ],
    "trainer.logger": [("lightning.pytorch.loggers.TensorBoardLogger", ["--trainer.logger.save_dir=."])],
}
FILE = "search.yaml: "  # of a search: what follows is its text
SPACE = "space: {model.optimizer.lr: {low: 0.001, high: 0.1}}"
# The options of the commands without Trainer, and the keys of the file of a search.
PLAIN = {
    "export": ["--output=", "--output=digits.onnx --format=", "--output=digits.onnx --ckpt_path=", "--data.data_dir="],
    "ensemble": ["", "version_0 ", "--trainer.default_root_dir="],
    "demo": ["--port=", "--ckpt_path="],
    "runs": ["", "version_0 ", "--sort=", "version_0 version_0 --output="],
    "search": [
        *("--search=", f"{FILE}trials: 1, {SPACE} --jobs=", f"{FILE}trials: 1, {SPACE} --name="),
        *(f"{FILE}trials: 1, {SPACE} --storage=", f"{FILE}{SPACE}, trials: ", f"{FILE}trials: 1, {SPACE}, repeats: "),
        *(f"{FILE}trials: 1, {SPACE}, {key}: " for key in ("metric", "mode", "sampler", "pruner")),
        *(f"{FILE}trials: 1, {SPACE[:-2]}, {key}: " for key in ("low", "high", "log", "step", "values")),
        *(f"{FILE}trials: 1, space: ", f"{FILE}trials: 1, space: {{data.batch_size: "),
        f"{FILE}trials: 1, space: {{data.batch_size: {{values: ",
    ],
}
ENDLESS = {
    "--port=": {"0"},
    "--ckpt_path=": {"0"},
    "trials: ": {"100000", "1000000000000"},
    "repeats: ": {"100000", "1000000000000"},
}
AUGMENTATIONS = {
    "mnist_cli.RandomAddedStrokes": {},
    "mnist_cli.RandomDistortion": {},
    "kornia.augmentation.RandomRotation": {"degrees": 10.0},
    "kornia.augmentation.RandomCrop": {"size": [28, 28], "padding": 2},
}


class Parsers(DigitCLI):
    """The command line up to its parser."""

    def parse_arguments(self, parser, args):
        self.parser = parser
        raise StopIteration


def options_of(command: str) -> Iterator[tuple[str, list[str], str]]:
    """Every option of a command, with arguments of classes: its name, what it needs beside it, how a value is given."""
    if command in PLAIN:
        for text in PLAIN[command]:
            *needs, flag = [text] if text.startswith(FILE) else text.split(" ")
            yield text, needs, f"{flag.replace('{', '{{').replace('}', '}}')}{{}}"
        return
    cli = Parsers.__new__(Parsers)
    with silence(), suppress(StopIteration):
        cli.__init__([command, "--help"])
    names = [name for name in cli.parser._options() if name not in ("help", "print_config")]
    for name in names:
        if name.endswith(".help"):
            continue
        yield name, [], f"--{name}={{}}"
    for name, part in PARTS.items():
        used = [f"--{name}.per_class=1"] if name == "figures" else []
        used += [f"--{name}.every_n_steps=1"] if "every_n_steps" in arguments_of(part.callback) else []
        for argument in arguments_of(part.callback) if command in part.commands else ():
            yield f"{name}.{argument}", [f"--{name}={part.callback.__name__}", *used], f"--{name}.{argument}={{}}"
    for name, classes in CLASSES.items():
        for path, needs in classes if command == "fit" else classes[:1]:
            module, _, made_name = path.rpartition(".")
            made = getattr(import_module(module), made_name)
            for argument in arguments_of(made):
                if argument not in ("params", "optimizer"):
                    yield f"{name}.{argument}", [f"--{name}={path}", *needs], f"--{name}.{argument}={{}}"
    for path, needs in AUGMENTATIONS.items() if command == "fit" else ():
        module, _, made_name = path.rpartition(".")
        for argument in arguments_of(getattr(import_module(module), made_name)):
            rest = "".join(f", {key}: {value}" for key, value in needs.items() if key != argument)
            yield (
                f"data.augment.{argument}",
                [],
                f"--data.augment=[{{{{class_path: {path}, init_args: {{{{{argument}: {{}}{rest}}}}}}}}}]",
            )


def limited(folder: Path, arguments: list[str]) -> None:
    """The command, in this process, which ends with it; its output goes to out.txt and err.txt."""
    os.setsid()
    os.chdir(folder)
    for number, name in enumerate(("out.txt", "err.txt"), start=1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    sys.argv = ["mnist"]
    status = 70
    try:
        status = main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def start(folder: Path, arguments: list[str]) -> int:
    """The process of a case."""
    pid = os.fork()
    if not pid:
        limited(folder, arguments)
    return pid


def wait(pid: int, until: float) -> int | None:
    """The exit status of a process, which is ended when its time is over (then None)."""
    while time.monotonic() < until:
        if (found := os.waitpid(pid, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(found[1])
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def left_over(pid: int) -> bool:
    """Whether a process has left others running, for more than the seconds that they need to notice; they are ended."""
    for _ in range(NOTICED):
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(pid, signal.SIGKILL)
    return True


def problem(folder: Path, pid: int, status: int | None) -> str | None:
    """What is wrong with how a case ended; None if it worked, or was refused in a sentence."""
    said = (folder / "err.txt").read_text()
    if left_over(pid):
        return "left processes running"
    if status is None:
        return f"did not end in {SECONDS} s"
    if status not in (0, 2) or "Traceback" in said:
        return f"status {status}"
    said = re.sub(
        r"(?m)^(.*: UserWarning: .*\n  .*|.*: You requested to overfit .*|Checkpoint .*|.* trained on .*, from .*)\n",
        "",
        said,
    )
    if status == 2 and not re.fullmatch(r"mnist: error: .{10,400}[.?]\n", said):
        return "not one sentence"
    for file in folder.rglob("*.json") if status == 0 else ():
        try:
            json.loads(file.read_text(), parse_constant=lambda name: 1 / 0)
        except ZeroDivisionError:
            return f"{file.name} has a number that is none"
    return None


def arguments_of_case(command: str, folder: Path, needs: list[str], flag: str) -> list[str]:
    """The command line of a case; the file of a search is written."""
    base = {"fit": TINY, "search": TINY}.get(command, [] if command in PLAIN else AGAIN)
    if command == "search" and flag.startswith(FILE):
        text, *needs = flag.removeprefix(FILE).split(" --")
        missing = text.count("{") - text.count("}")
        (folder / "search.yaml").write_text(f"{{{'' if 'repeats' in text else 'repeats: 0, '}{text}{'}' * missing}}}")
        return [command, *base, "--search=search.yaml", *(f"--{need}" for need in needs)]
    return [command, *base, *needs, flag]


def walk(command: str, only: str, values: tuple[str, ...], root: Path, report: Path | None) -> int:
    """Try every option of a command; the number of cases that neither worked nor were refused in a sentence."""
    ready = root / "ready"
    ready.mkdir()
    digits = {stage: read_digits("MNIST", str(root / "data"), train=stage == "train") for stage in ("train", "test")}
    parts = {
        f"{key}_{stage}": part[:300].numpy()
        for stage, two in digits.items()
        for key, part in zip("xy", two, strict=True)
    }
    np.savez(ready / "digits.npz", **parts)
    if command != "fit":
        assert wait(start(ready, ["fit", *TINY]), time.monotonic() + SECONDS) == 0, (ready / "err.txt").read_text()
    with redirect_stderr(io.StringIO()):  # what jsonargparse keeps of classes is made once, for all forks
        main(["fit", *TINY, "--trainer.num_nodes=text"])
    counts: Counter[str] = Counter()
    wrong = 0
    for name, needs, flag in options_of(command):
        if not name.startswith(only):
            continue
        for value in values:
            if any(name.endswith(end) and value in endless for end, endless in ENDLESS.items()):
                continue
            folder = root / "case"
            shutil.copytree(ready, folder)
            arguments = arguments_of_case(command, folder, needs, flag.format(value))
            begin = time.monotonic()
            pid = start(folder, arguments)
            status = wait(pid, begin + SECONDS)
            seconds = time.monotonic() - begin
            bad = problem(folder, pid, status)
            outcome = bad or ("worked" if status == 0 else "refused")
            counts["wrong" if bad else outcome] += 1
            said = (folder / "err.txt").read_text()
            if report:
                with report.open("a") as file:
                    print(
                        outcome,
                        f"{seconds:.1f}",
                        " ".join(arguments[-1 - len(needs) :]),
                        said[-600:],
                        sep="\t",
                        file=file,
                    )
            if bad:
                wrong += 1
                print(f"{bad}: mnist {shlex.join(arguments)}\n{said[-600:]}", flush=True)
            shutil.rmtree(folder)
    print(f"{command}: {counts.total()} tried, {counts['worked']} worked, {counts['refused']} refused, {wrong} wrong")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command")
    parser.add_argument("--only", default="", help="options that begin so")
    parser.add_argument("--values", nargs="+", default=VALUES)
    parser.add_argument("--report", type=Path, help="file for every case")
    given = parser.parse_args()
    prepare()
    torch.set_num_threads(1)  # a forked process hangs where threads of its parent are missing
    with tempfile.TemporaryDirectory(prefix="odd-") as place:
        (Path(place) / "data").mkdir()
        prepare_digits("MNIST", str(Path(place) / "data"))
        sys.exit(walk(given.command, given.only, tuple(given.values), Path(place), given.report) > 0)
