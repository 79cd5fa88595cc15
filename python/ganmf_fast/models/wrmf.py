"""WRMF: weighted matrix factorisation of implicit feedback by alternating least squares (iALS).

Objective, source and arithmetic: the kernel `ganmf_core::ials` (docs/algorithms.md).
Deviation: factors start normal, and users and items without interactions get zeros; the published
comparison starts items uniform in [0, K^-1/2), so that items nobody knows keep positive factors
and get recommended (`published_quirks`).
"""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_bool, check_choice, check_int, check_memory, check_real
from ganmf_fast.base.progress import Report
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models.base import Recommender, map_at_5
from ganmf_fast.models.early_stopping import Outcome, run_epochs
from ganmf_fast.scorers.base import Factors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WRMF"]

# Standard deviation of the first item factors, before division by the square root of their number.
_SCALE = 0.1


class _Objective(NamedTuple):
    alpha: float
    epsilon: float | None
    reg: float
    reg_exponent: float


class WRMF(Recommender):
    """Weighted matrix factorisation by implicit alternating least squares.

    Minimises, over all cells, ``c (p - x_u . y_i)^2`` plus ``reg`` times the squares of the
    factors, where p is 1 on interactions and 0 elsewhere and the confidence c is 1 where there is
    no interaction. An epoch solves for all users, then for all items.

    Parameters
    ----------
    num_factors : int, default 20
        Columns K of the factors, at least 1.
    confidence_scaling : {"linear", "log"}, default "linear"
        c = 1 + alpha r, or 1 + alpha ln(1 + r / epsilon).
    alpha : float, default 1.0
        At least 0.
    epsilon : float, default 1.0
        Greater than 0; only read by "log".
    reg : float, default 1e-3
        Greater than 0.
    epochs : int, default 30
        At most, with `validation`; exactly, without.
    reg_exponent : float, default 0.0
        Multiplies `reg` of each user and item by the sum of its confidences over the other side,
        to this power: 0 is the same penalty for everybody, 1 one that grows with activity (the
        frequency scaling of iALS++, whose ``(n + alpha0 I)^nu`` it is up to a constant factor).
    solver : {"cg", "cholesky"}, default "cg"
        How each row is solved: approximately, by conjugate gradient from its previous factors, or
        exactly.
    cg_steps : int, default 3
        Steps of "cg", at least 1.
    freq : int, default 5
        Epochs between two checks of MAP@5 on `validation`.
    allow_worse : int, default 5
        Checks without improvement that are borne; the next one stops the training.
    seed : int, default 0
        Of the first item factors, 0 to 2^63 - 1.
    published_quirks : bool, default False
        First item factors uniform in [0, K^-1/2) instead of normal, kept by items that nobody
        knows; rows solved exactly. Positive first factors also keep those items recommendable.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K) and (n_items, K)
    best_epoch_ : int
        Epoch of the factors that were kept.
    history_ : list of dict
        One row an epoch: `epoch`, `validation` (MAP@5, where checked), `seconds`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is not as above.
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

    def __init__(
        self,
        num_factors: int = 20,
        confidence_scaling: Literal["linear", "log"] = "linear",
        alpha: float = 1.0,
        epsilon: float = 1.0,
        reg: float = 1e-3,
        epochs: int = 30,
        reg_exponent: float = 0.0,
        solver: Literal["cg", "cholesky"] = "cg",
        cg_steps: int = 3,
        freq: int = 5,
        allow_worse: int = 5,
        seed: int = 0,
        published_quirks: bool = False,
    ) -> None:
        self.num_factors = num_factors
        self.confidence_scaling = confidence_scaling
        self.alpha = alpha
        self.epsilon = epsilon
        self.reg = reg
        self.epochs = epochs
        self.reg_exponent = reg_exponent
        self.solver = solver
        self.cg_steps = cg_steps
        self.freq = freq
        self.allow_worse = allow_worse
        self.seed = seed
        self.published_quirks = published_quirks

    def _check_params(self) -> None:
        for name in ("num_factors", "epochs", "cg_steps", "freq"):
            check_int(name, getattr(self, name), 1)
        check_choice("confidence_scaling", self.confidence_scaling, ("linear", "log"))
        check_choice("solver", self.solver, ("cg", "cholesky"))
        check_real("alpha", self.alpha, 0)
        check_real("epsilon", self.epsilon, above=0)
        check_real("reg", self.reg, above=0)
        check_real("reg_exponent", self.reg_exponent, 0)
        check_int("allow_worse", self.allow_worse, 0)
        check_int("seed", self.seed, 0, 2**63 - 1)
        check_bool("published_quirks", self.published_quirks)

    def _objective(self) -> _Objective:
        epsilon = float(self.epsilon) if self.confidence_scaling == "log" else None
        return _Objective(float(self.alpha), epsilon, float(self.reg), float(self.reg_exponent))

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> Factors:
        k = int(self.num_factors)
        sides = (urm.n_rows + urm.n_cols) * k
        # Factors of now, before and best, and the turned copy of one side.
        check_memory(16 * sides, "WRMF", "lower num_factors")
        urm_t = urm.transpose()
        exact = self.solver == "cholesky" or self.published_quirks
        cg_steps = None if exact else int(self.cg_steps)
        first = self._first_items(urm_t)
        cold = np.flatnonzero(np.diff(urm_t.indptr) == 0)
        now = Factors(np.zeros((urm.n_rows, k), dtype=np.float32), first)

        def run(_epoch: int) -> dict[str, float]:
            nonlocal now
            users = self._solve(urm, now.item_factors, now.user_factors, cg_steps)
            items = self._solve(urm_t, users, now.item_factors, cg_steps)
            if self.published_quirks:
                items[cold] = first[cold]
            now = Factors(users, items)
            return {}

        validate: Callable[[Factors], float] | None = None
        if validation is not None:
            validate = partial(map_at_5, urm=urm, validation=validation)
        outcome: Outcome[Factors] = run_epochs(
            int(self.epochs),
            int(self.freq),
            int(self.allow_worse),
            run,
            lambda: now,
            validate,
            report,
        )
        self.best_epoch_ = outcome.best_epoch
        self.history_ = outcome.history
        return outcome.state

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
            urm,
            urm.transpose(),
            self.user_factors_,
            self.item_factors_,
            *self._objective(),
        )

    def _fold_in(self, profiles: Csr) -> NDArray[np.float32]:
        items = self.item_factors_
        users = self._solve(profiles, items, None, None)
        with one_blas_thread():
            return np.ascontiguousarray(users @ items.T, dtype=np.float32)
