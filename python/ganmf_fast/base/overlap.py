"""What two matrices of interactions have in common."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr

# Cells of both matrices that are compared at a time.
_CHUNK = 2**22


def common_per_row(a: Csr, b: Csr) -> NDArray[np.int64]:
    """Number of interactions, row by row, that two matrices of one shape have in common."""
    counts = np.zeros(a.n_rows, dtype=np.int64)
    both = a.indptr + b.indptr
    start = 0
    while start < a.n_rows:
        end = int(np.searchsorted(both, both[start] + _CHUNK, side="right")) - 1
        end = min(max(end, start + 1), a.n_rows)
        product = _ones(a, start, end).multiply(_ones(b, start, end))
        counts[start:end] = np.diff(product.tocsr().indptr)
        start = end
    return counts


def _ones(csr: Csr, start: int, end: int) -> "sp.csr_array[np.bool_]":
    indptr = csr.indptr[start : end + 1]
    indices = csr.indices[indptr[0] : indptr[-1]]
    part = sp.csr_array(
        (np.ones(len(indices), dtype=bool), indices, indptr - indptr[0]),
        shape=(end - start, csr.n_cols),
    )
    part.has_canonical_format = True
    return part
