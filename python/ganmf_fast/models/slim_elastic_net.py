"""SLIM-ElasticNet: sparse linear weights between items by penalised regression.

Objective, for each target item j: min_w 1/(2 U) ||x_j - X w||^2 + alpha l1_ratio ||w||_1
+ alpha (1 - l1_ratio) / 2 ||w||^2 with w_j = 0, U the number of users; scores are x W.
Source: Ning, Karypis, "SLIM: sparse linear methods for top-N recommender systems", ICDM 2011, in
the parametrisation of scikit-learn's ElasticNet without intercept.
Cost: memory for the Gram matrix of the items, whole where the data are dense; time for coordinate
descent on small working sets of it. See the module of the kernel.
"""

import warnings
from collections.abc import Sequence

from sklearn.exceptions import ConvergenceWarning

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_memory, check_real
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.progress import Report, reporter
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitData, range_named
from ganmf_fast.models.ids import Ids
from ganmf_fast.scorers.weights import ItemWeights


@hyperparameters
class SLIMElasticNet(Recommender):
    """Sparse linear weights between items, by elastic-net regression of each item on the others.

    Attributes
    ----------
    item_weights_ : csr_array of float32, shape (n_items, n_items)
        Column j holds the weights with which other items contribute to item j.

    Raises
    ------
    MemoryError
        By ``fit``, before anything is computed, if the Gram matrix of the items does not fit.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` ended the fit of an item before `tol` was reached.

    References
    ----------
    X. Ning, G. Karypis. SLIM: sparse linear methods for top-N recommender systems. ICDM 2011.
    """

    topk: int = param(
        100,
        "Weights kept for each item, the largest in magnitude; the cut comes after the fit.",
        at_least=1,
        search={"int": [5, 1000], "at_most": "items"},
    )
    alpha: float = param(
        0.01, "Strength of the penalty.", at_least=0, search={"real": [1e-3, 1.0], "log": True}
    )
    l1_ratio: float = param(
        0.1,
        "Fraction of the l1 norm in the penalty; the rest is the squared l2 norm.",
        at_least=0,
        at_most=1,
        search={"real": [1e-5, 1.0], "log": True},
    )
    positive_only: bool = param(True, "Allow no negative weights.")
    tol: float = param(
        2e-3,
        "No coordinate misses its optimality condition by more than `tol` times the largest inner "
        "product of the item with another one. On Last.fm the default left the objective 2e-5 "
        "above its minimum, relatively, at alpha 0.005 and l1_ratio 0.01.",
        at_least=1e-6,
        at_most=0.5,
    )
    max_iter: int = param(1000, "Sweeps of coordinate descent for each item.", at_least=1)

    def _fit(self, data: FitData) -> ItemWeights:
        penalty = (float(self.alpha), float(self.l1_ratio))
        return self._solve(data.urm, [penalty], data.progress)[0]

    def fit_path(self, X: object, penalties: Sequence[tuple[float, float]]) -> list[Recommender]:
        """Fit many penalties at once, with one Gram matrix and warm starts.

        Parameters
        ----------
        X : as for `fit`
        penalties : sequence of (alpha, l1_ratio)
            In any order; they are fitted from the strongest to the weakest. The other parameters
            are those of this model.

        Returns
        -------
        list of SLIMElasticNet
            A fitted model for each penalty, in the order given; this model is not changed.

        Raises
        ------
        TypeError, ValueError
            If a parameter, a penalty or `X` is not what it should be.
        MemoryError
            As by `fit`.
        """
        self._validate_params()
        pairs = [(check_real("alpha", a, 0), check_real("l1_ratio", r, 0, 1)) for a, r in penalties]
        if not pairs:
            raise ValueError("penalties is empty")
        urm, ids = as_csr(X, "X"), Ids.of(X)
        with reporter("SLIMElasticNet: fit") as progress:
            scorers = self._solve(urm, pairs, progress)
        shared = self.get_params(deep=False)
        return [
            SLIMElasticNet.from_parts(
                {**shared, "alpha": alpha, "l1_ratio": l1_ratio}, urm, scorer, ids
            )
            for (alpha, l1_ratio), scorer in zip(pairs, scorers, strict=True)
        ]

    def _solve(
        self, urm: Csr, penalties: list[tuple[float, float]], progress: Report
    ) -> list[ItemWeights]:
        check_memory(
            _core.slim_elastic_net_bytes(urm),
            f"SLIMElasticNet on {urm.n_rows} users and {urm.n_cols} items",
            "ItemKNN and P3alpha need memory for the interactions only",
        )
        weakest = min(alpha for alpha, _ in penalties)
        with range_named("X", urm, "SLIMElasticNet", alpha=weakest):
            fits = _core.fit_slim_elastic_net(
                urm,
                penalties,
                min(int(self.topk), urm.n_cols),
                bool(self.positive_only),
                float(self.tol),
                int(self.max_iter),
                progress,
            )
        for (alpha, l1_ratio), (_, unconverged) in zip(penalties, fits, strict=True):
            if unconverged:
                warnings.warn(
                    f"{unconverged} of {urm.n_cols} items did not reach tol={self.tol:g} within "
                    f"max_iter={self.max_iter} sweeps at alpha={alpha:g}, l1_ratio={l1_ratio:g}",
                    ConvergenceWarning,
                    stacklevel=2,
                )
        return [ItemWeights(weights) for weights, _ in fits]
