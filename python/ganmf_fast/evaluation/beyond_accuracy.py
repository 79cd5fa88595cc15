"""Metrics of lists beyond accuracy: diversity, serendipity, calibration, bias to popular items.

Each is computed from a block of lists, in time and memory proportional to their entries; formulas,
sources and units are in docs/metrics.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import rel_entr

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.urm import rows_of, to_scipy
from ganmf_fast.models.ids import Ids
from ganmf_fast.models.item_features import directions, distributions, read_item_features
from ganmf_fast.scorers.lists import popularity
from ganmf_fast.scorers.metrics import BEYOND_ACCURACY, BEYOND_PER_USER, OF_GROUPS
from ganmf_fast.scorers.reranked import SMOOTHING

SHORT_HEAD = 0.8
"""Fraction of the training interactions that the items of the short head have."""

_NEED_FEATURES = {"ild", "miscalibration"}
_Sparse: TypeAlias = "sp.csr_array[np.float64]"
# Numbers in a dense block of lists x features.
_BLOCK = 2**22


class OfBlock(NamedTuple):
    """Of a block of lists."""

    values: dict[tuple[str, int], NDArray[np.float64]]
    """Metric and cutoff: a number for each list."""
    groups: dict[tuple[str, int], NDArray[np.int64]]
    """As `Tally.groups`."""


def beyond_accuracy(
    names: Sequence[str],
    test: Csr,
    train: Csr | None,
    profiles: Csr | None,
    item_features: object,
    ids: Ids | None,
) -> "BeyondAccuracy | None":
    """What measures those of `names` that are beyond accuracy; None if none is.

    Parameters
    ----------
    names : sequence of str
    test : Csr
    train : Csr or None
        Popularity of items is counted in it.
    profiles : Csr or None
        Known items of the users of `test`, row by row.
    item_features : object
        As for `read_item_features`, or None.
    ids : Ids or None
        Ids of the items.

    Raises
    ------
    TypeError, ValueError
        If a metric needs something that is not given, or the features do not fit the items.
    """
    wanted = tuple(name for name in BEYOND_ACCURACY if name in names)
    features: _Sparse | None = None
    if item_features is not None:
        features = read_item_features(item_features, test.n_cols, ids)
    for name in wanted:
        if name in _NEED_FEATURES and features is None:
            raise ValueError(
                f"{name} is computed from features of items: pass item_features=, in Python"
            )
        if name != "ild" and (train is None or profiles is None):
            raise ValueError(f"{name} is computed from what users had before: pass train=")
    if not wanted:
        return None
    nothing = Csr(np.zeros(test.n_rows + 1, np.int64), np.empty(0, np.int32), None, test.n_cols)
    if features is None:
        features = sp.csr_array((test.n_cols, 1))
    if "miscalibration" in wanted:
        distributions(features)  # refuses what is none, before any list is made
    return BeyondAccuracy(wanted, test, train or nothing, profiles or nothing, features)


def short_head(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each item belongs to the short head, from the numbers of training interactions.

    The head is the smallest set of the most popular items that has 80% of all interactions, of
    equal ones those with smaller numbers; the other items are the long tail.
    """
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    head = np.zeros(len(counts), dtype=bool)
    head[order] = before < SHORT_HEAD * counts.sum()
    return head


