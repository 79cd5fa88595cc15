"""Several scorers as one: a weighted sum of their scores, or the first that knows a user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.urm import rows_of
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.dense import rank_blocks
from ganmf_fast.scorers.lists import rank_lists, without_evidence
from ganmf_fast.scorers.tensors import Floats, Tensors

NORMALISATIONS = ("minmax", "zscore", "reciprocal_rank")
"""Scales on which scores of different scorers are added."""

# Of reciprocal rank fusion; 60 in the source.
_RANK_OFFSET = 60


@dataclass(frozen=True, eq=False)
class Combined(Scorer):
    """What is made of one or several scorers of the same users and items.

    Parameters
    ----------
    parts : tuple of Scorer
    """

    parts: tuple[Scorer, ...]

    def __post_init__(self) -> None:
        """A user without interactions is known if one of the scorers knows everybody."""
        object.__setattr__(self, "needs_history", all(p.needs_history for p in self.parts))

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.parts[0].n_items

    @property
    def n_users(self) -> int | None:
        """Number of users, if one of the scorers holds them."""
        return next((part.n_users for part in self.parts if part.n_users is not None), None)

    def with_parts(self, parts: Sequence[Scorer]) -> Self:
        """The same of other scorers, in the same order."""
        return replace(self, parts=tuple(parts))

    def of_profiles(self, profiles: Csr) -> Self:
        """See `Scorer.of_profiles`."""
        return self.with_parts([part.of_profiles(profiles) for part in self.parts])

    def tensors(self) -> Tensors:
        """Arrays that decide the lists, by name."""
        return {
            f"{at}.{name}": array
            for at, part in enumerate(self.parts)
            for name, array in part.tensors().items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> NoReturn:
        """Refused: the models are what is saved.

        Raises
        ------
        TypeError
        """
        raise TypeError(f"{cls.kind} is not saved")


@dataclass(frozen=True, eq=False)
class Blended(Combined):
    """A weighted sum of normalised scores.

    Parameters
    ----------
    parts : tuple of Scorer
    weights : tuple of float
    normalisation : str
        One of `NORMALISATIONS`.
    """

    kind = "blended"
    weights: tuple[float, ...]
    normalisation: str

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        return rank_blocks(
            lambda block: self.scores(profiles, block), self.n_items, request, report
        )

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`; a scorer that knows nothing of a user adds nothing."""
        total = np.zeros((len(users), self.n_items))
        for part, weight in zip(self.parts, self.weights, strict=True):
            scaled = _normalised(part.scores(profiles, users), self.normalisation)
            scaled[without_evidence(part, profiles, users)] = 0
            total += weight * scaled
        return total.astype(np.float32)

    def tensors(self) -> Tensors:
        """Arrays that decide the lists, by name."""
        scale = np.array([NORMALISATIONS.index(self.normalisation)], dtype=np.int64)
        return {**super().tensors(), "weights": np.array(self.weights), "normalisation": scale}


@dataclass(frozen=True, eq=False)
class FirstKnown(Combined):
    """For each user, the first of several scorers that has a list."""

    kind = "first_known"

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        items, scores = rank_lists(self.parts[0], profiles, request, report)
        for part in self.parts[1:]:
            empty = np.flatnonzero(items[:, 0] < 0)
            if not len(empty):
                break
            chosen = (
                rows_of(only, empty) if isinstance(only, Csr) else only
                for only in (request.candidates, request.excluded)
            )
            others = RankRequest(request.users[empty], request.n, request.seen, *chosen)
            items[empty], scores[empty] = rank_lists(part, profiles, others)
        return items, scores

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`; of the first scorer that knows something of the user."""
        scores = self.parts[0].scores(profiles, users)
        unknown = without_evidence(self.parts[0], profiles, users)
        for part in self.parts[1:]:
            if not len(unknown):
                break
            scores[unknown] = part.scores(profiles, users[unknown])
            unknown = unknown[without_evidence(part, profiles, users[unknown])]
        return scores


def _normalised(scores: Floats, how: str) -> NDArray[np.float64]:
    """Scores of each user on a common scale; zeros where all are equal."""
    given = scores.astype(np.float64)
    if how == "reciprocal_rank":
        order = np.argsort(-given, axis=1, kind="stable")
        ranks: NDArray[np.float64] = np.empty_like(given)
        places = np.arange(1, given.shape[1] + 1, dtype=np.float64)
        np.put_along_axis(ranks, order, np.broadcast_to(places, given.shape), axis=1)
        ranks += _RANK_OFFSET
        return np.reciprocal(ranks, out=ranks)
    if how == "minmax":
        centre = given.min(axis=1, keepdims=True)
        scale = given.max(axis=1, keepdims=True) - centre
    else:
        centre = given.mean(axis=1, keepdims=True)
        scale = given.std(axis=1, keepdims=True)
    given -= centre
    scaled: NDArray[np.float64] = np.zeros_like(given)
    np.divide(given, scale, out=scaled, where=scale > 0)
    return scaled
