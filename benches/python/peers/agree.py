"""When two packages gave the same answer: neighbours, lists and values, up to ties and rounding."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from peers.inputs import Urm

TOLERANCE = 1e-4
"""Relative difference that float32 sums in another order may have."""


def top_of_rows(N: Urm, k: int) -> Urm:
    """The k largest entries of each row without the diagonal, in descending order."""
    N = sp.csr_matrix(N, dtype=np.float64)
    rows = np.repeat(np.arange(N.shape[0]), np.diff(N.indptr))
    keep = (N.indices != rows) & (N.data > 0)
    rows, cols, data = rows[keep], N.indices[keep], N.data[keep]
    order = np.lexsort((cols, -data, rows))
    rows, cols, data = rows[order], cols[order], data[order]
    starts = np.searchsorted(rows, np.arange(N.shape[0] + 1))
    rank = np.arange(len(rows)) - starts[rows]
    rows, cols, data = rows[rank < k], cols[rank < k], data[rank < k]
    indptr = np.searchsorted(rows, np.arange(N.shape[0] + 1))
    return sp.csr_matrix((data, cols, indptr), shape=N.shape)


def same_neighbours(mine: Urm, theirs: Urm, k: int) -> str:
    """Empty if both hold the same k largest entries per row up to ties, else what differs."""
    a, b = top_of_rows(mine, k), top_of_rows(theirs, k)
    if not np.array_equal(a.indptr, b.indptr):
        at = int(np.flatnonzero(np.diff(a.indptr) != np.diff(b.indptr))[0])
        return (
            f"item {at} has {np.diff(b.indptr)[at]} neighbours instead of {np.diff(a.indptr)[at]}"
        )
    difference = np.abs(a.data - b.data) > TOLERANCE * np.abs(a.data)
    if difference.any():
        return f"{difference.mean():.2%} of the similarities differ"
    # Entries clearly above the last of a full row have to be the same ones.
    lengths = np.diff(a.indptr)
    last = np.zeros(len(lengths))
    full = lengths == k
    last[full] = a.data[a.indptr[1:][full] - 1]
    rows = np.repeat(np.arange(len(lengths)), lengths)
    above = a.data > last[rows] * (1 + TOLERANCE)
    keys = rows * np.int64(a.shape[1])
    missing = ~np.isin((keys + a.indices)[above], keys + b.indices)
    return f"{missing.mean():.2%} of the neighbours differ" if missing.any() else ""


def same_lists(mine: NDArray[np.floating], theirs: NDArray[np.floating]) -> str:
    """Empty if the items listed have the same scores, place by place, else what differs.

    Ties may stand in another order, so it is scores that are compared: those of the items that
    each package listed, all computed in the same way.
    """
    if mine.shape != theirs.shape:
        return f"lists of shape {theirs.shape} instead of {mine.shape}"
    scale = np.maximum(np.abs(mine), 1e-3 * np.abs(mine).max())
    wrong = np.abs(mine - theirs) > 10 * TOLERANCE * scale
    wrong &= ~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs)))
    return f"{wrong.any(axis=1).mean():.2%} of the lists differ" if wrong.any() else ""


def close(mine: float, theirs: float, tolerance: float) -> bool:
    """Whether two values agree to a relative tolerance."""
    return abs(mine - theirs) <= tolerance * max(abs(mine), abs(theirs))
