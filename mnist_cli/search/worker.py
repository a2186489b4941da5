"""What one process does in a search: take a trial, train it, say how it went, until nothing is left to do."""

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mnist_cli.errors import DivergedError, UserError
from mnist_cli.runs.directory import Run
from mnist_cli.search.results import as_score, in_words
from mnist_cli.search.space import SearchFile, as_flags
from mnist_cli.search.study import Entry, SharedStudy, TakenOverError
from mnist_cli.search.trial import Outcome, finished, train

POLL_S = 1.0  # between two looks whether another process has finished or gone
_JOB = "MNIST_SEARCH_JOB"  # set for the processes that --jobs starts


@dataclass(frozen=True)
class Plan:
    """What a search is to do.

    Attributes:
        file: The file of the search.
        arguments: Options of fit that all trials share.
        name: The search's own.
        root: Folder of the runs.
        jobs: How many processes train beside each other here.
    """

    file: SearchFile
    arguments: list[str]
    name: str
    root: Path
    jobs: int

    @property
    def folder(self) -> Path:
        return self.root / "searches" / self.name


class Jobs:
    """The processes that work beside this one: the same command, which finds the same study.

    Attributes:
        is_one: Whether this process is one of them.
    """

    def __init__(self, arguments: Sequence[str], number: int, threads: int) -> None:
        self.is_one = _JOB in os.environ
        self.number = 1 if self.is_one else number
        self._parent = os.getppid()
        self._command = [sys.executable, "-m", "mnist_cli", "search", *arguments]
        self._environment = {**os.environ, _JOB: "1", "OMP_NUM_THREADS": str(threads)}

    def is_orphaned(self) -> bool:
        """Whether the process that started this one is gone."""
        return self.is_one and os.getppid() != self._parent

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start them; wait for them at the end, or end them if the block fails."""
        started = [subprocess.Popen(self._command, env=self._environment) for _ in range(self.number - 1)]
        try:
            yield
        except BaseException:
            for process in started:
                process.terminate()
            raise
        finally:
            for process in started:
                process.wait()


class Worker:
    """What one process does in a search: take a trial, train it, say how it went, until there is nothing left to do."""

    def __init__(self, plan: Plan, jobs: Jobs, seed: int) -> None:
        self._plan = plan
        self._jobs = jobs
        self._seed = seed

    def on(
        self,
        study: SharedStudy,
        settings: Callable[[Entry], dict[str, Any]],
        options: list[str],
        distributions: dict[str, Any],
    ) -> None:
        """Work on a study until all of its trials have ended, whoever trains them.

        Args:
            study: The search, or the winner's repeats.
            settings: The options of an entry.
            options: More options, as flags.
            distributions: What is to be drawn; nothing for the repeats, which differ in their seed.
        """
        waits, title = False, "trial" if distributions else "seed"
        while not self._jobs.is_orphaned():
            study.study.sampler = self._plan.file.make_sampler(self._draw(study))
            claimed = study.claim(distributions)
            if claimed:
                entry, trial = claimed
                flags = [*options, f"--name={self._plan.name}-{title}{entry.number}"]
                self._train(study, entry, trial, settings(entry), flags)
                waits = False
                continue
            others = study.running()
            if not others:
                return
            if not waits and not self._jobs.is_one:
                numbers = ", ".join(str(entry.number) for entry in others)
                print(f"waiting for other processes: {title} {numbers}", flush=True)
            waits = True
            time.sleep(POLL_S)

    def _draw(self, study: SharedStudy) -> int:
        """A seed for the sampler: alone the same in every search, else another one in every process."""
        if any(name in str(self._plan.file.sampler) for name in ("QMC", "Grid")):  # their sequence has one seed
            return self._seed
        alone = self._jobs.number == 1 and not self._jobs.is_one and not study.running()
        drawn = (self._seed, len(study.study.get_trials(deepcopy=False)), 0 if alone else os.getpid())
        return zlib.crc32(repr(drawn).encode())  # seeds that follow each other give similar numbers

    def _train(
        self, study: SharedStudy, entry: Entry, trial: Any, settings: dict[str, Any], options: list[str]
    ) -> None:
        began = time.monotonic() - entry.note.get("seconds", 0.0)
        is_repeat = "seed_everything" in settings
        number = f"{'repeat' if is_repeat else 'trial'} {entry.number}/{study.limit}"
        words = f"seed {settings['seed_everything']}" if is_repeat else in_words(settings)
        outcome, problem, state = None, "", "COMPLETE"
        screen = sys.stdout

        def begun(run: Run) -> None:
            study.note(trial, run=str(run.path.relative_to(self._plan.root)))

        def report(epoch: int, value: float) -> bool:
            if screen.isatty() and self._jobs.number == 1:
                text = f"{number}: epoch {epoch + 1}, {as_score(self._plan.file.metric, value)}"
                print(f"{text:<60}", end="\r", file=screen, flush=True)
            return study.report(trial, epoch, value, time.monotonic() - began)

        try:
            with study.working_on(trial):
                try:
                    outcome = self._go(entry, [*as_flags(settings), *options], begun, report)
                    state = "PRUNED" if outcome.stopped else "COMPLETE"
                except DivergedError as error:  # so bad that it had to stop
                    problem, state = str(error), "PRUNED"
                except (UserError, torch.OutOfMemoryError) as error:
                    problem, state = str(error), "FAIL"
                note = {"epochs": outcome.epochs, "test_acc": outcome.test_acc} if outcome else {"problem": problem}
                score = outcome.score if outcome else None
                study.finish(trial, value=score, state=state, seconds=time.monotonic() - began, **note)
        except TakenOverError:
            print(f"{number}: another process has taken it over", flush=True)
            return
        self._say(study, f"{number}  {words}", outcome, problem)
        entries = study.entries()
        if len(entries) >= min(3, study.limit) and all(one.state == "fail" for one in entries):
            raise UserError(f"the first {len(entries)} trials all failed; the last one with: {problem}")

    def _go(
        self,
        entry: Entry,
        flags: list[str],
        begun: Callable[[Run], None],
        report: Callable[[int, float], bool],
    ) -> Outcome:
        """Train a trial, or what is left of it."""
        plan, metric = self._plan, self._plan.file.metric
        arguments = [*plan.arguments, *flags]
        if name := entry.note.get("run"):
            old = Run(plan.root / name)
            last = old.checkpoint("last")
            if last.is_file():
                with suppress(UserError):  # what cannot be read is trained anew
                    if outcome := finished(old, metric):
                        return outcome
                    arguments.append(f"--ckpt_path={last}")
            old.discard_if_empty()
        return train(arguments, metric, begun, report)

    def _say(self, study: SharedStudy, what: str, outcome: Outcome | None, problem: str) -> None:
        """A line about a trial that has ended."""
        metric, best = self._plan.file.metric, study.best()
        if outcome is None:
            result = problem
        else:
            stopped = f" (stopped after epoch {outcome.epochs})" if outcome.stopped else ""
            result = f"{metric} {as_score(metric, outcome.score)}{stopped}"
        so_far = f"best {as_score(metric, best.score)} ({best.number})" if best and best.score is not None else ""
        print("  ".join(filter(None, (what, result, so_far, _time_left(study)))), flush=True)


def _time_left(study: SharedStudy) -> str:
    entries = study.entries()
    running = [entry for entry in entries if entry.state == "running"]
    times = [entry.note["seconds"] for entry in entries if entry not in running and "seconds" in entry.note]
    left = study.limit - len(entries) + len(running)
    if left <= 0 or not times:
        return ""
    seconds = left * sum(times) / len(times) / (len(running) + 1)
    return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
