"""A question that a search asks, and the answer that is kept of it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, TypeAlias

from ganmf_fast.tuning.spaces import Params

__all__ = ["Curve", "Question", "Trial"]

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
    status: Literal["done", "failed", "pruned"]
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
        """Of what `to_dict` gave; more entries may be there.

        Raises
        ------
        TypeError
            If an entry is missing.
        """
        known = {f.name for f in fields(cls)}
        params = {name: value for name, value in content.items() if name in known}
        params["curve"] = [(int(epoch), float(value)) for epoch, value in params.get("curve", [])]
        return cls(**params)
