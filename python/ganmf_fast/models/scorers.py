"""What a fitted model leaves behind: the few forms of scores that can be ranked block by block.

Every form ranks without holding users x items, saves itself as named arrays, and is checked when
it is made, so that one read from a file is as sound as one just trained. Dense blocks hold a
number of users that depends on the catalogue alone and are made by sparse products or on one BLAS
thread: bits never depend on the number of threads.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.progress import Report
from ganmf_fast.threads import one_blas_thread
from ganmf_fast.urm import to_scipy

__all__ = [
    "SCORERS",
    "DenseWeights",
    "DualEase",
    "Factors",
    "ItemWeights",
    "Lists",
    "Popularity",
    "Scorer",
    "csr_from_tensors",
    "csr_tensors",
]

Floats: TypeAlias = NDArray[np.float32]
Lists: TypeAlias = tuple[NDArray[np.int32], Floats]
Tensors: TypeAlias = dict[str, NDArray[Any]]

# A dense block of scores holds at most this many bytes, and at most this many users.
_BLOCK_BYTES = 64 * 2**20
_BLOCK_USERS = 256


class Scorer(ABC):
    """Scores of all items for each user, in a form that can be ranked."""

    kind: ClassVar[str]
    """Name of the form in saved files."""

    @property
    @abstractmethod
    def n_items(self) -> int:
        """Number of items."""

    @property
    def n_users(self) -> int | None:
        """Number of users, or None if any profile can be scored."""
        return None

    @abstractmethod
    def rank(
        self,
        profiles: Csr,
        users: NDArray[np.int64],
        n: int,
        seen: Csr | None = None,
        candidates: NDArray[np.int32] | None = None,
        report: Report | None = None,
    ) -> Lists:
        """Best `n` items of each user, best first, ties to the smaller item number.

        Parameters
        ----------
        profiles : Csr
            The interactions the model was fitted on; forms that know their users ignore them.
        users : int64 array
            Rows of `profiles` and of `seen`.
        n : int
            Length of the lists.
        seen : Csr, optional
            Items to leave out, user by user.
        candidates : int32 array, optional
            The only items to consider, ascending.
        report : callable, optional

        Returns
        -------
        items : int32 array (len(users), n), padded with -1
        scores : float32 array (len(users), n), padded with -inf
        """

    @abstractmethod
    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """Scores of all items, float32 (len(users), n_items); parameters as for `rank`."""

    def fold_in(self, profiles: Csr) -> Floats:
        """Scores of all items for users that were not fitted, float32 (rows, n_items).

        Raises
        ------
        NotImplementedError
            If the scores are only defined for the users that were fitted.
        """
        raise NotImplementedError("scores are only defined for the users that were fitted")

    def similarity(self, item: int) -> Floats:
        """How near every item is to `item`, float32 (n_items,); -inf where it is no neighbour.

        Raises
        ------
        NotImplementedError
            If nothing is known about pairs of items.
        """
        raise NotImplementedError("nothing is known about pairs of items")

    @abstractmethod
    def tensors(self) -> Tensors:
        """All arrays, by name."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "Scorer":
        """Rebuild from what `tensors` gave.

        Raises
        ------
        KeyError
            If an array is missing.
        TypeError, ValueError
            If types, shapes or values are not those of this form.
        """


@dataclass(frozen=True, eq=False)
class ItemWeights(Scorer):
    """Sparse item-to-item weights W: the scores of a profile x are x W.

    Parameters
    ----------
    weights : Csr, shape (n_items, n_items)
        Rows are items of the profile, columns the items scored.
    """

    kind: ClassVar[str] = "item_weights"
    weights: Csr

    def __post_init__(self) -> None:
        """Check the shape."""
        if self.weights.n_rows != self.weights.n_cols:
            raise ValueError(
                f"weights must be square, not {self.weights.n_rows} x {self.weights.n_cols}"
            )

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.weights.n_cols

    def rank(
        self,
        profiles: Csr,
        users: NDArray[np.int64],
        n: int,
        seen: Csr | None = None,
        candidates: NDArray[np.int32] | None = None,
        report: Report | None = None,
    ) -> Lists:
        """See `Scorer.rank`."""
        return _core.rank_item_weights(self.weights, profiles, users, n, seen, candidates, report)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        return _dense(to_scipy(profiles)[users] @ to_scipy(self.weights))

    def fold_in(self, profiles: Csr) -> Floats:
        """See `Scorer.fold_in`."""
        return _dense(to_scipy(profiles) @ to_scipy(self.weights))

    def similarity(self, item: int) -> Floats:
        """Weights of the items that speak for `item`: its column of W."""
        near = np.full(self.n_items, -np.inf, dtype=np.float32)
        at = np.flatnonzero(self.weights.indices == item)
        rows = np.searchsorted(self.weights.indptr, at, side="right") - 1
        values = self.weights.values
        near[rows] = 1.0 if values is None else values[at]
        near[item] = -np.inf
        return near

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return csr_tensors("weights", self.weights)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "ItemWeights":
        """See `Scorer.from_tensors`."""
        return cls(csr_from_tensors("weights", tensors))


