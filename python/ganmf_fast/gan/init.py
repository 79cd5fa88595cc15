"""Factors that start from a decomposition of the interactions, or of another model's scores.

Objective: the best approximation of rank K, ``A = U S V^T``, gives ``P = U sqrt(S)`` and
``Q = V sqrt(S)``, where A is the interaction matrix X itself ("svd"), or the scores X B of EASE
("ease"), which are never computed: only their products with narrow matrices.
Source: randomized decomposition by subspace iteration (Halko, Martinsson and Tropp, SIAM Review 53,
2011); EASE with its default penalty (:mod:`ganmf_fast.models.ease`).
Deviation: none. Where K exceeds the rank that X can have, the remaining columns stay random.
Cost: some products of A with K + 10 columns, beside EASE itself for "ease".
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.gan.networks import Generator
from ganmf_fast.models.ease import EASE
from ganmf_fast.scorers.dense import DenseWeights, DualEase

__all__ = ["start_from"]

Dense = NDArray[np.float64]
Product = Callable[[Dense], Dense]

_OVERSAMPLING = 10
_ITERATIONS = 4


def start_from(kind: str, profiles: Csr, generator: Generator, seed: int) -> None:
    """Set the factors of `generator`, if it has them, to the decomposition of `kind`."""
    rank = min(generator.item_factors.shape[1], profiles.n_rows, profiles.n_cols)
    times, times_transposed = _products(kind, profiles)
    with one_blas_thread():
        U, S, Vt = _decompose(times, times_transposed, profiles.n_cols, rank, seed)
    scale = np.sqrt(S)
    with torch.no_grad():
        for factors, values in (
            (generator.user_factors, U * scale),
            (generator.item_factors, Vt.T * scale),
        ):
            if len(factors):
                factors[:, :rank] = torch.from_numpy(values).to(factors)


def _products(kind: str, profiles: Csr) -> tuple[Product, Product]:
    """``v -> A v`` and ``v -> A^T v``."""
    X = to_scipy(profiles).astype(np.float64)
    Xt = X.T.tocsr()
    if kind == "svd":
        return lambda v: X @ v, lambda v: Xt @ v
    scorer = EASE().fit(profiles).scorer_
    if isinstance(scorer, DenseWeights):
        B = scorer.weights.astype(np.float64)
        return lambda v: X @ (B @ v), lambda v: B.T @ (Xt @ v)
    if not isinstance(scorer, DualEase):
        raise TypeError(f"EASE left a {type(scorer).__name__}")
    # Scores are X - M X D^-1 with D the diagonal of P.
    M = scorer.inverse.astype(np.float64)
    D = scorer.diagonal.astype(np.float64)[:, None]
    return lambda v: X @ v - M @ (X @ (v / D)), lambda v: Xt @ v - (Xt @ (M @ v)) / D


def _decompose(
    times: Product, times_transposed: Product, n_cols: int, rank: int, seed: int
) -> tuple[Dense, Dense, Dense]:
    """Largest `rank` singular values with their vectors, whose signs are unique."""
    width = min(rank + _OVERSAMPLING, n_cols)
    basis = np.random.default_rng(seed).normal(size=(n_cols, width))
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(times_transposed(np.linalg.qr(times(basis))[0]))
    left, values, right = np.linalg.svd(times(basis), full_matrices=False)
    U, S, Vt = left[:, :rank], values[:rank], (right @ basis.T)[:rank]
    signs = np.where(U[np.abs(U).argmax(axis=0), np.arange(U.shape[1])] < 0, -1.0, 1.0)
    return U * signs, S, Vt * signs[:, None]
