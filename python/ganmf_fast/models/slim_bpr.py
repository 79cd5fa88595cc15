"""SLIM-BPR: item weights learned by Bayesian personalised ranking.

Objective, source and steps: the kernel `ganmf_core::slim_bpr` (docs/algorithms.md).
Deviation: an epoch is as many samples as there are interactions, lambda_j shrinks weights, weights
that are not symmetric are applied the way they were learned, and early stopping keeps the best
epoch; `published_quirks` brings the published behaviour back.
"""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import (
    available_memory,
    check_bool,
    check_choice,
    check_int,
    check_memory,
    check_real,
)
from ganmf_fast.base.progress import Report
from ganmf_fast.models.base import Recommender, map_at_5
from ganmf_fast.models.early_stopping import Outcome, run_epochs
from ganmf_fast.scorers.base import ItemWeights

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SLIMBPR"]


class SLIMBPR(Recommender):
    """Sparse linear item weights learned by Bayesian personalised ranking.

    Samples follow one another: a user, an item of the profile and one outside it, whose two rows
    of weights are moved so that the first is preferred.

    Parameters
    ----------
    topk : int, default 200
        Largest weights kept in each row, and then in each column; at least 1.
    epochs : int, default 300
        At most, with `validation`; exactly, without.
    symmetric : bool, default True
        One weight for (a, b) and (b, a): half the memory.
    sgd_mode : {"adagrad", "adam", "sgd"}, default "adagrad"
        How the step is made of the gradient.
    lambda_i, lambda_j : float, default 0.0
        Penalties on the rows of the seen and of the unseen item, at least 0.
    learning_rate : float, default 1e-2
        Greater than 0.
    samples_per_epoch : int, optional
        By default as many as there are interactions; with `published_quirks` one more.
    freq : int, default 5
        Epochs between two checks of MAP@5 on `validation`.
    allow_worse : int, default 5
        Checks without improvement that are borne; the next one stops the training.
    seed : int, default 0
        Of the samples, 0 to 2^63 - 1.
    published_quirks : bool, default False
        One sample more in each epoch, a lambda_j that lets weights grow, weights that are not
        symmetric applied transposed, and the last epoch returned instead of the best
        (`best_epoch_` is the best one either way).

    Attributes
    ----------
    item_weights_ : csr_array of float32, shape (n_items, n_items)
        Rows are items of the profile; zero diagonal.
    best_epoch_ : int
        Epoch with the best value on `validation`, or the last.
    history_ : list of dict
        One row an epoch: `epoch`, `validation` (MAP@5, where checked), `seconds`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is not as above, no user has both seen and unseen items, or the
        weights diverge.
    MemoryError
        From `fit`, before anything is computed, if the weights kept would not fit.

    Notes
    -----
    All weights are held while learning, in 4 bytes each, if that takes no more than half of the
    available memory; otherwise a slower table of those touched, with the same result. Training
    is sequential: threads change neither its result nor its speed.

    References
    ----------
    S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme. BPR: Bayesian personalized ranking
    from implicit feedback. UAI 2009.
    X. Ning, G. Karypis. SLIM: sparse linear methods for top-N recommender systems. ICDM 2011.
    """

    iterative: ClassVar[bool] = True

    saved_attributes = ("best_epoch_", "history_")

    def __init__(
        self,
        topk: int = 200,
        epochs: int = 300,
        symmetric: bool = True,
        sgd_mode: Literal["adagrad", "adam", "sgd"] = "adagrad",
        lambda_i: float = 0.0,
        lambda_j: float = 0.0,
        learning_rate: float = 1e-2,
        samples_per_epoch: int | None = None,
        freq: int = 5,
        allow_worse: int = 5,
        seed: int = 0,
        published_quirks: bool = False,
    ) -> None:
        self.topk = topk
        self.epochs = epochs
        self.symmetric = symmetric
        self.sgd_mode = sgd_mode
        self.lambda_i = lambda_i
        self.lambda_j = lambda_j
        self.learning_rate = learning_rate
        self.samples_per_epoch = samples_per_epoch
        self.freq = freq
        self.allow_worse = allow_worse
        self.seed = seed
        self.published_quirks = published_quirks

    def _check_params(self) -> None:
        for name in ("topk", "epochs", "freq"):
            check_int(name, getattr(self, name), 1)
        check_bool("symmetric", self.symmetric)
        check_choice("sgd_mode", self.sgd_mode, ("adagrad", "adam", "sgd"))
        check_real("lambda_i", self.lambda_i, 0)
        check_real("lambda_j", self.lambda_j, 0)
        check_real("learning_rate", self.learning_rate, above=0)
        if self.samples_per_epoch is not None:
            check_int("samples_per_epoch", self.samples_per_epoch, 1, 2**63 - 1)
        check_int("allow_worse", self.allow_worse, 0)
        check_int("seed", self.seed, 0, 2**63 - 1)
        check_bool("published_quirks", self.published_quirks)

    def _samples(self, urm: Csr) -> int:
        if self.samples_per_epoch is not None:
            return int(self.samples_per_epoch)
        return urm.nnz + int(self.published_quirks)

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> ItemWeights:
        topk = min(int(self.topk), urm.n_cols)
        # The weights kept, while they are sorted by rows and by columns.
        check_memory(
            24 * topk * urm.n_cols,
            f"SLIMBPR with topk={topk} on {urm.n_cols} items",
            "lower topk",
        )
        free = available_memory() // 2
        dense = _core.SlimBpr.dense_bytes(urm.n_cols, bool(self.symmetric))
        model = _core.SlimBpr(
            urm,
            bool(self.symmetric),
            self.sgd_mode,
            float(self.lambda_i),
            float(self.lambda_j),
            float(self.learning_rate),
            bool(self.published_quirks),
            int(self.seed),
            None if dense <= free else free,
        )
        samples = self._samples(urm)

        def run(_epoch: int) -> dict[str, float]:
            model.run(samples)
            return {}

        validate: Callable[[ItemWeights], float] | None = None
        if validation is not None:
            validate = partial(map_at_5, urm=urm, validation=validation)
        outcome: Outcome[ItemWeights] = run_epochs(
            int(self.epochs),
            int(self.freq),
            int(self.allow_worse),
            run,
            lambda: ItemWeights(model.weights(topk)),
            validate,
            report,
        )
        self.best_epoch_ = outcome.best_epoch
        self.history_ = outcome.history
        return outcome.last if self.published_quirks else outcome.state