@dataclass(frozen=True, eq=False)
class DenseWeights(Scorer):
    """Dense item-to-item weights B, for models that are dense by nature: scores are x B.

    Parameters
    ----------
    weights : float32 array, shape (n_items, n_items)
    """

    kind: ClassVar[str] = "dense_weights"
    weights: Floats

    def __post_init__(self) -> None:
        """Check type, shape and values."""
        _check_matrix("weights", self.weights)
        if self.weights.shape[0] != self.weights.shape[1]:
            raise ValueError(f"weights must be square, not of shape {self.weights.shape}")

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.weights)

    def rank(
        self,
        profiles: Csr,
        users: NDArray[np.int64],
        n: int,
        seen: Csr | None = None,
        candidates: NDArray[np.int32] | None = None,
        report: Report | None = None,
    ) -> Lists:
        """See `Scorer.rank`."""
        rows = to_scipy(profiles)
        return _rank_blocks(
            lambda block: rows[block] @ self.weights,
            self.n_items,
            users,
            n,
            seen,
            candidates,
            report,
        )

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        return _dense(to_scipy(profiles)[users] @ self.weights)

    def fold_in(self, profiles: Csr) -> Floats:
        """See `Scorer.fold_in`."""
        return _dense(to_scipy(profiles) @ self.weights)

    def similarity(self, item: int) -> Floats:
        """Weights of the items that speak for `item`: its column of B."""
        near = self.weights[:, item].copy()
        near[item] = -np.inf
        return near

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {"weights": self.weights}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "DenseWeights":
        """See `Scorer.from_tensors`."""
        return cls(tensors["weights"])


@dataclass(frozen=True, eq=False)
class Factors(Scorer):
    """User and item factors: scores are P Q^T.

    Parameters
    ----------
    user_factors : float32 array, shape (n_users, k)
    item_factors : float32 array, shape (n_items, k)
    """

    kind: ClassVar[str] = "factors"
    user_factors: Floats
    item_factors: Floats

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        _check_matrix("user_factors", self.user_factors)
        _check_matrix("item_factors", self.item_factors)
        if self.user_factors.shape[1] != self.item_factors.shape[1]:
            raise ValueError(
                f"user_factors has {self.user_factors.shape[1]} columns but item_factors has "
                f"{self.item_factors.shape[1]}"
            )

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.user_factors)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.item_factors)

    def rank(
        self,
        profiles: Csr,
        users: NDArray[np.int64],
        n: int,
        seen: Csr | None = None,
        candidates: NDArray[np.int32] | None = None,
        report: Report | None = None,
    ) -> Lists:
        """See `Scorer.rank`."""
        del profiles
        return _core.rank_factors(
            self.user_factors, self.item_factors, users, n, seen, candidates, report
        )

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        del profiles
        with one_blas_thread():
            return _dense(self.user_factors[users] @ self.item_factors.T)

    def similarity(self, item: int) -> Floats:
        """Cosine between item factors; items without any factor are nobody's neighbour."""
        norms = np.linalg.norm(self.item_factors, axis=1)
        near = np.full(self.n_items, -np.inf, dtype=np.float32)
        if norms[item] > 0:
            warm = norms > 0
            # A sum per row, not a BLAS product: its bits do not depend on threads.
            products = (self.item_factors[warm] * self.item_factors[item]).sum(axis=1)
            near[warm] = products / (norms[warm] * norms[item])
            near[item] = -np.inf
        return near

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {"user_factors": self.user_factors, "item_factors": self.item_factors}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "Factors":
        """See `Scorer.from_tensors`."""
        return cls(tensors["user_factors"], tensors["item_factors"])


