"""One score per item, the same for every user."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_array,
    forbid_writing,
)


@dataclass(frozen=True, eq=False)
class Popularity(Scorer):
    """One score per item, the same for every user.

    Parameters
    ----------
    item_scores : float32 array, shape (n_items,)
    """

    kind: ClassVar[str] = "popularity"
    needs_history: ClassVar[bool] = False
    item_scores: Floats

    def __post_init__(self) -> None:
        """Check type, shape and values."""
        check_array("item_scores", self.item_scores, 1)
        forbid_writing(self)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.item_scores)

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        return _core.rank_popularity(self.item_scores, self._order, request, report)

    @cached_property
    def _order(self) -> NDArray[np.int32]:
        return _core.popularity_order(self.item_scores)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        return np.tile(self.item_scores, (len(users), 1))

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {"item_scores": self.item_scores}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "Popularity":
        """See `Scorer.from_tensors`."""
        return cls(tensors["item_scores"])
