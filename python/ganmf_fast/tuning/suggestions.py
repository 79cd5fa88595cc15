"""The sequence of points of a search, the same in a search that is resumed.

A resumed search asks its backend again from the first point on and takes the results from the
journal. Each suggestion is compared with the recorded one, so that no difference goes unnoticed.
"""

from collections.abc import Sequence
from typing import Any

from ganmf_fast.base.errors import ConflictError, DataError, difference
from ganmf_fast.tuning.backends.base import Backend
from ganmf_fast.tuning.spaces import Params, Space
from ganmf_fast.tuning.trial import Trial

__all__ = ["Suggestions"]


class Suggestions:
    """Points of a backend, replaced by the user's first points and by recorded ones.

    Parameters
    ----------
    backend : Backend
    space : Space
    first : sequence of dict
        Points of the first trials; parameters that are missing are those of the backend.
    moved : bool
        Whether recorded points replace other suggestions of the backend.
    """

    def __init__(
        self, backend: Backend, space: Space, first: Sequence[Params], moved: bool
    ) -> None:
        self._backend = backend
        self._space = space
        self._first = first
        self._moved = moved
        self.prunes = backend.prunes

    def ask(self, number: int, recorded: Trial | None) -> Params:
        """Parameters of trial `number`, which is in the journal as `recorded` or new.

        Raises
        ------
        ConflictError
            If the backend suggests another point than the recorded one.
        DataError
            If the recorded point is not in the space.
        """
        suggested = self._backend.ask()
        params = self._space.params(suggested)
        if number < len(self._first):
            point = self._space.point({**params, **self._first[number]})
            suggested = {**suggested, **point}
            self._amend(number, suggested)
            params = self._space.params(suggested)
        found = None if recorded is None else difference(recorded.params, params)
        if recorded is None or found is None:
            return params
        if not self._moved:
            raise ConflictError(
                f"the journal cannot be continued: trial {number} has {found} as this "
                "machine would ask now; it is of another version of ganmf-fast, or the "
                "processor or its libraries round differently; moved=True (--moved) goes on "
                "nevertheless"
            )
        try:
            point = self._space.point(recorded.params)
        except ValueError as error:
            raise DataError(f"the journal is damaged: trial {number} has {error}") from None
        self._amend(number, {**suggested, **point})
        return recorded.params

    def tell(self, trial: Trial) -> None:
        """Pass the result of the earliest point without one to the backend."""
        self._backend.tell(trial)

    def _amend(self, number: int, point: Params) -> None:
        """Replace the point that the backend suggested last."""
        amend: Any = getattr(self._backend, "amend", None)
        if amend is None:
            raise ConflictError(
                f"the backend {type(self._backend).__name__} has no method amend, by which to hear "
                f"that trial {number} is not what it asked for"
            )
        amend(point)