@dataclass(frozen=True, eq=False)
class BeyondAccuracy:
    """The measuring of blocks of lists; plain data that can be sent to any process.

    Attributes
    ----------
    names : tuple of str
    test : Csr
    train, profiles : Csr
    features : csr_array of float64, shape (n_items, n_features)
        Like the two before it without entries where no metric asks for it.
    """

    names: tuple[str, ...]
    test: Csr
    train: Csr
    profiles: Csr
    features: _Sparse

    @property
    def per_user(self) -> tuple[str, ...]:
        """Metrics with a value for each user."""
        return tuple(name for name in self.names if name in BEYOND_PER_USER)

    def measure(
        self, items: NDArray[np.int32], users: NDArray[np.int64], cutoffs: Sequence[int]
    ) -> OfBlock:
        """Values of lists that are padded at the end, each of one of `users`, rows of test."""
        values: dict[tuple[str, int], NDArray[np.float64]] = {}
        for name in self.per_user:
            columns = getattr(self, f"_{name}")(items, users, cutoffs)
            values |= {(name, k): column for k, column in zip(cutoffs, columns, strict=True)}
        if set(OF_GROUPS).isdisjoint(self.names):
            return OfBlock(values, {})
        return OfBlock(values, self._groups(items, users, cutoffs))

    # The metrics, by name: one array for each cutoff.

    def _ild(
        self, items: NDArray[np.int32], users: NDArray[np.int64], cutoffs: Sequence[int]
    ) -> list[NDArray[np.float64]]:
        found = []
        for k in cutoffs:
            column = np.zeros(len(items))
            for at, listed in self._blocks(items[:, :k], self._directions):
                n: NDArray[np.float64] = np.asarray(listed @ self._described)
                # The squared length of a sum of unit vectors: their number, and twice the cosines.
                sums = listed @ self._directions
                squares: NDArray[np.float64] = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
                pairs = n * (n - 1)
                cosines = np.divide(squares - n, pairs, out=np.ones(len(n)), where=pairs > 0)
                column[at] = np.clip(1 - cosines, 0, 2)
            found.append(column)
        return found

    def _serendipity(
        self, items: NDArray[np.int32], users: NDArray[np.int64], cutoffs: Sequence[int]
    ) -> list[NDArray[np.float64]]:
        width = min(cutoffs[-1], self.test.n_cols)
        request = RankRequest(users, width, self.profiles)
        obvious, _ = popularity(self.train).rank(self.train, request)
        cells = self._cells(items)
        # Place of each item among the popular ones; beyond all cutoffs where it is none.
        expected = self._cells(obvious).ravel()
        order = np.argsort(expected, kind="stable")
        at = np.searchsorted(expected[order], cells.ravel()).clip(max=len(order) - 1)
        place = np.where(expected[order][at] == cells.ravel(), order[at] % width, width)
        place = place.reshape(items.shape)
        hits = self._hits(items, users)
        found = []
        for k in cutoffs:
            useful = hits[:, :k] & ((place[:, :k] >= k) | (place[:, :k] == width))
            found.append(useful.sum(axis=1) / _lengths(items[:, :k]).clip(min=1))
        return found

    def _miscalibration(
        self, items: NDArray[np.int32], users: NDArray[np.int64], cutoffs: Sequence[int]
    ) -> list[NDArray[np.float64]]:
        found = [np.zeros(len(items)) for _ in cutoffs]
        size = max(1, _BLOCK // self._distributions.shape[1])
        for start in range(0, len(items), size):
            at = slice(start, start + size)
            had = to_scipy(rows_of(self.profiles, users[at])).astype(np.float64)
            had.data[:] = 1
            wanted = _fractions(had @ self._distributions)
            for column, k in zip(found, cutoffs, strict=True):
                given = _fractions(
                    _incidence(items[at, :k], self.test.n_cols) @ self._distributions
                )
                smooth = (1 - SMOOTHING) * given + SMOOTHING * wanted
                column[at] = rel_entr(wanted, smooth).sum(axis=1).clip(min=0)
        # As of every metric, so that means over the users with a list need no other sums.
        for column in found:
            column[items[:, 0] < 0] = 0
        return found

    def _aplt(
        self, items: NDArray[np.int32], users: NDArray[np.int64], cutoffs: Sequence[int]
    ) -> list[NDArray[np.float64]]:
        return _means(~self._head, items, cutoffs)

    def _arp(
        self, items: NDArray[np.int32], users: NDArray[np.int64], cutoffs: Sequence[int]
    ) -> list[NDArray[np.float64]]:
        return _means(self._counts, items, cutoffs)

    def _groups(
        self, items: NDArray[np.int32], users: NDArray[np.int64], cutoffs: Sequence[int]
    ) -> dict[tuple[str, int], NDArray[np.int64]]:
        listed = items[:, 0] >= 0
        items, users = items[listed], users[listed]
        group = np.where(self._head, 0, 1)
        of_list = np.where(items >= 0, group[items], -1)
        hits = self._hits(items, users)
        known = group[rows_of(self.profiles, users).indices]
        found = {
            ("relevant", 0): _of_both(group[rows_of(self.test, users).indices]),
            ("candidates", 0): len(users) * _of_both(group) - _of_both(known),
        }
        for k in cutoffs:
            found["listed", k] = _of_both(of_list[:, :k])
            found["hits", k] = _of_both(of_list[:, :k][hits[:, :k]])
        return found

    # What the metrics share.

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        return np.bincount(self.train.indices, minlength=self.train.n_cols)

    @cached_property
    def _head(self) -> NDArray[np.bool_]:
        return short_head(self._counts)

    @cached_property
    def _directions(self) -> _Sparse:
        return directions(self.features)

    @cached_property
    def _distributions(self) -> _Sparse:
        return distributions(self.features)

    @cached_property
    def _described(self) -> NDArray[np.float64]:
        """1 for items with a feature, else 0."""
        return (np.diff(self.features.indptr) > 0).astype(np.float64)

    def _blocks(
        self, items: NDArray[np.int32], features: _Sparse
    ) -> Iterator[tuple[slice, _Sparse]]:
        """Lists as rows of ones, so many at once that their products with `features` are small."""
        width = min(items.shape[1] * max(1, features.nnz // features.shape[0]), features.shape[1])
        size = max(1, _BLOCK // max(width, 1))
        for start in range(0, len(items), size):
            at = slice(start, start + size)
            yield at, _incidence(items[at], self.test.n_cols)

    def _cells(self, items: NDArray[np.int32]) -> NDArray[np.int64]:
        """A number for each pair of a list and an item; -1 for padding."""
        rows = np.arange(len(items), dtype=np.int64)[:, None]
        return np.where(items >= 0, rows * self.test.n_cols + items, -1)

    def _hits(self, items: NDArray[np.int32], users: NDArray[np.int64]) -> NDArray[np.bool_]:
        relevant = rows_of(self.test, users)
        row = np.repeat(np.arange(len(users)), np.diff(relevant.indptr))
        wanted = row * np.int64(self.test.n_cols) + relevant.indices
        return np.isin(self._cells(items), wanted)


def _lengths(items: NDArray[np.int32]) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = np.count_nonzero(items >= 0, axis=1)
    return lengths


def _incidence(items: NDArray[np.int32], n_items: int) -> _Sparse:
    """A row of ones for each list, at its items."""
    real = items >= 0
    indptr = np.concatenate(([0], np.cumsum(real.sum(axis=1))))
    listed = items[real]
    return sp.csr_array((np.ones(len(listed)), listed, indptr), shape=(len(items), n_items))


def _fractions(sums: _Sparse) -> NDArray[np.float64]:
    """Dense rows that sum to one, or of zeros."""
    dense = sums.toarray()
    totals = dense.sum(axis=1, keepdims=True)
    fractions: NDArray[np.float64] = np.divide(dense, totals, out=dense, where=totals > 0)
    return fractions


def _means(
    of_item: NDArray[np.bool_] | NDArray[np.int64],
    items: NDArray[np.int32],
    cutoffs: Sequence[int],
) -> list[NDArray[np.float64]]:
    """Means over lists of a number of each item; 0 for empty ones."""
    listed = np.where(items >= 0, of_item[items].astype(np.int64), 0)
    return [listed[:, :k].sum(axis=1) / _lengths(items[:, :k]).clip(min=1) for k in cutoffs]


def _of_both(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of zeros and ones; what is negative does not count."""
    return np.bincount(group[group >= 0], minlength=2)
