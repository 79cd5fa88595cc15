"""Factors of users and items, whose inner products are the scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_matrix,
    dense_float32,
    forbid_writing,
)

__all__ = ["Factors"]


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
        del profiles
        return _core.rank_factors(self.user_factors, self.item_factors, request, report)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        del profiles
        with one_blas_thread():
            return dense_float32(self.user_factors[users] @ self.item_factors.T)

    def similarity(self, item: int) -> Floats:
        """Cosine between item factors; -inf for items whose factors are all zero."""
        norms = np.linalg.norm(self.item_factors, axis=1)
        near = np.full(self.n_items, -np.inf, dtype=np.float32)
        if norms[item] > 0:
            warm = norms > 0
            # Sums by row instead of a BLAS product, so that threads do not change the bits.
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
