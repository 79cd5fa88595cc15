"""The adversarial models: each its settings, what it is, and where its module is.

Objectives, sources and deviations are in the modules; torch is needed to fit, not to use or to load
a fitted model. Parameters are declared in :mod:`~ganmf_fast.gan.settings`; errors and the columns
that all histories have are described in :class:`~ganmf_fast.gan.base.GANRecommender`.
"""

from copy import copy
from dataclasses import replace
from typing import Any, ClassVar, Self

from ganmf_fast.base.params import hyperparameters
from ganmf_fast.gan.base import GANRecommender
from ganmf_fast.gan.defaults import CHOSEN, most_epochs_from_ease
from ganmf_fast.gan.settings import (
    BinGANMFSettings,
    CAAESettings,
    CFGANSettings,
    GANMFSettings,
)
from ganmf_fast.models.fit_data import FitData


@hyperparameters
class GANMF(GANMFSettings, GANRecommender):
    """GAN-based matrix factorisation (user or item profiles).

    A generator ``P Q^T`` generates profiles, a linear autoencoder tells them from real ones by its
    reconstruction error, and the generator learns to be reconstructed well and to resemble them in
    the autoencoder's hidden layer, or with another `matching` in its output. The scores of a user
    are the row that is generated.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K) and (n_items, K)
    best_epoch_, history_
        See :class:`~ganmf_fast.gan.base.GANRecommender`; the losses of the history are `d_loss`,
        `g_loss`, `real_energy` and `generated_energy` (of the discriminator), `hinge_active`
        (fraction of batches) and `feature_loss` (the term of `matching`).

    chosen_params_ : dict
        The values of the parameters that were not given, by name.

    Notes
    -----
    Parameters that are None are chosen when the model is fitted (`chosen_params_`), and stay None
    in ``get_params()``. With `recon_coefficient` they are those of the published model: its losses
    (`d_dropout` 0, `matching` "features"), `num_factors` 100, `emb_dim` 400, `batch_size` 512, `m`
    10, `d_lr` 1e-4, `g_lr` 2e-3, `d_reg` 1e-5, no average, random initial weights and `epochs` 300.
    Without it they follow from the numbers of users, items and interactions by the rules of
    `ganmf_fast.gan.defaults`: a discriminator that starts as EASE, leave-one-out matching, user
    factors in closed form (where features are to be matched, `recon_coefficient` is .1), and
    profiles divided by the root of their norms; and `epochs` are found, where there is no
    `validation`, by a fit on nine tenths of the interactions that stops early on the others, drawn
    by `seed`: their best number times (10/9)^(1/4) is trained on all, and none unless one of them
    is better than the start by a standard error of the users' differences. Where epochs are not
    given, the start is measured on the same interactions, or on `validation`, with half, once and
    twice as many factors as the rules say, and the number with the best NDCG@20 is taken; at most
    300 epochs follow, and fewer on large data, where they would take longer than minutes.
    ``epochs=0`` takes the start as it is, which training improves little
    (docs/results/ganmf-parts.md), in a small part of the time.

    The same seed gives the same weights for any number of threads on one machine, and again on
    the same kind of GPU. New users have the factors of the least generator's loss, which are linear
    in the profile; in item mode those of least squared error.

    References
    ----------
    E. Dervishaj and P. Cremonesi, "GAN-based Matrix Factorization for Recommender Systems",
    SAC 2022.

    Examples
    --------
    >>> model = GANMF().fit(train)  # doctest: +SKIP
    >>> model.chosen_params_["num_factors"], model.best_epoch_  # doctest: +SKIP
    """

    module: ClassVar[str] = "ganmf_fast.gan.ganmf.module:GANMFModule"
    saved_attributes: ClassVar[tuple[str, ...]] = (
        *GANRecommender.saved_attributes,
        "chosen_params_",
    )

    def _choose_sizes(self, settings: Self, data: FitData) -> None:
        super()._choose_sizes(settings, data)
        if settings.d_init != "ease":
            # Only training would tell.
            return
        if self.num_factors is None and self.recon_coefficient is None:
            settings.num_factors = self._best_start(settings, data)
        profiles = self._profiles(data.urm)
        shape = profiles.n_rows, profiles.n_cols, profiles.nnz
        settings.epochs = most_epochs_from_ease(*shape, settings.get_params(deep=False))

    def _best_start(self, settings: Self, data: FitData) -> int:
        """Number of factors with which the start is the best on the validation of `data`."""
        start, most = copy(settings), min(data.urm.n_rows, data.urm.n_cols)
        start.epochs, values = 0, {}
        # Lists of twenty differ less by chance than what epochs are stopped by, lists of five.
        measured = replace(data, metric="ndcg", k=20)
        law = settings.num_factors
        sizes = dict.fromkeys(min(max(1, round(times * law)), most) for times in (0.5, 1, 2))
        for start.num_factors in sizes:
            _, run = self._trained(start, measured, None)
            values[start.num_factors] = run.stopping.best_value
            data.progress(len(values), len(sizes), f"start with {start.num_factors} factors")
        return max(values, key=lambda size: values[size])

    def _keep_chosen(self, settings: Self) -> None:
        names = [name for name in CHOSEN if getattr(self, name) is None]
        self.chosen_params_: dict[str, Any] = {name: getattr(settings, name) for name in names}


