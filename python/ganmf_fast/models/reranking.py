"""MMR and CalibratedReranking: the lists of a model, re-ranked for diversity or calibration.

Objective: a list is picked greedily from the model's best items (the pool), each time the item with
the largest (1 - w) s - w d. s is the model's score, scaled from 0 to 1 within the pool; d of MMR is
the largest cosine between the features of the item and of those picked, d of CalibratedReranking
the Kullback-Leibler divergence of the list with the item from the user's known items.
Source: Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents
and producing summaries", SIGIR 1998; Steck, "Calibrated recommendations", RecSys 2018.
Deviation: scores are scaled within the pool, so that a weight means the same for every model; the
weight of MMR is 1 - lambda of the source. Cosines below zero count as zero.
Cost: O(users x n x features of the pool) time beside the model's own.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ganmf_fast.base.checks import check_int, check_real
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.item_features import directions, distributions, read_item_features
from ganmf_fast.models.wrapper import Wrapper, check_model
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.reranked import Calibrated, MaximalMarginalRelevance, Reranked

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp


class _Reranking(Wrapper):
    """What both have in common: a model, features of items, and a parameter for the weight."""

    _weight: ClassVar[str]
    model: Recommender
    item_features: object
    pool: int

    def _check_params(self) -> None:
        check_model("model", self.model)
        check_real(self._weight, getattr(self, self._weight), 0.0, 1.0)
        check_int("pool", self.pool, 1)

    def _given(self) -> list[Recommender]:
        return [self.model]

    def _combined(self, models: list[Recommender]) -> Reranked:
        [model] = models
        features = read_item_features(self.item_features, model.n_items_, model.ids_)
        return self._reranked((model.scorer_,), features)

    @abstractmethod
    def _reranked(self, parts: tuple[Scorer], features: "sp.csr_array[np.float64]") -> Reranked:
        """What picks the lists."""


class MMR(_Reranking):
    """The lists of a model, re-ranked by maximal marginal relevance: fewer items of one kind.

    Parameters
    ----------
    model : Recommender
        Fitted, or to be fitted.
    item_features : matrix, Interactions or mapping
        Features by whose cosine items are alike: a matrix of items x features (scipy sparse, or a
        numpy array such as `item_factors_` of a model) in the order of the fitted items;
        `Interactions` of items and labels; or a mapping of items to a label or a list of labels,
        such as genres. The last two are by id if `Interactions` are fitted.
    diversity : float, default 0.3
        Weight of what an item has in common with those before it, from 0 (the model's own lists) to
        1 (relevance counts for nothing); 1 - lambda of the source.
    pool : int, default 100
        Best items of the model that a list is picked from, at least as many as it is long.

    Attributes
    ----------
    models_ : list of Recommender
        The fitted model.

    Notes
    -----
    `scores` of lists are the values with which items were picked. There are no scores of all items,
    and so no `score_users`. A re-ranked model is not saved: save the model.

    References
    ----------
    J. Carbonell, J. Goldstein. The use of MMR, diversity-based reranking for reordering documents
    and producing summaries. SIGIR 1998.
    """

    _weight = "diversity"

    def __init__(
        self,
        model: Recommender,
        item_features: object,
        diversity: float = 0.3,
        pool: int = 100,
    ) -> None:
        self.model = model
        self.item_features = item_features
        self.diversity = diversity
        self.pool = pool

    def _reranked(self, parts: tuple[Scorer], features: "sp.csr_array[np.float64]") -> Reranked:
        return MaximalMarginalRelevance(
            parts, directions(features), float(self.diversity), int(self.pool)
        )


class CalibratedReranking(_Reranking):
    """The lists of a model, re-ranked so that labels are as frequent as in a user's past.

    Parameters
    ----------
    model : Recommender
        Fitted, or to be fitted.
    item_features : matrix, Interactions or mapping
        Labels of items, such as genres, or their fractions, not negative; as for `MMR`.
    calibration : float, default 0.5
        Weight of the divergence between list and past, from 0 (the model's own lists) to 1
        (relevance counts for nothing); lambda of the source.
    pool : int, default 100
        Best items of the model that a list is picked from, at least as many as it is long.

    Attributes
    ----------
    models_ : list of Recommender
        The fitted model.

    Notes
    -----
    What a list is compared with are the items that were fitted, or those of `profiles`, each with
    equal weight. `scores` of lists are the values with which items were picked, each at most that
    before it. There are no scores of all items, and so no `score_users`. A re-ranked model is not
    saved: save the model. The metric is "miscalibration" of `ganmf_fast.evaluate`.

    References
    ----------
    H. Steck. Calibrated recommendations. RecSys 2018.
    """

    _weight = "calibration"

    def __init__(
        self,
        model: Recommender,
        item_features: object,
        calibration: float = 0.5,
        pool: int = 100,
    ) -> None:
        self.model = model
        self.item_features = item_features
        self.calibration = calibration
        self.pool = pool

    def _reranked(self, parts: tuple[Scorer], features: "sp.csr_array[np.float64]") -> Reranked:
        return Calibrated(parts, distributions(features), float(self.calibration), int(self.pool))
