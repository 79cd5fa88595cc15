"""Lists of the nearest items or users: by cosine, or by the largest entries of rows.

Lists are as those of `Scorer.rank`: nearest first, equal values by ascending number, padded with -1
and -inf. Nobody is near itself, nor near what has no direction, such as factors of zeros.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr, FactorIndex, ProductIndex, RankRequest
from ganmf_fast.base.urm import rows_of
from ganmf_fast.scorers.base import Lists
from ganmf_fast.scorers.tensors import Floats


class FactorCosines:
    """Cosines between rows of factors; O(rows x k) memory.

    Parameters
    ----------
    factors : float32 array, shape (n, k)
    """

    def __init__(self, factors: Floats) -> None:
        lengths = np.linalg.norm(factors, axis=1)
        self._warm = np.flatnonzero(lengths)
        self._unit = factors[self._warm] / lengths[self._warm, None]
        self._index = FactorIndex(self._unit)

    def lists(self, which: NDArray[np.int64], n: int) -> Lists:
        """The `n` rows nearest to each of `which`."""
        items, scores = padding(len(which), n)
        at = np.searchsorted(self._warm, which)
        asked = np.flatnonzero(np.append(self._warm, -1)[at] == which)
        at, width = at[asked], min(n, len(self._warm))
        if width and len(asked):
            request = RankRequest(at, width, excluded=themselves(at, len(self._warm)))
            near, cosines = self._index.rank(self._unit, request)
            items[asked, :width] = np.append(self._warm, -1)[near]
            scores[asked, :width] = cosines
        return items, scores


class ProfileCosines:
    """Cosines between rows of a sparse matrix; O(nonzeros) memory.

    Parameters
    ----------
    csr : Csr
        Not negative.
    """

    def __init__(self, csr: Csr) -> None:
        values = np.ones(csr.nnz, np.float32) if csr.values is None else csr.values
        rows = np.repeat(np.arange(csr.n_rows), np.diff(csr.indptr))
        squares = np.bincount(rows, weights=values.astype(np.float64) ** 2, minlength=csr.n_rows)
        unit = (values / np.sqrt(squares)[rows]).astype(np.float32)
        self._unit = Csr(csr.indptr, csr.indices, unit, csr.n_cols)
        self._index = ProductIndex(self._unit.transpose())

    def lists(self, which: NDArray[np.int64], n: int) -> Lists:
        """The `n` rows nearest to each of `which` that have anything in common with it."""
        items, scores = padding(len(which), n)
        n_rows = self._unit.n_rows
        width = min(n, n_rows)
        request = RankRequest(which, width, excluded=themselves(which, n_rows))
        near, cosines = self._index.rank(self._unit, request)
        real = cosines > 0
        items[:, :width][real], scores[:, :width][real] = near[real], cosines[real]
        return items, scores


class UsersByProfile:
    """Similar users of scorers to whom a user is a profile: by the cosine between these."""

    def similar_users(self, profiles: Csr, users: NDArray[np.int64], n: int) -> Lists:
        """Cosine between profiles."""
        return self._user_cosines(profiles).lists(users, n)

    @cached_property
    def _user_cosines(self) -> Callable[[Csr], ProfileCosines]:
        # The profiles are as a rule those of the model, every time.
        return lru_cache(maxsize=1)(ProfileCosines)


def largest_of_rows(csr: Csr, which: NDArray[np.int64], n: int) -> Lists:
    """The `n` largest stored entries of some rows of a square matrix, without the diagonal."""
    items, scores = padding(len(which), n)
    part = rows_of(csr, which)
    values = np.ones(part.nnz, np.float32) if part.values is None else part.values
    rows = np.repeat(np.arange(len(which)), np.diff(part.indptr))
    order = np.lexsort((part.indices, -values, rows))
    order = order[part.indices[order] != which[rows[order]]]
    rows = rows[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, np.arange(len(which)))[rows]
    rows, place, order = rows[place < n], place[place < n], order[place < n]
    items[rows, place], scores[rows, place] = part.indices[order], values[order]
    return items, scores


def padding(n_lists: int, n: int) -> Lists:
    """Empty lists."""
    return np.full((n_lists, n), -1, np.int32), np.full((n_lists, n), -np.inf, np.float32)


def themselves(which: NDArray[np.int64], n: int) -> Csr:
    """A row for each of `which` that holds itself, out of `n`."""
    return Csr(np.arange(len(which) + 1), which.astype(np.int32), None, n)
