"""A run with several processes: when one of them is lost, the others end, and say so."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

LOST = "mnist: error: another process of this run has ended, so this one ends too."
_MAIN = "MNIST_MAIN_PROCESS"  # its id: it may be lost before the others can ask who started them
_LOOK_EVERY = 1.0  # seconds
_TIME_TO_END = 15.0  # seconds in which a process ends by itself, because it cannot exchange numbers with the lost one


class WatchedLauncher(_SubprocessScriptLauncher):
    """Starts the processes of a run as Lightning does, and lets each of them watch those that it depends on.

    The main process watches those that it started, and these watch it. Lightning kills the main process without a word
    when it sees that another one has failed, also while it is about to end by itself; and it leaves the others alone
    when the main process was killed.
    """

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Start the processes if they do not run yet, and do the work."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            os.environ[_MAIN] = str(os.getpid())
            self._call_children_scripts()
            _watch(lambda: any(one.poll() for one in self.procs), self.procs)
        elif not self.procs:  # a fit and its test are two launches
            parent = int(os.environ.get(_MAIN, os.getppid()))
            _watch(lambda: os.getppid() != parent)
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*args, **kwargs)


def watch_processes(trainer: pl.Trainer) -> None:
    """Let the processes of a trainer watch each other, if it starts any."""
    strategy: Any = trainer.strategy
    if type(strategy.launcher) is _SubprocessScriptLauncher and trainer.world_size > 1:
        launcher = strategy.launcher
        strategy._launcher = WatchedLauncher(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)


def _watch(lost: Callable[[], bool], children: list[subprocess.Popen[Any]] | None = None) -> None:
    """Look in the background whether a process is lost; then end this process, and those that it started."""

    def look() -> None:
        while not lost():
            time.sleep(_LOOK_EVERY)
        time.sleep(_TIME_TO_END)
        for child in children or []:
            child.kill()
        print(LOST, file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=look, daemon=True, name="lost-processes").start()
