"""What a comparison found, in the form that every table and chart is made from."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Comparison", "Entry", "Run", "signed"]

Key = tuple[str, int]


def signed(delta: float) -> str:
    """A difference with its sign, without a negative zero."""
    return f"{round(delta, 4) + 0.0:+.4f}"


@dataclass(frozen=True)
class Run:
    """One finished model with one seed."""

    seed: int | None
    """None for a model without a random choice."""
    values: dict[Key, float]
    """Metric and cutoff -> value."""
    cost: dict[str, float]
    """`fit_seconds`, `evaluate_seconds`, `fit_peak_mib`, `evaluate_peak_mib`, as measured."""


@dataclass(frozen=True)
class Entry:
    """One row of the comparison."""

    model: str
    runs: tuple[Run, ...]
    published: dict[Key, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    """Where the parameters come from."""
    problem: str = ""
    """Why there is no result, or not one of every seed; empty if all is done."""

    def mean(self, metric: str, k: int) -> float | None:
        """Mean over the seeds, or None if none is finished."""
        values = [run.values[metric, k] for run in self.runs]
        return math.fsum(values) / len(values) if values else None

    def deviation(self, metric: str, k: int) -> float | None:
        """Standard deviation over the seeds (n - 1), or None with fewer than two."""
        mean = self.mean(metric, k)
        if mean is None or len(self.runs) < 2:
            return None
        squares = math.fsum((run.values[metric, k] - mean) ** 2 for run in self.runs)
        return math.sqrt(squares / (len(self.runs) - 1))

    def delta(self, metric: str, k: int) -> float | None:
        """Mean minus published, or None if either is missing."""
        mean, published = self.mean(metric, k), self.published.get((metric, k))
        return None if mean is None or published is None else mean - published


@dataclass(frozen=True)
class Comparison:
    """Models side by side on one data set."""

    dataset: str
    simulated: bool
    splits: str
    """One phrase on how the data were split."""
    cutoffs: tuple[int, ...]
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """Name of the data set, saying so if it is simulated."""
        return f"{self.dataset} (simulated data)" if self.simulated else self.dataset

    @property
    def any_published(self) -> bool:
        """Whether there is a published figure to compare with."""
        return any(entry.published for entry in self.entries)

    @property
    def columns(self) -> list[Key]:
        """Metrics shown in tables."""
        return [(metric, k) for k in self.cutoffs for metric in ("map", "ndcg")]

    @property
    def complete(self) -> bool:
        """Whether every model is finished."""
        return not any(entry.problem for entry in self.entries)

    def ranks(self, metric: str, k: int) -> dict[str, int]:
        """Place of each finished model, 1 for the best; equal values share a place."""
        means = {e.model: m for e in self.entries if (m := e.mean(metric, k)) is not None}
        order = sorted(set(means.values()), reverse=True)
        return {model: order.index(mean) + 1 for model, mean in means.items()}

    def tidy(self) -> Iterator[dict[str, Any]]:
        """One record for each model, seed, metric and cutoff."""
        for entry in self.entries:
            for run in entry.runs:
                for (metric, k), value in run.values.items():
                    published = entry.published.get((metric, k))
                    yield {
                        "dataset": self.label,
                        "model": entry.model,
                        "metric": metric,
                        "k": k,
                        "value": value,
                        "published": published,
                        "delta": None if published is None else value - published,
                        "seed": run.seed,
                    }
