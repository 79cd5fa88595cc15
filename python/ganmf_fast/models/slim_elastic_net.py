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
from ganmf_fast.base.checks import check_bool, check_int, check_memory, check_real
from ganmf_fast.base.progress import Report, reporter
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.ids import Ids
from ganmf_fast.scorers.base import ItemWeights

__all__ = ["SLIMElasticNet"]


class SLIMElasticNet(Recommender):
    """Sparse linear weights between items, by elastic-net regression of each item on the others.

    Parameters
    ----------
    topk : int, default 100
        Weights kept for each item, the largest in size; at least 1. The cut comes after the fit.
    alpha : float, default 0.01
        Strength of the penalty, at least 0.
    l1_ratio : float, default 0.1
        Share of the absolute values in the penalty, between 0 and 1; the rest is squares.
    positive_only : bool, default True
        Allow no negative weights.
    tol : float, default 2e-3
        Between 1e-6 and 0.5: no coordinate misses its optimality condition by more than `tol` times
        the largest overlap of the item with another one. On Last.fm the default left the objective
        2e-5 above its minimum, relatively, at alpha 0.005 and l1_ratio 0.01.
    max_iter : int, default 1000
        Sweeps of coordinate descent for each item, at least 1.

    Attributes
    ----------
    item_weights_ : csr_array of float32, shape (n_items, n_items)
        Column j holds the weights of the items that speak for item j.

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

    def __init__(
        self,
        topk: int = 100,
        alpha: float = 0.01,
        l1_ratio: float = 0.1,
        positive_only: bool = True,
        tol: float = 2e-3,
        max_iter: int = 1000,
    ) -> None:
        self.topk = topk
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.positive_only = positive_only
        self.tol = tol
        self.max_iter = max_iter

    def _check_params(self) -> None:
        check_int("topk", self.topk, 1)
        check_real("alpha", self.alpha, 0)
        check_real("l1_ratio", self.l1_ratio, 0, 1)
        check_bool("positive_only", self.positive_only)
        check_real("tol", self.tol, 1e-6, 0.5)
        check_int("max_iter", self.max_iter, 1)

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> ItemWeights:
        del validation
        return self._solve(urm, [(float(self.alpha), float(self.l1_ratio))], report)[0]

    def fit_path(self, X: object, penalties: Sequence[tuple[float, float]]) -> list[Recommender]:
        """Fit many penalties at once: they share the Gram matrix and warm-start each other.

        Parameters
        ----------
        X : as for `fit`
        penalties : sequence of (alpha, l1_ratio)
            Fitted from the strongest to the weakest, whatever their order here. The other
            parameters are those of this model.

        Returns
        -------
        list of SLIMElasticNet
            A fitted model for each penalty, in the order given; this one stays as it is.

        Raises
        ------
        TypeError, ValueError
            If a parameter, a penalty or `X` is not what it should be.
        MemoryError
            As by `fit`.
        """
        self._check_params()
        pairs = [(check_real("alpha", a, 0), check_real("l1_ratio", r, 0, 1)) for a, r in penalties]
        if not pairs:
            raise ValueError("penalties is empty")
        urm = as_csr(X, "X")
        ids = Ids(X.user_ids, X.item_ids, X.frame_type) if isinstance(X, Interactions) else None
        with reporter("SLIMElasticNet: fit") as report:
            scorers = self._solve(urm, pairs, report)
        shared = self.get_params(deep=False)
        return [
            SLIMElasticNet.from_parts(
                {**shared, "alpha": alpha, "l1_ratio": l1_ratio}, urm, scorer, ids
            )
            for (alpha, l1_ratio), scorer in zip(pairs, scorers, strict=True)
        ]

    def _solve(
        self, urm: Csr, penalties: list[tuple[float, float]], report: Report
    ) -> list[ItemWeights]:
        check_memory(
            _core.slim_elastic_net_bytes(urm),
            f"SLIMElasticNet on {urm.n_rows} users and {urm.n_cols} items",
            "ItemKNN and P3alpha need memory for the interactions only",
        )
        fits = _core.fit_slim_elastic_net(
            urm,
            penalties,
            min(int(self.topk), urm.n_cols),
            bool(self.positive_only),
            float(self.tol),
            int(self.max_iter),
            report,
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
