"""Evaluation of models and of lists.

Lists cover the whole catalogue and are made and measured block by block of users, in Rust. Values
per user are kept and summed with one rounding, so that neither the size of the blocks nor the
number of threads changes a bit.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.evaluation.result import PER_USER, Evaluation, check_metrics, mean
from ganmf_fast.models.base import Recommender, users_with_items
from ganmf_fast.models.checks import check_int
from ganmf_fast.models.dense_scorers import rank_blocks
from ganmf_fast.models.ids import matching_csr
from ganmf_fast.models.scorers import Lists
from ganmf_fast.progress import reporter
from ganmf_fast.threads import num_threads
from ganmf_fast.urm import as_csr

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
        Held-out items: whatever their value, they are relevant.
    cutoffs : sequence of int, default (5, 20)
        Lengths at which lists are cut; all come from one ranking.
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

    Notes
    -----
    With T the test items of a user and L the list cut at k: precision = hits / |L|, recall =
    hits / |T|, average precision = sum of rel_r prec@r / min(|T|, |L|), ndcg binary with the ideal
    list cut at min(|T|, |L|), mrr = 1 / rank of the first hit, arhr = sum of 1 / rank over the
    hits, hit_rate = share of users with a hit, mean_hits = hits per user, f1 of mean precision and
    mean recall, precision_recall_min_den = hits / min(|T|, |L|), roc_auc inside the list. Beyond
    accuracy: novelty = sum over L of -log2(pop_i / nnz) / items, average_popularity = mean of
    pop_i / max pop, and of all lists together the coverage and the evenness of what is recommended.
    """
    if not isinstance(model, Recommender):
        raise TypeError(f"model must be a model of ganmf_fast, not {type(model).__name__}")
    check_is_fitted(model)
    ks = _checked_cutoffs(cutoffs)
    names = check_metrics(metrics)
    if ties not in ("index", "published"):
        raise ValueError(f'ties must be "index" or "published", not {ties!r}')
    shape = (model.n_users_, model.n_items_)
    masked = matching_csr(train, "train", shape, model.ids_)
    held_out = matching_csr(test, "test", shape, model.ids_)
    users = _evaluated(held_out)
    if block_size is None:
        block_size = max(1, _BLOCK_PLACES // ks[-1])
    block_size = check_int("block_size", block_size, 1)

    label = type(model).__name__
    measured = _Measured(held_out, masked, ks, len(users))
    with num_threads(n_threads), reporter(f"{label}: evaluate") as report:
        for start in range(0, len(users), block_size):
            block = users[start : start + block_size]
            if ties == "index":
                items, _ = model.scorer_.rank(model.urm_, block, ks[-1], masked)
            else:
                items, _ = _published_lists(model, block, ks[-1], masked)
            measured.add(items, block)
            report(start + len(block), len(users))
    return measured.evaluation(label, users, names)


def _published_lists(model: Recommender, users: NDArray[np.int64], n: int, seen: Csr) -> Lists:
    scorer = model.scorer_
    return rank_blocks(
        lambda block: scorer.scores(model.urm_, block),
        scorer.n_items,
        users,
        n,
        seen,
        None,
        None,
        as_published=True,
    )


def evaluate_lists(
    items: object,
    test: object,
    cutoffs: Sequence[int] = (5, 20),
    train: object = None,
    users: object = None,
    metrics: Sequence[str] | None = None,
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
        row u. Lists of users without test items are left out.
    metrics : sequence of str, optional
        As for `evaluate`.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be; the message names the list.
    """
    ks = _checked_cutoffs(cutoffs)
    names = check_metrics(metrics)
    held_out = as_csr(test, "test")
    popularity = None
    if train is not None:
        popularity = matching_csr(train, "train", (held_out.n_rows, held_out.n_cols))
    lists = _checked_lists(items, held_out.n_cols, ks[-1])
    rows = _checked_rows(users, len(lists), held_out.n_rows)
    order = np.argsort(rows, kind="stable")
    order = order[np.diff(held_out.indptr)[rows[order]] > 0]
    if not len(order):
        raise ValueError("test holds no item of the users of the lists: nothing to evaluate")
    evaluated = rows[order]
    measured = _Measured(held_out, popularity, ks, len(order))
    block_size = max(1, _BLOCK_PLACES // lists.shape[1])
    with reporter("lists: evaluate") as report:
        for start in range(0, len(order), block_size):
            block = slice(start, start + block_size)
            measured.add(np.ascontiguousarray(lists[order[block]]), evaluated[block])
            report(min(start + block_size, len(order)), len(order))
    return measured.evaluation("lists", evaluated, names)


class _Measured:
    """Values per user and counts per item, gathered block by block."""

    def __init__(self, test: Csr, train: Csr | None, cutoffs: list[int], n_lists: int) -> None:
        self._test = test
        self._cutoffs = cutoffs
        self._per_user = np.full((len(PER_USER), len(cutoffs), n_lists), np.nan)
        self._counts = np.zeros((len(cutoffs), test.n_cols), dtype=np.int64)
        self._filled = 0
        self._done = 0
        self._surprise: NDArray[np.float64] | None = None
        self._popularity: NDArray[np.float64] | None = None
        if train is not None:
            users = np.bincount(train.indices, minlength=train.n_cols).astype(np.float64)
            bits = np.zeros_like(users)
            warm = users > 0
            bits[warm] = -np.log2(users[warm] / train.nnz) / train.n_cols
            # One more place at the end, for the padding -1.
            self._surprise = np.append(bits, 0.0)
            self._popularity = np.append(users / users.max(), 0.0)

    def add(self, items: NDArray[np.int32], users: NDArray[np.int64]) -> None:
        """Measure the lists of the next users."""
        done = slice(self._done, self._done + len(users))
        kernel = _core.list_metrics(items, self._test, users, self._cutoffs)
        self._per_user[: len(kernel), :, done] = kernel
        self._counts += _core.item_counts(items, self._test.n_cols, self._cutoffs)
        self._filled += int((items[:, 0] >= 0).sum())
        if self._surprise is not None and self._popularity is not None:
            last = np.array(self._cutoffs) - 1
            length = np.maximum(np.cumsum(items >= 0, axis=1)[:, last], 1)
            novelty = np.cumsum(self._surprise[items], axis=1)[:, last]
            popularity = np.cumsum(self._popularity[items], axis=1)[:, last] / length
            self._per_user[-2, :, done] = novelty.T
            self._per_user[-1, :, done] = popularity.T
        self._done = done.stop

    def evaluation(
        self, label: str, users: NDArray[np.int64], metrics: Iterable[str]
    ) -> Evaluation:
        """Bring everything together."""
        values: dict[tuple[str, int], float] = {}
        per_user: dict[tuple[str, int], NDArray[np.float64]] = {}
        wanted = [
            name
            for name in metrics
            if self._surprise is not None or name not in ("novelty", "average_popularity")
        ]
        for at, k in enumerate(self._cutoffs):
            of_user = {name: self._per_user[i, at] for i, name in enumerate(PER_USER)}
            joint = _joint_metrics(self._counts[at], k, len(users))
            joint["coverage_user"] = self._filled / self._test.n_rows
            precision, recall = mean(of_user["precision"]), mean(of_user["recall"])
            both = precision + recall
            joint["f1"] = 2 * precision * recall / both if both else 0.0
            for name in wanted:
                if name in of_user:
                    per_user[name, k] = of_user[name]
                    values[name, k] = mean(of_user[name])
                else:
                    values[name, k] = joint[name]
        return Evaluation(label, tuple(self._cutoffs), users, values, per_user)


def _joint_metrics(counts: NDArray[np.int64], k: int, n_lists: int) -> dict[str, float]:
    """Coverage and evenness of recommended items; `counts` says how often each one is in a list."""
    recommended = np.sort(counts[counts > 0]).astype(np.float64)
    n = len(recommended)
    total = recommended.sum()
    if not n:
        return dict.fromkeys(
            (
                "coverage_item",
                "diversity_gini",
                "diversity_herfindahl",
                "shannon_entropy",
                "diversity_mean_inter_list",
            ),
            0.0,
        )
    share = recommended / total
    rank = np.arange(1, n + 1)
    pairs = k * (float(n_lists) ** 2 - n_lists)
    common = float((recommended**2).sum()) - n_lists * k
    return {
        "coverage_item": n / len(counts),
        "diversity_gini": float(2 * ((n + 1 - rank) / (n + 1) * share).sum()),
        "diversity_herfindahl": float(1 - (share**2).sum()),
        "shannon_entropy": float(-(share * np.log2(share)).sum()),
        # A single list has no other to differ from.
        "diversity_mean_inter_list": 1 - common / pairs if pairs else 0.0,
    }


def _checked_cutoffs(cutoffs: object) -> list[int]:
    if isinstance(cutoffs, str | bytes) or not isinstance(cutoffs, Iterable):
        cutoffs = [cutoffs]
    ks = sorted({check_int("cutoffs", k, 1, 2**31 - 1) for k in cutoffs})
    if not ks:
        raise ValueError("cutoffs is empty: give at least one length of lists")
    return ks


def _evaluated(test: Csr) -> NDArray[np.int64]:
    users = users_with_items(test)
    if not len(users):
        raise ValueError("test holds no interaction: there is nothing to evaluate")
    return users


def _checked_lists(items: object, n_items: int, longest: int) -> NDArray[np.int32]:
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
    bad = np.argwhere((lists < -1) | (lists >= n_items))
    if len(bad):
        row, place = bad[0]
        raise ValueError(
            f"items holds {lists[row, place]} in list {row}, outside 0..{n_items} and not -1"
        )
    padding = lists < 0
    late = np.flatnonzero((padding[:, :-1] & ~padding[:, 1:]).any(axis=1))
    if len(late):
        raise ValueError(f"items has -1 before the end of list {late[0]}")
    ordered = np.sort(lists, axis=1)
    twice = np.argwhere((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
    if len(twice):
        row, place = twice[0]
        raise ValueError(f"items holds {ordered[row, place]} twice in list {row}")
    return lists.astype(np.int32)


def _checked_rows(users: object, n_lists: int, n_users: int) -> NDArray[np.int64]:
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
    ordered = np.sort(rows)
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice):
        raise ValueError(f"users holds {ordered[twice[0]]} twice")
    return rows.astype(np.int64)
