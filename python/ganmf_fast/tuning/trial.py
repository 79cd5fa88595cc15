"""A trial of a search: what is to be run, and its result."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, TypeAlias, get_args

from ganmf_fast.tuning.spaces import Params

__all__ = ["Curve", "Trial", "TrialSpec", "best_of", "describe_best"]

Status: TypeAlias = Literal["done", "failed", "pruned"]
Curve: TypeAlias = list[tuple[int, float]]
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
        Best epoch of an iterative model.
    curve : list of (epoch, value)
        Validation values of its early stopping.
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

    number: int
    params: Params
    status: Status
    value: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    epochs: int | None = None
    curve: Curve = field(default_factory=list)
    seconds: float = 0.0
    fit_seconds: float = 0.0
    seed: int | None = None
    reason: str = ""
    finished: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The trial as a dict for JSON."""
        content = asdict(self)
        content["metrics"] = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in self.metrics.items()
        }
        content["curve"] = [list(point) for point in self.curve]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """A trial from the dict of `to_dict` or an untrusted one; further entries are ignored.

        Raises
        ------
        ValueError
            If an entry is missing or of another type; the message is a phrase that names it.
        """
        known = {f.name for f in fields(cls)}
        found = {name: value for name, value in content.items() if name in known}
        for name, is_right in _ENTRIES.items():
            if not is_right(found.get(name, _DEFAULTS.get(name))):
                raise ValueError(f"{name} is {found.get(name)!r:.40}")
        value, status = found.get("value"), found["status"]
        if (status == "done") != (value is not None):
            raise ValueError(f"value is {value!r} of a trial that is {status}")
        found["curve"] = [(epoch, float(value)) for epoch, value in found.get("curve", [])]
        return cls(**found)


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The trial with the highest value, the earliest of equals; None if none is done."""
    done = [trial for trial in trials if trial.value is not None and trial.status == "done"]
    return max(done, key=lambda trial: (trial.value, -trial.number), default=None)


def describe_best(best: Trial | None) -> str:
    """The best trial in one line: value, number, parameters; empty for None."""
    if best is None:
        return ""
    shown = best.params if best.epochs is None else {**best.params, "epochs": best.epochs}
    params = ", ".join(f"{name}={_short(value)}" for name, value in shown.items())
    return f"best {best.value:.4f} (trial {best.number}: {params})"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: object) -> bool:
    # JSON has whole numbers too large for a float.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def _is_curve(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(point, list) and len(point) == 2 and _is_whole(point[0]) and _is_number(point[1])
        for point in value
    )


_ENTRIES: dict[str, Callable[[object], bool]] = {
    "number": _is_whole,
    "params": lambda value: isinstance(value, dict),
    "status": lambda value: isinstance(value, str) and value in get_args(Status),
    "value": lambda value: value is None or _is_number(value),
    "metrics": lambda value: isinstance(value, dict),
    "epochs": lambda value: value is None or _is_whole(value),
    "curve": _is_curve,
    "seconds": _is_number,
    "fit_seconds": _is_number,
    "seed": lambda value: value is None or _is_whole(value),
    "reason": lambda value: isinstance(value, str),
    "finished": lambda value: isinstance(value, str),
}
_DEFAULTS: dict[str, Any] = {
    "metrics": {}, "curve": [], "seconds": 0.0, "fit_seconds": 0.0, "reason": "", "finished": "",
}  # fmt: skip
