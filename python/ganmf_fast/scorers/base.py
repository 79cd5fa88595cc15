"""What a fitted model leaves behind: the few forms of scores that can be ranked block by block.

Every form ranks without holding users x items, saves itself as named arrays, and is checked when
it is made, so that one read from a file is as sound as one just trained. The two forms that make
dense blocks of scores are in `dense_scorers`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_array,
    check_matrix,
    csr_from_tensors,
    csr_tensors,
    dense_float32,
)

__all__ = ["Factors", "ItemWeights", "Lists", "Popularity", "Scorer", "UserWeights"]

Lists: TypeAlias = tuple[NDArray[np.int32], Floats]


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
    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """Top-N list of each user, best first, ties to the smaller item number.

        Parameters
        ----------
        profiles : Csr
            The interactions the model was fitted on; forms with user factors ignore them.
        request : RankRequest
            Users (rows of `profiles`), length of the lists, items to leave out, candidates.
        report : callable, optional

        Returns
        -------
        items : int32 array (len(request.users), request.n), padded with -1
        scores : float32 array of that shape, padded with -inf
        """

    @abstractmethod
    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """Scores of all items, float32 (len(users), n_items); for rows `users` of `profiles`."""

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

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        return _core.rank_product(profiles, self.weights, request, report)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        return dense_float32(to_scipy(profiles)[users] @ to_scipy(self.weights))

    def fold_in(self, profiles: Csr) -> Floats:
        """See `Scorer.fold_in`."""
        return dense_float32(to_scipy(profiles) @ to_scipy(self.weights))

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
class UserWeights(Scorer):
    """Neighbours of each user: scores are N X, for the profiles X that were fitted.

    Parameters
    ----------
    neighbours : Csr, shape (n_users, n_users)
        Row u holds the neighbours of user u.
    items : int
        Number of items.
    """

    kind: ClassVar[str] = "user_weights"
    neighbours: Csr
    items: int

    def __post_init__(self) -> None:
        """Check the shape."""
        if self.neighbours.n_rows != self.neighbours.n_cols:
            raise ValueError(
                f"neighbours must be square, not {self.neighbours.n_rows} x "
                f"{self.neighbours.n_cols}"
            )

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.neighbours.n_rows

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        return _core.rank_product(self.neighbours, profiles, request, report)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        return dense_float32(to_scipy(self.neighbours)[users] @ to_scipy(profiles))

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        n_items = np.array([self.items], dtype=np.int64)
        return {**csr_tensors("neighbours", self.neighbours), "n_items": n_items}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "UserWeights":
        """See `Scorer.from_tensors`."""
        n_items = tensors["n_items"]
        if n_items.shape != (1,) or n_items.dtype != np.int64:
            raise ValueError("n_items must be one int64")
        return cls(csr_from_tensors("neighbours", tensors), int(n_items[0]))


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
        check_matrix("user_factors", self.user_factors)
        check_matrix("item_factors", self.item_factors)
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

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        del profiles
        return _core.rank_factors(self.user_factors, self.item_factors, request, report)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        del profiles
        with one_blas_thread():
            return dense_float32(self.user_factors[users] @ self.item_factors.T)

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
        check_array("item_scores", self.item_scores, 1)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.item_scores)

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        del profiles
        return _core.rank_popularity(self.item_scores, request, report)

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
