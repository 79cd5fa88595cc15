"""Factors of users who were not fitted, as functions of their profiles."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.scorers.profile_norms import ProfileNorms
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_array,
    check_matrix,
    forbid_writing,
    scalar,
)

# Eigenvalues below this fraction of the largest are rounding noise: their directions get nothing.
_NOISE = 1e-12

Doubles = NDArray[np.float64]


class ProfileMap(ABC):
    """Factors of a user as a function of the profile."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Numbers of items of a profile, and of factors."""

    @abstractmethod
    def factors(self, profiles: Csr) -> Floats:
        """Factors of each profile, float32 (rows, k)."""

    @abstractmethod
    def tensors(self) -> Tensors:
        """Arrays that are saved, by name."""


@dataclass(frozen=True, eq=False)
class LinearMap(ProfileMap):
    """Factors x W + b: a bias, and a vector for each interaction, times its value.

    Parameters
    ----------
    weights : float32 array, shape (n_items, k)
    bias : float32 array, shape (k,)
    norms : ProfileNorms, optional
        Of a map of profiles that are divided by d(x): the factors are d(x) ((x / d(x)) W + b).
    """

    weights: Floats
    bias: Floats
    norms: ProfileNorms | None = None

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        check_matrix("weights", self.weights)
        check_array("bias", self.bias, 1)
        if self.weights.shape[1] != len(self.bias):
            raise ValueError(
                f"weights has {self.weights.shape[1]} columns but bias {len(self.bias)} entries"
            )
        forbid_writing(self)

    @property
    def shape(self) -> tuple[int, int]:
        """See `ProfileMap.shape`."""
        n_items, n_factors = self.weights.shape
        return n_items, n_factors

    def factors(self, profiles: Csr) -> Floats:
        """See `ProfileMap.factors`."""
        if self.norms is None:
            return _core.sparse_product(profiles, self.weights, self.bias)
        factors = _core.sparse_product(profiles, self.weights, np.zeros_like(self.bias))
        # What a file holds may lead to factors beyond float32, which are refused.
        with np.errstate(over="ignore"):
            factors += np.outer(self.norms.divisors(profiles), self.bias)
        return factors

    def tensors(self) -> Tensors:
        """See `ProfileMap.tensors`."""
        saved = {"weights": self.weights, "bias": self.bias}
        if self.norms is not None:
            saved["norm_exponent"] = np.array([self.norms.exponent])
            saved["norm_scale"] = np.array([self.norms.scale])
        return saved

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "LinearMap":
        """As of a scorer."""
        norms = None
        if "norm_exponent" in tensors:
            names = ("norm_exponent", "norm_scale")
            norms = ProfileNorms(*(scalar(name, tensors, np.float64) for name in names))
        return cls(tensors["weights"], tensors["bias"], norms)


def minimum(system: Doubles, right: Doubles) -> Doubles:
    """X of least norm with ``system X = right``, where `right` is within reach of `system`.

    Parameters
    ----------
    system : float64 array, shape (k, k)
        Symmetric, without negative eigenvalues: twice it is the second derivative of an objective.
    right : float64 array, shape (k, ...)
    """
    with one_blas_thread():
        values, vectors = np.linalg.eigh(system)
        kept = values > values[-1] * _NOISE
        vectors = vectors[:, kept]
        inverse = (vectors / values[kept]) @ vectors.T
        solution: Doubles = inverse @ right
    return solution


def least_squares(item_factors: Floats) -> LinearMap:
    """Factors p with the least squared error ``|x - item_factors p|^2`` over all items."""
    items = item_factors.astype(np.float64)
    with one_blas_thread():
        gram = items.T @ items
        weights = items @ minimum(gram, np.eye(len(gram)))
    bias = np.zeros(len(gram), dtype=np.float32)
    return LinearMap(weights.astype(np.float32), bias)
