"""A question that a search asks, and the answer that is kept of it."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, TypeAlias, get_args

from ganmf_fast.tuning.spaces import Params

__all__ = ["Curve", "Question", "Trial"]

Status: TypeAlias = Literal["done", "failed", "pruned"]
Curve: TypeAlias = list[tuple[int, float]]
"""Epochs and the values of early stopping there."""


@dataclass(frozen=True)
class Question:
    """Parameters to be tried; plain data that any process can be sent.

    Attributes
    ----------
    number : int
        Of the trial, from 0 on, in the order of asking.
    params : dict
        Value of each searched parameter.
    rivals : tuple of (curve, value)
        Of iterative trials that are to be stopped when they do worse than earlier ones: the curves
        and values of these. None where nothing is stopped.
    """

    number: int
    params: Params
    rivals: tuple[tuple[Curve, float], ...] | None = None


@dataclass(frozen=True)
class Trial:
    """What became of a question: one line of a journal.

    Attributes
    ----------
    number : int
        From 0 on, in the order of asking.
    params : dict
        Value of each searched parameter.
    status : {"done", "failed", "pruned"}
        "pruned" trials did worse than others and were stopped early.
    value : float or None
        What is maximised; only of a trial that is done.
    metrics : dict of str to float
        Every metric at the same cutoff, where a metric's name was given.
    epochs : int or None
        Best epoch of an iterative model.
    curve : list of (epoch, value)
        Checks of its early stopping.
    seconds : float
        Of the fit and of the evaluation.
    fit_seconds : float
        Of the fit.
    seed : int or None
        Of the model.
    reason : str
        Why the trial failed.
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
        """As plain values that JSON can hold."""
        content = asdict(self)
        content["metrics"] = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in self.metrics.items()
        }
        content["curve"] = [list(point) for point in self.curve]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Of what `to_dict` gave, or anybody wrote; more entries may be there.

        Raises
        ------
        ValueError
            If an entry is missing or is nothing of its kind; the message is a phrase that names it.
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
