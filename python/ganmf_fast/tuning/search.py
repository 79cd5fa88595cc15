"""The loop of a search: ask, run, write down, tell.

With one worker a question is asked when all earlier ones are answered. With n workers question i is
asked when those before i - n + 1 are answered, and answers are told in the order of asking, however
they come in; so the sequence of questions is a function of the seed, the answers and n, not of
speed, and is another one for each n. Finished trials are written at once, in the order of
finishing.

A search that goes on asks its questions again from the first and takes the answers from the
journal. The questions are compared with the recorded ones, so that a difference can never go
unnoticed.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ganmf_fast.base.checks import check_bool, check_choice, check_int
from ganmf_fast.base.errors import ConflictError, DataError, difference, reason
from ganmf_fast.base.executors import Executor, MakeExecutor, executor_maker
from ganmf_fast.base.progress import Report, reporter
from ganmf_fast.evaluation import Evaluation
from ganmf_fast.evaluation.result import check_metrics
from ganmf_fast.split import Splits
from ganmf_fast.tuning.backends import Backend, backend_class
from ganmf_fast.tuning.journal import FORMAT, Journal
from ganmf_fast.tuning.objective import Metric, Objective, Target, measure
from ganmf_fast.tuning.spaces import Params, Space, searched, table_for, without
from ganmf_fast.tuning.trackers.base import Ending, Study, Tracker, Trackers, tracker_of
from ganmf_fast.tuning.trial import Question, Trial

__all__ = ["Final", "TuningResult", "best_of", "in_words", "tune"]

# Their versions decide values of trials, whatever the model and the backend.
_PACKAGES = ("ganmf-fast", "numpy", "scipy", "scikit-learn")
# Seconds between two looks for Ctrl-C.
_PATIENCE = 0.2


@dataclass(frozen=True)
class Final:
    """The last step of the protocol: the best parameters fitted on ``train``."""

    model: Any
    """The fitted model."""
    test: Evaluation
    """Its evaluation on ``test``, at cutoffs 5 and 20."""


class TuningResult:
    """What a search found.

    Attributes
    ----------
    study : Study
        What was searched.
    best_params : dict
        All parameters of the best trial that differ from the defaults of the model: searched ones,
        constants, and for an iterative model the best number of epochs. ``Model(**best_params)`` is
        the model to fit on ``train``.
    best_value : float
        Its value on ``validation``.
    best_trial : Trial
        The earliest of equals.
    history : list of Trial
        Every trial, in the order of asking.
    final, refitted : Final
        The model for use, and its evaluation on ``test``, see there.
    """

    def __init__(
        self, study: Study, history: Sequence[Trial], target: Target, splits: Splits
    ) -> None:
        self.study = study
        self.history = list(history)
        self._target = target
        self._splits = splits

    @property
    def best_trial(self) -> Trial:
        """The best trial.

        Raises
        ------
        RuntimeError
            If no trial is done.
        """
        best = best_of(self.history)
        if best is None:
            first = next((t.reason for t in self.history if t.status == "failed"), "none was run")
            raise RuntimeError(f"none of {len(self.history)} trials is done: {first}")
        return best

    @property
    def best_value(self) -> float:
        """Value of the best trial."""
        return self.best_trial.value or 0.0

    @property
    def best_params(self) -> Params:
        """Parameters of the best trial, see above."""
        best = self.best_trial
        params = {**self.study.header["params"], **best.params}
        if best.epochs is not None and ("epochs" in self._target.params or self._target.open):
            params["epochs"] = best.epochs
        return params

    @property
    def n_failed(self) -> int:
        """Number of trials that failed."""
        return sum(trial.status == "failed" for trial in self.history)

    @cached_property
    def trials(self) -> pl.DataFrame:
        """One row a trial: number, status, value, each searched parameter, epochs, seconds, reason.

        A parameter called like one of these columns has ``param_`` before its name.
        """
        rows = []
        for trial in self.history:
            row: dict[str, Any] = {"number": trial.number, "status": trial.status}
            row["value"] = trial.value
            after = {"epochs": trial.epochs, "seconds": trial.seconds, "reason": trial.reason}
            for name, value in trial.params.items():
                taken = name in row or name in after
                row[f"param_{name}" if taken else name] = value
            rows.append(row | after)
        return pl.DataFrame(rows, infer_schema_length=None)

    @cached_property
    def final(self) -> Final:
        """Model of the best parameters, fitted on ``train`` and evaluated on ``test``.

        Computed when it is first asked for.
        """
        return self._final(self.best_params)

    @cached_property
    def refitted(self) -> Final:
        """As `final`, with a number of epochs that was sought again, on more data.

        Those of the best trial were found on ``train_small``, and the more data there are, the more
        epochs GANMF wants (docs/results/beyond.md). Here the model is fitted on ``train_small`` and
        ``validation`` together, stopped early on ``early_stop``, and ``train`` is then trained on
        for as many epochs. Of a model without epochs it is `final`.
        """
        best = self.best_trial
        if best.epochs is None or "epochs" not in self.best_params:
            return self.final
        splits = self._splits
        model = self._target.make(**{**self.study.header["params"], **best.params})
        model.fit((splits.train_small + splits.validation).tocsr(), validation=splits.early_stop)
        return self._final({**self.best_params, "epochs": max(1, int(model.best_epoch_))})

    def _final(self, params: Params) -> Final:
        model = self._target.make(**params)
        model.fit(self._splits.train)
        ties = self.study.header.get("ties", "index")
        test = measure(model, self._splits.train, self._splits.test, (5, 20), ties)
        return Final(model, test)

    def __repr__(self) -> str:
        """The best trial."""
        header = self.study.header
        name = f"Tuning({header['model']}, {len(self.history)} trials"
        best = best_of(self.history)
        if best is None:
            return f"{name}, none done)"
        params = ", ".join(f"{key}={value!r}" for key, value in best.params.items())
        return f"{name}: best {header['metric']} {best.value:.4f} with {params})"


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The trial with the highest value, the earliest of equals; None if none is done."""
    done = [trial for trial in trials if trial.value is not None and trial.status == "done"]
    return max(done, key=lambda trial: (trial.value, -trial.number), default=None)