@hyperparameters
class BinGANMF(BinGANMFSettings, GANRecommender):
    """Matrix factorisation trained against a binary discriminator (user or item profiles).

    The control of the GANMF paper's table 3: the generator ``P Q^T`` is that of GANMF, the
    discriminator a perceptron that tells real profiles from generated ones, and the generator
    learns to be classified as real and to resemble real profiles in the discriminator's last
    hidden layer.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K) and (n_items, K)
    best_epoch_, history_
        See :class:`~ganmf_fast.gan.base.GANRecommender`; the losses of the history are `d_loss`,
        `g_loss`, `real_score` and `generated_score` (mean probabilities of being real, by the
        discriminator) and `feature_loss`.

    References
    ----------
    E. Dervishaj and P. Cremonesi, "GAN-based Matrix Factorization for Recommender Systems",
    SAC 2022.
    """

    module: ClassVar[str] = "ganmf_fast.gan.binganmf:BinGANMFModule"


@hyperparameters
class CFGAN(CFGANSettings, GANRecommender):
    """Collaborative filtering by a GAN that generates profiles from profiles (user or item mode).

    A generator, a perceptron, generates a profile from a profile; a discriminator, another one,
    tells the real from the generated, each beside the profile it was generated from. So that the
    generator does not score everything highly, a random set of the missing items, drawn in each
    epoch, is pulled to zero (ZR) or shown to the discriminator (PM).

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays
        In item mode only, where the scores are inner products.
    best_epoch_, history_
        See :class:`~ganmf_fast.gan.base.GANRecommender`; the losses of the history are `d_loss`,
        `g_loss`, `real_score` and `generated_score` (mean probabilities of being real, by the
        discriminator) and `zr_loss`.

    Notes
    -----
    In user mode new users are scored as fitted ones; in item mode users are inputs, and new ones
    have the factors of least squared error.

    References
    ----------
    D.-K. Chae, J.-S. Kang, S.-W. Kim and J.-T. Lee, "CFGAN: A Generic Collaborative Filtering
    Framework based on Generative Adversarial Networks", CIKM 2018.
    """

    module: ClassVar[str] = "ganmf_fast.gan.cfgan:CFGANModule"


@hyperparameters
class CAAE(CAAESettings, GANRecommender):
    """Collaborative adversarial autoencoders.

    An autoencoder G picks items that the user may like, another one, G', items that the user may
    not; a discriminator, a matrix factorisation trained to rank a user's own items above all that
    either picks, rewards them. The scores of a user are G's output for the profile.

    Attributes
    ----------
    best_epoch_, history_
        See :class:`~ganmf_fast.gan.base.GANRecommender`; the losses of the history are `d_loss`,
        `g_loss`, `gpr_loss` and `reconstruction_loss`.

    References
    ----------
    D.-K. Chae, J. A. Shin and S.-W. Kim, "Collaborative Adversarial Autoencoders: An Effective
    Collaborative Filtering Model Under the GAN Framework", IEEE Access 7, 2019.
    """

    module: ClassVar[str] = "ganmf_fast.gan.caae:CAAEModule"
