"""Early stopping, and the loop over epochs of iterative models without torch.

Objective: every `freq`-th epoch and the last one are evaluated on held-out data; a strictly better
value keeps the state, and more than `allow_worse` evaluations without improvement end the training.
Source: the early stopping of the published comparison. Deviation: the best state is kept.
A training with checkpoints goes on after the last one to the same bits.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

from ganmf_fast.base import json_files
from ganmf_fast.models.checkpoint import Checkpoint, TrainingFacts
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.base import Scorer

if TYPE_CHECKING:
    import numpy as np

S = TypeVar("S", bound=Scorer)


def epochs_for_more_data(best_epoch: float, ratio: float) -> int:
    """Epochs on `ratio` times the interactions on which `best_epoch` was found.

    By the power 1/4 of the ratio: GANs want more epochs for more data, whose batches of users they
    see as often. Models with a step for each interaction want no more (docs/results/epochs.md).
    """
    return max(1, round(best_epoch * math.pow(ratio, 0.25))) if best_epoch else 0


def stopped_epochs(model: object) -> dict[str, int]:
    """Best epochs of an iterative model, by the parameter that a fit on all data is given them as.

    Of pre-training only where its best epoch was determined on validation data.
    """
    if not getattr(model, "iterative", False):
        return {}
    attributes = {"epochs": "best_epoch_", "pretrain_epochs": "best_pretrain_epoch_"}
    found = {name: getattr(model, attribute, None) for name, attribute in attributes.items()}
    return {name: int(best) for name, best in found.items() if best is not None}


class EarlyStopping:
    """The rule by which training stops: patience, where strictly better values alone count.

    Parameters
    ----------
    patience : int
        Evaluations without improvement after which one more ends the training.

    Attributes
    ----------
    best_epoch : int
        Epoch of the best value; 0 before the first evaluation, and where the start is the best.
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
    def has_best(self) -> bool:
        """Whether anything was evaluated."""
        return self.best_value > -math.inf

    @property
    def exhausted(self) -> bool:
        """Whether training ends."""
        return self.without_improvement > self.patience


class LessStandardError:
    """Validation by which training leaves its start only for a difference that can be told.

    The mean over users of a metric, less one standard error of the mean of the users' differences
    from the first model that is evaluated, the start, which has none. Source: the rule of one
    standard error for the simplest model (Breiman, Friedman, Olshen and Stone, Classification and
    Regression Trees, 1984). Deviation: the simplest is the untrained one, and differences are
    paired.

    Parameters
    ----------
    data : FitData
        With validation, and a metric that has a value for each user.
    """

    def __init__(self, data: FitData) -> None:
        self._data = data
        self._start: NDArray[np.float64] | None = None

    def __call__(self, scorer: Scorer) -> float:
        """Value of a model."""
        values = self._data.user_values(scorer)
        if self._start is None:
            self._start = values
        gains = values - self._start
        if not gains.any():
            return float(values.mean())
        # One user says nothing about others.
        error = gains.std(ddof=1) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
        return float(values.mean() - error)


@dataclass(frozen=True)
class TrainingResult(Generic[S]):
    """Result of a training in epochs."""

    best: S
    """Model of the best epoch, or of the last without validation."""
    last: S
    """Model of the last epoch."""
    best_epoch: int
    history: list[dict[str, float]]
    """One row an epoch: `epoch`, losses, `validation` where evaluated, `seconds`."""


@dataclass(frozen=True)
class Resumption(Generic[S]):
    """How a training goes on where an interrupted one was."""

    checkpoint: Checkpoint
    state: Callable[[], Mapping[str, NDArray[Any]]]
    """Arrays that the remaining epochs depend on."""
    restore: Callable[[int, Mapping[str, NDArray[Any]]], None]
    """``restore(epochs run, arrays)``; a ValueError or KeyError says that they are damaged."""
    scorer: Callable[[Mapping[str, NDArray[Any]]], S]
    """The model of the best epoch from its tensors."""

    def save(
        self, stopping: EarlyStopping, history: list[dict[str, float]], best: S | None
    ) -> None:
        """Replace the checkpoint of before."""
        facts = {
            "best_epoch": stopping.best_epoch,
            "best_value": stopping.best_value,
            "epochs_run": len(history),
            "without_improvement": stopping.without_improvement,
            "history": history,
        }
        arrays = {f"state.{name}": array for name, array in self.state().items()}
        if best is not None:
            arrays |= {f"kept.{name}": array for name, array in best.tensors().items()}
        self.checkpoint.write(facts, arrays)

    def resume(self, stopping: EarlyStopping) -> tuple[list[dict[str, float]], S | None]:
        """History and best model of the last checkpoint; nothing if there is none."""
        found = self.checkpoint.read()
        if found is None:
            return [], None
        best = None
        try:
            facts = json_files.typed(found[0], TrainingFacts)
            parts: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "kept": {}}
            for name, array in found[1].items():
                part, _, rest = name.partition(".")
                parts[part][rest] = array
            self.restore(facts.epochs_run, parts["state"])
            if facts.best_epoch:
                best = self.scorer(parts["kept"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise self.checkpoint.refusal(f"is damaged: {error}") from None
        stopping.best_epoch, stopping.best_value = facts.best_epoch, facts.best_value
        stopping.without_improvement = facts.without_improvement
        return [dict(row) for row in facts.history], best


def run_epochs(
    data: FitData,
    step: Callable[[], Mapping[str, float] | None],
    model: Callable[[], S],
    *,
    epochs: int,
    freq: int,
    allow_worse: int,
    resumption: Resumption[S] | None = None,
) -> TrainingResult[S]:
    """Train in epochs, with early stopping where there is validation.

    Parameters
    ----------
    data : FitData
    step : callable
        Runs one epoch; its losses, for the history.
    model : callable
        The model after the epochs so far; never changed afterwards.
    epochs : int
        Most epochs.
    freq : int
        Epochs between two evaluations.
    allow_worse : int
        Patience, in evaluations.
    resumption : Resumption, optional
        Checkpoints to continue from, and to leave behind until the end.
    """
    stopping = EarlyStopping(allow_worse)
    history: list[dict[str, float]] = []
    best: S | None = None
    current: S | None = None
    if resumption is not None:
        history, best = resumption.resume(stopping)
    while len(history) < epochs and not stopping.exhausted:
        epoch = len(history) + 1
        started = time.perf_counter()
        row: dict[str, float] = {"epoch": epoch}
        row.update(step() or {})
        current = None
        if data.validation is not None and (epoch % freq == 0 or epoch == epochs):
            current = model()
            row["validation"] = data.validate(current)
            if stopping.update(epoch, row["validation"]):
                best = current
        row["seconds"] = time.perf_counter() - started
        history.append(row)
        if resumption is not None and epoch % resumption.checkpoint.every == 0:
            resumption.save(stopping, history, best)
        data.progress(
            epoch, epochs, f"best {stopping.best_value:.4f}" if stopping.best_epoch else ""
        )
        if data.callback is not None:
            data.callback(epoch, dict(row))
    if resumption is not None:
        resumption.checkpoint.remove()
    last = model() if current is None else current
    if best is None:
        return TrainingResult(last, last, len(history), history)
    return TrainingResult(best, last, stopping.best_epoch, history)
