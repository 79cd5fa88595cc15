"""Metrics of top-N lists, accumulated block by block of users."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import as_array, check_int
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import row_hashes
from ganmf_fast.evaluation.beyond_accuracy import BeyondAccuracy
from ganmf_fast.evaluation.result import Evaluation
from ganmf_fast.scorers.metrics import NEED_TRAIN, Tally, exact_sum, of_lists

# Places of a list that are padded for a cutoff beyond the number of items.
_LONGEST = 2**20


class MetricAccumulator:
    """Sums of metrics over blocks of top-N lists, in any order of users."""

    def __init__(
        self,
        test: Csr,
        train: Csr | None,
        cutoffs: list[int],
        metrics: Sequence[str],
        keep: bool,
        beyond: BeyondAccuracy | None = None,
    ) -> None:
        self._test = test
        self._train = train
        self._cutoffs = cutoffs
        self._metrics = tuple(m for m in metrics if train is not None or m not in NEED_TRAIN)
        self._keep = keep
        self._beyond = beyond
        self._of_list, self._count = of_lists(self._metrics)
        self._tally: Tally | None = None
        self._users: list[NDArray[np.int64]] = []
        self._without_list: list[NDArray[np.int64]] = []
        self._blocks: list[NDArray[np.float64]] = []
        self._beyond_blocks: list[dict[tuple[str, int], NDArray[np.float64]]] = []

    def add(self, items: NDArray[np.int32], users: NDArray[np.int64], report: Any = None) -> None:
        """Measure a block of lists; lists of users without test items are only checked."""
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
        all_known = bool(known.all())
        totals = {
            (name, k): total
            for name, of_metric in zip(self._of_list, sums, strict=True)
            for k, total in zip(self._cutoffs, of_metric, strict=True)
        }
        groups: dict[tuple[str, int], NDArray[np.int64]] = {}
        if self._beyond is not None:
            # The kernel has checked every entry of the lists.
            found = self._beyond.measure(items[known], users[known], self._cutoffs)
            totals |= {key: exact_sum(column) for key, column in found.values.items()}
            groups = found.groups
            if self._keep:
                self._beyond_blocks.append(found.values)
        tally = Tally(
            totals,
            {} if counts is None else dict(zip(self._cutoffs, counts, strict=True)),
            len(users) if all_known else int(known.sum()),
            filled,
            (self._test.n_rows, self._test.n_cols),
            groups,
        )
        self._tally = tally if self._tally is None else self._tally + tally
        self._users.append(users if all_known else users[known])
        self._without_list.append(users[known & (items[:, 0] < 0)])
        if values is not None:
            self._blocks.append(values if all_known else values[..., known])

    def evaluation(self, label: str) -> Evaluation:
        """The evaluation of all users measured so far.

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
                    per_user[name, k] = _joined([block[i, at] for block in self._blocks], order)
            for key in self._beyond_blocks[0] if self._beyond_blocks else ():
                per_user[key] = _joined([block[key] for block in self._beyond_blocks], order)
        return Evaluation(
            label,
            tuple(self._cutoffs),
            users if order is None else users[order],
            self._metrics,
            self._tally,
            per_user,
            np.sort(np.concatenate(self._without_list)),
            test_hashes=row_hashes(self._test)[users if order is None else users[order]]
            if self._keep
            else None,
        )


def _joined(
    pieces: list[NDArray[np.float64]], order: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    column = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    return column if order is None else column[order]


def checked_cutoffs(cutoffs: object, n_items: int | None = None) -> list[int]:
    """Distinct cutoffs, ascending; of lists of `n_items` items none that is absurd."""
    if isinstance(cutoffs, np.ndarray):
        cutoffs = np.atleast_1d(as_array("cutoffs", cutoffs))
    elif isinstance(cutoffs, str | bytes) or not isinstance(cutoffs, Iterable):
        cutoffs = [cutoffs]
    ks = sorted({check_int("cutoffs", k, 1, 2**31 - 1) for k in cutoffs})
    if not ks:
        raise ValueError("cutoffs is empty: give at least one length of lists")
    if n_items is not None and ks[-1] > max(n_items, _LONGEST):
        raise ValueError(
            f"cutoffs holds {ks[-1]:,}, but there are only {n_items:,} items: ask for lists of at "
            f"most {max(n_items, _LONGEST):,} places"
        )
    return ks


def checked_lists(items: object, longest: int) -> NDArray[np.int32]:
    """Lists as int32; the kernel checks every entry."""
    lists = as_array("items", items)
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
    """Distinct rows of a matrix with `n_users` rows, one per list; all of them for None."""
    if users is None:
        if n_lists != n_users:
            raise ValueError(
                f"items has {n_lists} lists but test has {n_users} users: give `users`"
            )
        return np.arange(n_users, dtype=np.int64)
    rows = as_array("users", users)
    if rows.shape != (n_lists,) or rows.dtype.kind not in "iu":
        raise TypeError(f"users must be {n_lists} integers, one per list, not {shown(users)}")
    bad = np.flatnonzero((rows < 0) | (rows >= n_users))
    if len(bad):
        raise ValueError(f"users holds {rows[bad[0]]}, outside 0..{n_users}")
    if not (rows[1:] > rows[:-1]).all():
        ordered = np.sort(rows)
        twice = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(twice):
            raise ValueError(f"users holds {ordered[twice[0]]} twice")
    return rows.astype(np.int64)
