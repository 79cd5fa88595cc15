"""How far a metric is apart between groups of users or of items, with bootstrap intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.checks import as_array, check_int, plain
from ganmf_fast.base.notebook import html_table
from ganmf_fast.base.text import printable, shown
from ganmf_fast.evaluation.accumulator import MetricAccumulator, checked_cutoffs
from ganmf_fast.evaluation.groups import lists_to_measure, with_items
from ganmf_fast.evaluation.result import Evaluation
from ganmf_fast.evaluation.significance import check_confidence
from ganmf_fast.scorers.metrics import NEED_TRAIN, PER_USER, check_metrics

_INTERVAL: dict[str, Any] = {"low": pl.Float64, "high": pl.Float64}
_MOST = 100


@dataclass(frozen=True, eq=False, repr=False)
class GroupGaps:
    """Means of groups, their differences, and how far groups are apart altogether.

    Attributes
    ----------
    metric : str
    k : int
    confidence : float
        Of the intervals low..high.
    groups : polars.DataFrame
        group, n_users, mean, low, high: one row per group, in the order of the labels.
    pairs : polars.DataFrame
        a, b, difference (mean of a minus mean of b), low, high: one row per pair of groups.
    gaps : polars.DataFrame
        gap, value, low, high: "range" is the largest mean minus the smallest, and
        "mean_absolute_difference" the mean of the absolute differences of all pairs.
    """

    metric: str
    k: int
    confidence: float
    groups: pl.DataFrame
    pairs: pl.DataFrame
    gaps: pl.DataFrame

    def to_frame(self) -> pl.DataFrame:
        """The groups, as a polars frame."""
        return self.groups

    @property
    def _title(self) -> str:
        return f"{self.metric}@{self.k} by group, {100 * self.confidence:g}% intervals"

    def __repr__(self) -> str:
        """Two small tables."""
        rows = [
            (f"{printable(str(group))} ({n:,} users)", *interval)
            for group, n, *interval in self.groups.iter_rows()
        ]
        rows += [(name.replace("_", " "), *interval) for name, *interval in self.gaps.iter_rows()]
        width = max(len(name) for name, *_ in rows)
        return "\n".join(
            [
                self._title,
                *(
                    f"{name:<{width}}  {v:.4f}  {low:.4f} .. {high:.4f}"
                    for name, v, low, high in rows
                ),
            ]
        )

    def _repr_html_(self) -> str:
        """What notebooks show."""
        frames = ((self._title, self.groups), ("Gaps", self.gaps), ("Differences", self.pairs))
        return "".join(
            html_table(title, frame.columns, frame.iter_rows()) for title, frame in frames
        )


def user_group_gaps(
    evaluation: Evaluation,
    groups: object,
    metric: str = "ndcg",
    k: int = 5,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> GroupGaps:
    """How far a metric is apart between groups of users, such as countries or age bands.

    Parameters
    ----------
    evaluation : Evaluation
        With values per user.
    groups : sequence of labels, shape (n_users,)
        Group of each user, in the order of the rows of the test matrix (`user_ids_` of a model);
        text or whole numbers. Users whose label is None are left out.
    metric : str, default "ndcg"
        A metric with values per user.
    k : int, default 5
        One of the cutoffs.
    confidence : float, default 0.95
    n_resamples : int, default 2000
        Number of bootstrap resamples for the intervals.
    seed : int, default 0
        Seed of the resamples.

    Returns
    -------
    GroupGaps

    Raises
    ------
    TypeError, ValueError
        If there is not a label for each user, fewer than two groups have two evaluated users, or an
        argument is out of range.
    KeyError
        If the evaluation lacks the metric, the cutoff, or values per user.

    Notes
    -----
    Intervals are percentile bootstrap intervals: a resample draws users with replacement, and the
    mean of a group is over those of its users that were drawn. Both gaps are never negative, so
    that their intervals lie above 0 even where groups differ by chance alone: whether two groups
    differ is said by their interval in `pairs`.

    References
    ----------
    The mean absolute difference of groups is the MAD of Elliot: V. W. Anelli et al., "Elliot: a
    comprehensive and rigorous framework for reproducible recommender systems evaluation", SIGIR
    2021. Bootstrap: B. Efron, Annals of Statistics 7, 1979.
    """
    values = evaluation.per_user(metric, k)
    labels, group = _labelled(groups, "user", evaluation.tally.shape[0])
    inside = group[evaluation.users] == np.arange(len(labels))[:, None]
    table = np.where(inside, values, np.nan)
    return _gaps(metric, k, labels, table, confidence, n_resamples, seed)


def item_group_gaps(
    model_or_lists: object,
    train: object,
    test: object,
    groups: object,
    metric: str = "recall",
    k: int = 20,
    users: object = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> GroupGaps:
    """How far a metric is apart between groups of items, such as genres or suppliers.

    The lists are the same for all groups; for each group only its own test items are relevant, and
    only users with such an item are measured, as by `by_item_popularity`.

    Parameters
    ----------
    model_or_lists : Recommender or int array of shape (n lists, n)
        A fitted model, or lists as for `evaluate_lists`.
    train : matrix or Interactions
        Lists of a model exclude it.
    test : matrix or Interactions
    groups : sequence of labels, shape (n_items,)
        Group of each item, in the order of the columns (`item_ids_` of a model); text or whole
        numbers. Items whose label is None are left out.
    metric : str, default "recall"
        A metric with values per user, except novelty and average_popularity.
    k : int, default 20
    users : int array, optional
        Row of `test` for each list, as for `evaluate_lists`.
    confidence : float, default 0.95
    n_resamples : int, default 2000
    seed : int, default 0

    Returns
    -------
    GroupGaps
        `groups` counts the users with a test item of the group.

    Raises
    ------
    TypeError, ValueError
        If there is not a label for each item, fewer than two groups have test items of two users,
        or an argument is out of range.

    Notes
    -----
    Intervals as of `user_group_gaps`; a resample draws the same users for all groups.
    """
    [name] = check_metrics(metric)
    if name not in PER_USER or name in NEED_TRAIN:
        raise ValueError(f"metric {shown(metric)} does not depend on the test items of a user")
    [k] = checked_cutoffs(k)
    held_out, _, lists, rows = lists_to_measure(model_or_lists, train, test, [k], users)
    labels, group = _labelled(groups, "item", held_out.n_cols)
    table = np.full((len(labels), held_out.n_rows), np.nan)
    for number, _ in enumerate(labels):
        relevant = with_items(held_out, group == number)
        if relevant.nnz:
            measured = MetricAccumulator(relevant, None, [k], [name], keep=True)
            measured.add(lists, rows)
            ev = measured.evaluation("group")
            table[number, ev.users] = ev.per_user(name, k)
    return _gaps(name, k, labels, table, confidence, n_resamples, seed)


def _labelled(groups: object, what: str, size: int) -> tuple[list[Any], NDArray[np.int64]]:
    """Distinct labels in their order, and the number of each one's; -1 for None."""
    if isinstance(groups, str | Mapping) or not isinstance(groups, Iterable):
        raise TypeError(f"groups must hold a label for each {what}, not {shown(groups)}")
    given = [*map(plain, as_array("groups", groups) if hasattr(groups, "dtype") else groups)]
    if len(given) != size:
        raise ValueError(f"groups holds {len(given):,} labels but there are {size:,} {what}s")
    for label in given:
        if label is not None and not isinstance(label, str | int):
            raise TypeError(f"groups must hold text or whole numbers, not {shown(label)}")
    distinct = {label for label in given if label is not None}
    try:
        labels = sorted(distinct)
    except TypeError:
        raise TypeError("groups must hold text or whole numbers, not both") from None
    if len(labels) > _MOST:
        raise ValueError(
            f"groups holds {len(labels):,} different labels: at most {_MOST} can be compared"
        )
    number = {label: at for at, label in enumerate(labels)}
    return labels, np.array([number.get(label, -1) for label in given], dtype=np.int64)


