"""What an experiment found, in the form that every table and chart is made from."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Key = tuple[str, int | None]
"""Metric and cutoff; None for a figure that has no cutoff."""

Chart = Literal["bars", "lines", "groups", "heatmaps", "none"]

PUBLISHED_SPLITS = "the splits published by the authors"
"""What `ResultTable.splits` says of them."""

TOLERANCE = 1e-3
"""Difference from a published figure that a model without a random choice may have."""

_HEADINGS = {
    "users": "users",
    "items": "items",
    "empty_items": "items without users",
    "interactions": "interactions",
    "density": "density %",
    "per_user": "mean per user",
    "per_item": "mean per item",
    "gini": "Gini of items",
    "cosine_mean": "mean cosine",
    "cosine_deviation": "deviation",
}
_WHOLE = ("users", "items", "empty_items", "interactions")
# Neither large nor small values of these are good.
_NEUTRAL = tuple(_HEADINGS)


def heading(key: Key) -> str:
    """How a metric is called above a column."""
    metric, k = key
    name = _HEADINGS.get(metric, metric.upper())
    return name if k is None else f"{name}@{k}"


def key_of(text: str) -> Key:
    """``"map@5"`` or ``"cosine_mean"``, as they stand in ``result.json``, as a key."""
    metric, _, k = text.partition("@")
    return metric, int(k) if k else None


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
    """`fit_seconds`, `evaluate_seconds`, `fit_peak_mib`, `evaluate_peak_mib`, as measured; and
    `fit_extra_mib`, the part of the peak that the process did not hold before, if known."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison with a published figure comes to."""

    word: str
    """"within tolerance", "better" or "worse" ("higher" or "lower" where neither is good),
    "not comparable", or "another split"."""
    tolerance: float | None
    """None where nothing was compared."""
    reason: str
    """Why they differ, where it is known; else empty."""


@dataclass(frozen=True)
class Entry:
    """One row of the comparison, or one point of a figure."""

    model: str
    runs: tuple[Run, ...]
    published: Mapping[Key, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    """Where the parameters come from."""
    problem: str = ""
    """Why there is no result, or not one of every seed; empty if all is done."""
    point: float | None = None
    """Place on the axis of a figure."""
    incomparable: Mapping[Key, float] = field(default_factory=dict)
    """Published figures that mean something else, and are only named."""
    known_difference: str = ""
    """Known reason why figures differ from the published ones."""
    another_split: bool = False
    """Whether the published figures belong to another split of the data, so that they are shown
    beside ours but not compared with them."""

    def mean(self, metric: str, k: int | None) -> float | None:
        """Mean over the seeds, or None if none is finished."""
        values = self._values(metric, k)
        return math.fsum(values) / len(values) if values else None

    def deviation(self, metric: str, k: int | None) -> float | None:
        """Standard deviation over the seeds (n - 1), or None with fewer than two."""
        values = self._values(metric, k)
        if len(values) < 2:
            return None
        mean = math.fsum(values) / len(values)
        return math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1))

    def _values(self, metric: str, k: int | None) -> list[float]:
        return [run.values[metric, k] for run in self.runs if (metric, k) in run.values]

    def delta(self, metric: str, k: int | None) -> float | None:
        """Mean minus published, or None if either is missing or of another split."""
        mean, published = self.mean(metric, k), self.published.get((metric, k))
        if mean is None or published is None or self.another_split:
            return None
        return mean - published

    def verdict(self, metric: str, k: int | None) -> Verdict | None:
        """Compare with the published figure, or None if there is nothing to compare.

        The tolerance is .001, or two standard deviations over the seeds if that is more.
        """
        key, delta = (metric, k), self.delta(metric, k)
        if self.another_split and self.runs and key in {*self.published, *self.incomparable}:
            return Verdict(
                "another split", None, "the published figure is of the split that was published"
            )
        if delta is None:
            if key in self.incomparable and self.runs:
                return Verdict(
                    "not comparable", None, "the published files hold an older NDCG, not normalised"
                )
            return None
        deviation = self.deviation(metric, k)
        tolerance = max(TOLERANCE, 2 * (deviation or 0.0))
        if abs(delta) <= tolerance:
            return Verdict("within tolerance", tolerance, "")
        above, below = ("higher", "lower") if metric in _NEUTRAL else ("better", "worse")
        reasons = [self.known_difference] if self.known_difference else []
        if self.runs[0].seed is not None:
            ours = "one seed here" if deviation is None else f"{len(self.runs)} seeds here"
            reasons.append(f"random: {ours}, one run published")
        return Verdict(above if delta > 0 else below, tolerance, "; ".join(reasons))


