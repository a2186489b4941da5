"""SIGINT and SIGTERM: training stops after the step that it is at, and saves; everything else stops at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGREE_EVERY = 10  # steps
_AGAIN_AFTER = 0.01  # seconds


class Stopped(BaseException):
    """A signal has ended the work where it was."""


class StopSignals(Callback):
    """Ends a command at SIGINT (Ctrl-C) and SIGTERM.

    While a network is trained, the step, or the validation, that has begun is finished first: what is saved then is a
    state to go on from. A second signal ends that too. Several processes stop after the same step, whichever of them
    got the signal; Lightning's own way leaves some of them waiting for the others.

    Attributes:
        received: The signal that came first, to this process or to another one that it agreed with; 0 if none came.
        num_processes: How many processes do the work.
    """

    def __init__(self) -> None:
        self.received = 0
        self.num_processes = 1
        self._trainer: pl.Trainer | None = None  # while it trains
        self._validates = self._due = False  # whether it validates, and is to stop then
        self._again: threading.Timer | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals until the end of the block, except those that the process was told to ignore."""
        if threading.current_thread() is not threading.main_thread():  # only that one can
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        report = sys.unraisablehook

        def take_back(lost: Any) -> None:
            if issubclass(lost.exc_type, Stopped):
                self._receive_again()
            else:
                report(lost)

        sys.unraisablehook = take_back
        self._handle_signals()
        try:
            yield
        finally:
            if self._again:
                self._again.cancel()
            sys.unraisablehook = report
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle_signals(self) -> None:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: Any) -> None:
        again, self.received = self.received, self.received or number
        if self._trainer is None or again:
            raise Stopped
        if not self._asks_at_steps(self._trainer) and not self._validates:
            _stop_after_step(self._trainer)

    def _receive_again(self) -> None:
        """Python drops an exception that is raised while it frees an object: raise it again a moment later."""
        self._again = threading.Timer(_AGAIN_AFTER, os.kill, (os.getpid(), self.received))
        self._again.start()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.num_processes = trainer.world_size

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._take_over(trainer, pl_module)
        self._trainer = trainer
        if self._asks_at_steps(trainer):  # else nothing is called at a step
            self.on_train_batch_end = self._agree  # type: ignore[assignment, method-assign]

    @staticmethod
    def _asks_at_steps(trainer: pl.Trainer) -> bool:
        """Whether Lightning might stop with processes at different steps, or in the middle of an accumulated step."""
        return trainer.world_size > 1 or trainer.accumulate_grad_batches > 1

    def _agree(self, trainer: pl.Trainer, *args: Any) -> None:
        every = _AGREE_EVERY if trainer.world_size > 1 else 1
        whole = trainer.global_step % every == 0 and not trainer.fit_loop._should_accumulate()
        if whole and self._anybody(trainer):
            _stop_after_step(trainer)

    def _anybody(self, trainer: pl.Trainer) -> bool:
        """Whether any of the processes got a signal; then all take it for theirs."""
        if trainer.world_size > 1:
            number = torch.tensor(self.received, device=trainer.strategy.root_device)
            self.received = int(trainer.strategy.reduce(number, reduce_op="max"))
        return bool(self.received)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._trainer = None
        if self._anybody(trainer):
            raise Stopped

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._trainer = None

    def _take_over(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning has put handlers of its own in place: with several processes they wait for each other."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) != self._receive:
            self._handle_signals()

    on_test_start = on_predict_start = _take_over

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning would stop in the middle, and a resumed run would lack the metrics of the batches before."""
        self._take_over(trainer, pl_module)
        self._validates = self._trainer is not None
        self._due = trainer._signal_connector.received_sigterm
        _stop_after_step(trainer, stop=False)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validates = False  # before it is asked for a signal
        if self._due or (self.received and not self._asks_at_steps(trainer)):
            _stop_after_step(trainer)


def _stop_after_step(trainer: pl.Trainer, *, stop: bool = True) -> None:
    """Lightning looks at this after every step and epoch, and raises a SIGTERMException."""
    trainer._signal_connector.received_sigterm = stop
