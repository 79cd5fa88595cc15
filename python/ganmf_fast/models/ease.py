"""EASE: the linear item model with a closed form.

Objective: min_B ||X - X B||^2 + l2 ||B||^2 with zero diagonal; scores are x B. With
P = (X^T X + l2 I)^-1 the answer is B = I - P diag(1 / diag P).
Source: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
Deviation: with fewer users than items the inverse is that of the users x users matrix
X X^T + l2 I (the inversion lemma), and no items x items matrix is ever made; see `DualEase`.
Cost: O(n^3) time and 12 n^2 bytes, n the shorter side of the matrix. The inverse is computed in
float64, block by block on one BLAS thread, so that it has the same bits for any number of threads
and answers Ctrl-C between two products.
"""

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.checks import check_memory, check_real
from ganmf_fast.models.dense_scorers import DenseWeights, DualEase
from ganmf_fast.models.scorers import Scorer
from ganmf_fast.progress import Report
from ganmf_fast.threads import one_blas_thread
from ganmf_fast.urm import to_scipy

__all__ = ["EASE"]

# Rows that one product touches: short enough to answer Ctrl-C, long enough for BLAS.
_ROWS = 1024
_PIVOTS = 256


class EASE(Recommender):
    """Linear weights between items with a closed form.

    Parameters
    ----------
    l2 : float, default 500.0
        Strength of the penalty, greater than 0.

    Attributes
    ----------
    item_weights_ : float32 array, shape (n_items, n_items)
        B. Only where there are at least as many users as items.

    Raises
    ------
    MemoryError
        By ``fit``, before anything is computed, if n^2 numbers do not fit, with n the shorter side
        of the matrix.

    References
    ----------
    H. Steck. Embarrassingly shallow autoencoders for sparse data. WWW 2019.
    """

    def __init__(self, l2: float = 500.0) -> None:
        self.l2 = l2

    def _check_params(self) -> None:
        check_real("l2", self.l2, above=0)

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> Scorer:
        del validation
        side = min(urm.n_rows, urm.n_cols)
        check_memory(
            12 * side**2,
            f"EASE on {urm.n_rows} users and {urm.n_cols} items",
            "ItemKNN, P3alpha and PureSVD need memory for the interactions only",
        )
        with one_blas_thread():
            return (
                self._primal(urm, report) if urm.n_rows >= urm.n_cols else self._dual(urm, report)
            )

    def _primal(self, urm: Csr, report: Report) -> DenseWeights:
        P = _regularised_inverse(urm.transpose(), urm, float(self.l2), report)
        diagonal = P.diagonal().copy()
        weights = np.empty(P.shape, dtype=np.float32)
        for start in range(0, len(P), _ROWS):
            rows = slice(start, start + _ROWS)
            np.divide(P[rows], -diagonal, out=weights[rows], casting="same_kind")
        np.fill_diagonal(weights, 0)
        return DenseWeights(weights)

    def _dual(self, urm: Csr, report: Report) -> DualEase:
        l2 = float(self.l2)
        M = _regularised_inverse(urm, urm.transpose(), l2, report)
        items = to_scipy(urm.transpose()).astype(np.float64)
        diagonal = np.empty(urm.n_cols)
        # P_jj = (1 - x_j^T M x_j) / l2, for as many items at once as a block of M has rows.
        for start in range(0, urm.n_cols, _ROWS):
            block = items[start : start + _ROWS]
            quadratic = np.asarray(block.multiply(block @ M) @ np.ones(urm.n_rows))
            diagonal[start : start + _ROWS] = (1 - quadratic) / l2
        return DualEase(urm, M.astype(np.float32), diagonal.astype(np.float32), l2)


def _regularised_inverse(rows: Csr, cols: Csr, l2: float, report: Report) -> NDArray[np.float64]:
    """(A A^T + l2 I)^-1 for A = `rows` and A^T = `cols`."""
    left, right = to_scipy(rows).astype(np.float64), to_scipy(cols).astype(np.float64)
    gram = np.empty((rows.n_rows, rows.n_rows))
    for start in range(0, rows.n_rows, _PIVOTS):
        some = slice(start, start + _PIVOTS)
        gram[some] = (left[some] @ right).toarray()
    gram[np.diag_indices_from(gram)] += l2
    _invert(gram, report)
    return gram


def _invert(A: NDArray[np.float64], report: Report) -> None:
    """Invert a symmetric positive definite matrix in place.

    Gauss-Jordan elimination on blocks of pivots, which need no exchange of rows in such a matrix:
    2 n^3 operations, nearly all in matrix products, and one block of rows of further memory.
    """
    n = len(A)
    for start in range(0, n, _PIVOTS):
        pivots = slice(start, min(start + _PIVOTS, n))
        pivot = scipy.linalg.inv(A[pivots, pivots], assume_a="pos", check_finite=False)
        column = A[:, pivots].copy()
        column[pivots] = 0
        A[:, pivots] = 0
        A[pivots, pivots] = np.eye(len(pivot))
        row = pivot @ A[pivots]
        A[pivots] = row
        for first in range(0, n, _ROWS):
            some = slice(first, first + _ROWS)
            A[some] -= column[some] @ row
        report(pivots.stop, n)