@dataclass(frozen=True)
class ResultTable:
    """What one experiment found on one data set.

    Attributes
    ----------
    dataset : str
    simulated : bool
    splits : str
        One phrase on how the data were split.
    cutoffs : tuple of int
    entries : tuple of Entry
    columns : tuple of Key
        Metrics shown in tables.
    title : str
        What it is.
    experiment : str
        Its name on the command line.
    quick : str
        What was cut down, in one phrase; empty for the experiment as it is meant.
    note : str
        What else a reader must know, in a sentence.
    subject : str
        What an entry is.
    axis : str
        What the points of the entries are; empty for a table.
    point_names : mapping of float to str
        How points are called, where their value does not say it.
    ranked : {"all", "point", "none"}
        Among which entries the best and the second are marked.
    chart : {"bars", "lines", "groups", "heatmaps", "none"}
        How it is drawn.
    squares : mapping of float to array of shape (n, n)
        Point -> values of a heatmap.
    significance : mapping of Key to mapping of str to float
        Metric -> model -> p-value, corrected for the number of models, of the difference from the
        best one.
    """

    dataset: str
    simulated: bool
    splits: str
    cutoffs: tuple[int, ...]
    entries: tuple[Entry, ...]
    columns: tuple[Key, ...]
    title: str = "Comparison"
    experiment: str = "table2"
    quick: str = ""
    note: str = ""
    subject: str = "model"
    axis: str = ""
    point_names: Mapping[float, str] = field(default_factory=dict)
    ranked: Literal["all", "point", "none"] = "all"
    chart: Chart = "none"
    squares: Mapping[float, NDArray[np.float32]] = field(default_factory=dict)
    significance: Mapping[Key, Mapping[str, float]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name of the data set, saying so if it is simulated."""
        return f"{self.dataset} (simulated data)" if self.simulated else self.dataset

    @property
    def heading(self) -> str:
        """Title with the data set, saying so if it is a quick run."""
        return f"{self.title} on {self.label}" + (" (quick run)" if self.quick else "")

    @property
    def any_published(self) -> bool:
        """Whether there is a published figure to compare with."""
        return any(entry.published for entry in self.entries)

    @property
    def any_compared(self) -> bool:
        """Whether there is a published figure of the same split."""
        return any(entry.published and not entry.another_split for entry in self.entries)

    @property
    def complete(self) -> bool:
        """Whether every model is finished."""
        return not any(entry.problem for entry in self.entries)

    @property
    def models(self) -> list[str]:
        """Names of the models, each once, in order."""
        return list(dict.fromkeys(entry.model for entry in self.entries))

    def point_name(self, point: float | None) -> str:
        """How a point is called."""
        if point is None:
            return ""
        return self.point_names.get(point, f"{point:g}")

    def name_of(self, model: str, point: float | None) -> str:
        """A model, with its point if it is one of a figure."""
        return model if point is None else f"{model} at {self.point_name(point)}"

    def rank(self, entry: Entry, metric: str, k: int | None) -> int:
        """Place of an entry, 1 for the best; equal values share a place; 0 for none."""
        mine = entry.mean(metric, k)
        if mine is None or self.ranked == "none":
            return 0
        rivals = [e for e in self.entries if self.ranked == "all" or e.point == entry.point]
        means = {m for e in rivals if (m := e.mean(metric, k)) is not None}
        return sum(mean > mine for mean in means) + 1

    def tidy(self) -> Iterator[dict[str, Any]]:
        """One record for each model, point, seed, metric and cutoff."""
        for entry in self.entries:
            for run in entry.runs:
                for key, value in run.values.items():
                    published = entry.published.get(key)
                    yield {
                        "dataset": self.label,
                        "model": entry.model,
                        **({self.axis: entry.point} if self.axis else {}),
                        "metric": key[0],
                        "k": key[1],
                        "value": value,
                        "published": published,
                        "delta": None
                        if published is None or entry.another_split
                        else value - published,
                        "seed": run.seed,
                    }

    def summary(self) -> Iterator[dict[str, Any]]:
        """One record for each model, point, metric and cutoff: mean, spread and verdict."""
        for entry in self.entries:
            for key in entry.runs[0].values if entry.runs else ():
                verdict = entry.verdict(*key)
                yield {
                    "dataset": self.label,
                    "quick": self.quick,
                    "model": entry.model,
                    **({self.axis: entry.point} if self.axis else {}),
                    "metric": key[0],
                    "k": key[1],
                    "mean": entry.mean(*key),
                    "deviation": entry.deviation(*key),
                    "seeds": len(entry.runs),
                    "published": entry.published.get(key, entry.incomparable.get(key)),
                    "delta": entry.delta(*key),
                    "tolerance": None if verdict is None else verdict.tolerance,
                    "verdict": None if verdict is None else verdict.word,
                    "reason": None if verdict is None else verdict.reason or None,
                    "p_of_best": self.significance.get(key, {}).get(entry.model),
                }


def shown(key: Key, value: float) -> str:
    """A figure as tables show it."""
    if key[0] in _WHOLE:
        return f"{value:,.0f}"
    return f"{value:.4f}"
