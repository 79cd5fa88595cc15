"""Random: everybody gets any items, reproducibly.

Objective: none; the score of an item for a user is a pure function of (seed, user, item), uniform
in [0, 1). Source: the usual floor of a comparison. Cost: no memory beyond the lists.
"""

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_int
from ganmf_fast.base.progress import Report
from ganmf_fast.models.base import Recommender
from ganmf_fast.scorers.random import RandomScores

__all__ = ["Random"]


class Random(Recommender):
    """Rank items at random.

    Parameters
    ----------
    seed : int, default 0
        0 to 2^63 - 1. The same seed gives every user the same list, always.

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

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def _check_params(self) -> None:
        check_int("seed", self.seed, 0, 2**63 - 1)

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> RandomScores:
        del validation, report
        return RandomScores(int(self.seed), urm.n_rows, urm.n_cols)
