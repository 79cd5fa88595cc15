"""The factors of a profile for which its part of the generator's loss is least, in closed form.

Objective: with the networks fixed, the part of a profile x in L_G is quadratic in its factors p.
With the letters of :mod:`~ganmf_fast.gan.ganmf.exact`, I items, f = Q p, ``A = Wd^T We^T Q - Q``,
``B = We^T Q``, ``c = Wd^T be + bd``, ``h = We^T x`` and a the `recon_coefficient`, it is

    ``(1 - a) / I |A p + c|^2 + a M(p) + g |p|^2``,

where M is ``|B p - h|^2 / E`` for the matching of features, ``|Q p - Wd^T h - c|^2 / I`` for that
of reconstructions, ``|Wd^T (B p - h)|^2 / I`` for the decoder's outputs, and for leave-one-out
``|Q p - Wd^T h - c + d x|^2 / I``, d the diagonal matrix of We Wd. So ``S p = T h + s`` with

=================  ====================================  ==============  ==========================
matching           S, beside ``(1 - a) / I A^T A + g``   T               s
=================  ====================================  ==============  ==========================
features           ``a / E B^T B``                       ``a / E B^T``   ``-(1 - a) / I A^T c``
reconstruction     ``a / I Q^T Q``                       ``a / I Q^T     the same, and
                                                         Wd^T``          ``a / I Q^T c``
decoder            ``a / I B^T Wd Wd^T B``               ``a / I B^T     the same
                                                         Wd Wd^T``
leave-one-out      as reconstruction                     the same, and   as reconstruction
                                                         ``-a / I``
                                                         times Q^T d x
=================  ====================================  ==============  ==========================

S is one K x K matrix for all profiles, and p an affine function of x: ``p = M We^T x + o``, for
leave-one-out with the columns of We beside those of d Q (:func:`profile_inputs`).
Everything follows from ``Q^T We, Q^T W, W^T W`` and ``Q^T Q``, which narrow products have anyway.
Source: derived here, from the published losses.
Where S is singular, as it is for more factors than hidden units without the energy, the shortest of
the best factors are taken.
Cost: ``O(K^3 + K^2 E + K E^2)`` beside the products, then ``O(nnz_b E + batch K E)`` for a batch.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ganmf_fast.gan.matmul import product
from ganmf_fast.gan.networks import self_weights
from ganmf_fast.gan.settings import Matching

# Items whose weights are converted to double precision at once.
_ITEMS = 4096


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Results of LAPACK, and of long sums in double precision, may depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Grams:
    """Products over the items."""

    QWe: Tensor
    QW: Tensor
    WW: Tensor
    QQ: Tensor

    @classmethod
    def of(cls, Q: Tensor, We: Tensor, W: Tensor) -> "Grams":
        """Those of item factors, encoder, and decoder with its bias as the last column."""
        Qt = Q.T
        return cls(product(Qt, We), product(Qt, W), product(W.T, W), product(Qt, Q))

    @classmethod
    @_on_one_thread()
    def in_double(cls, Q: Tensor, We: Tensor, W: Tensor) -> "Grams":
        """As `of`, summed in double precision."""
        K, E = Q.shape[1], We.shape[1]
        shapes = (K, E), (K, E + 1), (E + 1, E + 1), (K, K)
        sums = cls(*(Q.new_zeros(shape, dtype=torch.float64) for shape in shapes))
        for start in range(0, len(Q), _ITEMS):
            q, we, w = (part[start : start + _ITEMS].double() for part in (Q, We, W))
            sums.QWe.addmm_(q.T, we)
            sums.QW.addmm_(q.T, w)
            sums.WW.addmm_(w.T, w)
            sums.QQ.addmm_(q.T, q)
        return sums


def profile_inputs(Q: Tensor, We: Tensor, W: Tensor, matching: Matching) -> tuple[Tensor, ...]:
    """Matrices by which profiles are multiplied for their factors, shapes (n_items, E or K)."""
    if matching != "leave-one-out":
        return (We,)
    return We, Q * self_weights(We, W)[:, None]


@dataclass(frozen=True)
class BestFactors:
    """The affine function from ``We^T x``, see :func:`profile_inputs`, to the best factors of x."""

    M: Tensor
    o: Tensor

    def of(self, encoded: Iterable[Tensor]) -> Tensor:
        """The factors of profiles x, a row each, from their products with the inputs."""
        return product(torch.cat([*encoded], dim=1), self.M.T, self.o)


def best_factors(
    grams: Grams,
    encoder_bias: Tensor,
    n_items: int,
    recon_coefficient: float,
    g_reg: float,
    matching: Matching,
) -> BestFactors:
    """The best factors as a function of the profile.

    Parameters
    ----------
    grams : Grams
    encoder_bias : Tensor, shape (E,)
        be.
    n_items : int
        I.
    recon_coefficient : float
        a.
    g_reg : float
        g.
    matching : {"features", "reconstruction", "decoder", "leave-one-out"}
    """
    QWe, QW, WW, QQ = (gram.double() for gram in (grams.QWe, grams.QW, grams.WW, grams.QQ))
    bias = torch.cat([encoder_bias, encoder_bias.new_ones(1)]).double()
    a, E = recon_coefficient, QWe.shape[1]
    energy, match = (1 - a) / n_items, a / n_items
    QWd, WWd = QW[:, :-1], WW[:-1, :-1]
    BWd = QWe @ WWd
    crossed = QWd @ QWe.T
    S = energy * (BWd @ QWe.T - crossed - crossed.T + QQ)
    s = -energy * (QWe @ (WW[:-1] @ bias) - QW @ bias)
    match_with = {"features": QWe, "decoder": BWd}.get(matching, QWd)
    if matching == "features":
        match = a / E
        S += match * (QWe @ QWe.T)
    elif matching == "decoder":
        S += match * (BWd @ QWe.T)
    else:
        S += match * QQ
        s += match * (QW @ bias)
    if matching == "leave-one-out":
        match_with = torch.cat([match_with, -torch.eye(len(S)).to(S)], dim=1)
    S.diagonal().add_(g_reg)
    precision = len(S) * torch.finfo(grams.QQ.dtype).eps
    solution = _solved(S, torch.cat([match * match_with, s[:, None]], dim=1), precision)
    solution = solution.to(grams.QQ.dtype)
    return BestFactors(solution[:, :-1].contiguous(), solution[:, -1].contiguous())


@_on_one_thread()
def factor_map(best: BestFactors, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The same function of the profile itself: weights, shape (n_items, K), and bias, float32."""
    parts = zip(*(matrix.split(_ITEMS) for matrix in inputs), strict=True)
    wide = (torch.cat(part, dim=1).to(best.M.dtype) for part in parts)
    weights = torch.cat([(part @ best.M.T).float() for part in wide])
    return weights, best.o.float()


@_on_one_thread()
def _solved(S: Tensor, right: Tensor, precision: float) -> Tensor:
    """``S^-1 right``, the shortest solution where S is singular to a relative `precision`."""
    if not torch.isfinite(S).all():
        # Training diverges, which it is told from the losses.
        return torch.full_like(right, torch.nan)
    factor, failed = torch.linalg.cholesky_ex(S)
    pivots = factor.diagonal().square()
    if not failed and pivots.min() > precision * S.diagonal().max():
        return torch.cholesky_solve(right, factor)
    values, vectors = torch.linalg.eigh(S)
    inverse = torch.where(values > precision * values[-1], 1 / values, 0.0)
    found: torch.Tensor = vectors @ (inverse[:, None] * (vectors.T @ right))
    return found
