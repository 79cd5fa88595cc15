"""The loop of iterative models without torch: epochs, checks on held-out data, best state kept.

Objective: run epochs; every `freq`-th and the last are checked; a strictly better value keeps the
state, and the check that makes it more than `allow_worse` without improvement ends the training.
Source: the early stopping of the published comparison. Deviation: the best state is kept.

Whoever fits a model can watch the checks of this loop and of the one for GANs (`watched`), and end
a fit that is not worth going on with by raising an exception.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ganmf_fast.base.progress import Report

__all__ = ["EarlyStopping", "Outcome", "announce", "run_epochs", "watched"]

T = TypeVar("T")

_watcher: ContextVar[Callable[[int, float], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Callable[[int, float], None]) -> Iterator[None]:
    """Call ``watcher(epoch, value)`` at each check of the fits inside the block.

    What it raises ends the fit.
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def announce(epoch: int, value: float) -> None:
    """Say what a check found, to whoever watches."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(epoch, value)


@dataclass
class Outcome(Generic[T]):
    """What the loop leaves behind."""

    state: T
    """Of the best epoch, or of the last without checks."""
    last: T
    """Of the last epoch."""
    best_epoch: int
    history: list[dict[str, float]] = field(default_factory=list)


def run_epochs(
    epochs: int,
    freq: int,
    allow_worse: int,
    run: Callable[[int], dict[str, float]],
    state: Callable[[], T],
    validate: Callable[[T], float] | None,
    report: Report,
) -> Outcome[T]:
    """Run the loop.

    Parameters
    ----------
    epochs, freq, allow_worse : int
    run : callable
        Runs the epoch of that number, from 1 on; returns what goes into its row of the history.
    state : callable
        What makes up the model as it is; never changed afterwards.
    validate : callable, optional
        The value of a state, to be maximised.
    report : callable
    """
    history: list[dict[str, float]] = []
    kept: T | None = None
    best_epoch, best, without_improvement = 0, -math.inf, 0
    current: T | None = None
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        row: dict[str, float] = {"epoch": epoch, **run(epoch)}
        current = None
        if validate is not None and (epoch % freq == 0 or epoch == epochs):
            current = state()
            row["validation"] = value = validate(current)
            without_improvement += 1
            if value > best:
                best_epoch, best, kept, without_improvement = epoch, value, current, 0
            announce(epoch, value)
        row["seconds"] = time.perf_counter() - started
        history.append(row)
        report(epoch, epochs, f"best {best:.4f}" if best_epoch else "")
        if without_improvement > allow_worse:
            break
    last = state() if current is None else current
    if kept is None:
        return Outcome(last, last, len(history), history)
    return Outcome(kept, last, best_epoch, history)


class EarlyStopping:
    """The rule by which training stops: patience, strictly better values alone count.

    Parameters
    ----------
    patience : int
        Checks without improvement after which one more ends the training.

    Attributes
    ----------
    best_epoch : int
        Epoch of the best value; 0 before the first check.
    best_value : float
    without_improvement : int
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_epoch = 0
        self.best_value = -math.inf
        self.without_improvement = 0

    def update(self, epoch: int, value: float) -> bool:
        """Take in the value of a check; whether it is the best so far."""
        self.without_improvement += 1
        improved = value > self.best_value
        if improved:
            self.best_epoch, self.best_value, self.without_improvement = epoch, value, 0
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether training ends."""
        return self.without_improvement > self.patience
