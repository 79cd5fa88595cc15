"""BPR-MF: factors and item biases learned by Bayesian personalised ranking; APR: with an adversary.

Objectives, source and steps: the kernel `ganmf_core::models::bpr_mf` (docs/algorithms.md).
Deviation: factors start uniform in [-.05, .05) and biases at zero; interactions are shuffled for
each epoch, and dynamic negatives are chosen by the scores as they are; `published_quirks` brings
back what was published.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import BprRule, Csr
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.iterative import IterativeRecommender
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.tensors import Floats

_SPREAD = 0.05


def first_factors(
    urm: Csr, num_factors: int, rng: np.random.Generator, constant: float = 1.0
) -> tuple[Floats, Floats]:
    """Rows ``p constant`` of users and ``q b`` of items at the start.

    Uniform in [-.05, .05), biases zero.
    """
    tables = []
    for n, last in ((urm.n_rows, constant), (urm.n_cols, 0.0)):
        table = np.empty((n, num_factors + 1), np.float32)
        table[:, :-1] = rng.uniform(-_SPREAD, _SPREAD, (n, num_factors))
        table[:, -1] = last
        tables.append(table)
    users, items = tables
    return users, items


@hyperparameters
class BPRMF(IterativeRecommender):
    """Matrix factorisation learned by Bayesian personalised ranking.

    Each interaction is compared with an item outside the profile, and a step of gradient descent
    moves the factors of the user and of the two items so that the first is preferred. The item
    outside is drawn uniformly, or is the best of some draws (dynamic negative sampling, DNS).

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K + 1) and (n_items, K + 1)
        The last column holds ones (zeros without `item_bias`), and the biases of the items.
    best_epoch_, history_
        See :class:`~ganmf_fast.models.iterative.IterativeRecommender`; the history has `loss`, the
        mean logistic loss of the epoch's triples before their steps.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is out of range, no user has both seen and unseen items, the
        checkpoint is damaged or another run's, or training diverges.
    MemoryError
        From `fit`, before anything is computed, if the factors would not fit.

    Notes
    -----
    Training is sequential: threads change neither its result nor its speed. New users get factors
    by as many epochs of the same steps with the items as they are.

    References
    ----------
    S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme. BPR: Bayesian personalized ranking
    from implicit feedback. UAI 2009.
    W. Zhang, T. Chen, J. Wang, Y. Yu. Optimizing top-N collaborative filtering via dynamic negative
    item sampling. SIGIR 2013.
    """

    num_factors: int = param(
        64,
        "Columns K of the factors, beside the biases.",
        at_least=1,
        search={"int": [1, 250], "at_most": "shorter side"},
    )
    epochs: int = param(
        100,
        "Number of epochs; with `validation` the maximum.",
        at_least=1,
        search={"choice": [300]},
    )
    learning_rate: float = param(
        0.05, "Learning rate.", above=0, search={"real": [1e-3, 1.0], "log": True}
    )
    reg: float = param(
        0.01,
        "Penalty on the factors and biases of each triple.",
        at_least=0,
        search={"real": [1e-5, 1e-1], "log": True},
    )
    dns: int = param(
        1,
        "Draws of which the item with the highest score is the negative; 1 is uniform.",
        at_least=1,
        search={"int": [1, 10]},
    )
    sgd_mode: Literal["adagrad", "sgd"] = param(
        "sgd",
        "Rule by which a gradient becomes a step; AdaGrad's sums start at 0.1.",
        search={"choice": ["sgd", "adagrad"]},
    )
    batch_size: int = param(1, "Triples whose gradients are summed for a step.", at_least=1)
    item_bias: bool = param(True, "A bias for each item.")
    published_quirks: bool = param(
        False,
        "Dynamic negative sampling as the authors of IRGAN ran it: interactions in the order of "
        "the matrix, and negatives chosen by the scores at the start of the epoch.",
    )

    def rule(self, adversary: tuple[float, float] | None = None) -> BprRule:
        """The steps of the parameters, as the kernel knows them."""
        return BprRule(
            self.sgd_mode,
            float(self.learning_rate),
            float(self.reg),
            int(self.dns),
            int(self.seed),
            int(self.batch_size),
            self._in_order(),
            self._drops_last(),
            adversary,
        )

    def _in_order(self) -> bool:
        return bool(self.published_quirks)

    def _drops_last(self) -> bool:
        return False

    def _adversary(self, epoch: int) -> tuple[float, float] | None:
        """Of the epoch after so many."""
        return None

    def _fit(self, data: FitData) -> Factors:
        urm, k, name = data.urm, int(self.num_factors), type(self).__name__
        # Factors with their padding, sums of squares, the best model and the one that is evaluated.
        check_memory(16 * (urm.n_rows + urm.n_cols) * (k + 8), name, "lower num_factors")
        rng = np.random.default_rng(int(self.seed))
        users, items = first_factors(urm, k, rng, float(self.item_bias))
        epoch = 0
        now = _core.BprMf(urm, self.rule(self._adversary(0)), users, items)

        def start(tables: list[Floats], done: int) -> None:
            nonlocal now, epoch
            epoch = done
            squares = (tables[2], tables[3]) if len(tables) > 2 else None
            rule = self.rule(self._adversary(done))
            now = _core.BprMf(urm, rule, tables[0], tables[1], squares, done)

        def step() -> dict[str, float]:
            nonlocal epoch
            if epoch and (self._adversary(epoch) is None) != (self._adversary(epoch - 1) is None):
                # A new stage, with fresh sums of squares.
                start(now.state()[:2], epoch)
            loss = now.run()
            epoch += 1
            return {"loss": loss}

        def state() -> dict[str, NDArray[Any]]:
            return {f"{n}": table for n, table in enumerate(now.state())}

        def restore(done: int, arrays: Mapping[str, NDArray[Any]]) -> None:
            start([arrays[f"{n}"] for n in range(len(arrays))], done)

        def model() -> Factors:
            users, items, *_ = now.state()
            return Factors(users, items)

        return self._train(data, step, model, state, restore)

    def _scorer_of(self, profiles: Csr) -> Factors:
        fitted = self._factors("item_factors_")
        items = fitted.item_factors
        constant = float(self.item_bias)
        users = _core.bpr_fold_in(profiles, self.rule(), items, constant, self.best_epoch_)
        return fitted.with_users(users)


@hyperparameters
class APR(BPRMF):
    """Adversarial personalised ranking: BPR-MF whose factors an adversary moves (AMF).

    After `warm_epochs` epochs of BPR-MF an adversary adds to the factors of each batch the move of
    length `eps` a row that raises the loss most, to first order, and the step lowers the loss of
    the factors as they are and, `reg_adv` times, of the moved ones.

    Attributes
    ----------
    user_factors_, item_factors_, best_epoch_, history_
        As of :class:`BPRMF`.

    References
    ----------
    X. He, Z. He, X. Du, T.-S. Chua. Adversarial personalized ranking for recommendation. SIGIR
    2018.
    """

    epochs: int = param(
        200,
        "Number of epochs, the warm ones included; with `validation` the maximum.",
        at_least=1,
        search={"choice": [300]},
    )
    reg: float = param(0.0, "Penalty on the factors and biases of each triple.", at_least=0)
    sgd_mode: Literal["adagrad", "sgd"] = param(
        "adagrad", "Rule by which a gradient becomes a step; AdaGrad's sums start at 0.1."
    )
    batch_size: int = param(512, "Triples whose gradients are summed for a step.", at_least=1)
    item_bias: bool = param(False, "A bias for each item, which the adversary leaves alone.")
    published_quirks: bool = param(
        False, "Leave out the incomplete last batch of an epoch, unless it is the only one."
    )
    eps: float = param(
        0.5,
        "Length of the move of a row.",
        at_least=0,
        search={"real": [1e-2, 2.0], "log": True},
    )
    reg_adv: float = param(
        1.0,
        "Weight of the loss of the moved factors.",
        at_least=0,
        search={"real": [1e-2, 10.0], "log": True},
    )
    warm_epochs: int = param(
        100,
        "Epochs of BPR-MF before the adversary; AdaGrad's sums are fresh after them.",
        at_least=0,
        search={"int": [0, 100]},
    )

    def _in_order(self) -> bool:
        return False

    def _drops_last(self) -> bool:
        return bool(self.published_quirks)

    def _adversary(self, epoch: int) -> tuple[float, float] | None:
        return None if epoch < self.warm_epochs else (float(self.eps), float(self.reg_adv))
