"""A study that several processes work on: who has which trial, how many there are, and who takes over an abandoned one.

Optuna's storage is all that the processes share. A trial belongs to the process that its attributes name. Of a process
on this machine it can be seen whether it lives; of another machine's, whether its heartbeat goes on. A trial without a
living process ends as failed, which only one of several processes can do, and that one puts a copy into the queue: the
same settings, the epochs reported so far, and the run directory to go on from.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from mnist_cli.runs.record import Process

HEARTBEAT_S = 10.0
DEAD_AFTER_S = 60.0  # without a heartbeat


@dataclass(frozen=True)
class Entry:
    """One of the settings that are tried.

    Attributes:
        number: From 1; the same after an interruption.
        trial: Optuna's newest trial of it.
    """

    number: int
    trial: Any

    @property
    def state(self) -> str:
        """waiting, running, complete, pruned or fail."""
        return str(self.trial.state.name).lower()

    @property
    def note(self) -> dict[str, Any]:
        """What was noted about it: run, seconds, epochs, problem."""
        found: dict[str, Any] = self.trial.user_attrs
        return found

    @property
    def score(self) -> float | None:
        return self.trial.value if self.state == "complete" else None


class TakenOverError(Exception):
    """Another process has taken this trial, because this one seemed to be gone."""


class SharedStudy:
    """An Optuna study with a limit on its trials, over all processes and restarts.

    Args:
        study: Optuna's.
        limit: Number of settings to try.
    """

    def __init__(self, study: Any, limit: int) -> None:
        self.study = study
        self.limit = limit
        self._beats: dict[int, tuple[Any, float]] = {}
        # Samplers that have tried every point call this, which Optuna allows in its own loop only; the limit ends ours.
        study.stop = lambda: None

    def entries(self) -> list[Entry]:
        """All settings so far, in order, each with its newest trial."""
        newest: dict[int, Any] = {}
        for trial in self.study.get_trials(deepcopy=False):
            if not trial.user_attrs.get("surplus"):
                newest[trial.user_attrs.get("origin", trial.number)] = trial
        return [Entry(place + 1, newest[number]) for place, number in enumerate(sorted(newest))]

    def best(self) -> Entry | None:
        """The one with the best score; of equals the first."""
        sign = -1 if self.study.direction.name == "MAXIMIZE" else 1
        done = [entry for entry in self.entries() if entry.score is not None]
        return min(done, key=lambda entry: sign * entry.score, default=None)  # type: ignore[operator]

    def running(self) -> list[Entry]:
        """Those that a process is working on, or that wait for one."""
        return [entry for entry in self.entries() if entry.state in ("running", "waiting")]

    def claim(self, distributions: dict[str, Any]) -> tuple[Entry, Any] | None:
        """Take the next trial for this process: first those whose process is gone, then new ones.

        Args:
            distributions: What is to be drawn; nothing for trials that differ in their number only.

        Returns:
            The entry and Optuna's trial, or None if there is nothing to take.
        """
        self._queue_abandoned()
        entries = self.entries()
        if len(entries) >= self.limit and not any(entry.state == "waiting" for entry in entries):
            return None
        trial = self.study.ask(distributions)
        trial.set_user_attr("process", asdict(Process.this()))
        entry = next(entry for entry in self.entries() if entry.trial.number == trial.number)
        if entry.number > self.limit:  # another process took the last one at the same moment
            trial.set_user_attr("surplus", True)
            self._finish(trial, state="FAIL")
            return None
        return entry, trial

    def _queue_abandoned(self) -> None:
        from optuna import create_trial
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        for entry in self.entries():
            if entry.state != "running" or self._lives(entry.trial):
                continue
            old = entry.trial
            with suppress(UpdateFinishedTrialError, ValueError):  # another process was faster
                self.study.tell(old.number, state=TrialState.FAIL)
                attributes = {
                    key: value for key, value in old.user_attrs.items() if key not in ("process", "heartbeat")
                }
                copy = create_trial(
                    state=TrialState.WAITING,
                    params=old.params,
                    distributions=old.distributions,
                    user_attrs={**attributes, "origin": old.user_attrs.get("origin", old.number)},
                    system_attrs=old.system_attrs,
                    intermediate_values=old.intermediate_values,
                )
                self.study.add_trial(copy)

    def _lives(self, trial: Any) -> bool:
        owner = trial.user_attrs.get("process")
        if owner == {}:  # it was given back
            return False
        alive = Process(**owner).alive() if owner else None
        if alive is not None:
            return alive
        beat = trial.user_attrs.get("heartbeat")
        if trial.number not in self._beats or self._beats[trial.number][0] != beat:
            self._beats[trial.number] = beat, time.monotonic()
        return time.monotonic() - self._beats[trial.number][1] < DEAD_AFTER_S

    @contextmanager
    def working_on(self, trial: Any) -> Iterator[None]:
        """Keep a trial's heartbeat going; if the block is left before the trial has ended, give it back."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_S):
                with suppress(Exception):  # the database may be away for a while; the trial goes on
                    trial.set_user_attr("heartbeat", time.time())

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            with suppress(Exception):  # another process has it, or the database is away: what was raised matters more
                trial.set_user_attr("process", {})
            raise
        finally:
            done.set()
            thread.join()

    def report(self, trial: Any, epoch: int, value: float, seconds: float) -> bool:
        """Report an epoch, and for how long the trial has been trained.

        Returns:
            Whether the trial is to stop, because the pruner wants it or another process has taken it.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            trial.set_user_attr("seconds", seconds)
            if epoch not in self.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
                trial.report(value, epoch)
        except UpdateFinishedTrialError:
            return True
        return bool(trial.should_prune())

    def finish(self, trial: Any, *, value: float | None = None, state: str = "COMPLETE", **note: Any) -> None:
        """Record how a trial ended.

        Args:
            trial: Optuna's.
            value: Its score.
            state: COMPLETE, PRUNED or FAIL.
            note: What else to keep.

        Raises:
            TakenOverError: If it belongs to another process by now.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        self.note(trial, **note)
        try:
            self._finish(trial, value=value, state=state)
        except (UpdateFinishedTrialError, ValueError) as error:
            raise TakenOverError from error

    def note(self, trial: Any, **note: Any) -> None:
        """Keep something with a trial.

        Raises:
            TakenOverError: If it belongs to another process by now.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            for key, value in note.items():
                trial.set_user_attr(key, value)
        except UpdateFinishedTrialError as error:
            raise TakenOverError from error

    def _finish(self, trial: Any, *, state: str, value: float | None = None) -> None:
        from optuna.trial import TrialState

        self.study.tell(trial, value if state == "COMPLETE" else None, state=TrialState[state])
