"""A line of text for each finished trial, where no progress bar is shown."""

import time
from collections.abc import Callable, Sequence

from ganmf_fast.base.console import TextConsole
from ganmf_fast.tuning.trackers.base import Ending, Study
from ganmf_fast.tuning.trial import Trial, best_of, describe_best


class Lines:
    """Tracker that logs each trial with the best one and the time left, off a terminal.

    Parameters
    ----------
    log : callable
        Called with a line of text.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._trials: list[Trial] = []
        self._n_calls = self._earlier = 0
        self._started = 0.0
        self._on = not TextConsole(stderr=True).is_terminal

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`."""
        self._n_calls, self._trials = study.n_calls, list(earlier)
        self._earlier, self._started = len(earlier), time.monotonic()
        if earlier:
            self._log(f"going on after {len(earlier)} finished trials")

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        self._trials.append(trial)
        if not self._on:
            return
        n = len(self._trials)
        what = trial.status if trial.value is None else f"{trial.value:.4f}"
        if trial.reason:
            what += f" ({trial.reason})"
        each = (time.monotonic() - self._started) / (n - self._earlier)
        left = _duration(each * max(self._n_calls - n, 0))
        best = describe_best(best_of(self._trials)) or "no best yet"
        self._log(f"[{n}/{self._n_calls}] trial {trial.number}: {what}; {best}; {left} left")

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
