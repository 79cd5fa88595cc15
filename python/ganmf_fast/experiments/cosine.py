"""How alike the profiles are that a factor model makes (the paper's figure 5).

Made profiles are rows of P Q^T. With S = (Q^T Q)^1/2 the cosine of two of them is that of the rows
p S, so that all users x users cosines follow from K numbers a user; they are never made, but for a
drawn sample. With x_u the rows of unit length, m their mean and d_u = x_u - m, the cosine of u and
v is |m|^2 + m.d_u + m.d_v + d_u.d_v, whose mean over all pairs is |m|^2 and whose variance is
2 mean((m.d_u)^2) + |D^T D|^2 / U^2: both exact, and without the cancellation that a difference of
squares has when all profiles are alike. A user counts as a pair with itself, as in a heatmap.
Cost: U K^2 operations, U K numbers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base.threads import one_blas_thread


class Cosine(NamedTuple):
    """Mean and standard deviation over all pairs, and a sample to draw."""

    mean: float
    deviation: float
    users: NDArray[np.int64]
    sample: NDArray[np.float32]
    """Cosines of `users`, shape (n, n)."""


def between_users(
    user_factors: NDArray[np.float32], item_factors: NDArray[np.float32], n_drawn: int = 300
) -> Cosine:
    """Cosines between the rows of P Q^T.

    Parameters
    ----------
    user_factors, item_factors : float arrays, shapes (n_users, K) and (n_items, K)
    n_drawn : int, default 300
        Users of the sample, evenly spread over all, fewer if there are fewer.

    Returns
    -------
    Cosine
        Profiles of zeros count as alike to none, also not to themselves.
    """
    with one_blas_thread():
        made = user_factors.astype(np.float64)
        values, vectors = np.linalg.eigh(item_factors.astype(np.float64).T @ item_factors)
        rows = (made @ vectors) * np.sqrt(np.maximum(values, 0.0))
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
        middle = rows.mean(axis=0)
        away = rows - middle
        variance = 2 * np.mean((away @ middle) ** 2) + np.sum((away.T @ away) ** 2) / len(rows) ** 2
        users = np.unique(np.linspace(0, len(rows) - 1, min(n_drawn, len(rows))).astype(np.int64))
        sample = (rows[users] @ rows[users].T).astype(np.float32)
    return Cosine(float(middle @ middle), float(np.sqrt(variance)), users, sample)
