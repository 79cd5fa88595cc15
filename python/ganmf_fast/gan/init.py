"""Networks that start from a decomposition of the interactions, or of another model's scores.

Objective: the best approximation of rank K, ``A = U S V^T``, gives ``P = U sqrt(S)`` and
``Q = V sqrt(S)``, where A is the interaction matrix X itself ("svd"), or the scores X B of EASE
("ease"), which are never computed: only their products with narrow matrices.

An autoencoder starts as EASE, truncated. With ``M = V diag(s^2 / (s^2 + l)) V^T``, the ridge
regression of X on itself, of which it has the E largest singular values s, and m its diagonal, the
layers are ``V sqrt(s^2 / (s^2 + l))`` and the same with each item's row divided by ``1 - m``. Their
product, less its diagonal, is the solution of EASE where no singular value is missing: its
``-P / diag(P)``, ``P = (X^T X + l I)^-1``, is ``(M - I) / (1 - m)``, since ``M = I - l P``.
The penalty is that of the autoencoder's own loss, a mean over the U I cells of X in which half the
squares of the layers weigh `d_reg`: without noise and biases its best weights are ``1 - l / s^2``
with ``l = d_reg U I / 2`` (Kunin et al., "Loss landscapes of regularized linear autoencoders",
ICML 2019), of which ``s^2 / (s^2 + l)`` is the form that cuts nothing off.

Factors that start from the discriminator ("discriminator") are those of its reconstructions of the
profiles, in which each item is reconstructed from the others, as in the leave-one-out matching.
Source: randomized decomposition by subspace iteration (Halko, Martinsson and Tropp, SIAM Review 53,
2011); EASE with its default penalty (:mod:`ganmf_fast.models.ease`).
Deviation: none. Where K exceeds the rank that X can have, the remaining columns stay random.
Cost: some products of A with K + 10 columns, beside EASE itself for "ease".
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.gan.networks import Discriminator, Generator, self_weights
from ganmf_fast.models.ease import EASE
from ganmf_fast.scorers.dense import DenseWeights, DualEase

__all__ = ["start_as_ease", "start_from"]

Dense = NDArray[np.float64]
Product = Callable[[Dense], Dense]

_OVERSAMPLING = 10
_ITERATIONS = 4
# Of an item that is reconstructed from itself alone nothing would remain to divide by.
_LEAST_REST = 1e-2


def start_from(
    kind: str, profiles: Csr, generator: Generator, discriminator: Discriminator, seed: int
) -> None:
    """Set the factors of `generator`, if it has them, to the decomposition of `kind`."""
    rank = min(generator.item_factors.shape[1], profiles.n_rows, profiles.n_cols)
    if kind == "discriminator":
        times, times_transposed = _reconstructions(profiles, discriminator)
    else:
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


def start_as_ease(profiles: Csr, discriminator: Discriminator, d_reg: float, seed: int) -> None:
    """Set both layers of the autoencoder, without their biases, to a truncated EASE."""
    rank = min(discriminator.encoder.shape[1], profiles.n_rows, profiles.n_cols)
    X = to_scipy(profiles).astype(np.float32)
    Xt = X.T.tocsr()
    with one_blas_thread():
        # Hidden units are more than factors: half the time, and right vectors alone.
        basis = _basis(lambda v: X @ v, lambda v: Xt @ v, profiles.n_cols, rank, seed, np.float32)
        projected = (X @ basis).astype(np.float64)
        squares, vectors = np.linalg.eigh(projected.T @ projected)
        squares = squares[::-1][:rank].clip(min=0)
        V = basis @ vectors[:, ::-1][:, :rank].astype(np.float32)
    ridge = d_reg * profiles.n_rows * profiles.n_cols / 2
    # Where both are zero the direction has no weight.
    kept = squares / np.maximum(squares + ridge, np.finfo(np.float64).tiny)
    layer = V * np.sqrt(kept).astype(np.float32)
    own = (layer**2).sum(axis=1, keepdims=True)
    with torch.no_grad():
        encoder, decoder = discriminator.encoder, discriminator.decoder
        encoder[:, :rank] = torch.from_numpy(layer).to(encoder)
        decoder[:, :rank] = torch.from_numpy(layer / np.maximum(1 - own, _LEAST_REST)).to(encoder)


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


def _reconstructions(profiles: Csr, discriminator: Discriminator) -> tuple[Product, Product]:
    """The same for what an autoencoder makes of each item of X from the others."""
    X = to_scipy(profiles).astype(np.float64)
    encoder, bias, decoder = (p.detach().cpu().double() for p in discriminator.parameters())
    own = self_weights(encoder, decoder).numpy()[:, None]
    We, Wd = encoder.numpy(), decoder[:, :-1].numpy()
    constant = Wd @ bias.numpy() + decoder[:, -1].numpy()
    Xt = X.T.tocsr()

    def times(v: Dense) -> Dense:
        made: Dense = X @ (We @ (Wd.T @ v) - own * v) + constant @ v
        return made

    def times_transposed(v: Dense) -> Dense:
        back = Xt @ v
        made: Dense = Wd @ (We.T @ back) - own * back + np.outer(constant, v.sum(axis=0))
        return made

    return times, times_transposed


def _basis(
    times: Callable[[Any], Any],
    times_transposed: Callable[[Any], Any],
    n_cols: int,
    rank: int,
    seed: int,
    dtype: type = np.float64,
) -> Any:
    """Orthonormal columns that nearly span the first `rank` right singular vectors."""
    width = min(rank + _OVERSAMPLING, n_cols)
    basis: Any = np.random.default_rng(seed).normal(size=(n_cols, width)).astype(dtype)
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(times_transposed(np.linalg.qr(times(basis))[0]))
    return basis


def _decompose(
    times: Product, times_transposed: Product, n_cols: int, rank: int, seed: int
) -> tuple[Dense, Dense, Dense]:
    """Largest `rank` singular values with their vectors, whose signs are unique."""
    basis = _basis(times, times_transposed, n_cols, rank, seed)
    left, values, right = np.linalg.svd(times(basis), full_matrices=False)
    U, S, Vt = left[:, :rank], values[:rank], (right @ basis.T)[:rank]
    signs = np.where(U[np.abs(U).argmax(axis=0), np.arange(U.shape[1])] < 0, -1.0, 1.0)
    return U * signs, S, Vt * signs[:, None]
