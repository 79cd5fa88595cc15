"""PureSVD: the truncated singular value decomposition of the interaction matrix.

Objective: X ~ U S V^T of rank k, best in squared error; user factors U, item factors V S.
Source: Cremonesi, Koren, Turrin, "Performance of recommender algorithms on top-N recommendation
tasks", RecSys 2010. The decomposition is scikit-learn's randomized SVD (Halko, Martinsson, Tropp,
2011), as in the published comparison.
Deviation: none. Cost: O(nnz k) time for each of a few passes, O((users + items) k) memory.
"""

import numpy as np
from sklearn.utils.extmath import randomized_svd

from ganmf_fast._core import Csr
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.threads import interruptible, one_blas_thread
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.factors import Factors


@hyperparameters
class PureSVD(Recommender):
    """Factors from a truncated singular value decomposition.

    Attributes
    ----------
    user_factors_ : float32 array, shape (n_users, k)
        U.
    item_factors_ : float32 array, shape (n_items, k)
        V S.

    Notes
    -----
    New users have the factors of least squared error, the projection of the profile on the item
    space: scores x V V^T, which for a fitted user are the model's own up to the error of the
    decomposition.

    References
    ----------
    P. Cremonesi, Y. Koren, R. Turrin. Performance of recommender algorithms on top-N recommendation
    tasks. RecSys 2010.
    """

    num_factors: int = param(
        50,
        "Rank k, at most the shorter side of the matrix.",
        at_least=1,
        search={"int": [1, 250], "at_most": "shorter side"},
    )
    seed: int = param(0, "Seed of the random projection.", at_least=0, at_most=2**32 - 1)

    def _fit(self, data: FitData) -> Factors:
        urm = data.urm
        rank = int(self.num_factors)
        limit = min(urm.n_rows, urm.n_cols)
        if rank > limit:
            raise ValueError(
                f"num_factors must be at most {limit}, the shorter side of the "
                f"{urm.n_rows} x {urm.n_cols} matrix, not {rank}"
            )
        X = to_scipy(urm)
        with one_blas_thread(), data.range_named("PureSVD"):
            users, singular, items = interruptible(
                lambda: randomized_svd(X, n_components=rank, random_state=int(self.seed))
            )
        return Factors(
            np.ascontiguousarray(users, dtype=np.float32),
            np.ascontiguousarray(items.T * singular, dtype=np.float32),
        )

    def _scorer_of(self, profiles: Csr) -> Factors:
        return self._factors("item_factors_").by_least_squares(profiles)
