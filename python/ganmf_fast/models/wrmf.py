"""WRMF: weighted matrix factorisation of implicit feedback by alternating least squares (iALS).

Objective, source and arithmetic: the kernel `ganmf_core::ials` (docs/algorithms.md).
Deviation: factors start normal, and users and items without interactions get zeros; the published
comparison starts items uniform in [0, K^-1/2), so that items without interactions keep positive
factors and are recommended (`published_quirks`).
"""

from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.early_stopping import TrainingResult, run_epochs
from ganmf_fast.models.fit_data import FitData, range_named
from ganmf_fast.scorers.factors import Factors

# Standard deviation of the first item factors, before division by the square root of their number.
_SCALE = 0.1


class _Objective(NamedTuple):
    alpha: float
    epsilon: float | None
    reg: float
    reg_exponent: float


@hyperparameters
class WRMF(Recommender):
    """Weighted matrix factorisation by implicit alternating least squares.

    Minimises, over all pairs of a user and an item, ``c (p - x_u . y_i)^2`` plus ``reg`` times the
    squares of the factors, where p is 1 on interactions and 0 elsewhere and the confidence c is 1
    where there is no interaction. An epoch solves for all users, then for all items.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K) and (n_items, K)
    best_epoch_ : int
        Epoch of the factors that were kept.
    history_ : list of dict
        One row an epoch: `epoch`, `validation` (where evaluated), `seconds`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is out of range.
    MemoryError
        From `fit`, if the factors would not fit.

    Notes
    -----
    ``fold_in`` solves exactly for the factors of new users and returns their scores. The same seed
    gives the same factors for any number of threads on one machine.

    References
    ----------
    Y. Hu, Y. Koren, C. Volinsky. Collaborative filtering for implicit feedback datasets. ICDM 2008.
    S. Rendle, W. Krichene, L. Zhang, Y. Koren. Revisiting the performance of iALS on item
    recommendation benchmarks. RecSys 2022.
    """

    iterative: ClassVar[bool] = True

    saved_attributes = ("best_epoch_", "history_")

    num_factors: int = param(
        20,
        "Columns K of the factors.",
        at_least=1,
        search={"int": [1, 250], "at_most": "shorter side"},
    )
    confidence_scaling: Literal["linear", "log"] = param(
        "linear",
        "c = 1 + alpha r, or 1 + alpha ln(1 + r / epsilon).",
        search={"choice": ["linear", "log"]},
    )
    alpha: float = param(
        1.0,
        "Weight of the interactions in the confidence.",
        at_least=0,
        search={"real": [1e-3, 50.0], "log": True},
    )
    epsilon: float = param(
        1.0, 'Only read by "log".', above=0, search={"real": [1e-3, 10.0], "log": True}
    )
    reg: float = param(
        1e-3, "Strength of the penalty.", above=0, search={"real": [1e-5, 1e-2], "log": True}
    )
    epochs: int = param(
        30, "Number of epochs; with `validation` the maximum.", at_least=1, search=300
    )
    reg_exponent: float = param(
        0.0,
        "Multiplies `reg` of each user and item by the sum of its confidences over the other side, "
        "to this power: 0 is the same penalty for all, 1 one that grows with activity (the "
        "frequency scaling of iALS++, whose ``(n + alpha0 I)^nu`` it is up to a constant factor).",
        at_least=0,
    )
    solver: Literal["cg", "cholesky"] = param(
        "cg",
        "Solver of a row: conjugate gradient from its previous factors, approximately, or a "
        "Cholesky decomposition, exactly.",
    )
    cg_steps: int = param(3, 'Steps of "cg".', at_least=1)
    freq: int = param(5, "Epochs between two evaluations on `validation`.", at_least=1)
    allow_worse: int = param(
        5,
        "Patience: evaluations without improvement after which one more stops the training.",
        at_least=0,
    )
    seed: int = param(0, "Seed of the first item factors.", at_least=0, at_most=2**63 - 1)
    published_quirks: bool = param(
        False,
        "First item factors uniform in [0, K^-1/2) instead of normal, kept by items without "
        "interactions, which can thus be recommended; rows solved exactly.",
    )

    def _objective(self) -> _Objective:
        epsilon = float(self.epsilon) if self.confidence_scaling == "log" else None
        return _Objective(float(self.alpha), epsilon, float(self.reg), float(self.reg_exponent))

    def _fit(self, data: FitData) -> Factors:
        urm = data.urm
        k = int(self.num_factors)
        sides = (urm.n_rows + urm.n_cols) * k
        # Current, previous and best factors, and the transposed copy of one side.
        check_memory(16 * sides, "WRMF", "lower num_factors")
        urm_t = urm.transpose()
        exact = self.solver == "cholesky" or self.published_quirks
        cg_steps = None if exact else int(self.cg_steps)
        first = self._first_items(urm_t)
        cold = np.flatnonzero(np.diff(urm_t.indptr) == 0)
        now = Factors(np.zeros((urm.n_rows, k), dtype=np.float32), first)

        def step() -> None:
            nonlocal now
            with data.range_named("WRMF", alpha=float(self.alpha)):
                users = self._solve(urm, now.item_factors, now.user_factors, cg_steps)
                items = self._solve(urm_t, users, now.item_factors, cg_steps)
            if self.published_quirks:
                items[cold] = first[cold]
            now = Factors(users, items)

        result: TrainingResult[Factors] = run_epochs(
            data,
            step,
            lambda: now,
            epochs=int(self.epochs),
            freq=int(self.freq),
            allow_worse=int(self.allow_worse),
        )
        self.best_epoch_ = result.best_epoch
        self.history_ = result.history
        return result.best

    def _solve(
        self,
        rows: Csr,
        fixed: NDArray[np.float32],
        start: NDArray[np.float32] | None,
        cg_steps: int | None,
    ) -> NDArray[np.float32]:
        return _core.ials_half_step(rows, fixed, start, *self._objective(), cg_steps)

    def _first_items(self, urm_t: Csr) -> NDArray[np.float32]:
        shape = (urm_t.n_rows, int(self.num_factors))
        rng = np.random.default_rng(int(self.seed))
        if self.published_quirks:
            published: NDArray[np.float32] = rng.random(shape) / np.sqrt(shape[1])
            return published.astype(np.float32)
        items = rng.standard_normal(shape, dtype=np.float32)
        items *= np.float32(_SCALE / np.sqrt(shape[1]))
        items[np.diff(urm_t.indptr) == 0] = 0
        return items

    def loss(self, X: object = None) -> float:
        """Value of the objective at the fitted factors, in float64.

        Parameters
        ----------
        X : like that of `fit`, optional
            Interactions of the same users with the same items; by default those fitted.
        """
        self._check_fitted()
        urm = self.urm_ if X is None else as_csr(X, "X")
        return _core.ials_loss(
            urm, urm.transpose(), self.user_factors_, self.item_factors_, *self._objective()
        )

    def _scorer_of(self, profiles: Csr) -> Factors:
        fitted = self._factors("item_factors_")
        with range_named("profiles", profiles, "WRMF"):
            users = self._solve(profiles, fitted.item_factors, None, None)
        return fitted.with_users(users)
