"""A seeded matrix of any size with power-law users and items, for benches against other packages.

Only the counts are shaped, as in logs: no taste is planted. Rows and columns stand in random order,
so that no package profits from a catalogue that happens to be sorted by popularity.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

LARGE = (138_493, 26_744, 20_000_000)
"""Users, items and interactions of the large benches."""


def power_law_urm(
    n_users: int, n_items: int, nnz: int, seed: int = 0
) -> "sp.csr_matrix[np.float32]":
    """Exactly `nnz` interactions, all ones, as canonical float32 CSR with int32 indices.

    The weight of the user of rank r is (r + 10)^-0.65, that of the item of rank r is
    (r + 200)^-1.6: a few very active users, an item that a third of the users know, and a long
    tail. Cells are drawn independently and repeated ones drawn again. About 3 s for 20 million.
    """
    if not 0 < nnz <= n_users * n_items // 4:
        raise ValueError(f"nnz must be between 1 and a quarter of the cells, not {nnz}")
    rng = np.random.default_rng(seed)
    users, items = rng.permutation(n_users), rng.permutation(n_items)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < nnz:
        draws = (nnz - len(keys)) * 5 // 4 + 16
        user = users[_ranks(rng, n_users, draws, 10.0, 0.65)]
        item = items[_ranks(rng, n_items, draws, 200.0, 1.6)]
        keys = np.concatenate((keys, user * np.int64(n_items) + item))
        keys.sort()
        keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    surplus = rng.choice(len(keys), len(keys) - nnz, replace=False, shuffle=False)
    keys = np.delete(keys, surplus)
    indptr = np.searchsorted(keys, np.arange(n_users + 1, dtype=np.int64) * n_items)
    X: Any = sp.csr_matrix(
        (np.ones(nnz, np.float32), (keys % n_items).astype(np.int32), indptr.astype(np.int32)),
        shape=(n_users, n_items),
    )
    X.has_canonical_format = True
    return X


def _ranks(
    rng: np.random.Generator, n: int, draws: int, shift: float, exponent: float
) -> NDArray[np.int64]:
    """Ranks below `n` with weight (rank + shift)^-exponent, by inverting the integral."""
    power = 1.0 - exponent
    low, high = shift**power, (n + shift) ** power
    at = (low + rng.random(draws) * (high - low)) ** (1.0 / power) - shift
    ranks: NDArray[np.int64] = np.clip(at.astype(np.int64), 0, n - 1)
    return ranks
