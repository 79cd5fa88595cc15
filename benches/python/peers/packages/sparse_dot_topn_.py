"""sparse_dot_topn: products of sparse matrices, cut per row."""

from typing import Any

import numpy as np
from sparse_dot_topn import sp_matmul_topn

from peers.inputs import Urm, to_arrays
from peers.job import Job


def item_knn(X: Urm) -> Job:
    items = X.T.tocsr()

    def run() -> Any:
        unit = items.copy()
        lengths = np.diff(unit.indptr)
        unit.data /= np.repeat(np.sqrt(lengths), lengths).astype(np.float32)
        return sp_matmul_topn(unit, unit.T.tocsr(), top_n=101)

    return Job(run, to_arrays)
