"""Observers of a search: progress lines, an index of searches, a tracking server.

A tracker is called when a search begins, after each finished trial (once it is in the journal), and
when the search ends. An exception in a tracker becomes a warning and the search goes on: a tracker
never loses a trial. Finished trials of a resumed search are passed to `begin` only.
"""

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

from ganmf_fast.base.errors import reason, unknown
from ganmf_fast.base.text import shown
from ganmf_fast.tuning.trial import Trial

Ending: TypeAlias = Literal["done", "interrupted", "failed"]


@dataclass(frozen=True)
class Study:
    """Description of a search.

    Attributes
    ----------
    header : dict
        The first line of the journal: model, constants, space, data, metric, backend, seed,
        versions.
    n_calls : int
        Number of trials.
    journal : Path or None
    """

    header: Mapping[str, Any]
    n_calls: int
    journal: Path | None


class Tracker(Protocol):
    """An observer of a search; passed to `ganmf_fast.tune` in `trackers`."""

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """A search begins, or is resumed after `earlier` trials."""

    def trial(self, trial: Trial) -> None:
        """A trial has finished and is in the journal; in the order of finishing."""

    def end(self, ending: Ending) -> None:
        """The search has ended: complete, by Ctrl-C, or by an error."""


TRACKERS: dict[str, str] = {
    "mlflow": "ganmf_fast.tuning.trackers.mlflow:MLflow",
    "tensorboard": "ganmf_fast.tuning.trackers.tensorboard:TensorBoard",
    "wandb": "ganmf_fast.tuning.trackers.wandb:WandB",
    "trackio": "ganmf_fast.tuning.trackers.wandb:Trackio",
}
"""Trackers by name: module and class, created without arguments."""


def tracker_of(tracker: object) -> Tracker:
    """The tracker with a name, or an object with the methods of `Tracker` unchanged.

    Raises
    ------
    TypeError, ValueError
        If there is no tracker of this name, or a method is missing.
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
            f"{shown(tracker)}"
        )
    return cast("Tracker", tracker)


class Trackers:
    """Several trackers as one; exceptions become warnings.

    Parameters
    ----------
    trackers : iterable of Tracker or str, or str
        As for `tracker_of`, each.
    """

    def __init__(self, trackers: object) -> None:
        if isinstance(trackers, str):
            trackers = (trackers,)
        if not isinstance(trackers, Iterable):
            raise TypeError(f"trackers must be a list, such as ['mlflow'], not {shown(trackers)}")
        self._trackers = [tracker_of(tracker) for tracker in trackers]

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`."""
        self._call(lambda tracker: tracker.begin(study, earlier))

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        self._call(lambda tracker: tracker.trial(trial))

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """An epoch of the only fit has ended; for trackers with a method `epoch`."""
        for tracker in self._trackers:
            tell = getattr(tracker, "epoch", None)
            if callable(tell):
                self._call(lambda _, tell=tell: tell(epoch, values), [tracker])  # type: ignore[misc]

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""
        self._call(lambda tracker: tracker.end(ending))

    def _call(
        self, call: Callable[[Tracker], None], trackers: Iterable[Tracker] | None = None
    ) -> None:
        for tracker in self._trackers if trackers is None else trackers:
            try:
                call(tracker)
            except Exception as error:
                warnings.warn(
                    f"the tracker {type(tracker).__name__} failed, the work goes on: "
                    f"{reason(error)}",
                    stacklevel=2,
                )
