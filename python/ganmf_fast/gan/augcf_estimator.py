"""AugCF: a factorisation of likes and dislikes, to which a generator adds interactions."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ganmf_fast._core import Csr
from ganmf_fast.base.params import hyperparameters
from ganmf_fast.base.urm import as_csr, csr_from_sparse, fingerprint, to_scipy
from ganmf_fast.gan.base import GANRecommender
from ganmf_fast.gan.settings import AugCFSettings
from ganmf_fast.models.cooccurrence import Cooccurrence
from ganmf_fast.models.fit_data import FitCallback, FitData
from ganmf_fast.models.ids import Ids
from ganmf_fast.models.item_features import directions, read_item_features
from ganmf_fast.scorers.base import Scorer

if TYPE_CHECKING:
    from ganmf_fast.gan.module import GANModule


@hyperparameters
class AugCF(AugCFSettings, GANRecommender):
    """Generative augmentation of likes and dislikes, after the paper's description, unverified.

    A discriminator that is a matrix factorisation with item biases says of a user and an item
    whether it is a like or a dislike and whether it is real or generated. A generator picks, for a
    user and one of like and dislike, an item, and learns through a straight-through Gumbel-softmax
    to be taken for real. After `adversarial_epochs` the generator stays as it is, and the
    discriminator goes on as the recommender, on real interactions and on generated ones outside
    the profiles. Reduced to what interactions and features of items allow; no code or data of the
    authors is known: that this is their model cannot be checked.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K + 1) and (n_items, K + 1)
        The last column holds ones, and the biases of the items; features are in the factors.
    best_epoch_, history_
        See :class:`~ganmf_fast.gan.base.GANRecommender`; the losses of the history are `d_loss`
        and, in the first phase, `g_loss`, `real_score` and `generated_score`, the mean
        probabilities with which real and generated interactions are taken for real.

    Notes
    -----
    Real dislikes are the interactions with a value below `threshold` and, for each like, as many
    items outside the profile as `negatives` says, drawn uniformly for each epoch; a user without an
    item outside has the given ones alone. ``fit(X, item_features=...)`` adds a projection of the
    items' features to their factors in both networks. `validation` may end training in the first
    phase. New users have the factors of least squared error of their likes, as ones; values of a
    profile are read as those of `X`. A batch of the generator takes memory in proportion to
    `g_batch_size` times the items, an epoch of the discriminator to its interactions, the drawn
    dislikes included. On MovieLens 100K the augmentation brings little, and EASE ranks far better
    (docs/results/adversarial.md).

    References
    ----------
    Q. Wang, H. Yin, H. Wang, Q. V. H. Nguyen, Z. Huang and L. Cui, "Enhancing Collaborative
    Filtering with Generative Augmentation", KDD 2019.
    """

    module: ClassVar[str] = "ganmf_fast.gan.augcf:AugCFModule"

    def fit(
        self,
        X: object,
        y: object = None,
        *,
        item_features: object = None,
        validation: object = None,
        callback: FitCallback | None = None,
        metric: str = "map",
        k: int = 5,
        verbose: bool | None = None,
    ) -> Self:
        """Fit the model, with features of items if there are any.

        Parameters
        ----------
        X, y, validation, callback, metric, k, verbose
            As for `Recommender.fit`; values of `X` are likes from `threshold` on.
        item_features : matrix, Interactions or mapping, optional
            As for `MMR`: a matrix of items x features in the order of the items of `X`;
            `Interactions` of items and labels; or a mapping of items to a label or a list of
            labels. The last two are by id if `Interactions` are fitted. Rows are scaled to length
            one. The fitted model holds what is made of them, and `save` needs no more.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument is not what it should be.
        """
        self._item_features: Csr | None = None
        try:
            if item_features is not None:
                source = X.source if isinstance(X, Cooccurrence) else X
                n_items = as_csr(source, "X").n_cols
                found = read_item_features(item_features, n_items, Ids.of(source))
                self._item_features = csr_from_sparse(directions(found), "item_features")
            return super().fit(
                X,
                y,
                validation=validation,
                callback=callback,
                metric=metric,
                k=k,
                verbose=verbose,
            )
        finally:
            # A fitted model needs them no longer.
            del self._item_features

    def _fit(self, data: FitData) -> Scorer:
        urm = data.urm
        likes = self.likes(urm)
        if not likes.any():
            highest = 1.0 if urm.values is None else urm.values.max()
            raise ValueError(
                f"threshold is {self.threshold:g} but no value of X is above {highest:g}: lower it"
            )
        if likes.all() and not self.negatives:
            raise ValueError(
                "negatives is 0 and X holds no dislike, a value below threshold "
                f"({self.threshold}): raise one of them"
            )
        return super()._fit(data)

    def _module(self, settings: Self, profiles: Csr) -> "GANModule":
        module: GANModule = resolve_name(self.module)(settings, profiles, self._item_features)
        return module

    def _config(self, settings: Self, data: FitData) -> dict[str, Any]:
        features = self._item_features
        named = {} if features is None else {"item_features": fingerprint(features)}
        return {**super()._config(settings, data), **named}

    def _scorer_of(self, profiles: Csr) -> Scorer:
        likes = self.likes(profiles, "profiles")
        if not likes.all() or profiles.values is not None:
            matrix = to_scipy(profiles).copy()
            matrix.data = likes.astype(np.float32)
            profiles = as_csr(matrix, "profiles", allow_empty=True)
        return super()._scorer_of(profiles)
