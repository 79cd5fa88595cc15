"""A trial of a search: what is to be run, and its result."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from ganmf_fast.base.text import shown
from ganmf_fast.tuning.spaces import Params

Whole: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Status: TypeAlias = Literal["done", "failed", "pruned"]
Curve: TypeAlias = list[tuple[Whole, float]]
"""Epochs and the validation values of early stopping."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial to be run; plain data that can be sent to any process.

    Attributes
    ----------
    number : int
        From 0, in the order of suggestion.
    params : dict
        Value of each searched parameter.
    completed : tuple of (curve, value) or None
        Curves and values of earlier trials, for pruning; None if trials are not pruned.
    """

    number: int
    params: Params
    completed: tuple[tuple[Curve, float], ...] | None = None


@dataclass(frozen=True)
class Trial:
    """The result of a trial: one line of a journal.

    Attributes
    ----------
    number : int
        From 0, in the order of suggestion.
    params : dict
        Value of each searched parameter.
    status : {"done", "failed", "pruned"}
        "pruned" trials did worse than others and were stopped early.
    value : float or None
        The maximised value, if the trial is done.
    metrics : dict of str to float
        Every metric at the same cutoff, unless the metric is a function.
    epochs : int or None
        Best epoch of an iterative model; with the protocol "dense" the epochs of the final fit.
    pretrain_epochs : int or None
        The same of its pre-training, if it has one.
    curve : list of (epoch, value)
        Validation values of its early stopping, in the first fold.
    seconds : float
        Fit and evaluation together.
    fit_seconds : float
    seed : int or None
        Seed of the model.
    reason : str
        Reason of a failure.
    finished : str
        Date and time, UTC.
    """

    number: Whole
    params: Params
    status: Status
    value: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    epochs: Whole | None = None
    curve: Curve = field(default_factory=list)
    seconds: float = 0.0
    fit_seconds: float = 0.0
    seed: Whole | None = None
    reason: str = ""
    finished: str = ""
    pretrain_epochs: Whole | None = None

    @property
    def found_epochs(self) -> dict[str, int]:
        """Epochs that were determined, by parameter."""
        found = {"epochs": self.epochs, "pretrain_epochs": self.pretrain_epochs}
        return {name: n for name, n in found.items() if n is not None}

    def to_dict(self) -> dict[str, Any]:
        """The trial as a dict for JSON."""
        content = asdict(self)
        content["metrics"] = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in self.metrics.items()
        }
        content["curve"] = [list(point) for point in self.curve]
        return content

    def __post_init__(self) -> None:
        """Check the value of a trial from a file; the types are checked in decoding."""
        if (self.status == "done") != (self.value is not None):
            raise ValueError(f"value is {shown(self.value)} of a trial that is {self.status}")


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The trial with the highest value, the earliest of equals; None if none is done."""
    done = [trial for trial in trials if trial.value is not None and trial.status == "done"]
    return max(done, key=lambda trial: (trial.value, -trial.number), default=None)


def describe_best(best: Trial | None) -> str:
    """The best trial in one line: value, number, parameters; empty for None."""
    if best is None:
        return ""
    named = {**best.params, **best.found_epochs}
    params = ", ".join(f"{name}={_short(value)}" for name, value in named.items())
    return f"best {best.value:.4f} (trial {best.number}: {params})"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
