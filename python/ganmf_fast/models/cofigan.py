"""CoFiGAN: a discriminator that teaches a generator by pairs of items drawn from its scores.

Objective, source and steps: the kernel `ganmf_core::models::adversarial_mf` (docs/algorithms.md).
Deviation: the best epoch by `validation` is kept, where the authors took the best by the test part;
interactions and users are shuffled.
"""

import numpy as np

from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.models.bpr_mf import BPRMF, first_factors
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.pretrained import Tables
from ganmf_fast.models.two_factorisations import (
    Discriminator,
    Generator,
    TwoFactorisations,
    epochs_in_a_round,
    factors_beside_biases,
    interactions_in_a_batch,
    learning_rate,
    penalty_of_entries,
    rounds,
)


@hyperparameters
class CoFiGAN(TwoFactorisations):
    """Two factorisations with item biases, one of which teaches the other.

    The generator starts from BPR-MF, the discriminator from a logistic factorisation with uniform
    negatives. In each epoch the discriminator learns to tell the items of a profile from items
    outside it that the generator draws; the generator then learns to rank items that are likely by
    the discriminator's softmax above those that are unlikely. The scores are the generator's.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K + 1) and (n_items, K + 1)
        The last column holds ones, and the biases of the items.
    best_epoch_, history_
        See :class:`~ganmf_fast.models.iterative.IterativeRecommender`; the history has `d_loss`,
        the mean logistic loss of the discriminator, and `g_loss`, that of the generator's pairs.
    pretraining_ : list of dict
        History of the generator's pre-training; empty with `start_path`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is out of range, no user has both seen and unseen items, the
        file of `start_path` does not fit, the checkpoint is damaged or another run's, or training
        diverges.
    MemoryError
        From `fit`, before anything is computed, if the factors would not fit.

    Notes
    -----
    Steps follow one another; users draw in parallel, with the same result for any number of
    threads. New users get factors by the steps of the pre-training with the items as they are. A
    checkpoint is of the rounds: what is interrupted before the first begins anew.

    References
    ----------
    J. Liu, W. Pan, Z. Ming. CoFiGAN: collaborative filtering by generative and discriminative
    training for one-class recommendation. Knowledge-Based Systems 191, 2020.
    """

    num_factors: int = factors_beside_biases(20)
    epochs: int = rounds(300)
    d_epochs: int = epochs_in_a_round(50, "discriminator")
    g_epochs: int = epochs_in_a_round(50, "generator")
    d_lr: float = learning_rate(0.01, "discriminator")
    g_lr: float = learning_rate(0.01, "generator")
    d_reg: float = penalty_of_entries(0.01)
    g_reg: float = param(
        1e-3,
        "Penalty on the generator's factors and biases of each pair.",
        at_least=0,
        search={"real": [1e-5, 1e-1], "log": True},
    )
    d_batch: int = interactions_in_a_batch()
    pretrain_epochs: int = param(
        100,
        "Epochs of the pre-training, with `validation` the maximum: both networks have those that "
        "are best for the generator; 0 starts from random factors.",
        at_least=0,
    )
    pretrain_lr: float = param(0.01, "Learning rate of the pre-training.", above=0)
    pretrain_reg: float = param(0.01, "Penalty of the pre-training.", at_least=0)
    d_start_path: str | None = param(None, "As `start_path`, for the discriminator.", kw_only=True)

    def _start(self) -> BPRMF:
        return BPRMF(
            num_factors=self.num_factors,
            epochs=self.pretrain_epochs,
            learning_rate=self.pretrain_lr,
            reg=self.pretrain_reg,
            freq=self.freq,
            allow_worse=self.allow_worse,
            seed=self.seed,
        )

    def _first_discriminator(self, data: FitData, rng: np.random.Generator) -> Tables:
        if self.d_start_path is not None:
            return self._from_file("d_start_path", data.urm)
        tables = first_factors(data.urm, int(self.num_factors), rng)
        if not self.pretrain_epochs:
            return tables
        # Both networks have as many epochs, so that a fit without validation can repeat this one.
        epochs = self.best_pretrain_epoch_ or int(self.pretrain_epochs)
        alone = self._kernel(
            data.urm,
            (*tables, *tables),
            discriminator=self._discriminator(
                epochs, self.pretrain_lr, self.pretrain_reg, uniform=True
            ),
            generator=(0, 1.0, 0.0, None),
        )
        alone.run()
        _, _, users, items = alone.state()[0]
        return users, items

    def _discriminator(
        self,
        epochs: int | None = None,
        rate: float | None = None,
        reg: float | None = None,
        *,
        uniform: bool = False,
    ) -> Discriminator:
        return (
            int(self.d_epochs) if epochs is None else epochs,
            float(self.d_lr if rate is None else rate),
            float(self.d_reg if reg is None else reg),
            int(self.d_batch),
            1.0,
            True,
            False,
            uniform,
        )

    def _generator(self) -> Generator:
        return int(self.g_epochs), float(self.g_lr), float(self.g_reg), None
