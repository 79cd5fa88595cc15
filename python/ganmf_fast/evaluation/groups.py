"""Metrics by group of users (profile length) or of items (popularity)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.checks import check_int
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation.accumulator import (
    MetricAccumulator,
    checked_cutoffs,
    checked_lists,
    checked_rows,
)
from ganmf_fast.evaluation.result import Evaluation
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.ids import Ids, matching_csr, refuse_common
from ganmf_fast.scorers.lists import rank_lists
from ganmf_fast.scorers.metrics import PER_USER, check_metrics
from ganmf_fast.scorers.validation import users_with_items

_SCHEMA = {
    "group": pl.Int64,
    "low": pl.Int64,
    "high": pl.Int64,
    "n_users": pl.Int64,
    "metric": pl.String,
    "k": pl.Int64,
    "value": pl.Float64,
}


def by_profile_length(
    evaluation: Evaluation,
    train: object,
    n_groups: int = 4,
    edges: Sequence[int] | None = None,
) -> pl.DataFrame:
    """Metrics of groups of users by the number of their training interactions.

    Parameters
    ----------
    evaluation : Evaluation
        With values per user.
    train : matrix or Interactions
        Its rows are the profiles.
    n_groups : int, default 4
        Number of groups, of equally many users as far as possible: profiles of one length are in
        one group, so there are fewer groups where many lengths are equal.
    edges : sequence of int, optional
        Instead of `n_groups`: the smallest length of every group but the first, ascending.

    Returns
    -------
    polars.DataFrame
        group (from 0, short profiles first), low and high (its shortest and longest profile),
        n_users, metric, k, value: the mean over the group.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the evaluation has no values per user.

    References
    ----------
    Dervishaj and Cremonesi, "GAN-based Matrix Factorization for Recommender Systems", SAC 2022,
    figure 7, has MAP@20 of four groups.
    """
    csr = as_csr(train, "train")
    if csr.n_rows != evaluation.tally.shape[0]:
        raise ValueError(
            f"train has {csr.n_rows} users, but {evaluation.tally.shape[0]} were evaluated on"
        )
    kept = evaluation.kept
    if not kept:
        raise ValueError("evaluation has no values per user: evaluate with per_user=True")
    lengths = np.diff(csr.indptr)[evaluation.users]
    group = profile_groups(lengths, n_groups, edges)
    rows = []
    for number in np.unique(group):
        inside = group == number
        its_lengths = lengths[inside]
        rows += [
            (
                int(number),
                int(its_lengths.min()),
                int(its_lengths.max()),
                len(its_lengths),
                metric,
                k,
                float(evaluation.per_user(metric, k)[inside].mean()),
            )
            for metric, k in kept
        ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def profile_groups(
    lengths: NDArray[np.int64], n_groups: int = 4, edges: Sequence[int] | None = None
) -> NDArray[np.int64]:
    """Group of each profile by its length, as in `by_profile_length`."""
    return np.searchsorted(_edges(lengths, n_groups, edges), lengths, side="right")


def _edges(
    lengths: NDArray[np.int64], n_groups: int, edges: Sequence[int] | None
) -> NDArray[np.int64]:
    if edges is None:
        n_groups = check_int("n_groups", n_groups, 1)
        ordered = np.sort(lengths)
        starts = ordered[[len(ordered) * g // n_groups for g in range(1, n_groups)]]
        return np.unique(starts[starts > ordered[0]])
    given = np.array([check_int("edges", edge, 0) for edge in edges], dtype=np.int64)
    if (np.diff(given) <= 0).any():
        raise ValueError(f"edges must ascend strictly, not {list(edges)}")
    return given


def by_item_popularity(
    model_or_lists: object,
    train: object,
    test: object,
    cutoffs: Sequence[int] = (5, 20),
    metrics: Sequence[str] = ("recall", "ndcg", "map", "hit_rate"),
    n_groups: int = 3,
    users: object = None,
) -> pl.DataFrame:
    """Metrics of groups of items by the number of their training interactions.

    The lists are the same for all groups; for each group only its own test items are relevant, and
    only users with such an item are measured.

    Parameters
    ----------
    model_or_lists : Recommender or int array of shape (n lists, n)
        A fitted model, or lists as for `evaluate_lists`.
    train : matrix or Interactions
        Popularity is counted in it; lists of a model exclude it.
    test : matrix or Interactions
    cutoffs : sequence of int, default (5, 20)
    metrics : sequence of str, default ("recall", "ndcg", "map", "hit_rate")
        Metrics with a value per user, except novelty and average_popularity.
    n_groups : int, default 3
        Number of groups, of equally many training interactions as far as possible, from rare to
        popular items: three groups are a long tail, a middle and a short head.
    users : int array, optional
        Row of `test` for each list, as for `evaluate_lists`.

    Returns
    -------
    polars.DataFrame
        group (from 0, rare items first), low and high (interactions of its items), n_users, metric,
        k, value. A group without test items is left out.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, shapes do not fit, or `train` holds interactions of `test`.
    """
    n_items = model_or_lists.n_items_ if isinstance(model_or_lists, Recommender) else None
    ks = checked_cutoffs(cutoffs, n_items)
    names = check_metrics(metrics)
    joint = [name for name in names if name not in PER_USER[:-2]]
    if joint:
        raise ValueError(f"metrics holds {shown(joint[0])}, which does not depend on test items")
    n_groups = check_int("n_groups", n_groups, 1)
    held_out, known, lists, rows = lists_to_measure(model_or_lists, train, test, ks, users)
    counts = np.bincount(known.indices, minlength=known.n_cols)
    group = _item_groups(counts, n_groups)
    found = []
    for number in np.unique(group):
        inside = group == number
        relevant = with_items(held_out, inside)
        if not relevant.nnz:
            continue
        measured = MetricAccumulator(relevant, None, ks, names, keep=False)
        measured.add(lists, rows)
        ev = measured.evaluation("group")
        low, high = int(counts[inside].min()), int(counts[inside].max())
        found += [
            (int(number), low, high, len(ev.users), metric, k, ev[metric, k])
            for metric in names
            for k in ks
        ]
    return pl.DataFrame(found, schema=_SCHEMA, orient="row")


def lists_to_measure(
    model_or_lists: object, train: object, test: object, cutoffs: list[int], users: object
) -> tuple[Csr, Csr, NDArray[np.int32], NDArray[np.int64]]:
    """Test matrix, training matrix, lists, and the row of each list."""
    if isinstance(model_or_lists, Recommender):
        model = model_or_lists
        check_is_fitted(model)
        shape = (model.n_users_, model.n_items_)
        known = matching_csr(train, "train", shape, model.ids_)
        held_out = matching_csr(test, "test", shape, model.ids_)
        _refuse_overlap(known, held_out, model.ids_)
        rows = users_with_items(held_out)
        request = RankRequest(rows, cutoffs[-1], known)
        lists, _ = rank_lists(model.scorer_, model.urm_, request)
        return held_out, known, lists, rows
    held_out = as_csr(test, "test")
    known = matching_csr(train, "train", (held_out.n_rows, held_out.n_cols))
    _refuse_overlap(known, held_out, Ids.of(test))
    lists = checked_lists(model_or_lists, cutoffs[-1])
    return held_out, known, lists, checked_rows(users, len(lists), held_out.n_rows)


def _refuse_overlap(known: Csr, test: Csr, ids: Ids | None) -> None:
    which, way_out = "that train holds as well", "pass train without the interactions of test"
    refuse_common(known, test, ids, "test", which, way_out)


def _item_groups(counts: NDArray[Any], n_groups: int) -> NDArray[np.int64]:
    """Group of each item by popularity; items of equal popularity are in one group."""
    order = np.argsort(counts, kind="stable")
    # The group is decided by the number of interactions of all rarer items.
    before = np.cumsum(counts[order]) - counts[order]
    start = before[np.searchsorted(counts[order], counts)]
    total = max(int(counts.sum()), 1)
    return np.asarray(start * n_groups // total, dtype=np.int64).clip(max=n_groups - 1)


def with_items(csr: Csr, items: NDArray[np.bool_]) -> Csr:
    """The matrix with only the interactions of some items."""
    kept = items[csr.indices]
    before = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
    values = csr.values
    return Csr(
        before[csr.indptr],
        csr.indices[kept],
        None if values is None else values[kept],
        csr.n_cols,
    )
