"""IRGAN: a generator that draws items by policy gradient against a discriminator.

Objective, source and steps: the kernel `ganmf_core::models::adversarial_mf` (docs/algorithms.md).
Deviation: the best epoch by `validation` is kept, where the authors took the best by the test part;
the discriminator sees new negatives every five of its epochs, and interactions and users are
shuffled; with `published_quirks` as the published code behaves.
"""

from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.models.bpr_mf import BPRMF
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
class IRGAN(TwoFactorisations):
    """Two factorisations with item biases in a minimax game.

    The generator starts from BPR-MF with dynamic negative sampling. In each epoch the discriminator
    learns to tell the items of a profile from items that the generator draws, and the generator
    then moves its softmax over the items of each user towards those that the discriminator takes
    for seen. The scores are the generator's.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K + 1) and (n_items, K + 1)
        The last column holds ones, and the biases of the items.
    best_epoch_, history_
        See :class:`~ganmf_fast.models.iterative.IterativeRecommender`; the history has `d_loss`,
        the mean logistic loss of the discriminator, and `g_loss`, minus the mean reward.
    pretraining_ : list of dict
        History of the pre-training; empty with `start_path`.

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
    Steps follow one another; users draw negatives in parallel, with the same result for any number
    of threads. New users get factors by the steps of the pre-training with the items as they are.
    A checkpoint is of the rounds: what is interrupted before the first begins anew.
    On MovieLens 100K nine tenths of the accuracy are the pre-training's, see docs/findings.md.

    References
    ----------
    J. Wang, L. Yu, W. Zhang, Y. Gong, Y. Xu, B. Wang, P. Zhang, D. Zhang. IRGAN: a minimax game for
    unifying generative and discriminative information retrieval models. SIGIR 2017.
    """

    num_factors: int = factors_beside_biases(5)
    epochs: int = rounds(15)
    d_epochs: int = epochs_in_a_round(100, "discriminator")
    g_epochs: int = epochs_in_a_round(50, "generator")
    d_lr: float = learning_rate(1e-3, "discriminator")
    g_lr: float = learning_rate(1e-3, "generator")
    d_reg: float = penalty_of_entries(0.2)
    g_reg: float = param(
        0.0, "Penalty on the generator's factors and bias of each draw.", at_least=0
    )
    d_batch: int = interactions_in_a_batch()
    temperature: float = param(
        0.2,
        "Of the softmax that the discriminator's negatives are drawn from.",
        above=0,
        search={"real": [0.1, 1.0]},
    )
    mix: float = param(
        0.2,
        "Probability that a draw of the generator is a uniform item of the profile.",
        at_least=0,
        below=1,
        search={"real": [0.0, 0.5]},
    )
    pretrain_epochs: int = param(
        80,
        "Epochs of the pre-training, with `validation` the maximum; 0 starts from random factors.",
        at_least=0,
    )
    pretrain_lr: float = param(0.05, "Learning rate of the pre-training.", above=0)
    pretrain_reg: float = param(0.1, "Penalty of the pre-training.", at_least=0)
    dns: int = param(
        5,
        "Draws of which the best is the negative in the pre-training.",
        at_least=1,
        search={"int": [1, 10]},
    )
    published_quirks: bool = param(
        False,
        "The discriminator never sees other negatives than those of the very first drawing; "
        "interactions and users in the order of the matrix; pre-training with the negatives that "
        "are best at the start of an epoch.",
    )

    def _start(self) -> BPRMF:
        return BPRMF(
            num_factors=self.num_factors,
            epochs=self.pretrain_epochs,
            learning_rate=self.pretrain_lr,
            reg=self.pretrain_reg,
            dns=self.dns,
            published_quirks=self.published_quirks,
            freq=self.freq,
            allow_worse=self.allow_worse,
            seed=self.seed,
        )

    def _discriminator(self) -> Discriminator:
        return (
            int(self.d_epochs),
            float(self.d_lr),
            float(self.d_reg),
            int(self.d_batch),
            float(self.temperature),
            False,
            bool(self.published_quirks),
            False,
        )

    def _generator(self) -> Generator:
        return int(self.g_epochs), float(self.g_lr), float(self.g_reg), float(self.mix)

    def _in_order(self) -> bool:
        return bool(self.published_quirks)
