"""Early stopping, and the loop over epochs of iterative models without torch.

Objective: every `freq`-th epoch and the last one are evaluated on held-out data; a strictly better
value keeps the state, and more than `allow_worse` evaluations without improvement end the training.
Source: the early stopping of the published comparison. Deviation: the best state is kept.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.base import Scorer

__all__ = ["EarlyStopping", "TrainingResult", "run_epochs"]

S = TypeVar("S", bound=Scorer)


class EarlyStopping:
    """The rule by which training stops: patience, where strictly better values alone count.

    Parameters
    ----------
    patience : int
        Evaluations without improvement after which one more ends the training.

    Attributes
    ----------
    best_epoch : int
        Epoch of the best value; 0 before the first evaluation.
    best_value : float
    without_improvement : int
        Evaluations since the best one.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_epoch = 0
        self.best_value = -math.inf
        self.without_improvement = 0

    def update(self, epoch: int, value: float) -> bool:
        """Take in the value of an evaluation; whether it is the best so far."""
        self.without_improvement += 1
        improved = value > self.best_value
        if improved:
            self.best_epoch, self.best_value, self.without_improvement = epoch, value, 0
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether training ends."""
        return self.without_improvement > self.patience


@dataclass(frozen=True)
class TrainingResult(Generic[S]):
    """Result of a training in epochs."""

    best: S
    """Model of the best epoch, or of the last without validation."""
    last: S
    """Model of the last epoch."""
    best_epoch: int
    history: list[dict[str, float]]
    """One row an epoch: `epoch`, `validation` where evaluated, `seconds`."""


def run_epochs(
    data: FitData,
    step: Callable[[], None],
    model: Callable[[], S],
    *,
    epochs: int,
    freq: int,
    allow_worse: int,
) -> TrainingResult[S]:
    """Train in epochs, with early stopping where there is validation.

    Parameters
    ----------
    data : FitData
    step : callable
        Runs one epoch.
    model : callable
        The model after the epochs so far; never changed afterwards.
    epochs : int
        Most epochs.
    freq : int
        Epochs between two evaluations.
    allow_worse : int
        Patience, in evaluations.
    """
    stopping = EarlyStopping(allow_worse)
    history: list[dict[str, float]] = []
    best: S | None = None
    current: S | None = None
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        row: dict[str, float] = {"epoch": epoch}
        step()
        current = None
        if data.validation is not None and (epoch % freq == 0 or epoch == epochs):
            current = model()
            row["validation"] = data.validate(current)
            if stopping.update(epoch, row["validation"]):
                best = current
        row["seconds"] = time.perf_counter() - started
        history.append(row)
        data.progress(
            epoch, epochs, f"best {stopping.best_value:.4f}" if stopping.best_epoch else ""
        )
        if data.callback is not None:
            data.callback(epoch, dict(row))
        if stopping.exhausted:
            break
    last = model() if current is None else current
    if best is None:
        return TrainingResult(last, last, len(history), history)
    return TrainingResult(best, last, stopping.best_epoch, history)
