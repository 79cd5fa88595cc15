"""Top-N lists of users by row, with the options that requests have, and as columns with ids."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.models.ids import Ids
from ganmf_fast.models.item_filters import ItemFilters
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.lists import rank_lists, without_evidence
from ganmf_fast.scorers.popularity import Popularity


class Ranking(NamedTuple):
    """How lists are made of a scorer; plain data that can be sent to any process.

    Attributes
    ----------
    scorer : Scorer
    urm : Csr
        The matrix that was fitted.
    n : int
        Length of the lists; none is longer than the catalogue.
    exclude_seen : bool
    fallback : Popularity or None
        What users without interactions are given.
    """

    scorer: Scorer
    urm: Csr
    n: int
    exclude_seen: bool = True
    fallback: Popularity | None = None

    def lists(
        self, rows: NDArray[np.int64], filters: ItemFilters, report: Report | None = None
    ) -> Lists:
        """Lists of the users in `rows`, empty for unknown ones (-1)."""
        (missing,) = (rows < 0).nonzero()
        # Any row does for an unknown user: the list is emptied.
        asked = np.maximum(rows, 0) if len(missing) else rows
        width = min(self.n, self.scorer.n_items)
        seen = self.urm if self.exclude_seen else None
        request = RankRequest(asked, width, seen, *filters)
        items, scores = rank_lists(self.scorer, self.urm, request, report)
        if self.fallback is not None:
            cold = without_evidence(self.scorer, self.urm, asked)
            if len(cold):
                request = RankRequest(asked[cold], width, seen, *filters.of(cold))
                items[cold], scores[cold] = self.fallback.rank(self.urm, request)
        if len(missing):
            items[missing], scores[missing] = -1, -np.inf
        return items, scores


def columns(
    ids: Ids | None, rows: NDArray[np.int64], items: NDArray[np.int32], scores: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Lists as columns user, rank (from 1), item and score, without padding."""
    at, place = np.nonzero(items >= 0)
    users, listed = rows[at], items[at, place]
    return {
        "user": users if ids is None else ids.users[users],
        "rank": place + 1,
        "item": listed if ids is None else ids.items[listed],
        "score": scores[at, place],
    }
