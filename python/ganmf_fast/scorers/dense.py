"""Forms whose scores are computed in dense blocks of users: dense item weights, and EASE by users.

The size of a block depends on the number of items alone, and its scores come from sparse products
or from BLAS on one thread, so that the number of threads does not change the bits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.urm import row_of, rows_of, to_scipy
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.similar import UsersByProfile, padding, themselves
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_array,
    check_matrix,
    csr_from_tensors,
    csr_tensors,
    dense_float32,
    forbid_writing,
    scalar,
)

if TYPE_CHECKING:
    import scipy.sparse as sp

# A dense block of scores holds at most this many bytes, and at most this many users.
_BLOCK_BYTES = 64 * 2**20
_BLOCK_USERS = 256


@dataclass(frozen=True, eq=False)
class DenseWeights(UsersByProfile, Scorer):
    """Dense item weights B: the scores of a profile x are x B.

    Parameters
    ----------
    weights : float32 array, shape (n_items, n_items)
    """

    kind: ClassVar[str] = "dense_weights"
    weights: Floats

    def __post_init__(self) -> None:
        """Check type, shape and values."""
        check_matrix("weights", self.weights)
        if self.weights.shape[0] != self.weights.shape[1]:
            raise ValueError(f"weights must be square, not of shape {self.weights.shape}")
        forbid_writing(self)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.weights)

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        return rank_blocks(
            lambda block: self.scores(profiles, block), self.n_items, request, report
        )

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        # The sums of scipy, to the bit, on all threads.
        return _core.sparse_product(rows_of(profiles, users), self.weights, self._no_bias)

    @cached_property
    def _no_bias(self) -> Floats:
        return np.zeros(self.n_items, dtype=np.float32)

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """Weights with which other items contribute to each of `items`: its column of B."""
        return _nearest(lambda block: self.weights[:, block].T, items, self.n_items, n)

    def contributions(self, profiles: Csr, user: int, item: int) -> Floats:
        """Weight of each item of the profile for `item`, times its value in the profile."""
        items, values = row_of(profiles, user)
        return dense_float32(values * self.weights[items, item])

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {"weights": self.weights}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "DenseWeights":
        """See `Scorer.from_tensors`."""
        return cls(tensors["weights"])


@dataclass(frozen=True, eq=False)
class _ByUsers(UsersByProfile, Scorer):
    """EASE for fewer users than items, without any items x items matrix.

    With M = (X X^T + l2 I)^-1 and P = (X^T X + l2 I)^-1 the matrix inversion lemma gives
    P = (I - X^T M X) / l2. EASE scores are x - (x P) / diag P; for a fitted user x_u P = (M X)_u.
    With dropout M and P are those of X S, see :mod:`ganmf_fast.models.ease`: the columns of
    S P S / diag(S P S) are, for a fitted user, (M X) / diag P again, and for others those above
    with x S^2 in the place of x where it is multiplied by X^T.
    With users that weigh w in the squared error, W = diag(w), everything is that of W^(1/2) X. With
    W^(1/2) M W^(1/2) in the place of M, X stays in it; the rows of M X are then those of W x P.

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
    max_diagonal : float, default 0
        Largest weight of an item for itself, at most 1.
    squares : float32 array, shape (n_items,), optional
        The diagonal of S^2, positive; ones without dropout.
    weights : float32 array, shape (n_users,), optional
        w, positive, of users that do not all weigh one; `inverse` is W^(1/2) M W^(1/2) then.
    """

    kind: ClassVar[str] = "dual_ease"
    urm: Csr
    inverse: Floats
    diagonal: Floats
    l2: float
    max_diagonal: float = 0.0
    squares: Floats | None = None
    weights: Floats | None = None

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        check_matrix("inverse", self.inverse)
        check_array("diagonal", self.diagonal, 1)
        n_users, n_items = self.urm.n_rows, self.urm.n_cols
        if self.squares is not None:
            check_array("squares", self.squares, 1)
            if self.squares.shape != (n_items,) or not (self.squares > 0).all():
                raise ValueError(f"squares must be {n_items} positive numbers")
        if self.weights is not None:
            check_array("weights", self.weights, 1)
            if self.weights.shape != (n_users,) or not (self.weights > 0).all():
                raise ValueError(f"weights must be {n_users} positive numbers")
        if not 0 <= self.max_diagonal <= 1:
            raise ValueError(f"max_diagonal must be from 0 to 1, not {self.max_diagonal}")
        if self.inverse.shape != (n_users, n_users) or self.diagonal.shape != (n_items,):
            raise ValueError(
                f"inverse has shape {self.inverse.shape} and diagonal {self.diagonal.shape}, "
                f"but there are {n_users} users and {n_items} items"
            )
        if not (self.diagonal > 0).all() or not 0 < self.l2 < np.inf:
            raise ValueError("diagonal and l2 must be positive")
        forbid_writing(self)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.urm.n_cols

    @cached_property
    def _kept(self) -> Floats | np.float32:
        """What is left of the columns of P / diag P, by item: one, but for a relaxed diagonal."""
        if not self.max_diagonal:
            return np.float32(1)
        free: Floats = np.float32(self.l2) * self.diagonal
        return free.clip(np.float32(1 - self.max_diagonal), np.float32(1))

    @cached_property
    def _divisor(self) -> Floats:
        return self.diagonal / self._kept

    def _penalised(self, rows: "sp.csr_array[np.float32]") -> "sp.csr_array[np.float32]":
        """Profiles times S^2."""
        if self.squares is not None:
            rows = rows.copy()
            rows.data *= self.squares[rows.indices]
        return rows

    @cached_property
    def _items(self) -> "sp.csr_array[np.float32]":
        """X^T by rows: a product with it sums the terms of a score in the order of the users."""
        return to_scipy(self.urm.transpose())

    def _times_urm(self, left: Floats) -> Floats:
        """`left` X, for a few dense rows."""
        return np.ascontiguousarray((self._items @ np.ascontiguousarray(left.T)).T)

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        return rank_blocks(
            lambda block: self.scores(profiles, block), self.n_items, request, report
        )

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """Weights with which other items contribute to each of `items`: its column of B."""
        return _nearest(self._columns, items, self.n_items, n)

    def contributions(self, profiles: Csr, user: int, item: int) -> Floats:
        """Weight of each item of the profile for `item`, times its value in the profile."""
        items, values = row_of(profiles, user)
        weights = self._columns(np.array([item]))[0, items]
        weights[items == item] = 1 - np.broadcast_to(self._kept, self.n_items)[item]
        return dense_float32(values * weights)

    def _columns(self, items: NDArray[np.int64]) -> Floats:
        """Columns of the weights, as rows; not their diagonal."""
        left = np.stack([values @ self.inverse[users] for users, values in map(self._users, items)])
        columns = self._times_urm(left)
        columns /= np.float32(self.l2) * self._divisor[items, None]
        if self.squares is not None:
            columns *= self.squares
        return columns

    def _users(self, item: int) -> tuple[NDArray[np.int32], Floats]:
        column = self._items[[item]]
        return column.indices, column.data

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {
            **csr_tensors("fitted", self.urm),
            "inverse": self.inverse,
            "diagonal": self.diagonal,
            "l2": np.array([self.l2]),
            **({"max_diagonal": np.array([self.max_diagonal])} if self.max_diagonal else {}),
            **({} if self.squares is None else {"squares": self.squares}),
            **({} if self.weights is None else {"weights": self.weights}),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "_ByUsers":
        """See `Scorer.from_tensors`."""
        l2, most = (
            scalar(name, tensors, np.float64) if name in tensors else 0.0
            for name in ("l2", "max_diagonal")
        )
        urm = csr_from_tensors("fitted", tensors)
        optional = tensors.get("squares"), tensors.get("weights")
        form = DualEaseOfProfiles if "of_profiles" in tensors else DualEase
        return form(urm, tensors["inverse"], tensors["diagonal"], l2, most, *optional)


class DualEase(_ByUsers):
    """The scores of the users that were fitted, see `_ByUsers`."""

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.urm.n_rows

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        projected = self._times_urm(self.inverse[users])
        if self.weights is not None:
            with np.errstate(over="ignore"):  # as in `_minus`
                projected /= self.weights[users, None]
        return _minus(to_scipy(self.urm)[users], projected, self._divisor)

    def of_profiles(self, profiles: Csr) -> "DualEaseOfProfiles":
        """See `Scorer.of_profiles`."""
        return self._for_profiles

    @cached_property
    def _for_profiles(self) -> "DualEaseOfProfiles":
        return DualEaseOfProfiles(
            self.urm,
            self.inverse,
            self.diagonal,
            self.l2,
            self.max_diagonal,
            self.squares,
            self.weights,
        )


class DualEaseOfProfiles(_ByUsers):
    """The scores of any profile, see `_ByUsers`."""

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        rows = to_scipy(profiles)[users]
        reached = dense_float32(self._penalised(rows) @ self._items)
        left = _core.dense_product(reached, self.inverse)
        projected = _minus(rows, self._times_urm(left), np.float32(1.0))
        # As in `_minus`; a penalty of a file may be zero in single precision.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            projected /= np.float32(self.l2)
        return _minus(rows, projected, self._divisor)

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {**super().tensors(), "of_profiles": np.array([1])}


def _nearest(
    scores_of: Callable[[NDArray[np.int64]], Floats], which: NDArray[np.int64], n_items: int, n: int
) -> Lists:
    """The `n` items of highest score for each of `which`, but for itself."""
    items, scores = padding(len(which), n)
    width = min(n, n_items)
    request = RankRequest(which, width, excluded=themselves(which, n_items))
    items[:, :width], scores[:, :width] = rank_blocks(scores_of, n_items, request)
    return items, scores


def _minus(rows: Any, dense: Floats, divisor: Floats | np.float32) -> Floats:
    """`rows` - `dense` / `divisor`, computed in place of `dense`."""
    # What a file holds may lead to scores beyond float32, which the ranking refuses.
    with np.errstate(over="ignore"):
        np.divide(dense, divisor, out=dense)
    np.negative(dense, out=dense)
    coo = rows.tocoo()
    dense[coo.row, coo.col] += coo.data
    return dense


def rank_blocks(
    scores_of: Callable[[NDArray[np.int64]], Floats],
    n_items: int,
    request: RankRequest,
    report: Report | None = None,
    as_published: bool = False,
) -> Lists:
    """Top-N lists from dense scores, computed in blocks of users of bounded memory.

    Parameters
    ----------
    scores_of : callable
        Scores of all items, float32 (len(block), n_items), for a block of users.
    n_items, request, report
        As for `Scorer.rank`.
    as_published : bool, default False
        Order equal scores as the published lists do instead of by item number.
    """
    size = _block_size(n_items)
    users = request.users
    items = np.empty((len(users), request.n), dtype=np.int32)
    scores = np.empty((len(users), request.n), dtype=np.float32)
    for start in range(0, len(users), size):
        block = users[start : start + size]
        done = slice(start, start + len(block))
        items[done], scores[done] = _core.rank_scores(
            dense_float32(scores_of(block)),
            request.part(start, start + size),
            as_published=as_published,
        )
        if report is not None:
            report(start + len(block), len(users))
    return items, scores


def score_blocks(
    scores_of: Callable[[NDArray[np.int64]], Floats], users: NDArray[np.int64], n_items: int
) -> Floats:
    """Dense scores of some users, computed in blocks of users, between which Ctrl-C is answered.

    Parameters
    ----------
    scores_of : callable
        As for `rank_blocks`.
    users : int64 array
    n_items : int

    Returns
    -------
    float32 array, shape (len(users), n_items)
    """
    size = _block_size(n_items)
    if len(users) <= size:
        return scores_of(users)
    scores = np.empty((len(users), n_items), dtype=np.float32)
    for start in range(0, len(users), size):
        scores[start : start + size] = scores_of(users[start : start + size])
    return scores


def _block_size(n_items: int) -> int:
    return max(1, min(_BLOCK_USERS, _BLOCK_BYTES // (4 * max(n_items, 1))))
