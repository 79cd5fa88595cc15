"""What an evaluation found."""

import difflib
import math
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast import _core

__all__ = ["LISTS", "METRICS", "PER_USER", "Evaluation", "check_metrics"]

PER_USER: tuple[str, ...] = (*_core.metric_names(), "novelty", "average_popularity")
"""Metrics that have a value for each user; the figure is their mean."""

LISTS: tuple[str, ...] = (
    "f1",
    "coverage_item",
    "coverage_user",
    "diversity_gini",
    "diversity_herfindahl",
    "shannon_entropy",
    "diversity_mean_inter_list",
)
"""Metrics of all lists together."""

METRICS: tuple[str, ...] = PER_USER + LISTS
"""All metrics."""

_SHOWN = ("precision", "recall", "map", "ndcg", "mrr", "hit_rate", "coverage_item")


def check_metrics(metrics: object) -> tuple[str, ...]:
    """Names of metrics, all of them for None.

    Raises
    ------
    TypeError, ValueError
        If one does not exist; the message suggests the nearest.
    """
    if metrics is None:
        return METRICS
    if isinstance(metrics, str):
        metrics = (metrics,)
    if not isinstance(metrics, list | tuple | set | frozenset):
        raise TypeError(f"metrics must be a list of names, not {metrics!r}")
    for name in metrics:
        if name not in METRICS:
            raise _unknown(name, METRICS)
    return tuple(name for name in METRICS if name in metrics)


def _unknown(name: object, known: tuple[str, ...]) -> ValueError:
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    return ValueError(f"metrics has no {name!r}{hint} (there are {', '.join(known)})")


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Figures of one model on one test set.

    Attributes
    ----------
    label : str
        What was evaluated.
    cutoffs : tuple of int
        Ascending.
    users : int64 array, shape (n evaluated users,)
        Rows of the users with at least one test item, ascending.
    """

    label: str
    cutoffs: tuple[int, ...]
    users: NDArray[np.int64]
    _values: dict[tuple[str, int], float] = field(default_factory=dict)
    _per_user: dict[tuple[str, int], NDArray[np.float64]] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics at hand."""
        return tuple(dict.fromkeys(name for name, _ in self._values))

    def __getitem__(self, key: tuple[str, int]) -> float:
        """Figure of a metric at a cutoff: ``ev["ndcg", 5]``.

        Raises
        ------
        KeyError
            If it was not computed.
        """
        if key not in self._values:
            raise KeyError(self._absent(key))
        return self._values[key]

    def per_user(self, metric: str, k: int) -> NDArray[np.float64]:
        """Values of each evaluated user, float64, shape (n evaluated users,), like `users`.

        Raises
        ------
        KeyError
            If it was not computed, or belongs to all lists together.
        """
        if (metric, k) not in self._per_user:
            if (metric, k) in self._values:
                raise KeyError(f"{metric} has no value per user: it belongs to all lists together")
            raise KeyError(self._absent((metric, k)))
        return self._per_user[metric, k]

    def _absent(self, key: object) -> str:
        return (
            f"there is no {key!r}; metrics are {', '.join(self.metrics)} "
            f"at {', '.join(map(str, self.cutoffs))}"
        )

    def to_dict(self) -> dict[int, dict[str, float]]:
        """All figures, by cutoff and then by metric."""
        return {k: {name: self._values[name, k] for name in self.metrics} for k in self.cutoffs}

    def to_frame(self) -> pl.DataFrame:
        """All figures as a polars frame with columns metric, k and value."""
        return pl.DataFrame(
            [(name, k, value) for (name, k), value in self._values.items()],
            schema={"metric": pl.String, "k": pl.Int64, "value": pl.Float64},
            orient="row",
        )

    def __repr__(self) -> str:
        """A small table."""
        names = [name for name in _SHOWN if name in self.metrics] or list(self.metrics)[:7]
        lines = [f"{self.label}: {len(self.users):,} users evaluated"]
        lines.append(" ".join([f"{'k':>4}", *(f"{name:>13}" for name in names)]))
        for k in self.cutoffs:
            figures = (f"{self._values[name, k]:>13.4f}" for name in names)
            lines.append(" ".join([f"{k:>4}", *figures]))
        return "\n".join(lines)


def mean(values: NDArray[np.float64]) -> float:
    """Mean whose sum is rounded once: the same bits in any order and on any machine."""
    return math.fsum(values) / len(values)
