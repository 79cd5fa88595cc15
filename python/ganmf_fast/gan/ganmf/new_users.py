"""The factors with which GANMF's generator would fit a profile that it was not trained on.

Objective: with the discriminator and the item factors Q fixed, the generator's loss of one profile
x is a sum of squares of residuals that are linear in the user's factors p, and a penalty:
``L(p) = sum of w |A p - C^T x - c|^2 + (U g_reg / 2) |p|^2``, over these terms,

- energy: ``w = (1 - a) / I, A = Wd^T We^T Q - Q, C = 0, c = -(Wd^T be + bd)``;
- feature matching: ``w = a / E, A = We^T Q, C = We, c = 0``.

U users enter because a batch takes the mean over its profiles and the penalty of all factors. The
minimum is where ``(sum of w A^T A + U g_reg / 2) p = sum of w A^T (C^T x + c)``: p is a bias
and a vector for each interaction. Another objective is another term, as long as it is quadratic.
Where the minimum is not unique, p is the shortest of them.
Source: docs/algorithms.md. Deviation: with `g_reg_exponent` a new user has the mean weight, one.
Cost: O(items E K) time once, and no torch afterwards.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.scorers.profile_maps import minimum

__all__ = ["FixedNetworks", "best_factors"]

Array = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

# Rows that are converted to double precision at once.
_BLOCK = 4096


@dataclass(frozen=True)
class FixedNetworks:
    """Item factors (items, K); encoder (items, E), its bias, and decoder (items, E + 1)."""

    item_factors: Array
    encoder: Array
    encoder_bias: Array
    decoder: Array


def best_factors(networks: FixedNetworks, a: float, penalty: float) -> tuple[Doubles, Doubles]:
    """Weights W and bias b of the best factors ``x W + b``.

    Parameters
    ----------
    networks : FixedNetworks
    a : float
        Fraction of feature matching.
    penalty : float
        U g_reg.

    Returns
    -------
    weights : float64 array, shape (n_items, K)
    bias : float64 array, shape (K,)
    """
    Q, encoder, decoder = networks.item_factors, networks.encoder, networks.decoder
    n_items, width = encoder.shape
    with one_blas_thread():
        features = _crossed(encoder, Q)
        energy = _times(decoder[:, :-1], features) - Q
        constant = _times(decoder, np.append(networks.encoder_bias, 1.0).astype(np.float64))
        w_energy, w_features = (1 - a) / n_items, a / width
        system = w_energy * energy.T @ energy + w_features * features.T @ features
        system[np.diag_indices(len(system))] += penalty / 2
        targets = np.column_stack((w_features * features.T, -w_energy * energy.T @ constant))
        solved = minimum(system, targets)
        return _times(encoder, solved[:, :-1].T), solved[:, -1]


def _times(left: Array, right: Doubles) -> Doubles:
    """``left @ right`` in double precision."""
    blocks = [left[at : at + _BLOCK].astype(np.float64) @ right for at in _starts(left)]
    return np.concatenate(blocks)


def _crossed(left: Array, right: Array) -> Doubles:
    """``left.T @ right`` in double precision."""
    found = np.zeros((left.shape[1], right.shape[1]))
    for at in _starts(left):
        part = slice(at, at + _BLOCK)
        found += left[part].astype(np.float64).T @ right[part].astype(np.float64)
    return found


def _starts(rows: Array) -> range:
    return range(0, len(rows), _BLOCK)
