"""Factors of users and items, whose inner products are the scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr, FactorIndex, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.base.urm import read_only, row_of
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.hidden_map import HiddenMap
from ganmf_fast.scorers.perceptron_map import PerceptronMap
from ganmf_fast.scorers.profile_maps import LinearMap, ProfileMap, least_squares
from ganmf_fast.scorers.similar import FactorCosines
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_matrix,
    dense_float32,
    forbid_writing,
)


@dataclass(frozen=True, eq=False)
class Factors(Scorer):
    """User and item factors: scores are P Q^T.

    Parameters
    ----------
    user_factors : float32 array, shape (n_users, k)
    item_factors : float32 array, shape (n_items, k)
    profile_map : ProfileMap, optional
        Factors of users who were not fitted; what was saved before there were any has none.
    """

    kind: ClassVar[str] = "factors"
    user_factors: Floats
    item_factors: Floats
    profile_map: ProfileMap | None = None

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        check_matrix("user_factors", self.user_factors)
        check_matrix("item_factors", self.item_factors)
        if self.user_factors.shape[1] != self.item_factors.shape[1]:
            raise ValueError(
                f"user_factors has {self.user_factors.shape[1]} columns but item_factors has "
                f"{self.item_factors.shape[1]}"
            )
        if self.profile_map is not None and self.profile_map.shape != self.item_factors.shape:
            raise ValueError(
                f"profile_map is of {self.profile_map.shape} items and factors, but item_factors "
                f"of {self.item_factors.shape}"
            )
        forbid_writing(self)

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
        return self._index.rank(self.user_factors, request, report)

    @cached_property
    def _index(self) -> FactorIndex:
        return FactorIndex(self.item_factors)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        # What a file holds may lead to scores beyond float32.
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            return dense_float32(self.user_factors[users] @ self.item_factors.T)

    def of_profiles(self, profiles: Csr) -> "Factors":
        """See `Scorer.of_profiles`."""
        if self.profile_map is None:
            raise NotImplementedError(
                "it holds nothing that gives new users factors; if an older version fitted it, fit "
                "it again"
            )
        return self._of(self.profile_map, profiles)

    def _of(self, profile_map: ProfileMap, profiles: Csr) -> "Factors":
        return self.with_users(profile_map.factors(profiles), profile_map)

    def with_users(self, user_factors: Floats, profile_map: ProfileMap | None = None) -> "Factors":
        """The same items, and what was prepared of them, for other users, by a map if at all."""
        check_matrix("user_factors", user_factors)
        _ = self._index  # prepared once for all that are made from this one
        other = object.__new__(Factors)
        kept = {name: value for name, value in vars(self).items() if name != "_user_cosines"}
        own = {"user_factors": read_only(user_factors), "profile_map": profile_map}
        vars(other).update(kept, **own)
        return other

    @cached_property
    def least_squares_map(self) -> LinearMap:
        """Factors whose scores are nearest to a profile, of all items."""
        return least_squares(self.item_factors)

    def by_least_squares(self, profiles: Csr) -> "Factors":
        """As `of_profiles`, by `least_squares_map`."""
        return self._of(self.least_squares_map, profiles)

    def contributions(self, profiles: Csr, user: int, item: int) -> Floats:
        """Parts of the score of `profiles[user]` by the map, whose bias term is left out."""
        if not isinstance(self.profile_map, LinearMap):
            raise NotImplementedError("the factors of a profile are not a sum over its items")
        items, values = row_of(profiles, user)
        with one_blas_thread():
            parts = self.profile_map.weights[items] @ self.item_factors[item]
        return dense_float32(values * parts)

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """Cosine between item factors; none for factors of zeros."""
        return self._item_cosines.lists(items, n)

    def similar_users(self, profiles: Csr, users: NDArray[np.int64], n: int) -> Lists:
        """Cosine between user factors; none for factors of zeros."""
        return self._user_cosines.lists(users, n)

    @cached_property
    def _item_cosines(self) -> FactorCosines:
        return FactorCosines(self.item_factors)

    @cached_property
    def _user_cosines(self) -> FactorCosines:
        return FactorCosines(self.user_factors)

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        saved = {"user_factors": self.user_factors, "item_factors": self.item_factors}
        if self.profile_map is not None:
            tensors = self.profile_map.tensors().items()
            saved |= {f"profile_map.{name}": array for name, array in tensors}
        return saved

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "Factors":
        """See `Scorer.from_tensors`."""
        prefix = "profile_map."
        of_map = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        profile_map: ProfileMap | None = None
        if "mixed" in of_map:
            profile_map = PerceptronMap.from_tensors(of_map)
        elif "inputs" in of_map:
            profile_map = HiddenMap.from_tensors(of_map)
        elif of_map:
            profile_map = LinearMap.from_tensors(of_map)
        return cls(tensors["user_factors"], tensors["item_factors"], profile_map)
