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
Deviation: none. Where K or E exceeds the rank, the remaining columns are random in Q and We, and
zero in P and Wd: they change nothing at the start, and can learn.
Cost: some products of A with K + 10 (or E + 10) columns, beside EASE itself for "ease"; memory in
proportion to the items times these, whatever the users.
"""

import math
from collections.abc import Iterator
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

Floats = NDArray[Any]

_OVERSAMPLING = 10
_ITERATIONS = 4
# Multiplications by nonzeros, cells, and rows of dense matrices at once: a fraction of a second,
# and a quarter of a gibibyte.
_PRODUCTS, _CELLS, _PART = 2**28, 2**25, 2**12
# Of an item that is reconstructed from itself alone nothing would remain to divide by.
_LEAST_REST = 1e-2


def start_as_ease(profiles: Csr, discriminator: Discriminator, d_reg: float, seed: int) -> None:
    """Set both layers of the autoencoder, without their biases, to a truncated EASE."""
    rank = min(discriminator.encoder.shape[1], profiles.n_rows, profiles.n_cols)
    squares, V = _leading(_Operator(profiles, np.float32), rank, seed)
    rank = int(np.count_nonzero(squares))
    ridge = d_reg * profiles.n_rows * profiles.n_cols / 2
    kept = np.sqrt(squares[:rank] / (squares[:rank] + ridge))
    layer = V[:, :rank] * kept.astype(np.float32)
    own = (layer**2).sum(axis=1, keepdims=True)
    with torch.no_grad():
        encoder, decoder = discriminator.encoder, discriminator.decoder
        encoder[:, :rank] = torch.from_numpy(layer).to(encoder)
        # Other units say nothing yet, but learn: their encoder stays random.
        decoder.zero_()
        decoder[:, :rank] = torch.from_numpy(layer / np.maximum(1 - own, _LEAST_REST)).to(encoder)


def start_from(
    kind: str, profiles: Csr, generator: Generator, discriminator: Discriminator, seed: int
) -> None:
    """Set the factors of `generator` to the decomposition of `kind`."""
    rank = min(generator.item_factors.shape[1], profiles.n_rows, profiles.n_cols)
    A: _Operator
    if kind == "discriminator":
        A = _LeaveOneOut(profiles, discriminator)
    else:
        A = _Ease(profiles) if kind == "ease" else _Operator(profiles)
    squares, V = _leading(A, rank, seed)
    rank = int(np.count_nonzero(squares))
    # U S^(1/2) = A V S^(-1/2), and S is the root of the squares.
    roots = squares[:rank] ** 0.25
    V = V[:, :rank]
    with torch.no_grad():
        generator.item_factors[:, :rank] = torch.from_numpy(V * roots).to(generator.item_factors)
        if len(generator.user_factors):
            # As with hidden units: what is left of the item factors is random.
            generator.user_factors.zero_()
            for rows, made in A.blocks(V / roots):
                factors = torch.from_numpy(made).to(generator.user_factors)
                generator.user_factors[rows, :rank] = factors


class _Operator:
    """``A = X L + 1 c^T``, of which narrow products are made, some rows at a time.

    Here L is the identity, and c zero.
    """

    def __init__(self, profiles: Csr, dtype: type = np.float64) -> None:
        self.dtype = dtype
        self.n_cols = profiles.n_cols
        self._X = to_scipy(profiles).astype(dtype)

    def through(self, v: Floats) -> tuple[Floats, Floats]:
        """``L v`` and ``c^T v``."""
        return v, np.zeros(v.shape[1], v.dtype)

    def back(self, v: Floats, sums: Floats) -> Floats:
        """``L^T v + c sums^T``."""
        return v

    def blocks(self, v: Floats) -> Iterator[tuple[slice, Floats]]:
        """Rows, and those rows of ``A v``."""
        through, shift = self.through(v)
        n, width = self._X.shape[0], v.shape[1]
        parts = math.ceil(max(self._X.nnz * width / _PRODUCTS, n * width / _CELLS))
        step = math.ceil(n / max(parts, 1))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            yield rows, self._X[rows] @ through + shift

    def gram_times(self, v: Floats) -> Floats:
        """``A^T A v``; never more than some rows of ``A v`` are held."""
        out = np.zeros_like(v)
        sums: Floats = np.zeros(v.shape[1], v.dtype)
        for rows, made in self.blocks(v):
            out += self._X[rows].T @ made
            sums += made.sum(axis=0)
        return self.back(out, sums)


class _Ease(_Operator):
    """The scores of EASE, with ``L = 1 - P / diag(P)`` where ``P = (X^T X + l 1)^-1``."""

    def __init__(self, profiles: Csr) -> None:
        super().__init__(profiles)
        model = EASE()
        self._l2, self._scorer = model.l2, model.fit(profiles).scorer_

    def through(self, v: Floats) -> tuple[Floats, Floats]:
        """See ``_Operator``."""
        if isinstance(self._scorer, DenseWeights):
            made = _tall_times(self._scorer.weights, v)
        else:
            made = v - self._inverse_times(v / self._diagonal())
        return made, np.zeros(v.shape[1])

    def back(self, v: Floats, sums: Floats) -> Floats:
        """See ``_Operator``."""
        if isinstance(self._scorer, DenseWeights):
            return _inner(self._scorer.weights, v)
        return v - self._inverse_times(v) / self._diagonal()

    def _diagonal(self) -> Floats:
        return self._dual().diagonal.astype(np.float64)[:, None]

    def _inverse_times(self, v: Floats) -> Floats:
        """``P v = (v - X^T (X X^T + l 1)^-1 X v) / l``."""
        made = _tall_times(self._dual().inverse, self._X @ v)
        return (v - self._X.T @ made) / self._l2

    def _dual(self) -> DualEase:
        if not isinstance(self._scorer, DualEase):
            raise TypeError(f"EASE left a {type(self._scorer).__name__}")
        return self._scorer


class _LeaveOneOut(_Operator):
    """What an autoencoder makes of each item of X from the others: ``L = We Wd - diag(We Wd)``."""

    def __init__(self, profiles: Csr, discriminator: Discriminator) -> None:
        super().__init__(profiles)
        We, bias, W = (p.detach().cpu().double() for p in discriminator.parameters())
        self._own = self_weights(We, W).numpy()[:, None]
        self._We, self._Wd = We.numpy(), W[:, :-1].numpy()
        self._constant = (self._Wd @ bias.numpy() + W[:, -1].numpy())[:, None]

    def through(self, v: Floats) -> tuple[Floats, Floats]:
        """See ``_Operator``."""
        made = _tall_times(self._We, _inner(self._Wd, v)) - self._own * v
        return made, _inner(self._constant, v)[0]

    def back(self, v: Floats, sums: Floats) -> Floats:
        """See ``_Operator``."""
        made = _tall_times(self._Wd, _inner(self._We, v)) - self._own * v
        found: Floats = made + self._constant * sums
        return found


def _leading(A: _Operator, rank: int, seed: int) -> tuple[Floats, Floats]:
    """Largest `rank` squared singular values of A with right vectors, whose signs are unique.

    Values are zero where they cannot be told from zero in the precision of A.
    """
    width = min(rank + _OVERSAMPLING, A.n_cols)
    with one_blas_thread():
        basis: Floats = np.random.default_rng(seed).normal(size=(A.n_cols, width)).astype(A.dtype)
        for _ in range(_ITERATIONS):
            # What it spans is what counts until the last: one pass keeps its directions apart.
            basis = _orthonormal(A.gram_times(basis), passes=1)
        # In double precision from here: what is lost in single precision is not lost in the values.
        basis = _orthonormal(basis.astype(np.float64), passes=2)
        projected = _inner(basis, A.gram_times(basis))
        squares, vectors = np.linalg.eigh((projected + projected.T) / 2)
        squares, vectors = squares[::-1][:rank], vectors[:, ::-1][:, :rank]
        squares = np.where(squares > squares[0] * np.finfo(A.dtype).eps, squares, 0)
        V: Floats = _tall_times(basis, vectors).astype(A.dtype, copy=False)
    signs = np.where(V[np.abs(V).argmax(axis=0), np.arange(V.shape[1])] < 0, -1, 1)
    return squares, V * signs.astype(A.dtype)


def _orthonormal(B: Floats, passes: int) -> Floats:
    """Orthonormal columns that span those of `B`; what cannot be told from zero stays near it.

    By the eigenvectors of ``B^T B``, each direction divided by its length, and in a second pass
    again for what the square of the condition has cost (Stathopoulos and Wu, SIAM J. Sci. Comput.
    23, 2002). A QR decomposition keeps Ctrl-C waiting for seconds, and takes ten times as long on
    tall matrices.
    """
    for _ in range(passes):
        squares, vectors = np.linalg.eigh(_inner(B, B))
        least = max(squares[-1] * np.finfo(squares.dtype).eps, np.finfo(squares.dtype).tiny)
        turn = vectors / np.sqrt(np.maximum(squares, least))
        B = _tall_times(B, turn.astype(B.dtype))
    return B


def _inner(A: Floats, B: Floats) -> Floats:
    """``A^T B`` in double precision, in parts between which Ctrl-C is heard."""
    out = np.zeros((A.shape[1], B.shape[1]))
    for start in range(0, len(A), _PART):
        a = A[start : start + _PART].astype(np.float64, copy=False)
        # Of a matrix and itself BLAS computes one half.
        b = a if B is A else B[start : start + _PART].astype(np.float64, copy=False)
        out += a.T @ b
    return out


def _tall_times(A: Floats, B: Floats) -> Floats:
    """``A B``, likewise, in the precision of `B`."""
    out = np.empty((len(A), B.shape[1]), B.dtype)
    for start in range(0, len(A), _PART):
        out[start : start + _PART] = A[start : start + _PART] @ B
    return out
