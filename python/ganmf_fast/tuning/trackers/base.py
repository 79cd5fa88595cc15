"""Who wants to know how a search goes: progress, an index of runs, a tracking server.

A tracker is told when a search begins, after each finished trial (once it is in the journal), and
when the search ends. One that raises is warned about and the search goes on: no trial is ever lost
to a tracker. Trials of an interrupted search that goes on are given to `begin`, not told again.
"""

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

from ganmf_fast.base.errors import reason, unknown
from ganmf_fast.tuning.trial import Trial

__all__ = ["TRACKERS", "Ending", "Study", "Tracker", "Trackers", "tracker_of"]

Ending: TypeAlias = Literal["done", "interrupted", "failed"]


@dataclass(frozen=True)
class Study:
    """What is searched.

    Attributes
    ----------
    header : dict
        The first line of the journal: model, constants, space, data, metric, backend, seed,
        versions.
    n_calls : int
        Trials in all.
    journal : Path or None
    """

    header: Mapping[str, Any]
    n_calls: int
    journal: Path | None


class Tracker(Protocol):
    """An observer of a search; passed to `ganmf_fast.tune` in `trackers`."""

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """A search begins, or goes on after `earlier` trials."""

    def trial(self, trial: Trial) -> None:
        """A trial has been finished and written; in the order of finishing."""

    def end(self, ending: Ending) -> None:
        """The search has ended: with all trials, by Ctrl-C, or by an error."""


TRACKERS: dict[str, str] = {
    "mlflow": "ganmf_fast.tuning.trackers.mlflow:MLflow",
    "tensorboard": "ganmf_fast.tuning.trackers.tensorboard:TensorBoard",
}
"""Trackers by name: module and class, made without arguments."""


def tracker_of(tracker: object) -> Tracker:
    """The tracker of a name, or one of the user's own as it is.

    Raises
    ------
    TypeError, ValueError
        If there is no such tracker, or it cannot be told of trials.
    ImportError
        If its package is not installed; the message names the extra.
    """
    if isinstance(tracker, str):
        if tracker not in TRACKERS:
            raise ValueError(unknown("tracker", tracker, TRACKERS))
        module, _, name = TRACKERS[tracker].partition(":")
        return cast("Tracker", getattr(importlib.import_module(module), name)())
    if not all(callable(getattr(tracker, method, None)) for method in ("begin", "trial", "end")):
        raise TypeError(
            "trackers must hold names or objects with the methods begin, trial and end, not "
            f"{tracker!r}"
        )
    return cast("Tracker", tracker)


class Trackers:
    """Several trackers as one that never raises."""

    def __init__(self, trackers: Iterable[Tracker]) -> None:
        self._trackers = list(trackers)

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.begin(study, earlier))

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.trial(trial))

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.end(ending))

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for tracker in self._trackers:
            try:
                call(tracker)
            except Exception as error:
                warnings.warn(
                    f"the tracker {type(tracker).__name__} failed, the search goes on: "
                    f"{reason(error)}",
                    stacklevel=2,
                )