def tune(
    model: Any,
    splits: Splits,
    n_calls: int = 50,
    n_initial: int = 10,
    seed: int = 1337,
    metric: Metric = "map",
    k: int = 5,
    backend: Any = "skopt",
    executor: Any = "local",
    n_workers: int = 1,
    space: Mapping[str, Any] | str | Path | None = None,
    fixed: Mapping[str, Any] | None = None,
    journal: str | Path | None = None,
    mask: str = "fitted",
    ties: str = "index",
    trackers: Iterable[Tracker | str] = (),
    moved: bool = False,
    first: Sequence[Mapping[str, Any]] = (),
) -> TuningResult:
    """Search the hyper-parameters of a model, by the protocol of the GANMF paper.

    Each trial is fitted on ``train_small``, stopped early on ``early_stop`` if the model is
    iterative, and measured on ``validation``. The defaults are those of the paper.

    Parameters
    ----------
    model : str, class, instance or callable
        A model's name or class; an instance, whose parameters hold where nothing is searched (its
        seed and epochs too); or anything of one's own that takes parameters and gives an object
        with ``fit(X)``, where X is a scipy csr_array, and ``recommend(users, n=...)`` (only
        ``fit`` for a metric of one's own). With an attribute `iterative` that is true, ``fit``
        gets ``validation=`` and leaves `best_epoch_`.
    splits : Splits
    n_calls : int, default 50
        Trials in all. A finished search can go on to a larger number.
    n_initial : int, default 10
        Of these drawn at random, before the backend has an opinion.
    seed : int, default 1337
        Of the backend, and of the model where it is not an instance; 0 to 2^32 - 1.
    metric : str or callable, default "map"
        A name out of `ganmf_fast.evaluation.METRICS`, or ``metric(model, masked, held_out)`` with
        a fitted model and two csr_arrays, which gives a number. It is maximised.
    k : int, default 5
        Cutoff of a named metric.
    backend : {"skopt", "published", "optuna", "random"} or class, default "skopt"
        Who asks; "published" is the Gaussian process of the paper's authors, which finds less than
        "skopt"; see `ganmf_fast.tuning.backends`.
    executor : {"local", "ray"} or callable, default "local"
        Where trials run: in processes on this machine, or on a Ray cluster; see
        `ganmf_fast.base.executors` and `ganmf_fast.base.ray_executor`.
    n_workers : int, default 1
        Trials at a time. Each number has a sequence of questions of its own.
    space : dict or path, optional
        What is searched, as a table like those of ``tuning/spaces.toml``
        (``{"topk": {"int": [5, 100]}}``), or a TOML file with such a table for the model. By
        default the ranges of the paper.
    fixed : dict, optional
        Parameters of the model that are not searched, and their values
        (``{"similarity": "jaccard"}``).
    journal : path, optional
        File with a line for each finished trial. A second call with the same arguments goes on
        where the first one stopped, with the same questions as if it had not stopped.
    mask : {"fitted", "known"}, default "fitted"
        What lists leave out: what was fitted, as in the paper, or ``early_stop`` as well.
    ties : {"index", "published"}, default "index"
        Order of equal scores in lists, as in `ganmf_fast.evaluate`.
    trackers : iterable of Tracker, "mlflow" or "tensorboard"
        Told of every finished trial; see `tuning.trackers.base`, and there for settings of
        the two.
    moved : bool, default False
        The journal comes from another machine or from other versions. Where questions would be
        others here, the recorded ones stand and are what the backend learns from; the trials that
        follow are not those of an uninterrupted search. Each line of the journal says the
        versions it was made with.
    first : sequence of dict, default none
        Points to try before all others, such as the best of a search on other data
        (``[other.best_trial.params]``), in the place of as many of the `n_calls`. What a point
        leaves out is as it would have been asked.

    Returns
    -------
    TuningResult
        Its `final` is the model of the best parameters fitted on ``train``, with the evaluation on
        ``test``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    ConflictError
        If the journal belongs to another search; the message names the difference.
    DataError
        If the journal is damaged.
    RuntimeError
        If another process is writing to the journal.
    OSError
        If the journal cannot be written. No trial that is in it is lost.
    ImportError
        If the backend, the executor or the model needs a package that is missing; the message
        names the extra.

    Notes
    -----
    A trial that fails (a parameter is refused, memory runs out, training diverges, the value is
    not finite) is a trial with its reason, and the search goes on. A backend may ask for a
    point again; a model of this library would give the same bits, so the earlier answer is
    taken, and the trial has 0 seconds.

    Examples
    --------
    >>> res = gf.tune("ItemKNN", splits, journal="knn.jsonl")  # doctest: +SKIP
    >>> res.best_params, res.best_value, res.final.test["map", 5]  # doctest: +SKIP
    """
    if not isinstance(splits, Splits):
        raise TypeError(
            "splits must be Splits, such as ganmf_fast.split.paper_protocol gives, not "
            f"{type(splits).__name__}"
        )
    n_calls = check_int("n_calls", n_calls, 1)
    n_initial = check_int("n_initial", n_initial, 1)
    seed = check_int("seed", seed, 0, 2**32 - 1)
    k = check_int("k", k, 1)
    n_workers = check_int("n_workers", n_workers, 1)
    check_choice("mask", mask, ("fitted", "known"))
    check_choice("ties", ties, ("index", "published"))
    target = Target.of(model)
    fixed = dict(fixed or {})
    table, packaged = table_for(target.name, space)
    resolved = Space.resolve(without(table, fixed), {**target.params, **fixed}, splits.train.shape)
    target.check({**resolved.effective, **resolved.constants})
    if not any(searched(dimension) for dimension in resolved.effective.values()):
        raise ValueError(f"space leaves nothing to search for {target.name}")
    constants = _constants(target, resolved, {} if packaged else resolved.constants, seed) | fixed
    asks = backend_class(backend)
    known = _known_points(first, resolved, n_calls)
    if known and not hasattr(asks, "amend"):
        raise TypeError(f"first needs a backend with a method amend, and {asks.__name__} has none")
    observers = Trackers(map(tracker_of, trackers))
    header = {
        "format": FORMAT,
        "model": target.identity,
        "params": constants,
        "space": {n: t for n, t in resolved.to_dict().items() if n in resolved.dimensions},
        "data": splits.data_hash,
        "dataset": splits.name,
        "metric": _metric_name(metric, k),
        "mask": mask,
        "backend": backend if isinstance(backend, str) else _qualified(backend),
        "n_initial": n_initial,
        "seed": seed,
        "n_workers": n_workers,
        "versions": _versions([*_PACKAGES, *asks.packages, *_torch(target)]),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    if ties != "index":
        header["ties"] = ties
    if known:
        header["first"] = known
    search = _Search(
        asks(resolved.dimensions, n_initial, seed),
        resolved,
        executor_maker(executor),
        Objective(target, constants, splits, metric, k, mask, ties),
        n_workers,
        check_bool("moved", moved),
        known,
    )
    stamp = {"data": header["data"], "versions": header["versions"]}
    opened = nullcontext() if journal is None else Journal(journal, header, stamp, moved)
    study = Study(header, n_calls, None if journal is None else Path(journal))
    with opened as kept:
        history = search.run(study, kept, observers)
    return TuningResult(study, history, target, splits)


class _Search:
    """One run of the loop."""

    def __init__(
        self,
        backend: Backend,
        space: Space,
        make: MakeExecutor,
        objective: Objective,
        n_workers: int,
        moved: bool,
        first: Sequence[Params],
    ) -> None:
        self._backend = backend
        self._space = space
        self._make = make
        self._objective = objective
        self._n_workers = n_workers
        self._moved = moved
        self._first = first
        self._answers: dict[int, Trial] = {}

    def run(self, study: Study, journal: Journal | None, trackers: Trackers) -> list[Trial]:
        """Every trial, from the journal or run now."""
        recorded = {} if journal is None else journal.trials
        self._answers = dict(recorded)
        trackers.begin(study, [self._answers[number] for number in sorted(self._answers)])
        ending: Ending = "failed"
        try:
            # Workers are only started if something is left to be run.
            left = any(number not in recorded for number in range(study.n_calls))
            executor = self._make(self._objective, self._n_workers) if left else nullcontext()
            with reporter(f"{study.header['model']}: tune") as report, executor as running:
                self._loop(study.n_calls, running, journal, trackers, report)
            ending = "done"
        except KeyboardInterrupt:
            ending = "interrupted"
            raise
        finally:
            trackers.end(ending)
        return [self._answers[number] for number in range(study.n_calls)]

    def _loop(
        self,
        n_calls: int,
        executor: Executor | None,
        journal: Journal | None,
        trackers: Trackers,
        report: Report,
    ) -> None:
        running: dict[Future[Trial], Question] = {}

        def keep(trial: Trial) -> None:
            self._answers[trial.number] = trial
            if journal is not None:
                journal.append(trial)
            trackers.trial(trial)
            self._show(report, n_calls)

        def collect() -> None:
            """Write down what has ended; wait for it a moment."""
            # Another thread may get the signal of Ctrl-C: this one has to look now and then.
            for future in wait(running, _PATIENCE, FIRST_COMPLETED).done:
                keep(_answer(future, running.pop(future)))

        told = 0
        self._show(report, n_calls)
        for number in range(n_calls):
            # As many answers as n workers need to be busy, and no more, however many there are.
            while told <= number - self._n_workers:
                if told in self._answers:
                    self._backend.tell(self._answers[told])
                    told += 1
                else:
                    collect()
            question = self._ask(number)
            if number in self._answers or executor is None:
                continue
            twin = self._twin(question)
            if twin is None:
                running[executor.submit(question)] = question
            else:
                keep(_again(twin, number))
        while running:
            collect()

    def _ask(self, number: int) -> Question:
        asked = self._backend.ask()
        params = self._space.params(asked)
        if number < len(self._first):
            asked = {**asked, **self._space.asked({**params, **self._first[number]})}
            self._amend(number, asked)
            params = self._space.params(asked)
        recorded = self._answers.get(number)
        if recorded is not None:
            found = difference(recorded.params, params)
            if found is not None and self._moved:
                try:
                    point = self._space.asked(recorded.params)
                except ValueError as error:
                    raise DataError(f"the journal is damaged: trial {number} has {error}") from None
                self._amend(number, {**asked, **point})
                params = recorded.params
            elif found is not None:
                raise ConflictError(
                    f"the journal cannot be continued: trial {number} has {found} as this "
                    "machine would ask now; it is of another version of ganmf-fast, or the "
                    "processor or its libraries round differently; moved=True (--moved) goes on "
                    "nevertheless"
                )
        rivals = None
        if self._backend.prunes:
            told = (self._answers[n] for n in range(max(0, number - self._n_workers + 1)))
            rivals = tuple((t.curve, t.value) for t in told if t.curve and t.value is not None)
        return Question(number, params, rivals)

    def _amend(self, number: int, point: Params) -> None:
        """Tell the backend that it has asked for this point."""
        amend = getattr(self._backend, "amend", None)
        if amend is None:
            raise ConflictError(
                f"the backend {type(self._backend).__name__} has no method amend, by which to hear "
                f"that trial {number} is not what it asked for"
            )
        amend(point)

    def _twin(self, question: Question) -> Trial | None:
        """An earlier trial of the same parameters, which would come out the same again."""
        if not self._objective.repeats:
            return None
        done = (trial for trial in self._answers.values() if trial.status == "done")
        return next((trial for trial in done if trial.params == question.params), None)

    def _show(self, report: Report, n_calls: int) -> None:
        report(len(self._answers), n_calls, in_words(best_of(self._answers.values())))


def _known_points(first: Any, space: Space, n_calls: int) -> list[Params]:
    """The points to try first, as plain values."""
    if isinstance(first, str | Mapping) or not isinstance(first, Sequence):
        raise TypeError(f"first must be a list of dicts, not {first!r:.60}")
    if len(first) > n_calls:
        raise ValueError(f"first has {len(first)} points, more than the {n_calls} of n_calls")
    points = []
    for number, given in enumerate(first):
        if not isinstance(given, Mapping):
            raise TypeError(f"first[{number}] must be a dict, not {given!r:.60}")
        point = {n: v.item() if isinstance(v, np.generic) else v for n, v in given.items()}
        try:
            space.check(point)
        except ValueError as error:
            raise ValueError(
                f"first[{number}] has {error}; what is searched is {_ranges(space)}"
            ) from None
        points.append(point)
    return points


def _ranges(space: Space) -> str:
    return ", ".join(f"{name} {dim.to_dict()}" for name, dim in space.effective.items())


def in_words(best: Trial | None) -> str:
    """The best trial, in a few words."""
    if best is None:
        return ""
    shown = best.params if best.epochs is None else {**best.params, "epochs": best.epochs}
    params = ", ".join(f"{name}={_short(value)}" for name, value in shown.items())
    return f"best {best.value:.4f} (trial {best.number}: {params})"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _answer(future: "Future[Trial]", question: Question) -> Trial:
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, Exception):
        raise error
    return Trial(
        question.number, question.params, "failed", reason=f"its worker died: {reason(error)}"
    )


def _again(twin: Trial, number: int) -> Trial:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return replace(twin, number=number, seconds=0.0, fit_seconds=0.0, finished=now)


def _constants(target: Target, space: Space, given: Params, seed: int) -> Params:
    """Parameters of every trial: of an instance its own and those of a given space."""
    if target.given:
        own = {name: v for name, v in target.params.items() if name not in space.effective}
        return {**own, **given}
    seeded = "seed" in target.params and "seed" not in space.effective
    return {**({"seed": seed} if seeded else {}), **space.constants}


def _metric_name(metric: Metric, k: int) -> str:
    if callable(metric):
        return _qualified(metric)
    if not isinstance(metric, str):
        raise TypeError(f"metric must be a name or a callable, not {metric!r}")
    check_metrics((metric,))
    return f"{metric}@{k}"


def _qualified(thing: object) -> str:
    """Module and name of a class or a function."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{getattr(named, '__qualname__', '')}"


def _torch(target: Target) -> tuple[str, ...]:
    module = getattr(target.make, "__module__", "")
    return ("torch",) if module.startswith("ganmf_fast.gan.") else ()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found
