"""Sparse weights between items, and between users."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr, ProductIndex, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.urm import row_of, to_scipy
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.similar import ProfileCosines, UsersByProfile, largest_of_rows
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    csr_from_tensors,
    csr_tensors,
    dense_float32,
    scalar,
)


@dataclass(frozen=True, eq=False)
class ItemWeights(UsersByProfile, Scorer):
    """Sparse item weights W: the scores of a profile x are x W.

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
        return self._index.rank(profiles, request, report)

    @cached_property
    def _index(self) -> ProductIndex:
        return ProductIndex(self.weights)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        return dense_float32(to_scipy(profiles)[users] @ to_scipy(self.weights))

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """Weights with which other items contribute to each of `items`: its column of W."""
        return largest_of_rows(self._by_target, items, n)

    def contributions(self, profiles: Csr, user: int, item: int) -> Floats:
        """Weight of each item of the profile for `item`, times its value in the profile."""
        items, values = row_of(profiles, user)
        near, weights = row_of(self._by_target, item)
        at = np.searchsorted(near, items)
        known = np.append(near, -1)[at] == items
        return np.where(known, values * np.append(weights, np.float32(0))[at], np.float32(0))

    @cached_property
    def _by_target(self) -> Csr:
        return self.weights.transpose()

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
        Row u holds the neighbours of user u and their similarities.
    items : int
        Number of items.
    fitted : Csr, optional
        X, where it is not what was fitted: where `neighbours` are those of users who are not among
        its rows, or ratings were added to it.
    """

    kind: ClassVar[str] = "user_weights"
    neighbours: Csr
    items: int
    fitted: Csr | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        neighbours, fitted = self.neighbours, self.fitted
        if fitted is None and neighbours.n_rows != neighbours.n_cols:
            raise ValueError(
                f"neighbours must be square, not {neighbours.n_rows} x {neighbours.n_cols}"
            )
        if fitted is not None and (fitted.n_rows, fitted.n_cols) != (neighbours.n_cols, self.items):
            raise ValueError(
                f"fitted must be {neighbours.n_cols} x {self.items}, not {fitted.n_rows} x "
                f"{fitted.n_cols}"
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
        return self._index_of(self._rows(profiles)).rank(self.neighbours, request, report)

    @cached_property
    def _index_of(self) -> Callable[[Csr], ProductIndex]:
        # The profiles are as a rule those of the model, every time.
        return lru_cache(maxsize=1)(ProductIndex)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        rows = to_scipy(self._rows(profiles))
        return dense_float32(to_scipy(self.neighbours)[users] @ rows)

    def _rows(self, profiles: Csr) -> Csr:
        return profiles if self.fitted is None else self.fitted

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """Cosine between the items' columns of the profiles."""
        return self._item_cosines(self._rows(profiles)).lists(items, n)

    def similar_users(self, profiles: Csr, users: NDArray[np.int64], n: int) -> Lists:
        """The neighbours."""
        return largest_of_rows(self.neighbours, users, n)

    @cached_property
    def _item_cosines(self) -> Callable[[Csr], ProfileCosines]:
        return lru_cache(maxsize=1)(lambda profiles: ProfileCosines(profiles.transpose()))

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        n_items = np.array([self.items], dtype=np.int64)
        fitted = {} if self.fitted is None else csr_tensors("fitted", self.fitted)
        return {**csr_tensors("neighbours", self.neighbours), "n_items": n_items, **fitted}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "UserWeights":
        """See `Scorer.from_tensors`."""
        n_items = scalar("n_items", tensors, np.int64)
        fitted = csr_from_tensors("fitted", tensors) if "fitted.indptr" in tensors else None
        return cls(csr_from_tensors("neighbours", tensors), n_items, fitted)
