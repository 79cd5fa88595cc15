"""TopPopular: everybody gets the items with the most users.

Objective: none; the score of an item is the number of users who interacted with it.
Source: the usual non-personalised baseline. Cost: O(nnz) time, O(items) memory.
"""

import numpy as np

from ganmf_fast._core import Csr
from ganmf_fast.base.progress import Report
from ganmf_fast.models.base import Recommender
from ganmf_fast.scorers.base import Popularity

__all__ = ["TopPopular"]


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

    def _check_params(self) -> None:
        """There is none."""

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> Popularity:
        del validation, report
        counts = np.bincount(urm.indices, minlength=urm.n_cols)
        return Popularity(counts.astype(np.float32))
