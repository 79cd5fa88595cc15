"""P3alpha and RP3beta: random walks from a user over the bipartite graph of users and items.

Objective: W[i, j] = probability, with transition probabilities raised to alpha, of walking from
item i over a user to item j, divided by n_j^beta for RP3beta; scores are x W.
Source: Cooper, Lee, Radzik, Siantos, "Random walks in recommender systems: exact computation and
simulations", WWW 2014 companion; Paudel, Christoffel, Newell, Bernstein, "Updatable, accurate,
diverse, and scalable recommendations for interactive applications", TiiS 2017; with the item cuts
of the published comparison.
Deviation: ties go to the smaller item number; `prune_columns` can be switched off.
Cost: O(sum over users of n_u^2) time, O(topk items) memory, plus one row per thread.
"""

from ganmf_fast import _core
from ganmf_fast.base.params import hyperparameters, param, param_of
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.weights import ItemWeights


class _RandomWalk(Recommender):
    """The fit of both models, each of which declares these parameters in its own order."""

    topk: int
    alpha: float
    normalize_similarity: bool
    prune_columns: bool
    published_quirks: bool

    def _weights(self, data: FitData, beta: float) -> ItemWeights:
        exponents = {"alpha": float(self.alpha)} | ({"beta": beta} if beta else {})
        with data.range_named(type(self).__name__, **exponents):
            weights = _core.fit_p3alpha(
                data.urm,
                min(int(self.topk), data.urm.n_cols),
                float(self.alpha),
                beta,
                bool(self.normalize_similarity),
                bool(self.prune_columns),
                data.progress,
                as_published=bool(self.published_quirks),
            )
        return ItemWeights(weights)


@hyperparameters
class P3alpha(_RandomWalk):
    """Three-step random walks.

    Attributes
    ----------
    item_weights_ : csr_array of float32, shape (n_items, n_items)

    References
    ----------
    C. Cooper, S. H. Lee, T. Radzik, Y. Siantos. Random walks in recommender systems: exact
    computation and simulations. WWW 2014 companion.
    """

    topk: int = param(
        100,
        "Targets kept for each item.",
        at_least=1,
        search={"int": [5, 1000], "at_most": "items"},
    )
    alpha: float = param(
        1.0, "Exponent of the transition probabilities.", at_least=0, search={"real": [0.0, 2.0]}
    )
    normalize_similarity: bool = param(
        True, "Scale each row of the kept weights to sum to one.", search={"choice": [True, False]}
    )
    prune_columns: bool = param(
        True,
        "After the `topk` of each row keep the `topk` of each column as well, as the published "
        "figures do. It matters: on one public data set Recall@20 is .169 with it and .186 "
        "without.",
    )
    published_quirks: bool = param(
        False,
        "Work in single precision and cut equal weights as the published figures did, instead of "
        "keeping those with the smaller item numbers; slower.",
    )

    def _fit(self, data: FitData) -> ItemWeights:
        return self._weights(data, 0.0)


@hyperparameters
class RP3beta(_RandomWalk):
    """Three-step random walks with a penalty on popular items.

    Attributes
    ----------
    item_weights_ : csr_array of float32, shape (n_items, n_items)

    References
    ----------
    B. Paudel, F. Christoffel, C. Newell, A. Bernstein. Updatable, accurate, diverse, and scalable
    recommendations for interactive applications. ACM TiiS 7(1), 2017.
    """

    topk: int = param_of(P3alpha, "topk")
    alpha: float = param_of(P3alpha, "alpha")
    beta: float = param(
        0.6,
        "Each weight is divided by the target's number of users to this power, before any cut; 0 "
        "is `P3alpha`.",
        at_least=0,
        search={"real": [0.0, 2.0]},
    )
    normalize_similarity: bool = param_of(P3alpha, "normalize_similarity")
    prune_columns: bool = param_of(P3alpha, "prune_columns")
    published_quirks: bool = param_of(P3alpha, "published_quirks")

    def _fit(self, data: FitData) -> ItemWeights:
        return self._weights(data, float(self.beta))
