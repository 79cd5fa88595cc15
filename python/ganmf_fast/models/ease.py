"""EASE, EDLAE and RDLAE: linear item models with a closed form.

Objective: min_B ||X - X B||^2 + ||L^(1/2) B||^2 with a diagonal of at most `max_diagonal` (d);
scores are x B. L is diagonal, l2 + p / (1 - p) |X_j|^2 for item j with p = `dropout`: the expected
penalty of a model whose input loses each interaction with probability p. With
P = (X^T X + L)^-1 the answer is B = I - P diag(k / diag P), where k_j = max(L_j P_jj, 1 - d).
Reduction: for S = (l2 / L)^(1/2) and the scaled matrix X S, whose penalty is l2 I, the answer is
S^-1 B S; so P is that of EASE on another matrix.
Users may weigh less the more interactions they have (`norm_exponent`): X is then the matrix whose
rows were divided, see :mod:`ganmf_fast.scorers.profile_norms`.
Source: EASE, Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019. Dropout
(EDLAE), Steck, "Autoencoders that don't overfit towards the identity", NeurIPS 2020. Relaxed
diagonal (RDLAE), Moon, Kim and Lee, "It's enough: relaxing diagonal constraints in linear
autoencoders", SIGIR 2023.
Deviation: with fewer users than items the inverse is that of the users x users matrix
X X^T + l2 I (the inversion lemma), and no items x items matrix is ever made; see `DualEase`.
Cost: O(n^3) time and 9 n^2 bytes (dual: 13 n^2), n the shorter side of the matrix; the precision
is chosen by a bound of the condition number. See the module of the kernel.
"""

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.hardware import product_seconds
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.progress import announce
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.dense import DenseWeights, DualEase
from ganmf_fast.scorers.profile_norms import ProfileNorms

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
    H. Steck. Autoencoders that don't overfit towards the identity. NeurIPS 2020.
    J. Moon, H. Kim, J. Lee. It's enough: relaxing diagonal constraints in linear autoencoders for
    recommendation. SIGIR 2023.
    """

    l2: float = param(
        500.0, "Strength of the penalty.", above=0, search={"real": [1.0, 1e7], "log": True}
    )
    dropout: float = param(
        0.0,
        "Probability with which an interaction is dropped from the input, in expectation (EDLAE); "
        "popular items are penalised more.",
        at_least=0,
        below=1,
    )
    max_diagonal: float = param(
        0.0,
        "Largest weight of an item for itself (RLAE, with dropout RDLAE); 1 leaves it free.",
        at_least=0,
        at_most=1,
    )
    norm_exponent: float = param(
        0.0,
        "Profiles are divided by their Euclidean norm to this power, and by one number that keeps "
        "the sum of their squares: with 0 each interaction weighs alike in the squared error, with "
        "1 each profile. Scores are those of whole profiles.",
        at_least=0,
        at_most=2,
        earlier=0.0,
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
        most = float(self.max_diagonal)
        weights = None
        if self.norm_exponent:
            norms = ProfileNorms.of(urm, self.norm_exponent)
            urm, divisors = norms.divided(urm)
            weights = divisors**-2.0
        scaled, scale = urm, None
        if self.dropout:
            with data.range_named("EASE", l2=l2), np.errstate(divide="ignore", over="ignore"):
                scaled, scale = _scaled(urm, l2, float(self.dropout))
        if dual:
            with data.range_named("EASE", l2=l2):
                inverse, diagonal = _core.fit_ease_dual(scaled, l2, data.progress)
            squares = None if scale is None else np.square(scale).astype(np.float32)
            if weights is None:
                return DualEase(urm, inverse, diagonal, l2, most, squares)
            roots = np.sqrt(weights)
            for user, root in enumerate(roots):
                inverse[user] *= root * roots
            return DualEase(
                data.urm, inverse, diagonal, l2, most, squares, weights.astype(np.float32)
            )
        with data.range_named("EASE", l2=l2):
            B = _core.fit_ease_primal(scaled, l2, most, data.progress)
        if scale is not None:
            for item, s in enumerate(scale):
                B[item] *= s / scale
        return DenseWeights(B)


def _scaled(urm: Csr, l2: float, dropout: float) -> tuple[Csr, NDArray[np.float64]]:
    """X S, and the diagonal of S."""
    X = to_scipy(urm).copy()
    squares = np.bincount(X.indices, np.square(X.data, dtype=np.float64), urm.n_cols)
    scale = 1 / np.sqrt(1 + dropout / (1 - dropout) * squares / l2)
    X.data = X.data * scale[X.indices].astype(np.float32)
    return as_csr(X), scale