@dataclass(frozen=True, eq=False)
class Popularity(Scorer):
    """One score per item, the same for everybody.

    Parameters
    ----------
    item_scores : float32 array, shape (n_items,)
    """

    kind: ClassVar[str] = "popularity"
    item_scores: Floats

    def __post_init__(self) -> None:
        """Check type, shape and values."""
        _check_array("item_scores", self.item_scores, 1)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.item_scores)

    def rank(
        self,
        profiles: Csr,
        users: NDArray[np.int64],
        n: int,
        seen: Csr | None = None,
        candidates: NDArray[np.int32] | None = None,
        report: Report | None = None,
    ) -> Lists:
        """See `Scorer.rank`."""
        del profiles
        return _core.rank_popularity(self.item_scores, users, n, seen, candidates, report)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        del profiles
        return np.tile(self.item_scores, (len(users), 1))

    def fold_in(self, profiles: Csr) -> Floats:
        """See `Scorer.fold_in`."""
        return np.tile(self.item_scores, (profiles.n_rows, 1))

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {"item_scores": self.item_scores}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "Popularity":
        """See `Scorer.from_tensors`."""
        return cls(tensors["item_scores"])


@dataclass(frozen=True, eq=False)
class DualEase(Scorer):
    """EASE for fewer users than items, without any items x items matrix.

    With M = (X X^T + l2 I)^-1 and P = (X^T X + l2 I)^-1 the matrix inversion lemma gives
    P = (I - X^T M X) / l2. EASE scores are x - (x P) / diag P; for a fitted user x_u P = (M X)_u.

    Parameters
    ----------
    urm : Csr, shape (n_users, n_items)
        The matrix X that was fitted.
    inverse : float32 array, shape (n_users, n_users)
        M, symmetric.
    diagonal : float32 array, shape (n_items,)
        The diagonal of P, positive.
    l2 : float
        Positive.
    """

    kind: ClassVar[str] = "dual_ease"
    urm: Csr
    inverse: Floats
    diagonal: Floats
    l2: float

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        _check_matrix("inverse", self.inverse)
        _check_array("diagonal", self.diagonal, 1)
        n_users, n_items = self.urm.n_rows, self.urm.n_cols
        if self.inverse.shape != (n_users, n_users) or self.diagonal.shape != (n_items,):
            raise ValueError(
                f"inverse has shape {self.inverse.shape} and diagonal {self.diagonal.shape}, "
                f"but there are {n_users} users and {n_items} items"
            )
        if not (self.diagonal > 0).all() or not 0 < self.l2 < np.inf:
            raise ValueError("diagonal and l2 must be positive")

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.urm.n_rows

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.urm.n_cols

    @cached_property
    def _items(self) -> "sp.csr_array[np.float32]":
        """X^T by rows: a product with it gives each score its terms in the order of the users."""
        return to_scipy(self.urm.transpose())

    def _times_urm(self, left: Floats) -> Floats:
        """`left` X, for a few dense rows."""
        return np.ascontiguousarray((self._items @ np.ascontiguousarray(left.T)).T)

    def rank(
        self,
        profiles: Csr,
        users: NDArray[np.int64],
        n: int,
        seen: Csr | None = None,
        candidates: NDArray[np.int32] | None = None,
        report: Report | None = None,
    ) -> Lists:
        """See `Scorer.rank`."""
        return _rank_blocks(
            lambda block: self.scores(profiles, block),
            self.n_items,
            users,
            n,
            seen,
            candidates,
            report,
        )

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        del profiles
        return _minus(to_scipy(self.urm)[users], self._times_urm(self.inverse[users]), self.diagonal)

    def fold_in(self, profiles: Csr) -> Floats:
        """See `Scorer.fold_in`."""
        rows = to_scipy(profiles)
        overlap = _dense(rows @ self._items)
        with one_blas_thread():
            left = overlap @ self.inverse
        projected = _minus(rows, self._times_urm(left), np.float32(1.0)) / np.float32(self.l2)
        return _minus(rows, projected, self.diagonal)

    def similarity(self, item: int) -> Floats:
        """Weights of the items that speak for `item`: column -P[:, item] / P[item, item]."""
        column = self._items[[item]]
        left = (self.inverse[column.indices] * column.data[:, None]).sum(axis=0)
        near = self._times_urm(left[None, :])[0] / np.float32(self.l2 * self.diagonal[item])
        near[item] = -np.inf
        return near

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {
            **csr_tensors("fitted", self.urm),
            "inverse": self.inverse,
            "diagonal": self.diagonal,
            "l2": np.array([self.l2]),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "DualEase":
        """See `Scorer.from_tensors`."""
        l2 = tensors["l2"]
        if l2.shape != (1,) or l2.dtype != np.float64:
            raise ValueError("l2 must be one float64")
        urm = csr_from_tensors("fitted", tensors)
        return cls(urm, tensors["inverse"], tensors["diagonal"], float(l2[0]))


SCORERS: dict[str, type[Scorer]] = {
    form.kind: form for form in (ItemWeights, DenseWeights, Factors, Popularity, DualEase)
}
"""The forms by name, for saved files."""


def csr_tensors(name: str, csr: Csr) -> Tensors:
    """Arrays of a `Csr`, their names beginning with `name`."""
    parts: Tensors = {
        f"{name}.indptr": csr.indptr,
        f"{name}.indices": csr.indices,
        f"{name}.n_cols": np.array([csr.n_cols], dtype=np.int64),
    }
    if csr.values is not None:
        parts[f"{name}.values"] = csr.values
    return parts


def csr_from_tensors(name: str, tensors: Mapping[str, NDArray[Any]]) -> Csr:
    """Rebuild a `Csr`, validating it.

    Raises
    ------
    KeyError
        If an array is missing.
    TypeError, ValueError
        If the arrays are not those of valid sparse rows.
    """
    n_cols = tensors[f"{name}.n_cols"]
    if n_cols.shape != (1,) or n_cols.dtype != np.int64 or not 0 <= n_cols[0] < 2**31:
        raise ValueError(f"{name}.n_cols must be one int64 between 0 and 2147483647")
    return Csr(
        tensors[f"{name}.indptr"],
        tensors[f"{name}.indices"],
        tensors.get(f"{name}.values"),
        int(n_cols[0]),
    )


def _check_array(name: str, array: NDArray[Any], ndim: int) -> None:
    if array.ndim != ndim or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} must be a contiguous float32 array of {ndim} dimensions, "
            f"not {array.dtype} of shape {array.shape}"
        )
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} holds {array[at]} at {at}")


