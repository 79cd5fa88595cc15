"""RAGAN and RAGANBT: ratings beside which generated ones are given to another model."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ganmf_fast._core import Csr
from ganmf_fast.base.params import hyperparameters
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.gan.base import GANRecommender
from ganmf_fast.gan.settings import RAGANSettings
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.iterative import IterativeRecommender
from ganmf_fast.models.registry import model_class
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.weights import UserWeights

if TYPE_CHECKING:
    import scipy.sparse as sp


@hyperparameters
class RAGAN(RAGANSettings, GANRecommender):
    """Rating augmentation by a GAN, after the paper's description, unverified.

    A generator makes ratings of all items from the ratings of a user, and a discriminator compares
    them with the given ones where there are any. Some generated ratings of items without one are
    then added, and another model, `base`, is fitted on all. With `bt` (RAGANBT) the networks also
    see virtual low ratings, which are to keep the generator from rating everything highly. No code
    or data of the authors is known: that this is their model cannot be checked.

    Attributes
    ----------
    best_epoch_, history_
        See :class:`~ganmf_fast.gan.base.GANRecommender`; the losses of the history are `d_loss`,
        `g_loss`, `real_score` and `generated_score`; `generated_deviation` is the standard
        deviation of generated ratings, of 64 users and all items, in units of the ratings.

    Notes
    -----
    On MovieLens 100K no list became better by it, and with EASE as base they became much worse
    (docs/results/adversarial.md). `fit` takes explicit ratings, the higher the better. Beside ones
    the generated ratings lie between `low_rating` and one; without `bt` they are ones, the
    generator has no effect, and a warning says so. The lists are those of the base, for the
    profiles as they were given; factors and neighbours of fitted users are those that it found with
    the generated ratings. With `validation` the base is fitted anew for each look. `augment` gives
    the ratings for any model with any parameters. New users are scored as the base scores them;
    where it fits their factors by steps of its own, they have the factors of least squared error.

    References
    ----------
    D.-K. Chae, J.-S. Kang, S.-W. Kim and J. Choi, "Rating Augmentation with Generative Adversarial
    Networks towards Accurate Collaborative Filtering", WWW 2019.
    """

    module: ClassVar[str] = "ganmf_fast.gan.ragan:RAGANModule"

    def augment(self, X: object) -> "Interactions | sp.csr_array[Any]":
        """Ratings beside which generated ones are, on which any model can be fitted.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        Interactions or csr_array
            Interactions with the same ids if they were given, without timestamps; else a matrix.
            Generated ratings are in the range of the given ones, which stay. With `share` 0 the
            ratings are those that were given.

        Raises
        ------
        TypeError, ValueError
            As from `fit`.
        """
        self._validate_params()
        urm: Csr = as_csr(X, "X")
        with reporter("RAGAN: augment") as progress:
            data = FitData(urm, None, progress)
            trained: tuple[Any, Any] = self._trained(self.resolved(urm), data, None)
            found: Csr = trained[0].augmented()
        if isinstance(X, Interactions):
            return replace(X, csr=found, timestamps=None)
        return to_scipy(found)

    def _scorer_of(self, profiles: Csr) -> Scorer:
        cls, scorer, fitted = model_class(self.base), self.scorer_, self.urm_
        if isinstance(scorer, UserWeights):
            if scorer.fitted is None:
                raise NotImplementedError(
                    "it does not hold the ratings that new users are compared with; an older "
                    "version fitted it: fit it again"
                )
            fitted = scorer.fitted
        base = cls.from_parts(cls().get_params(deep=False), fitted, scorer, None)
        if isinstance(scorer, Factors) and scorer.profile_map is None:
            # Its own steps take more than the factors; older files hold no map of a GAN.
            steps = isinstance(base, IterativeRecommender)
            if steps or (isinstance(base, GANRecommender) and base.maps_profiles):
                return scorer.by_least_squares(profiles)
        return base.scorer_of(profiles)
