"""Metrics of top-N lists by name, and the exact sums that they are derived from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import read_only

__all__ = [
    "LISTS",
    "METRICS",
    "NEED_TRAIN",
    "OF_COUNTS",
    "PER_USER",
    "Tally",
    "check_metrics",
    "exact_mean",
    "of_lists",
]

PER_USER: tuple[str, ...] = tuple(_core.metric_names())
"""Metrics with a value for each user; the metric of the model is their mean."""

NEED_TRAIN: tuple[str, ...] = ("novelty", "average_popularity")
"""Metrics that need the popularity of items in the training matrix."""

OF_COUNTS: tuple[str, ...] = (
    "coverage_item",
    "diversity_gini",
    "diversity_herfindahl",
    "shannon_entropy",
    "diversity_mean_inter_list",
)
"""Metrics of how often each item is recommended."""

LISTS: tuple[str, ...] = ("f1", "coverage_item", "coverage_user", *OF_COUNTS[1:])
"""Metrics of all lists together."""

METRICS: tuple[str, ...] = PER_USER + LISTS
"""All metrics."""


def of_lists(metrics: Sequence[str]) -> tuple[list[str], bool]:
    """Metrics of single lists that these are made of, and whether counts of items are needed."""
    wanted = set(metrics) | ({"precision", "recall"} if "f1" in metrics else set())
    return [name for name in PER_USER if name in wanted], not wanted.isdisjoint(OF_COUNTS)


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
        raise TypeError(f"metrics must be a list of names, not {shown(metrics)}")
    for name in metrics:
        if name not in METRICS:
            hint = suggestion(str(name), METRICS)
            raise ValueError(f"metrics has no {shown(name)}{hint} (there are {', '.join(METRICS)})")
    return tuple(name for name in METRICS if name in metrics)


@dataclass(frozen=True)
class Tally:
    """Integer sums that all metrics are computed from; those of parts of the users add exactly.

    Attributes
    ----------
    sums : dict of (metric, k) to int
        Sums over users in multiples of 2**-80.
    counts : dict of k to int64 array
        How often each item is among the first k, if a metric needs it.
    n_lists, n_filled : int
        Number of lists, and of lists that are not empty.
    shape : tuple of int
        Users and items of the test matrix.
    """

    sums: dict[tuple[str, int], int]
    counts: dict[int, NDArray[np.int64]]
    n_lists: int
    n_filled: int
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        """Forbid writing to the arrays."""
        object.__setattr__(self, "counts", {k: read_only(c) for k, c in self.counts.items()})

    def __add__(self, other: "Tally") -> "Tally":
        """The tally of the lists of both."""
        return Tally(
            {key: value + other.sums[key] for key, value in self.sums.items()},
            {k: counts + other.counts[k] for k, counts in self.counts.items()},
            self.n_lists + other.n_lists,
            self.n_filled + other.n_filled,
            self.shape,
        )

    def mean(self, metric: str, k: int) -> float:
        """Mean over lists; the sum is rounded once."""
        return exact_mean(self.sums[metric, k], self.n_lists)

    def values(
        self, metrics: Sequence[str], cutoffs: Sequence[int]
    ) -> dict[tuple[str, int], float]:
        """Every metric at every cutoff."""
        values: dict[tuple[str, int], float] = {}
        for k in cutoffs:
            joint = self._joint(k) if k in self.counts else {}
            joint["coverage_user"] = self.n_filled / self.shape[0]
            if "f1" in metrics:
                precision, recall = self.mean("precision", k), self.mean("recall", k)
                both = precision + recall
                joint["f1"] = 2 * precision * recall / both if both else 0.0
            for name in metrics:
                values[name, k] = joint[name] if name in LISTS else self.mean(name, k)
        return values

    def _joint(self, k: int) -> dict[str, float]:
        """Coverage and evenness of recommended items."""
        counts = self.counts[k]
        recommended = np.sort(counts[counts > 0]).astype(np.float64)
        n = len(recommended)
        if not n:
            return dict.fromkeys(OF_COUNTS, 0.0)
        fraction = recommended / recommended.sum()
        rank = np.arange(1, n + 1)
        pairs = k * (float(self.n_lists) ** 2 - self.n_lists)
        common = float((recommended**2).sum()) - self.n_lists * k
        return {
            "coverage_item": n / len(counts),
            "diversity_gini": float(2 * ((n + 1 - rank) / (n + 1) * fraction).sum()),
            "diversity_herfindahl": float(1 - (fraction**2).sum()),
            "shannon_entropy": float(-(fraction * np.log2(fraction)).sum()),
            # Undefined for a single list.
            "diversity_mean_inter_list": 1 - common / pairs if pairs else 0.0,
        }


def exact_mean(total: int, n: int) -> float:
    """Mean from an exact sum in multiples of 2^-80, such as `_core.measure_lists` returns."""
    return math.ldexp(total, -80) / n
