"""SLIM-BPR: item weights learned by Bayesian personalised ranking.

Objective, source and steps: the kernel `ganmf_core::slim_bpr` (docs/algorithms.md).
Deviation: an epoch is as many samples as there are interactions, lambda_j shrinks weights, weights
that are not symmetric are applied the way they were learned, and early stopping keeps the best
epoch; `published_quirks` brings the published behaviour back.
"""

from typing import ClassVar, Literal

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import available_memory, check_memory
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.early_stopping import TrainingResult, run_epochs
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.weights import ItemWeights


@hyperparameters
class SLIMBPR(Recommender):
    """Sparse linear item weights learned by Bayesian personalised ranking.

    Each sample is a user, an item of the profile and one outside it; the rows of weights of the two
    items are moved so that the first is preferred.

    Attributes
    ----------
    item_weights_ : csr_array of float32, shape (n_items, n_items)
        Rows are items of the profile; zero diagonal.
    best_epoch_ : int
        Epoch with the best value on `validation`, or the last.
    history_ : list of dict
        One row an epoch: `epoch`, `validation` (where evaluated), `seconds`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is out of range, no user has both seen and unseen items, or the
        weights diverge.
    MemoryError
        From `fit`, before anything is computed, if the weights kept would not fit.

    Notes
    -----
    While learning, all weights are in memory, 4 bytes each, if that takes no more than half of what
    is available; otherwise a slower hash table of those touched, with the same result. Training is
    sequential: threads change neither its result nor its speed.

    References
    ----------
    S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme. BPR: Bayesian personalized ranking
    from implicit feedback. UAI 2009.
    X. Ning, G. Karypis. SLIM: sparse linear methods for top-N recommender systems. ICDM 2011.
    """

    iterative: ClassVar[bool] = True

    saved_attributes = ("best_epoch_", "history_")

    topk: int = param(
        200,
        "Largest weights kept in each row, and then in each column.",
        at_least=1,
        search={"int": [5, 1000], "at_most": "items"},
    )
    epochs: int = param(
        300,
        "Number of epochs; with `validation` the maximum.",
        at_least=1,
        search={"choice": [1500]},
    )
    symmetric: bool = param(
        True, "One weight for (a, b) and (b, a): half the memory.", search={"choice": [True, False]}
    )
    sgd_mode: Literal["adagrad", "adam", "sgd"] = param(
        "adagrad",
        "Rule by which a gradient becomes a step.",
        search={"choice": ["sgd", "adagrad", "adam"]},
    )
    lambda_i: float = param(
        0.0,
        "Penalty on the row of the seen item.",
        at_least=0,
        search={"real": [1e-9, 1e-3], "log": True},
    )
    lambda_j: float = param(
        0.0,
        "Penalty on the row of the unseen item.",
        at_least=0,
        search={"real": [1e-9, 1e-3], "log": True},
    )
    learning_rate: float = param(
        1e-2, "Learning rate.", above=0, search={"real": [1e-4, 1e-1], "log": True}
    )
    samples_per_epoch: int | None = param(
        None,
        "By default as many as there are interactions; with `published_quirks` one more.",
        at_least=1,
        at_most=2**63 - 1,
    )
    freq: int = param(5, "Epochs between two evaluations on `validation`.", at_least=1)
    allow_worse: int = param(
        5,
        "Patience: evaluations without improvement after which one more stops the training.",
        at_least=0,
    )
    seed: int = param(0, "Seed of the samples.", at_least=0, at_most=2**63 - 1)
    published_quirks: bool = param(
        False,
        "One sample more in each epoch, a lambda_j that lets weights grow, weights that are not "
        "symmetric applied transposed, and the last epoch returned instead of the best "
        "(`best_epoch_` is the best one either way).",
    )

    def _samples(self, urm: Csr) -> int:
        if self.samples_per_epoch is not None:
            return int(self.samples_per_epoch)
        return urm.nnz + int(self.published_quirks)

    def _fit(self, data: FitData) -> ItemWeights:
        urm, topk = data.urm, min(int(self.topk), data.urm.n_cols)
        # The weights kept, while they are sorted by rows and by columns.
        check_memory(
            24 * topk * urm.n_cols, f"SLIMBPR with topk={topk} on {urm.n_cols} items", "lower topk"
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

        result: TrainingResult[ItemWeights] = run_epochs(
            data,
            lambda: model.run(samples),
            lambda: ItemWeights(model.weights(topk)),
            epochs=int(self.epochs),
            freq=int(self.freq),
            allow_worse=int(self.allow_worse),
        )
        self.best_epoch_ = result.best_epoch
        self.history_ = result.history
        return result.last if self.published_quirks else result.best
