"""Evaluation of models and of top-N lists.

Lists rank the whole catalogue; they are computed and measured in Rust, in blocks of users. Sums
over users are exact: neither the size or order of the blocks nor the number of threads changes a
bit of the result.
"""

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.checks import check_int
from ganmf_fast.base.executors import executor_maker
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.threads import num_threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation.accumulator import (
    MetricAccumulator,
    checked_cutoffs,
    checked_lists,
    checked_rows,
)
from ganmf_fast.evaluation.result import Evaluation, check_metrics
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.ids import matching_csr
from ganmf_fast.scorers.dense import rank_blocks
from ganmf_fast.scorers.validation import users_with_items

__all__ = ["evaluate", "evaluate_any_model", "evaluate_lists"]

# List entries of a block of users in total; bounds the memory for any cutoffs.
_BLOCK_ENTRIES = 2**20


def evaluate(
    model: Recommender,
    train: object,
    test: object,
    cutoffs: Sequence[int] = (5, 20),
    metrics: Sequence[str] | None = None,
    block_size: int | None = None,
    n_threads: int | None = None,
    ties: str = "index",
    users: object = None,
    per_user: bool = True,
    n_workers: int = 1,
    executor: Any = "local",
) -> Evaluation:
    """Rank the whole catalogue for every user with test items and measure the top-N lists.

    Parameters
    ----------
    model : Recommender
        Fitted.
    train : matrix or Interactions
        Items to mask for each user, and the item popularity for novelty; usually what the model was
        fitted on. Users and items of `Interactions` are matched by id if the model was fitted on
        `Interactions`.
    test : matrix or Interactions
        Held-out items, relevant for any value; only `ndcg_graded` uses their values.
    cutoffs : sequence of int, default (5, 20)
        Lengths of the lists; all come from one ranking. Beyond the catalogue size, lists are as
        long as possible.
    metrics : sequence of str, optional
        Names from `ganmf_fast.evaluation.METRICS`; all by default.
    block_size : int, optional
        Users ranked at once; by default such that a block of lists has about a million entries.
    n_threads : int, optional
        For this call only.
    ties : {"index", "published"}, default "index"
        Order of equal scores: the smaller item number first, or as NumPy 1.x left them in the
        paper's lists. The second is for comparisons with published figures; it needs dense blocks
        of scores and takes longer.
    users : array, optional
        Evaluate only these users: rows, or ids if the model was fitted on `Interactions`. Users
        without test items are left out. See `Evaluation.merge`.
    per_user : bool, default True
        Keep the values of each user: 8 bytes per user, metric and cutoff.
    n_workers : int, default 1
        Number of workers among which the users are divided; each receives the model and the
        matrices. The result has the same bits for any number. On one machine, threads do the same
        without copies.
    executor : {"local", "ray"} or callable, default "local"
        Where the workers run; see `ganmf_fast.base.executors`.

    Returns
    -------
    Evaluation

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError, ValueError
        If an argument is out of range, a metric does not exist, shapes do not fit, or no user has
        a test item.
    ImportError
        If the executor needs a package that is missing; the message names the extra.

    Notes
    -----
    With T the test items of a user and L the list cut at k: precision = hits / |L|, recall =
    hits / |T|, average precision = sum of rel_r prec@r / min(|T|, |L|), ndcg binary with the ideal
    list cut at min(|T|, |L|), mrr = 1 / rank of the first hit, arhr = sum of 1 / rank over the
    hits, hit_rate = fraction of users with a hit, mean_hits = hits per user, f1 of mean precision
    and mean recall, precision_recall_min_den = hits / min(|T|, |L|), roc_auc inside the list.
    Variants of the field: map_total divides by |T| and map_cutoff by k; ndcg_graded counts a hit as
    its value in `test`, against the |L| largest values of the user. Beyond accuracy: novelty = sum
    over L of -log2(pop_i / nnz) / items, average_popularity = mean of pop_i / max pop, and, over
    all lists together, coverage and evenness of the recommended items.
    """
    if not isinstance(model, Recommender):
        raise TypeError(f"model must be a model of ganmf_fast, not {type(model).__name__}")
    check_is_fitted(model)
    ks = checked_cutoffs(cutoffs)
    names = check_metrics(metrics)
    if ties not in ("index", "published"):
        raise ValueError(f'ties must be "index" or "published", not {ties!r}')
    shape = (model.n_users_, model.n_items_)
    masked = matching_csr(train, "train", shape, model.ids_)
    held_out = matching_csr(test, "test", shape, model.ids_)
    rows = _users_to_evaluate(held_out, model, users)
    if block_size is None:
        block_size = max(1, _BLOCK_ENTRIES // ks[-1])
    block_size = check_int("block_size", block_size, 1)
    n_workers = check_int("n_workers", n_workers, 1)
    make = executor_maker(executor)
    work = _UserEvaluation(model, masked, held_out, ks, names, block_size, ties, per_user)
    with num_threads(n_threads):
        if executor == "local" and n_workers == 1:
            return work(rows)
        shards = [shard for shard in np.array_split(rows, n_workers) if len(shard)]
        with reporter(f"{work.label}: evaluate") as report, make(work, n_workers) as running:
            futures = [running.submit(shard) for shard in shards]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()  # the first failure ends the evaluation
                report(done, len(futures))
    return Evaluation.merge(future.result() for future in futures)


@dataclass(frozen=True)
class _UserEvaluation:
    """The evaluation as a function of users; plain data that can be sent to any process."""

    model: Recommender
    masked: Csr
    held_out: Csr
    cutoffs: list[int]
    metrics: tuple[str, ...]
    block_size: int
    ties: str
    per_user: bool

    @property
    def label(self) -> str:
        return type(self.model).__name__

    def __call__(self, rows: NDArray[np.int64]) -> Evaluation:
        found = MetricAccumulator(
            self.held_out, self.masked, self.cutoffs, self.metrics, self.per_user
        )
        with reporter(f"{self.label}: evaluate") as report:
            for start in range(0, len(rows), self.block_size):
                block = rows[start : start + self.block_size]
                found.add(self._lists(block), block)
                report(start + len(block), len(rows))
        return found.evaluation(self.label)

    def _lists(self, users: NDArray[np.int64]) -> NDArray[np.int32]:
        scorer, urm = self.model.scorer_, self.model.urm_
        request = RankRequest(users, self.cutoffs[-1], self.masked)
        if self.ties == "index":
            return scorer.rank(urm, request)[0]
        items, _ = rank_blocks(
            lambda block: scorer.scores(urm, block), scorer.n_items, request, as_published=True
        )
        return items


def evaluate_lists(
    items: object,
    test: object,
    cutoffs: Sequence[int] = (5, 20),
    train: object = None,
    users: object = None,
    metrics: Sequence[str] | None = None,
    per_user: bool = True,
    label: str = "lists",
) -> Evaluation:
    """Measure top-N lists of any recommender.

    Parameters
    ----------
    items : int array, shape (n lists, n)
        Item numbers, best first, padded with -1 at the end; without repetition within a list.
    test : matrix or Interactions
        Held-out items.
    cutoffs : sequence of int, default (5, 20)
        At most n.
    train : matrix or Interactions, optional
        Item popularity for novelty and average_popularity, which are left out without it.
    users : int array, shape (n lists,), optional
        Row of `test` for each list, without repetition; by default list u belongs to row u. Lists
        of users without test items are checked but left out.
    metrics : sequence of str, optional
        As for `evaluate`.
    per_user : bool, default True
        As for `evaluate`.
    label : str, default "lists"
        Name of the evaluation.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names the list.
    """
    ks = checked_cutoffs(cutoffs)
    names = check_metrics(metrics)
    held_out = as_csr(test, "test")
    popularity = None
    if train is not None:
        popularity = matching_csr(train, "train", (held_out.n_rows, held_out.n_cols))
    lists = checked_lists(items, ks[-1])
    rows = checked_rows(users, len(lists), held_out.n_rows)
    found = MetricAccumulator(held_out, popularity, ks, names, per_user)
    with reporter(f"{label}: evaluate") as report:
        found.add(lists, rows, report)
    return found.evaluation(label)


def evaluate_any_model(
    model: Any, masked: Any, held_out: Any, cutoffs: Sequence[int], ties: str = "index"
) -> Evaluation:
    """Evaluate a model of this library, or any other with ``recommend(users, n=...)``.

    Parameters
    ----------
    model : Recommender, or an object with `recommend`
        Another library's ``recommend(users, n=...)`` takes rows and a length and returns lists, int
        of shape (n users, n), padded with -1, or a tuple or object (`items`) that holds them. It
        excludes the items that it was fitted on.
    masked, held_out : matrix
    cutoffs : sequence of int
    ties : {"index", "published"}, default "index"
        For models of this library.

    Returns
    -------
    Evaluation
        Without values per user.
    """
    if isinstance(model, Recommender):
        return evaluate(model, masked, held_out, cutoffs, per_user=False, ties=ties)
    users = users_with_items(as_csr(held_out, "held_out"))
    lists = model.recommend(users, n=max(cutoffs))
    items = lists[0] if isinstance(lists, tuple) else getattr(lists, "items", lists)
    return evaluate_lists(
        np.asarray(items), held_out, cutoffs, masked, users, per_user=False,
        label=type(model).__name__,
    )  # fmt: skip


def _users_to_evaluate(test: Csr, model: Recommender, users: object) -> NDArray[np.int64]:
    with_items = users_with_items(test)
    if not len(with_items):
        raise ValueError("test holds no interaction: there is nothing to evaluate")
    if users is None:
        return with_items
    if model.ids_ is not None:
        rows = model.ids_.user_index.positions(users)
    else:
        given: NDArray[Any] = np.atleast_1d(np.asarray(users))
        rows = checked_rows(given, given.size, test.n_rows)
    chosen = np.intersect1d(rows, with_items)
    if not len(chosen):
        raise ValueError("users holds no user with a test item: there is nothing to evaluate")
    return chosen
