"""EASE: the linear item model with a closed form.

Objective: min_B ||X - X B||^2 + l2 ||B||^2 with zero diagonal; scores are x B. With
P = (X^T X + l2 I)^-1 the answer is B = I - P diag(1 / diag P).
Source: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
Deviation: with fewer users than items the inverse is that of the users x users matrix
X X^T + l2 I (the inversion lemma), and no items x items matrix is ever made; see `DualEase`.
Cost: O(n^3) time and 9 n^2 bytes (dual: 13 n^2), n the shorter side of the matrix; the precision
is chosen by a bound of the condition number. See the module of the kernel.
"""

from ganmf_fast import _core
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.hardware import product_seconds
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.progress import announce
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.dense import DenseWeights, DualEase

__all__ = ["EASE"]

# Bytes at the peak for each entry of the square matrix: half of an f64 inverse with a copy of one
# column of tiles, and the f32 result; the dual form also holds the whole inverse in f64.
BYTES_PRIMAL = 9
BYTES_DUAL = 13
# Rows from which on it is asked how long a fit takes, and its time beside that of one product of
# two dense f64 matrices of the same size.
_LARGE = 5000
_COST = 0.4


@hyperparameters
class EASE(Recommender):
    """Linear weights between items with a closed form.

    Attributes
    ----------
    item_weights_ : float32 array, shape (n_items, n_items)
        B; only where there are at least as many users as items.

    Raises
    ------
    MemoryError
        By ``fit``, before anything is computed, if n^2 numbers do not fit, with n the shorter side
        of the matrix.

    References
    ----------
    H. Steck. Embarrassingly shallow autoencoders for sparse data. WWW 2019.
    """

    l2: float = param(
        500.0, "Strength of the penalty.", above=0, search={"real": [1.0, 1e7], "log": True}
    )

    def _fit(self, data: FitData) -> Scorer:
        urm, l2 = data.urm, float(self.l2)
        n_users, n_items = urm.n_rows, urm.n_cols
        dual = n_users < n_items
        side = min(n_users, n_items)
        need = (BYTES_DUAL if dual else BYTES_PRIMAL) * side**2
        check_memory(
            need,
            f"EASE on {n_users} users and {n_items} items",
            "it needs the square of the smaller number; SLIMElasticNet (on sparse data), ItemKNN "
            "and P3alpha need far less",
        )
        if side >= _LARGE:
            what = f"EASE: fit: {side:,} {'users' if dual else 'items'}, {need / 2**30:.1f} GiB"
            announce(what, _COST * product_seconds(side))
        if dual:
            inverse, diagonal = _core.fit_ease_dual(urm, l2, data.progress)
            return DualEase(urm, inverse, diagonal, l2)
        return DenseWeights(_core.fit_ease_primal(urm, l2, data.progress))
