"""The loop that all adversarial models share: epochs, passes, early stopping, best weights.

Objective: an epoch shuffles the users once, then runs `d_steps` passes of the discriminator over
the batches and `g_steps` passes of the generator over the same batches. With a `validate` callable
every `freq`-th epoch and the last one are checked; a strictly better value keeps the weights, and
the check that makes it more than `allow_worse` without improvement ends the training.
Source: Dervishaj and Cremonesi (SAC'22), as their published code trains.
Deviation: the best weights are kept rather than the last; the last epoch is always checked.
Cost: what the two steps cost, and one copy of the kept weights.
"""

import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ganmf_fast.progress import Report

B = TypeVar("B")
B_contra = TypeVar("B_contra", contravariant=True)
Losses = Mapping[str, float]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """How long to train and when to stop."""

    epochs: int
    d_steps: int = 1
    g_steps: int = 1
    freq: int = 5
    allow_worse: int = 5


class Adversary(Protocol[B_contra]):
    """What is trained: each step moves one network by one batch and returns its losses."""

    def start_pass(self) -> None:
        """A pass of one network over the batches begins."""

    def train_d(self, batch: B_contra) -> Losses:
        """Move the discriminator."""

    def train_g(self, batch: B_contra) -> Losses:
        """Move the generator."""

    def weights(self) -> Sequence[Tensor]:
        """What makes up the fitted model: kept when best, put back in the end."""


@dataclass
class Outcome:
    """What training leaves behind, beside the weights."""

    best_epoch: int = 0
    best_value: float = -math.inf
    epochs_run: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class DivergedError(ArithmeticError):
    """A loss or a weight became infinite or NaN before there were weights worth keeping."""


@dataclass
class Trainer(Generic[B]):
    """One run of the loop.

    Parameters
    ----------
    adversary : Adversary
        The networks with their optimisers.
    n_rows : int
        Users to shuffle.
    batches : callable
        Cuts an order of the users into batches; called once an epoch.
    schedule : Schedule
    rng : torch.Generator
        The only source of the shuffles.
    validate : callable, optional
        The value to maximise, of the weights as they are.
    """

    adversary: Adversary[B]
    n_rows: int
    batches: Callable[[NDArray[np.int64]], Sequence[B]]
    schedule: Schedule
    rng: torch.Generator
    validate: Callable[[], float] | None = None

    def run(self, report: Report) -> Outcome:
        """Train; afterwards the adversary holds the best weights, or the last without `validate`.

        Raises
        ------
        DivergedError
            If a loss or a weight is not finite and no check came before; after one it is a
            ConvergenceWarning, and the best weights stand.
        """
        outcome = Outcome()
        kept: list[Tensor] = []
        without_improvement = 0
        last = self.schedule.epochs
        for epoch in range(1, last + 1):
            started = time.perf_counter()
            row: dict[str, float] = {"epoch": epoch}
            trouble = self._epoch(row)
            if trouble:
                self._diverged(epoch, trouble, outcome)
                break
            outcome.epochs_run = epoch
            outcome.history.append(row)
            if self.validate is not None and (epoch % self.schedule.freq == 0 or epoch == last):
                row["validation"] = value = self.validate()
                without_improvement += 1
                if value > outcome.best_value:
                    outcome.best_epoch, outcome.best_value = epoch, value
                    kept = [tensor.clone() for tensor in self.adversary.weights()]
                    without_improvement = 0
            row["seconds"] = time.perf_counter() - started
            _log.debug("epoch %d: %s", epoch, row)
            report(epoch, last, f"best {outcome.best_value:.4f}" if kept else "")
            if without_improvement > self.schedule.allow_worse:
                break
        if self.validate is None:
            outcome.best_epoch = outcome.epochs_run
        for tensor, best in zip(self.adversary.weights(), kept, strict=False):
            tensor.copy_(best)
        return outcome

    def _epoch(self, row: dict[str, float]) -> str:
        """Run one epoch, write the means of the losses to `row`; say what is not finite, if any."""
        order = torch.randperm(self.n_rows, generator=self.rng).numpy()
        batches = self.batches(order)
        passes = [self.adversary.train_d] * self.schedule.d_steps
        passes += [self.adversary.train_g] * self.schedule.g_steps
        seen: dict[str, list[float]] = {}
        for train in passes:
            self.adversary.start_pass()
            for batch in batches:
                losses = train(batch)
                if not all(map(math.isfinite, losses.values())):
                    return ", ".join(f"{name} = {value:g}" for name, value in losses.items())
                for name, value in losses.items():
                    seen.setdefault(name, []).append(value)
        row.update((name, math.fsum(values) / len(values)) for name, values in seen.items())
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self.adversary.weights()):
            losses = {name: row[name] for name in seen}
            shown = ", ".join(f"{name} = {value:g}" for name, value in losses.items())
            return f"a weight, with {shown}"
        return ""

    @staticmethod
    def _diverged(epoch: int, trouble: str, outcome: Outcome) -> None:
        message = f"training diverged in epoch {epoch} ({trouble}); lower d_lr or g_lr"
        if not outcome.best_epoch:
            raise DivergedError(message)
        warnings.warn(
            f"{message}; the weights of epoch {outcome.best_epoch} are kept",
            ConvergenceWarning,
            stacklevel=5,
        )
