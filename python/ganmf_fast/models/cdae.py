"""CDAE: collaborative denoising autoencoder, as its authors trained it, or in minibatches.

Objective, source and steps: the kernel `ganmf_core::models::cdae` (docs/algorithms.md).
Deviation: the best epoch by `validation` is kept. Several libraries compute other models under this
name: cross-entropy over all items without sampling, user vectors that are never trained, or masked
targets.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.iterative import IterativeRecommender
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.hidden_map import HiddenMap
from ganmf_fast.scorers.tensors import Floats


@hyperparameters
class CDAE(IterativeRecommender):
    """Collaborative denoising autoencoder.

    The hidden layer of a user is made of the items of the profile, some of which are dropped in
    training, and of a vector of the user; each item has a score that is linear in it. The loss is
    over the whole profile and some items outside it, drawn anew in each epoch.

    Attributes
    ----------
    user_factors_ : float32 array, shape (n_users, K + 1)
        Hidden layers, with nothing dropped, and a column of ones.
    item_factors_ : float32 array, shape (n_items, K + 1)
        Output weights, and biases.
    best_epoch_, history_
        See :class:`~ganmf_fast.models.iterative.IterativeRecommender`; the history has `loss`, the
        mean loss of the epoch's targets before the steps.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is out of range, no user has both seen and unseen items, the
        checkpoint is damaged or another run's, or training diverges.
    MemoryError
        From `fit`, before anything is computed, if the weights would not fit.

    Notes
    -----
    Interactions count as ones, whatever their values. New users have hidden layers without a
    vector of their own. Training is sequential: threads change neither its result nor its speed.

    References
    ----------
    Y. Wu, C. DuBois, A. X. Zheng, M. Ester. Collaborative denoising auto-encoders for top-N
    recommender systems. WSDM 2016.
    """

    num_factors: int = param(
        50,
        "Hidden units K.",
        at_least=1,
        search={"int": [10, 250]},
    )
    epochs: int = param(
        50,
        "Number of epochs; with `validation` the maximum.",
        at_least=1,
        search={"choice": [300]},
    )
    learning_rate: float = param(
        0.1, "Learning rate of AdaGrad.", above=0, search={"real": [0.01, 1.0], "log": True}
    )
    reg: float = param(
        0.01,
        "Penalty on each row of weights that is touched.",
        at_least=0,
        search={"real": [1e-4, 1e-1], "log": True},
    )
    dropout: float = param(
        0.2,
        "Probability that an item of the profile is dropped from the input.",
        at_least=0,
        below=1,
        search={"real": [0.0, 0.9]},
    )
    negatives: int = param(
        5,
        "Items outside the profile for each item in it.",
        at_least=0,
        search={"int": [1, 10]},
    )
    hidden_act: Literal["sigmoid", "tanh", "linear"] = param(
        "sigmoid",
        "Activation of the hidden layer.",
        search={"choice": ["sigmoid", "tanh", "linear"]},
    )
    loss: Literal["logistic", "square"] = param(
        "logistic",
        "Loss of a target: logistic, or half the squared difference.",
        search={"choice": ["logistic", "square"]},
    )
    user_factors: bool = param(
        True, "A vector of each user in the hidden layer.", search={"choice": [True, False]}
    )
    tied: bool = param(False, "One weight of an item as input and as output.")
    scaled: bool = param(True, "Divide inputs that are kept by 1 - `dropout`.")
    beta: float = param(
        1.0, "Added to the root of AdaGrad's sums, which start at 1e-4.", at_least=0
    )
    batch_size: int = param(
        1,
        "Users in a step. 1 is as published: outputs move target after target. With more, "
        "gradients are summed over the users of a batch.",
        at_least=1,
    )

    def _first_weights(self, urm: Csr) -> list[Floats]:
        """Outputs, hidden bias, inputs and users at the start, all with a further column."""
        k = int(self.num_factors)
        rng = np.random.default_rng(int(self.seed))
        spread = 4 * np.sqrt(6 / (urm.n_cols + k))

        def table(rows: int) -> Floats:
            weights = np.zeros((rows, k + 1), np.float32)
            weights[:, :-1] = rng.uniform(-spread, spread, (rows, k))
            return weights

        weights = [table(urm.n_cols), np.zeros((1, k + 1), np.float32)]
        if not self.tied:
            weights.append(table(urm.n_cols))
        if self.user_factors:
            weights.append(table(urm.n_rows))
        return weights

    def _kernel(
        self, urm: Csr, weights: list[Floats], squares: list[Floats] | None = None, epoch: int = 0
    ) -> "_core.Cdae":
        return _core.Cdae(
            urm,
            self.hidden_act,
            self.loss,
            float(self.dropout),
            bool(self.scaled),
            int(self.negatives),
            float(self.reg),
            float(self.learning_rate),
            float(self.beta),
            bool(self.tied),
            bool(self.user_factors),
            int(self.batch_size),
            int(self.seed),
            weights,
            squares,
            epoch,
        )

    def _fit(self, data: FitData) -> Factors:
        urm, k = data.urm, int(self.num_factors)
        # Weights and sums of squares with their padding, the best model and the one evaluated.
        check_memory(24 * (urm.n_rows + 2 * urm.n_cols) * (k + 8), "CDAE", "lower num_factors")
        now = self._kernel(urm, self._first_weights(urm))

        def model() -> Factors:
            output, bias, *others = now.state()[0]
            inputs = output if self.tied else others[0]
            encoder = HiddenMap(
                np.ascontiguousarray(inputs[:, :-1]), bias[0, :-1].copy(), self.hidden_act
            )
            return Factors(now.hidden(), output, encoder)

        def state() -> dict[str, NDArray[Any]]:
            return {
                f"{name}.{n}": table
                for name, tables in zip(("weights", "squares"), now.state(), strict=True)
                for n, table in enumerate(tables)
            }

        def restore(done: int, arrays: Mapping[str, NDArray[Any]]) -> None:
            nonlocal now
            n = len(arrays) // 2
            weights, squares = (
                [arrays[f"{name}.{at}"] for at in range(n)] for name in ("weights", "squares")
            )
            now = self._kernel(urm, weights, squares, done)

        return self._train(data, lambda: {"loss": now.run()}, model, state, restore)
