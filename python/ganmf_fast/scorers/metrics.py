"""Metrics of top-N lists by name, and the exact sums that they are derived from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import read_only

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
"""All metrics that need nothing but lists and matrices; computed by default."""

BEYOND_PER_USER: tuple[str, ...] = ("ild", "serendipity", "miscalibration", "aplt", "arp")
"""Metrics beyond accuracy with a value for each user; computed where they are named."""

OF_GROUPS: tuple[str, ...] = ("popreo", "poprsp")
"""Metrics of how short head and long tail are treated; computed where they are named."""

BEYOND_ACCURACY: tuple[str, ...] = BEYOND_PER_USER + OF_GROUPS
"""Metrics that `evaluate` computes where they are named."""


def of_lists(metrics: Sequence[str]) -> tuple[list[str], bool]:
    """Metrics of single lists that these are made of, and whether counts of items are needed."""
    wanted = set(metrics) | ({"precision", "recall"} if "f1" in metrics else set())
    return [name for name in PER_USER if name in wanted], not wanted.isdisjoint(OF_COUNTS)


def check_metrics(metrics: object, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of metrics, all of `METRICS` for None.

    Parameters
    ----------
    metrics : list, tuple or set of str, or str, or None
    more : tuple of str
        Names that may be given beside those of `METRICS`.

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
    if not metrics:
        raise ValueError("metrics is empty: give at least one name, or None for all of them")
    known = METRICS + more
    for name in metrics:
        if name not in known:
            hint = suggestion(str(name), known)
            raise ValueError(f"metrics has no {shown(name)}{hint} (there are {', '.join(known)})")
    return tuple(name for name in known if name in metrics)


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
    groups : dict of (what, k) to int64 array
        Of the short head and the long tail, if a metric needs it: how often their items are
        "listed" and are "hits" among the first k, and the pairs of a user and an item of theirs
        that are "candidates" and that are "relevant" (both with k = 0).
    """

    sums: dict[tuple[str, int], int]
    counts: dict[int, NDArray[np.int64]]
    n_lists: int
    n_filled: int
    shape: tuple[int, int]
    groups: dict[tuple[str, int], NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Forbid writing to the arrays."""
        object.__setattr__(self, "counts", {k: read_only(c) for k, c in self.counts.items()})
        object.__setattr__(self, "groups", {k: read_only(c) for k, c in self.groups.items()})

    def __add__(self, other: "Tally") -> "Tally":
        """The tally of the lists of both."""
        return Tally(
            {key: value + other.sums[key] for key, value in self.sums.items()},
            {k: counts + other.counts[k] for k, counts in self.counts.items()},
            self.n_lists + other.n_lists,
            self.n_filled + other.n_filled,
            self.shape,
            {key: counts + other.groups[key] for key, counts in self.groups.items()},
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
            if self.groups:
                joint["popreo"] = self._unevenness(("hits", k), ("relevant", 0))
                joint["poprsp"] = self._unevenness(("listed", k), ("candidates", 0))
            for name in metrics:
                values[name, k] = joint[name] if name in joint else self.mean(name, k)
        return values

    def _unevenness(self, chosen: tuple[str, int], possible: tuple[str, int]) -> float:
        """Deviation of the two rates over their mean; 0 if both are 0, NaN without one of them."""
        if not self.groups[possible].all():
            return math.nan
        rates = self.groups[chosen] / self.groups[possible]
        return float(rates.std() / rates.mean()) if rates.any() else 0.0

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


def exact_sum(values: NDArray[np.float64]) -> int:
    """Sum of finite non-negative numbers in multiples of 2^-80, as `_core.measure_lists` has it."""
    return sum(map(int, np.ldexp(values, 80).tolist()))


def exact_mean(total: int, n: int) -> float:
    """Mean from an exact sum in multiples of 2^-80, such as `_core.measure_lists` returns."""
    return math.ldexp(total, -80) / n