def _check_matrix(name: str, array: NDArray[Any]) -> None:
    _check_array(name, array, 2)


def _dense(scores: Any) -> Floats:
    array = scores.toarray() if sp.issparse(scores) else scores
    return np.ascontiguousarray(array, dtype=np.float32)


def _minus(rows: Any, dense: Floats, divisor: Floats | np.float32) -> Floats:
    """`rows` - `dense` / `divisor`, computed in place of `dense`."""
    np.divide(dense, divisor, out=dense)
    np.negative(dense, out=dense)
    coo = rows.tocoo()
    dense[coo.row, coo.col] += coo.data
    return dense


def _rank_blocks(
    scores_of: Callable[[NDArray[np.int64]], Floats],
    n_items: int,
    users: NDArray[np.int64],
    n: int,
    seen: Csr | None,
    candidates: NDArray[np.int32] | None,
    report: Report | None,
) -> Lists:
    """Rank users in blocks whose dense scores fit in a bounded piece of memory."""
    size = max(1, min(_BLOCK_USERS, _BLOCK_BYTES // (4 * n_items)))
    items = np.empty((len(users), n), dtype=np.int32)
    scores = np.empty((len(users), n), dtype=np.float32)
    for start in range(0, len(users), size):
        block = users[start : start + size]
        done = slice(start, start + len(block))
        items[done], scores[done] = _core.rank_scores(
            _dense(scores_of(block)), block, n, seen, candidates
        )
        if report is not None:
            report(start + len(block), len(users))
    return items, scores