def _gaps(
    metric: str,
    k: int,
    labels: list[Any],
    table: NDArray[np.float64],
    confidence: float,
    n_resamples: int,
    seed: int,
) -> GroupGaps:
    """Gaps of groups from a value for each group and user, NaN where the user is not of it."""
    confidence = check_confidence(confidence)
    n_resamples = check_int("n_resamples", n_resamples, 100)
    seed = check_int("seed", seed, 0)
    there = ~np.isnan(table)
    counts = there.sum(axis=1)
    kept = counts >= 2
    if kept.sum() < 2:
        raise ValueError(
            f"groups has {int(kept.sum())} groups with at least two users who were measured: at "
            "least two are needed"
        )
    labels = [label for label, keep in zip(labels, kept, strict=True) if keep]
    table, there, counts = table[kept], there[kept], counts[kept]
    anybody = there.any(axis=0)
    values = np.where(there, table, 0.0)[:, anybody]
    means = values.sum(axis=1) / counts
    drawn = _core.bootstrap_means(
        np.concatenate([values, there[:, anybody].astype(np.float64)]), n_resamples, seed
    )
    # A resample without any user of a group says nothing about it.
    with np.errstate(invalid="ignore"):
        resampled = drawn[: len(labels)] / drawn[len(labels) :]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]

    def interval(of_resamples: NDArray[np.float64]) -> tuple[float, float]:
        low, high = np.nanquantile(of_resamples, tails)
        return float(low), float(high)

    pairs = list(combinations(range(len(labels)), 2))
    differences = np.array([means[a] - means[b] for a, b in pairs])
    of_pairs = np.array([resampled[a] - resampled[b] for a, b in pairs])
    kind = pl.String if isinstance(labels[0], str) else pl.Int64
    overall = {
        "range": (np.ptp(means), np.ptp(resampled, axis=0)),
        "mean_absolute_difference": (
            np.abs(differences).mean(),
            np.abs(of_pairs).mean(axis=0),
        ),
    }
    return GroupGaps(
        metric,
        k,
        confidence,
        pl.DataFrame(
            [
                (label, int(n), float(mean), *interval(row))
                for label, n, mean, row in zip(labels, counts, means, resampled, strict=True)
            ],
            schema={"group": kind, "n_users": pl.Int64, "mean": pl.Float64, **_INTERVAL},
            orient="row",
        ),
        pl.DataFrame(
            [
                (labels[a], labels[b], float(difference), *interval(row))
                for (a, b), difference, row in zip(pairs, differences, of_pairs, strict=True)
            ],
            schema={"a": kind, "b": kind, "difference": pl.Float64, **_INTERVAL},
            orient="row",
        ),
        pl.DataFrame(
            [(name, float(value), *interval(row)) for name, (value, row) in overall.items()],
            schema={"gap": pl.String, "value": pl.Float64, **_INTERVAL},
            orient="row",
        ),
    )
