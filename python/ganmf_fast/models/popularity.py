"""TopPopular: every user gets the most popular items.

Objective: none; the score of an item is the number of users who interacted with it.
Source: the usual non-personalised baseline. Cost: O(nonzeros) time, O(items) memory.
"""

from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.lists import popularity
from ganmf_fast.scorers.popularity import Popularity


class TopPopular(Recommender):
    """Rank items by the number of users who interacted with them.

    Ties go to the smaller item number.

    Examples
    --------
    >>> import numpy as np
    >>> import ganmf_fast as gf
    >>> gf.TopPopular().fit(np.array([[1, 1, 0], [0, 1, 0]])).recommend(1, n=2).items
    array([[0, 2]], dtype=int32)
    """

    def _fit(self, data: FitData) -> Popularity:
        return popularity(data.urm)
