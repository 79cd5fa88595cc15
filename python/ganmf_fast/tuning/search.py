"""The loop of a search: ask for a point, run its trial, write it to the journal, tell the result.

With one worker a point is asked for when all earlier trials are finished. With n workers point i is
asked for when the trials before i - n + 1 are finished, and results are told in the order of
asking. The sequence of points is therefore a function of the seed, the results and n, not of speed,
and differs between values of n. Finished trials are written at once, in the order of finishing.
"""

import datetime as dt
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from ganmf_fast.base.errors import reason
from ganmf_fast.base.executors import Executor, MakeExecutor
from ganmf_fast.base.progress import Report, reporter
from ganmf_fast.tuning.journal import Journal
from ganmf_fast.tuning.objective import Objective
from ganmf_fast.tuning.suggestions import Suggestions
from ganmf_fast.tuning.trackers.base import Ending, Study, Trackers
from ganmf_fast.tuning.trial import Trial, TrialSpec, best_of, describe_best

# Seconds between two checks for Ctrl-C.
_POLL_SECONDS = 0.2


@dataclass
class Search:
    """One run of the loop."""

    study: Study
    suggestions: Suggestions
    objective: Objective
    make_executor: MakeExecutor
    n_workers: int
    finished: dict[int, Trial] = field(default_factory=dict)
    """Trials by number."""

    def run(self, journal: Journal | None, trackers: Trackers) -> list[Trial]:
        """Every trial, read from the journal or run now."""
        n_calls = self.study.n_calls
        self.finished = {} if journal is None else dict(journal.trials)
        trackers.begin(self.study, [self.finished[number] for number in sorted(self.finished)])
        ending: Ending = "failed"
        try:
            # Workers are only started if a trial is left to run.
            left = any(number not in self.finished for number in range(n_calls))
            executor = self.make_executor(self.objective, self.n_workers) if left else nullcontext()
            with reporter(f"{self.study.header['model']}: tune") as report, executor as running:
                self._loop(running, journal, trackers, report)
            ending = "done"
        except KeyboardInterrupt:
            ending = "interrupted"
            raise
        finally:
            trackers.end(ending)
        return [self.finished[number] for number in range(n_calls)]

    def _loop(
        self,
        executor: Executor | None,
        journal: Journal | None,
        trackers: Trackers,
        report: Report,
    ) -> None:
        n_calls = self.study.n_calls
        running: dict[Future[Trial], TrialSpec] = {}

        def show() -> None:
            best = best_of(self.finished.values())
            report(len(self.finished), n_calls, describe_best(best))

        def keep(trial: Trial) -> None:
            self.finished[trial.number] = trial
            if journal is not None:
                journal.append(trial)
            trackers.trial(trial)
            show()

        def collect() -> None:
            """Wait a moment for running trials and keep those that have finished."""
            # The signal of Ctrl-C may reach another thread: this one has to wake now and then.
            for future in wait(running, _POLL_SECONDS, FIRST_COMPLETED).done:
                keep(_result(future, running.pop(future)))

        told = 0
        show()
        for number in range(n_calls):
            # Tell as many results as n workers need to be busy, however many there are.
            while told <= number - self.n_workers:
                if told in self.finished:
                    self.suggestions.tell(self.finished[told])
                    told += 1
                else:
                    collect()
            recorded = self.finished.get(number)
            spec = TrialSpec(number, self.suggestions.ask(number, recorded), self._curves(number))
            if recorded is not None or executor is None:
                continue
            equal = self._equal_trial(spec)
            if equal is None:
                running[executor.submit(spec)] = spec
            else:
                keep(_repeated(equal, number))
        while running:
            collect()

    def _curves(self, number: int) -> tuple[tuple[list[tuple[int, float]], float], ...] | None:
        """Curves and values that trial `number` is pruned by."""
        if not self.suggestions.backend.prunes:
            return None
        told = (self.finished[n] for n in range(max(0, number - self.n_workers + 1)))
        return tuple((t.curve, t.value) for t in told if t.curve and t.value is not None)

    def _equal_trial(self, spec: TrialSpec) -> Trial | None:
        """A finished trial with the same parameters, whose result would be the same."""
        if not self.objective.repeats:
            return None
        done = (trial for trial in self.finished.values() if trial.status == "done")
        return next((trial for trial in done if trial.params == spec.params), None)


def _result(future: "Future[Trial]", spec: TrialSpec) -> Trial:
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, Exception):
        raise error
    return Trial(spec.number, spec.params, "failed", reason=f"its worker died: {reason(error)}")


def _repeated(trial: Trial, number: int) -> Trial:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return replace(trial, number=number, seconds=0.0, fit_seconds=0.0, finished=now)
