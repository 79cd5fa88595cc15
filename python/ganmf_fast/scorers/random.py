"""Random scores: a pure function of (seed, user, item), of which nothing is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.checks import check_int
from ganmf_fast.base.progress import Report
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.tensors import Floats, Tensors


@dataclass(frozen=True, eq=False)
class RandomScores(Scorer):
    """Random scores that are a pure function of (seed, user, item).

    Parameters
    ----------
    seed, users, items : int
    """

    kind: ClassVar[str] = "random"
    needs_history: ClassVar[bool] = False
    seed: int
    users: int
    items: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_int("seed", self.seed, 0, 2**63 - 1)
        check_int("users", self.users, 0, 2**63 - 1)
        check_int("items", self.items, 0, 2**31 - 1)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.users

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        return _core.rank_random(self.seed, self.users, self.items, request, report)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        return _core.random_scores(self.seed, users, self.items)

    def of_profiles(self, profiles: Csr) -> "RandomScores":
        """Scores by row number: a new user in row r has those of the fitted user r."""
        return replace(self, users=profiles.n_rows)

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {"parameters": np.array([self.seed, self.users, self.items], dtype=np.int64)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "RandomScores":
        """See `Scorer.from_tensors`."""
        parameters = tensors["parameters"]
        if parameters.shape != (3,) or parameters.dtype != np.int64:
            raise ValueError("parameters must be three int64")
        return cls(*(int(value) for value in parameters))
