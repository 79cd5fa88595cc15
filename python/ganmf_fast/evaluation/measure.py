"""Evaluation of models and of lists.

Lists cover the whole catalogue and are made and measured block by block of users, in Rust. Sums
over users are exact, so that neither the size of the blocks, nor their order, nor the number of
threads changes a bit.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.checks import check_int
from ganmf_fast.base.executors import executor_maker
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.threads import num_threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation.result import (
    NEED_TRAIN,
    OF_COUNTS,
    PER_USER,
    Evaluation,
    Tally,
    check_metrics,
)
from ganmf_fast.models.base import Recommender, users_with_items
from ganmf_fast.models.ids import matching_csr
from ganmf_fast.scorers.dense import rank_blocks

__all__ = ["evaluate", "evaluate_lists"]

# Places of all lists of a block together; bounds the memory, whatever the cutoffs.
_BLOCK_PLACES = 2**20


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
    """Rank the whole catalogue for every user with test items and measure the lists.

    Parameters
    ----------
    model : Recommender
        Fitted.
    train : matrix or Interactions
        Items to mask, user by user; also the popularity behind novelty. As a rule what the model
        was fitted on. Of `Interactions` users and items are matched by id if the model was fitted
        on `Interactions`.
    test : matrix or Interactions
        Held-out items: whatever their value, they are relevant; `ndcg_graded` alone weighs them by
        their values.
    cutoffs : sequence of int, default (5, 20)
        Lengths at which lists are cut; all come from one ranking. Beyond the catalogue, lists are
        as long as they can be.
    metrics : sequence of str, optional
        Names out of `ganmf_fast.evaluation.METRICS`; all by default.
    block_size : int, optional
        Users ranked at once. By default as many as fill a million places of lists.
    n_threads : int, optional
        For this call only.
    ties : {"index", "published"}, default "index"
        Order of equal scores: the smaller item number first, or as NumPy 1.x left them in the
        paper's lists. The second is for comparisons with published figures; it makes dense
        blocks of scores, which takes longer.
    users : array, optional
        Evaluate these users only: rows, or ids if the model was fitted on `Interactions`. Users
        without test items are left out. See `Evaluation.merge`.
    per_user : bool, default True
        Keep the values of each user: 8 bytes a user, metric and cutoff.
    n_workers : int, default 1
        Divide the users between so many workers, each of which is sent the model and the matrices.
        The result has the same bits for any number. On one machine threads do the same without
        copies.
    executor : {"local", "ray"} or callable, default "local"
        Where the workers are; see `ganmf_fast.base.executors`.

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
    hits, hit_rate = share of users with a hit, mean_hits = hits per user, f1 of mean precision and
    mean recall, precision_recall_min_den = hits / min(|T|, |L|), roc_auc inside the list. Where the
    field disagrees, map_total divides by |T| and map_cutoff by k instead, and ndcg_graded counts a
    hit as its value in `test`, against the |L| largest values of the user. Beyond accuracy: novelty
    = sum over L of -log2(pop_i / nnz) / items, average_popularity = mean of pop_i / max pop, and of
    all lists together the coverage and the evenness of what is recommended.
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
    rows = _evaluated(held_out, model, users)
    if block_size is None:
        block_size = max(1, _BLOCK_PLACES // ks[-1])
    block_size = check_int("block_size", block_size, 1)
    n_workers = check_int("n_workers", n_workers, 1)
    make = executor_maker(executor)
    work = _OfUsers(model, masked, held_out, ks, names, block_size, ties, per_user)
    with num_threads(n_threads):
        if executor == "local" and n_workers == 1:
            return work(rows)
        shards = [shard for shard in np.array_split(rows, n_workers) if len(shard)]
        with reporter(f"{work.label}: evaluate") as report, make(work, n_workers) as running:
            futures = [running.submit(shard) for shard in shards]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()  # the first failure ends the others
                report(done, len(futures))
    return Evaluation.merge(future.result() for future in futures)


@dataclass(frozen=True)
class _OfUsers:
    """The evaluation of some users; plain data that any process can be sent."""

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
        measuring = Measuring(self.held_out, self.masked, self.cutoffs, self.metrics, self.per_user)
        with reporter(f"{self.label}: evaluate") as report:
            for start in range(0, len(rows), self.block_size):
                block = rows[start : start + self.block_size]
                measuring.add(self._lists(block), block)
                report(start + len(block), len(rows))
        return measuring.evaluation(self.label)

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
    """Measure lists made by anything.

    Parameters
    ----------
    items : int array, shape (n lists, n)
        Item numbers, best first, padded with -1 at the end; without repetition in a list.
    test : matrix or Interactions
        Held-out items.
    cutoffs : sequence of int, default (5, 20)
        At most n.
    train : matrix or Interactions, optional
        Behind novelty and average_popularity, which are left out without it.
    users : int array, shape (n lists,), optional
        Row of `test` that each list belongs to, without repetition; by default list u belongs to
        row u. Lists of users without test items are checked, but left out.
    metrics : sequence of str, optional
        As for `evaluate`.
    per_user : bool, default True
        As for `evaluate`.
    label : str, default "lists"
        What the evaluation is called.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be; the message names the list.
    """
    ks = checked_cutoffs(cutoffs)
    names = check_metrics(metrics)
    held_out = as_csr(test, "test")
    popularity = None
    if train is not None:
        popularity = matching_csr(train, "train", (held_out.n_rows, held_out.n_cols))
    lists = checked_lists(items, ks[-1])
    rows = checked_rows(users, len(lists), held_out.n_rows)
    measuring = Measuring(held_out, popularity, ks, names, per_user)
    with reporter(f"{label}: evaluate") as report:
        measuring.add(lists, rows, report)
    return measuring.evaluation(label)


class Measuring:
    """Figures gathered block by block of lists, in any order of users."""

    def __init__(
        self,
        test: Csr,
        train: Csr | None,
        cutoffs: list[int],
        metrics: Sequence[str],
        keep: bool,
    ) -> None:
        self._test = test
        self._train = train
        self._cutoffs = cutoffs
        self._metrics = tuple(m for m in metrics if train is not None or m not in NEED_TRAIN)
        self._keep = keep
        wanted = set(self._metrics) | ({"precision", "recall"} if "f1" in metrics else set())
        self._of_list = [name for name in PER_USER if name in wanted]
        self._count = not wanted.isdisjoint(OF_COUNTS)
        self._tally: Tally | None = None
        self._users: list[NDArray[np.int64]] = []
        self._blocks: list[NDArray[np.float64]] = []

    def add(self, items: NDArray[np.int32], users: NDArray[np.int64], report: Any = None) -> None:
        """Measure a block of lists; those of users without test items are checked only."""
        known = np.diff(self._test.indptr)[users] > 0
        sums, values, counts, filled = _core.measure_lists(
            items,
            self._test,
            users,
            self._cutoffs,
            self._of_list,
            train=None if set(NEED_TRAIN).isdisjoint(self._of_list) else self._train,
            keep=self._keep,
            count=self._count,
            report=report,
        )
        every = bool(known.all())
        tally = Tally(
            {
                (name, k): total
                for name, of_metric in zip(self._of_list, sums, strict=True)
                for k, total in zip(self._cutoffs, of_metric, strict=True)
            },
            {} if counts is None else dict(zip(self._cutoffs, counts, strict=True)),
            len(users) if every else int(known.sum()),
            filled,
            (self._test.n_rows, self._test.n_cols),
        )
        self._tally = tally if self._tally is None else self._tally + tally
        self._users.append(users if every else users[known])
        if values is not None:
            self._blocks.append(values if every else values[..., known])

    def evaluation(self, label: str) -> Evaluation:
        """Bring everything together.

        Raises
        ------
        ValueError
            If no list was measured.
        """
        users = self._users[0] if len(self._users) == 1 else np.concatenate(self._users)
        if self._tally is None or not len(users):
            raise ValueError("test holds no item of the users of the lists: nothing to evaluate")
        in_order = bool((users[1:] > users[:-1]).all())
        order = None if in_order else np.argsort(users)
        per_user: dict[tuple[str, int], NDArray[np.float64]] = {}
        if self._keep:
            for i, name in enumerate(self._of_list):
                if name not in self._metrics:
                    continue
                for at, k in enumerate(self._cutoffs):
                    pieces = [block[i, at] for block in self._blocks]
                    column = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
                    per_user[name, k] = column if order is None else column[order]
        return Evaluation(
            label,
            tuple(self._cutoffs),
            users if order is None else users[order],
            self._metrics,
            self._tally,
            per_user,
        )


def checked_cutoffs(cutoffs: object) -> list[int]:
    """Distinct cutoffs, ascending."""
    if isinstance(cutoffs, str | bytes) or not isinstance(cutoffs, Iterable):
        cutoffs = [cutoffs]
    ks = sorted({check_int("cutoffs", k, 1, 2**31 - 1) for k in cutoffs})
    if not ks:
        raise ValueError("cutoffs is empty: give at least one length of lists")
    return ks


def _evaluated(test: Csr, model: Recommender, users: object) -> NDArray[np.int64]:
    able = users_with_items(test)
    if not len(able):
        raise ValueError("test holds no interaction: there is nothing to evaluate")
    if users is None:
        return able
    if model.ids_ is not None:
        rows = model.ids_.user_index.positions(users)
    else:
        given: NDArray[Any] = np.atleast_1d(np.asarray(users))
        rows = checked_rows(given, given.size, test.n_rows)
    chosen = np.intersect1d(rows, able)
    if not len(chosen):
        raise ValueError("users holds nobody with a test item: there is nothing to evaluate")
    return chosen


def checked_lists(items: object, longest: int) -> NDArray[np.int32]:
    """Lists as int32; the kernel looks at every entry."""
    lists: NDArray[Any] = np.asarray(items)
    if lists.ndim != 2 or not lists.size:
        raise ValueError(f"items must be of shape (lists, places), not {lists.shape}")
    if lists.dtype.kind not in "iu":
        raise TypeError(f"items must hold integer item numbers, not {lists.dtype}")
    if lists.shape[1] < longest:
        raise ValueError(
            f"cutoffs holds {longest} but the lists have {lists.shape[1]} places: "
            "pad short lists with -1"
        )
    if lists.dtype != np.int32:
        bound = np.iinfo(np.int32)
        if lists.min() < bound.min or lists.max() > bound.max:
            row, place = np.argwhere((lists < bound.min) | (lists > bound.max))[0]
            raise ValueError(f"list {row} of items holds item {lists[row, place]}, beyond 32 bits")
        return lists.astype(np.int32)
    return lists


def checked_rows(users: object, n_lists: int, n_users: int) -> NDArray[np.int64]:
    """Distinct rows of a matrix of `n_users`, one a list; all of them for None."""
    if users is None:
        if n_lists != n_users:
            raise ValueError(
                f"items has {n_lists} lists but test has {n_users} users: give `users`"
            )
        return np.arange(n_users, dtype=np.int64)
    rows: NDArray[Any] = np.asarray(users)
    if rows.shape != (n_lists,) or rows.dtype.kind not in "iu":
        raise TypeError(f"users must be {n_lists} integers, one per list, not {users!r:.60}")
    bad = np.flatnonzero((rows < 0) | (rows >= n_users))
    if len(bad):
        raise ValueError(f"users holds {rows[bad[0]]}, outside 0..{n_users}")
    if not (rows[1:] > rows[:-1]).all():
        ordered = np.sort(rows)
        twice = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(twice):
            raise ValueError(f"users holds {ordered[twice[0]]} twice")
    return np.ascontiguousarray(rows, dtype=np.int64)
