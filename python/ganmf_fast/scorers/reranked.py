"""Lists of a scorer in another order: its best items are a pool, from which lists are picked.

A list is picked item by item, each time the item with the largest value given those before it; of
equal ones that which the scorer has first. Cost: O(users x n x features of the pool) time, memory
of a block of users.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.urm import rows_of, to_scipy
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.combined import Combined
from ganmf_fast.scorers.tensors import Floats, Tensors

if TYPE_CHECKING:
    import scipy.sparse as sp

SMOOTHING = 0.01
"""Fraction of a user's own distribution in that of the list, so that the divergence is finite."""

# Numbers in the largest arrays of a block of users.
_BLOCK = 2**22


class _Picking:
    """Values of the items of pools, given what was picked of them so far."""

    @abstractmethod
    def values(self) -> NDArray[np.float64]:
        """Of every item of every pool, shape (users, pool)."""

    @abstractmethod
    def pick(self, place: NDArray[np.int64]) -> None:
        """Take the item at a place of each pool."""


@dataclass(frozen=True, eq=False)
class Reranked(Combined):
    """Lists that are picked from the best items of another scorer.

    Parameters
    ----------
    parts : tuple of Scorer
        The other scorer alone.
    features : csr_array of float64, shape (n_items, n_features)
    weight : float
        Of what is sought beside relevance, from 0 to 1.
    pool : int
        Items of the other scorer that a list is picked from; at least as many as it is long.
    """

    features: "sp.csr_array[np.float64]"
    weight: float
    pool: int

    @property
    def inner(self) -> Scorer:
        """The other scorer."""
        return self.parts[0]

    @abstractmethod
    def _picking(
        self,
        items: NDArray[np.int32],
        relevance: NDArray[np.float64],
        profiles: Csr,
        users: NDArray[np.int64],
    ) -> _Picking:
        """What picks from pools of items, whose relevance is from 0 to 1."""

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`; scores are the values with which items were picked."""
        pool = min(max(self.pool, request.n), self.n_items)
        users = request.users
        wide = RankRequest(users, pool, request.seen, request.candidates, request.excluded)
        items = np.full((len(users), request.n), -1, dtype=np.int32)
        scores = np.full((len(users), request.n), -np.inf, dtype=np.float32)
        of_item = 4 + self.features.nnz // max(self.n_items, 1)
        size = max(1, _BLOCK // max(self.features.shape[1], pool * of_item))
        for start in range(0, len(users), size):
            at = slice(start, min(start + size, len(users)))
            found, given = self.inner.rank(profiles, wide.part(at.start, at.stop))
            picking = self._picking(found, _relevance(found, given), profiles, users[at])
            items[at], scores[at] = _picked(found, picking, request.n)
            if report is not None:
                report(at.stop, len(users))
        return items, scores

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """Refused: an item has a value in a list alone.

        Raises
        ------
        NotImplementedError
        """
        raise NotImplementedError(
            "re-ranked items have a value within a list alone: ask the model that is re-ranked for "
            "its scores"
        )

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """Those of the other scorer."""
        return self.inner.similar_items(profiles, items, n)

    def similar_users(self, profiles: Csr, users: NDArray[np.int64], n: int) -> Lists:
        """Those of the other scorer."""
        return self.inner.similar_users(profiles, users, n)

    def contributions(self, profiles: Csr, user: int, item: int) -> Floats:
        """Those to the score of the other scorer."""
        return self.inner.contributions(profiles, user, item)

    def tensors(self) -> Tensors:
        """Arrays that decide the lists, by name."""
        return {
            **super().tensors(),
            "features.indptr": self.features.indptr.astype(np.int64),
            "features.indices": self.features.indices.astype(np.int64),
            "features.data": self.features.data,
            "weight": np.array([self.weight]),
            "pool": np.array([self.pool], dtype=np.int64),
        }

    @cached_property
    def _described(self) -> NDArray[np.bool_]:
        """Whether each item has a feature."""
        return np.diff(self.features.indptr) > 0


@dataclass(frozen=True, eq=False)
class MaximalMarginalRelevance(Reranked):
    """MMR: (1 - weight) relevance - weight * the largest cosine with an item of the list.

    `features` have rows of length one, or of zeros.
    """

    kind = "mmr"

    def _picking(
        self,
        items: NDArray[np.int32],
        relevance: NDArray[np.float64],
        profiles: Csr,
        users: NDArray[np.int64],
    ) -> _Picking:
        return _Diverse(_Pool(items, self.features), relevance, self.weight)


@dataclass(frozen=True, eq=False)
class Calibrated(Reranked):
    """Steck's calibration: (1 - weight) relevance - weight * KL(profile, list).

    `features` have rows that sum to one, or of zeros.
    """

    kind = "calibrated"

    def _picking(
        self,
        items: NDArray[np.int32],
        relevance: NDArray[np.float64],
        profiles: Csr,
        users: NDArray[np.int64],
    ) -> _Picking:
        had = to_scipy(rows_of(profiles, users)).astype(np.float64)
        had.data[:] = 1
        wanted: NDArray[np.float64] = (had @ self.features).toarray()
        totals = wanted.sum(axis=1, keepdims=True)
        np.divide(wanted, totals, out=wanted, where=totals > 0)
        described = self._described[items]
        return _Balanced(_Pool(items, self.features), relevance, self.weight, wanted, described)


class _Pool:
    """Features of the items of pools, entry by entry."""

    def __init__(self, items: NDArray[np.int32], features: "sp.csr_array[np.float64]") -> None:
        self.shape = items.shape
        # Any row does for padding, which is never picked.
        rows = features[np.maximum(items, 0).ravel()]
        self.indptr = rows.indptr
        self.column, self.value = rows.indices, rows.data
        self.place = np.repeat(np.arange(items.size), np.diff(rows.indptr))
        self.user = self.place // items.shape[1]
        self.n_features = features.shape[1]
        # Embeddings take less time as what they are.
        is_full = 2 * len(self.value) > items.size * self.n_features
        self.dense = rows.toarray().reshape(*self.shape, -1) if is_full else None

    def sums(self, of_entry: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over the features of each item, shape (users, pool)."""
        found: NDArray[np.float64] = np.zeros(self.shape[0] * self.shape[1])
        found[:] = np.bincount(self.place, of_entry, minlength=len(found))
        return found.reshape(self.shape)

    def products(self, place: NDArray[np.int64]) -> NDArray[np.float64]:
        """Inner products of every item with one of its pool, shape (users, pool)."""
        picked = self.rows(place)
        if self.dense is None:
            return self.sums(self.value * picked[self.user, self.column])
        # Not a product of BLAS, whose bits may depend on the number of threads.
        found: NDArray[np.float64] = np.einsum("upf,uf->up", self.dense, picked)
        return found

    def rows(self, place: NDArray[np.int64]) -> NDArray[np.float64]:
        """Features of one item of each pool, shape (users, n_features)."""
        at = np.arange(len(place)) * self.shape[1] + place
        starts, lengths = self.indptr[at], self.indptr[at + 1] - self.indptr[at]
        before = np.cumsum(lengths) - lengths
        entry = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
        found = np.zeros((len(place), self.n_features))
        found[np.repeat(np.arange(len(place)), lengths), self.column[entry]] = self.value[entry]
        return found


class _Diverse(_Picking):
    def __init__(self, pool: _Pool, relevance: NDArray[np.float64], weight: float) -> None:
        self._pool, self._weight = pool, weight
        self._relevance = (1 - weight) * relevance
        self._nearest = np.zeros(pool.shape)

    def values(self) -> NDArray[np.float64]:
        return self._relevance - self._weight * self._nearest

    def pick(self, place: NDArray[np.int64]) -> None:
        np.maximum(self._nearest, self._pool.products(place), out=self._nearest)


class _Balanced(_Picking):
    def __init__(
        self,
        pool: _Pool,
        relevance: NDArray[np.float64],
        weight: float,
        wanted: NDArray[np.float64],
        described: NDArray[np.bool_],
    ) -> None:
        self._pool, self._weight, self._wanted = pool, weight, wanted
        self._relevance = (1 - weight) * relevance
        self._described = described
        self._sums = np.zeros_like(wanted)
        self._count = np.zeros((len(wanted), 1))
        self._own = xlogy(wanted, wanted).sum(axis=1, keepdims=True)

    def values(self) -> NDArray[np.float64]:
        pool, wanted = self._pool, self._wanted
        # The list's distribution without the item, over the number of items with and without it;
        # with it, only the labels that it has differ.
        after = self._smooth(self._count + 1)
        before = self._smooth(np.maximum(self._count, 1))
        at = pool.user, pool.column
        added = (1 - SMOOTHING) * pool.value / (self._count[pool.user, 0] + 1)
        gain = xlogy(wanted[at], after[at] + added) - xlogy(wanted[at], after[at])
        with_item = xlogy(wanted, after).sum(axis=1, keepdims=True) + pool.sums(gain)
        without = xlogy(wanted, before).sum(axis=1, keepdims=True)
        divergence = self._own - np.where(self._described, with_item, without)
        values: NDArray[np.float64] = self._relevance - self._weight * divergence
        return values

    def _smooth(self, count: NDArray[np.float64]) -> NDArray[np.float64]:
        return (1 - SMOOTHING) * self._sums / count + SMOOTHING * self._wanted

    def pick(self, place: NDArray[np.int64]) -> None:
        self._sums += self._pool.rows(place)
        self._count[:, 0] += self._described[np.arange(len(place)), place]


def _relevance(items: NDArray[np.int32], scores: Floats) -> NDArray[np.float64]:
    """Scores of each pool from 0, its least, to 1, its largest; 1 where all are equal."""
    real = items >= 0
    given = scores.astype(np.float64)
    low = np.where(real, given, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(real, given, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    relevance: NDArray[np.float64] = np.ones_like(given)
    with np.errstate(invalid="ignore"):
        spread = high - low
        np.divide(given - low, spread, out=relevance, where=spread > 0)
    relevance[~real] = 0
    return relevance


def _picked(items: NDArray[np.int32], picking: _Picking, n: int) -> Lists:
    """The lists, and the values of their items when they were picked, which never rise."""
    left = items >= 0
    rows = np.arange(len(items))
    found = np.full((len(items), n), -1, dtype=np.int32)
    values = np.full((len(items), n), -np.inf)
    for t in range(min(n, items.shape[1])):
        value = np.where(left, picking.values(), -np.inf)
        best = value.argmax(axis=1)
        real = left[rows, best]
        found[real, t] = items[real, best[real]]
        values[real, t] = value[real, best[real]]
        left[rows, best] = False
        picking.pick(best)
    return found, np.minimum.accumulate(values, axis=1).astype(np.float32)
