"""Random: items in random order, reproducibly.

Objective: none; the score of an item for a user is a pure function of (seed, user, item), uniform
in [0, 1). Source: the usual floor of a comparison. Cost: no memory beyond the top-N lists.
"""

from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.random import RandomScores


@hyperparameters
class Random(Recommender):
    """Rank items at random.

    Notes
    -----
    Scores are a pure function of the seed, the user's row and the item's column, uniform in
    [0, 1); no users x items matrix is ever made. ``fold_in`` goes by row number.

    Examples
    --------
    >>> import numpy as np
    >>> import ganmf_fast as gf
    >>> model = gf.Random(seed=1).fit(np.eye(4))
    >>> len(model.recommend(0, n=3).items[0])
    3
    """

    seed: int = param(
        0, "With the same seed a user always has the same list.", at_least=0, at_most=2**63 - 1
    )

    def _fit(self, data: FitData) -> RandomScores:
        return RandomScores(int(self.seed), data.urm.n_rows, data.urm.n_cols)
