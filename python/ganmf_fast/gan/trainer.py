"""The loop that all adversarial models share: epochs, passes, early stopping, best weights.

Objective: an epoch is a sequence of passes, each of which trains one network on some batches; what
they are is the model's affair. With a `validate` callable every `freq`-th epoch and the last one
are checked; a strictly better value keeps the weights, and the check that makes it more than
`allow_worse` without improvement ends the training.
Source: Dervishaj and Cremonesi (SAC'22), as their published code trains.
Deviation: the best weights are kept rather than the last; the last epoch is always checked.
Cost: what the passes cost, and one copy of the kept weights.
"""

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ganmf_fast.base.progress import Report
from ganmf_fast.gan.checkpoint import Checkpoint
from ganmf_fast.models.early_stopping import announce

Losses = Mapping[str, float]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """How long to train and when to stop."""

    epochs: int
    freq: int = 5
    allow_worse: int = 5


class Pass(NamedTuple):
    """One way through some batches."""

    phase: str
    """Whose time it is: "d", "g" ..."""
    train: Callable[[Any], Losses]
    """Moves one network by one batch and returns its losses."""
    batches: Iterable[Any]


class Adversary(Protocol):
    """What is trained."""

    def passes(self, epoch: int) -> Iterable[Pass]:
        """The passes of an epoch, in order; each is finished before the next is asked for."""

    def weights(self) -> Sequence[Tensor]:
        """What makes up the fitted model: kept when best, put back in the end."""

    def diagnose(self) -> Losses:
        """What is worth knowing at the end of an epoch, beside the losses."""

    def state(self) -> Mapping[str, Tensor]:
        """All that the epochs to come depend on."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""


@dataclass
class Outcome:
    """What training leaves behind, beside the weights."""

    best_epoch: int = 0
    best_value: float = -math.inf
    epochs_run: int = 0
    without_improvement: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class DivergedError(ArithmeticError):
    """A loss, a weight or an output became infinite or NaN.

    The loop raises it when there are no weights worth keeping yet; a family does within a step
    whose loss cannot be reached, and the loop answers as it does to a loss that is not finite.
    """


@dataclass
class Trainer:
    """One run of the loop.

    Parameters
    ----------
    adversary : Adversary
        The networks with their optimisers.
    schedule : Schedule
    validate : callable, optional
        The value to maximise, of the weights as they are.
    checkpoint : Checkpoint, optional
        Where to go on from, and what to leave behind every few epochs until the end.
    """

    adversary: Adversary
    schedule: Schedule
    validate: Callable[[], float] | None = None
    checkpoint: Checkpoint | None = None

    def run(self, report: Report) -> Outcome:
        """Train; afterwards the adversary holds the best weights, or the last without `validate`.

        Raises
        ------
        DivergedError
            If a loss or a weight is not finite and no check came before; after one it is a
            ConvergenceWarning, and the best weights stand.
        """
        outcome, kept = self._resume()
        last = self.schedule.epochs
        while (
            outcome.epochs_run < last and outcome.without_improvement <= self.schedule.allow_worse
        ):
            epoch = outcome.epochs_run + 1
            started = time.perf_counter()
            row: dict[str, float] = {"epoch": epoch}
            try:
                trouble = self._epoch(epoch, row)
            except DivergedError as error:
                trouble = str(error)
            if trouble:
                self._diverged(epoch, trouble, outcome)
                break
            outcome.epochs_run = epoch
            outcome.history.append(row)
            row.update(self.adversary.diagnose())
            if self.validate is not None and (epoch % self.schedule.freq == 0 or epoch == last):
                before = time.perf_counter()
                row["validation"] = value = self.validate()
                row["validation_seconds"] = time.perf_counter() - before
                outcome.without_improvement += 1
                if value > outcome.best_value:
                    outcome.best_epoch, outcome.best_value = epoch, value
                    kept = [tensor.clone() for tensor in self.adversary.weights()]
                    outcome.without_improvement = 0
                announce(epoch, value)
            row["seconds"] = time.perf_counter() - started
            _log.debug("epoch %d: %s", epoch, row)
            self._keep(outcome, kept)
            report(epoch, last, _in_words(row, outcome))
        if self.validate is None:
            outcome.best_epoch = outcome.epochs_run
        for tensor, best in zip(self.adversary.weights(), kept, strict=False):
            tensor.copy_(best)
        if self.checkpoint is not None:
            self.checkpoint.remove()
        return outcome

    def _epoch(self, epoch: int, row: dict[str, float]) -> str:
        """Run one epoch, write the means of the losses to `row`; say what is not finite, if any."""
        seen: dict[str, list[float]] = {}
        seconds: dict[str, float] = {}
        started = time.perf_counter()
        for phase, train, batches in self.adversary.passes(epoch):
            for batch in batches:
                losses = train(batch)
                if not all(map(math.isfinite, losses.values())):
                    return ", ".join(f"{name} = {value:g}" for name, value in losses.items())
                for name, value in losses.items():
                    seen.setdefault(name, []).append(value)
            ended = time.perf_counter()
            name = f"{phase}_seconds"
            seconds[name] = seconds.get(name, 0.0) + ended - started
            started = ended
        means = {name: math.fsum(values) / len(values) for name, values in seen.items()}
        row.update(means, **seconds)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self.adversary.weights()):
            shown = ", ".join(f"{name} = {value:g}" for name, value in means.items())
            return f"a weight, with {shown}"
        return ""

    def _resume(self) -> tuple[Outcome, list[Tensor]]:
        """Where an earlier run was at its last checkpoint, or the very beginning."""
        found = None if self.checkpoint is None else self.checkpoint.read()
        if found is None:
            return Outcome(), []
        facts, tensors = found
        self.adversary.restore(_under("state.", tensors))
        kept = _under("kept.", tensors)
        device = next(iter(self.adversary.weights())).device
        _log.info("going on after epoch %d", facts["epochs_run"])
        return Outcome(**facts), [kept[str(n)].to(device) for n in range(len(kept))]

    def _keep(self, outcome: Outcome, kept: Sequence[Tensor]) -> None:
        if self.checkpoint is None or outcome.epochs_run % self.checkpoint.every:
            return
        tensors = {f"state.{name}": tensor for name, tensor in self.adversary.state().items()}
        tensors |= {f"kept.{n}": tensor for n, tensor in enumerate(kept)}
        self.checkpoint.write(vars(outcome), tensors)

    @staticmethod
    def _diverged(epoch: int, trouble: str, outcome: Outcome) -> None:
        message = f"training diverged in epoch {epoch} ({trouble}); lower the learning rates"
        if not outcome.best_epoch:
            raise DivergedError(message)
        warnings.warn(
            f"{message}; the weights of epoch {outcome.best_epoch} are kept",
            ConvergenceWarning,
            stacklevel=5,
        )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _in_words(row: Mapping[str, float], outcome: Outcome) -> str:
    """What to say beside the bar: losses and the values of validation."""
    words = [f"{name} {row[name]:.4g}" for name in ("d_loss", "g_loss") if name in row]
    if outcome.best_epoch:
        last = next(r["validation"] for r in reversed(outcome.history) if "validation" in r)
        words.append(f"MAP@5 {last:.4f}, best {outcome.best_value:.4f} ({outcome.best_epoch})")
    return ", ".join(words)
