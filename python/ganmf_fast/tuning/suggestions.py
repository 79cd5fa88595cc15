"""The sequence of points of a search, the same in a search that is resumed.

A resumed search asks its backend again from the first point on and takes the results from the
journal. Each suggestion is compared with the recorded one, so that no difference goes unnoticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganmf_fast.base.errors import ConflictError, DataError, difference
from ganmf_fast.tuning.backends.base import Backend
from ganmf_fast.tuning.spaces import Params, Space
from ganmf_fast.tuning.trial import Trial


@dataclass(frozen=True)
class Suggestions:
    """Points of a backend, replaced by the user's first points and by recorded ones."""

    backend: Backend
    space: Space
    first: Sequence[Params]
    """Points of the first trials; parameters that are missing are those of the backend."""
    moved: bool
    """Whether recorded points replace other suggestions of the backend."""

    def ask(self, number: int, recorded: Trial | None) -> Params:
        """Parameters of trial `number`, which is in the journal as `recorded` or new.

        Raises
        ------
        ConflictError
            If the backend suggests another point than the recorded one.
        DataError
            If the recorded point is not in the space.
        """
        suggested = self.backend.ask()
        params = self.space.params(suggested)
        if number < len(self.first):
            point = self.space.point({**params, **self.first[number]})
            suggested = {**suggested, **point}
            self._amend(number, suggested)
            params = self.space.params(suggested)
        found = None if recorded is None else difference(recorded.params, params)
        if recorded is None or found is None:
            return params
        if not self.moved:
            raise ConflictError(
                f"the journal cannot be continued: trial {number} has {found} as this "
                "machine would ask now; it is of another version of ganmf-fast, or the "
                "processor or its libraries round differently; moved=True (--moved) goes on "
                "nevertheless"
            )
        try:
            point = self.space.point(recorded.params)
        except ValueError as error:
            raise DataError(f"the journal is damaged: trial {number} has {error}") from None
        self._amend(number, {**suggested, **point})
        return recorded.params

    def tell(self, trial: Trial) -> None:
        """Pass the result of the earliest point without one to the backend."""
        self.backend.tell(trial)

    def _amend(self, number: int, point: Params) -> None:
        """Replace the point that the backend suggested last."""
        amend: Any = getattr(self.backend, "amend", None)
        if amend is None:
            raise ConflictError(
                f"the backend {type(self.backend).__name__} has no method amend, by which to hear "
                f"that trial {number} is not what it asked for"
            )
        amend(point)
