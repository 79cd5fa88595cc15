"""The public function of a search: check the arguments, describe the search, run it."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ganmf_fast.base.checks import check_bool, check_choice, check_int, plain
from ganmf_fast.base.executors import executor_maker
from ganmf_fast.base.text import shown
from ganmf_fast.scorers.metrics import check_metrics
from ganmf_fast.tuning.backends import backend_class
from ganmf_fast.tuning.journal import FORMAT, Journal
from ganmf_fast.tuning.objective import Metric, Objective, stopping_rule
from ganmf_fast.tuning.protocols import protocol_of
from ganmf_fast.tuning.result import TuningResult
from ganmf_fast.tuning.search import Search
from ganmf_fast.tuning.spaces import Params, Space, searched, table_for, without
from ganmf_fast.tuning.suggestions import Suggestions
from ganmf_fast.tuning.trackers.base import Study, Tracker, Trackers
from ganmf_fast.tuning.tuned_model import TunedModel, bound_values

# What models stop early on by default.
_USUAL = ("map", 5)
# Their versions decide values of trials, for every model and backend.
_PACKAGES = ("ganmf-fast", "numpy", "scipy", "scikit-learn")


def tune(
    model: Any,
    splits: Any,
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
    protocol: str = "paper",
    holdout: float | None = None,
    folds: int | None = None,
) -> TuningResult:
    """Search the hyperparameters of a model by the protocol of the GANMF paper, or on more data.

    Each trial is fitted on ``train_small``, stopped early on ``early_stop`` if the model is
    iterative, by the metric that is searched for, and evaluated on ``validation``. The defaults
    are those of the paper. With ``protocol="dense"`` these parts are drawn from train anew, small
    ones, so that parameters are judged at the density at which they will be used.

    Parameters
    ----------
    model : str, class, instance or callable
        Name or class of a model; an instance, which keeps its parameters (seed and epochs too)
        where they are not searched; or any callable that takes parameters and returns an object
        with ``fit(X)``, where X is a scipy csr_array, and ``recommend(users, n=...)`` (only ``fit``
        if the metric is a function). If its attribute `iterative` is true, ``fit`` is passed
        ``validation=`` and sets `best_epoch_`.
    splits : Splits or Split; with ``protocol="dense"`` also Interactions or a matrix
        The train of a `Split` is divided as `Splits.from_split` does. Interactions or a matrix are
        train as a whole, and there is no test.
    n_calls : int, default 50
        Number of trials. A finished search can be continued with a larger number.
    n_initial : int, default 10
        Number of these that are drawn at random.
    seed : int, default 1337
        Seed of the backend, of the parts that "dense" holds out, and of the model unless it is an
        instance; 0 to 2^32 - 1.
    metric : str or callable, default "map"
        The metric to maximise: a name from `ganmf_fast.evaluation.METRICS`, or
        ``metric(model, masked, held_out)``, which takes a fitted model and two csr_arrays and
        returns a number; then iterative models stop early on MAP@5.
    k : int, default 5
        Cutoff of a named metric.
    backend : {"skopt", "published", "optuna", "random"} or class, default "skopt"
        Search strategy; "published" is the Gaussian process of the paper's authors, which finds
        less than "skopt"; see `ganmf_fast.tuning.backends`.
    executor : {"local", "ray"} or callable, default "local"
        Where trials run: in processes on this machine, or on a Ray cluster; see
        `ganmf_fast.base.executors` and `ganmf_fast.base.ray_executor`.
    n_workers : int, default 1
        Number of trials that run at the same time. Each number has its own sequence of points.
    space : dict or path, optional
        Search space: a table like those of ``tuning/spaces.toml``
        (``{"topk": {"int": [5, 100]}}``), or a TOML file with such a table for the model. By
        default the ranges of the paper.
    fixed : dict, optional
        Values of parameters that are not searched (``{"similarity": "jaccard"}``).
    journal : path, optional
        File with a line for each finished trial. A second call with the same arguments resumes the
        search, with the same points as without the interruption.
    mask : {"fitted", "known"}, default "fitted"
        Interactions that lists exclude: those that were fitted, as in the paper, or those of
        ``early_stop`` as well.
    ties : {"index", "published"}, default "index"
        Order of equal scores in lists, as in `ganmf_fast.evaluate`.
    trackers : iterable of Tracker, "mlflow", "tensorboard", "wandb" or "trackio"
        Notified of every finished trial; see `tuning.trackers.base`, and the classes of the
        names for their settings.
    moved : bool, default False
        Whether the journal comes from another machine or other versions. Where the backend suggests
        other points here, the recorded ones are kept and told to it; the trials that follow are not
        those of an uninterrupted search. Each line of the journal records its versions.
    first : sequence of dict, default none
        Points of the first trials, such as the best of a search on other data
        (``[other.best_trial.params]``); they count towards `n_calls`. Parameters that a point
        leaves out are suggested by the backend.
    protocol : {"paper", "dense"}, default "paper"
        "paper" as above. "dense" reads train alone: each fold holds out a fraction of every user's
        interactions at random, and half as many more for iterative models to stop early on; what is
        left is fitted, by models without epochs that second part as well. The value of a trial is
        the mean over the folds. Epochs of the final fit are the mean over the folds of the best
        epoch times (train / fitted interactions)^(1/4).
    holdout : float, optional
        Of "dense": the fraction, to the nearest 1 / n, of at most one half; .1 by default.
    folds : int, optional
        Of "dense": folds to measure, at most 1 / `holdout`; 1 by default.

    Returns
    -------
    TuningResult
        Its `final` is the model with the best parameters, fitted on ``train``, and its evaluation
        on ``test``, if there is one.

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
    WriteError
        (an ``OSError``) If the journal cannot be written. Trials that are in it are kept.
    ImportError
        If the backend, the executor or the model needs a package that is missing; the message
        names the extra.

    Notes
    -----
    A failure (an invalid parameter, memory, divergence, a value that is not finite) is recorded
    with its reason, and the search goes on. If a backend suggests a point again, a model of this
    library would give the same bits: the earlier result is taken, and the trial takes 0 seconds.

    Examples
    --------
    >>> res = gf.tune("ItemKNN", splits, journal="knn.jsonl")  # doctest: +SKIP
    >>> res.best_params, res.best_value, res.final.test["map", 5]  # doctest: +SKIP
    """
    n_calls = check_int("n_calls", n_calls, 1)
    n_initial = check_int("n_initial", n_initial, 1)
    seed = check_int("seed", seed, 0, 2**32 - 1)
    k = check_int("k", k, 1)
    n_workers = check_int("n_workers", n_workers, 1)
    check_choice("mask", mask, ("fitted", "known"))
    check_choice("ties", ties, ("index", "published"))
    divided = protocol_of(protocol, splits, holdout, folds, seed)
    tuned = TunedModel.from_argument(model)
    if not isinstance(fixed, Mapping | None):
        raise TypeError(f"fixed must be a dict of parameters, not {shown(fixed)}")
    fixed = {name: plain(value) for name, value in (fixed or {}).items()}
    table, packaged = table_for(tuned.name, space, tuned.make)
    resolved = Space.resolve(without(table, fixed), {**tuned.params, **fixed}, divided.shape)
    tuned.check({**resolved.effective, **resolved.constants})
    if not any(searched(dimension) for dimension in resolved.effective.values()):
        raise ValueError(f"space leaves nothing to search for {tuned.name}")
    constants = _constants(tuned, resolved, {} if packaged else resolved.constants, seed) | fixed
    backend_type = backend_class(backend)
    first_points = _first_points(first, resolved, n_calls)
    if first_points and not hasattr(backend_type, "amend"):
        raise TypeError(
            f"first needs a backend with a method amend, and {backend_type.__name__} has none"
        )
    notified = Trackers(trackers)
    header = {
        "format": FORMAT,
        "model": tuned.identity,
        "params": constants,
        "space": {n: t for n, t in resolved.to_dict().items() if n in resolved.dimensions},
        "data": divided.data,
        "dataset": divided.dataset,
        "metric": _metric_name(metric, k),
        "mask": mask,
        "backend": backend if isinstance(backend, str) else _qualified(backend),
        "n_initial": n_initial,
        "seed": seed,
        "n_workers": n_workers,
        "versions": _versions([*_PACKAGES, *backend_type.packages, *_torch(tuned)]),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    if ties != "index":
        header["ties"] = ties
    if getattr(tuned.make, "iterative", False) and not callable(metric) and (metric, k) != _USUAL:
        # Journals of earlier versions stopped early on MAP@5 whatever was searched.
        header["early_stopping"] = header["metric"]
    if first_points:
        header["first"] = first_points
    held = {
        name: found
        for name, thing in (("model", tuned.make), ("metric", metric))
        if (found := bound_values(thing)) is not None
    }
    if held:
        header["bound"] = held
    if journal is not None:
        _refuse_unwritable(header)
    header |= divided.header
    study = Study(header, n_calls, None if journal is None else Path(journal))
    search = Search(
        study,
        Suggestions(
            backend_type(resolved.dimensions, n_initial, seed),
            resolved,
            first_points,
            check_bool("moved", moved),
        ),
        Objective(tuned, constants, divided.folds(), metric, k, mask, ties),
        executor_maker(executor),
        n_workers,
    )
    stamp = {"data": header["data"], "versions": header["versions"]}
    opened = nullcontext() if journal is None else Journal(journal, header, stamp, moved)
    with opened as kept:
        history = search.run(kept, notified)
    return TuningResult(study, history, tuned, divided, stopping_rule(metric, k))


def _first_points(first: Any, space: Space, n_calls: int) -> list[Params]:
    """The points of the first trials, as plain values."""
    if isinstance(first, str | Mapping) or not isinstance(first, Sequence):
        raise TypeError(f"first must be a list of dicts, not {shown(first)}")
    if len(first) > n_calls:
        raise ValueError(f"first has {len(first)} points, more than the {n_calls} of n_calls")
    points = []
    for number, given in enumerate(first):
        if not isinstance(given, Mapping):
            raise TypeError(f"first[{number}] must be a dict, not {shown(given)}")
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


def _constants(tuned: TunedModel, space: Space, given: Params, seed: int) -> Params:
    """Parameters of every trial; an instance keeps its own but for those of a `given` space."""
    if tuned.is_instance:
        own = {name: v for name, v in tuned.params.items() if name not in space.effective}
        return {**own, **given}
    seeded = "seed" in tuned.params and "seed" not in space.effective
    return {**({"seed": seed} if seeded else {}), **space.constants}


def _refuse_unwritable(header: Mapping[str, Any]) -> None:
    """Refuse what a journal cannot hold, which is JSON: models, arrays, infinity."""
    ranges = {f"the range of {name}": table for name, table in header["space"].items()}
    for what, value in {**header["params"], **ranges}.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(
                f"journal cannot hold {what} of {header['model']}, {shown(value)}: give finite "
                "numbers and text, a function of a module that makes the model, or no journal"
            ) from None


def _metric_name(metric: Metric, k: int) -> str:
    if callable(metric):
        return _qualified(metric)
    if not isinstance(metric, str):
        raise TypeError(f"metric must be a name or a callable, not {shown(metric)}")
    check_metrics((metric,))
    return f"{metric}@{k}"


def _qualified(thing: object) -> str:
    """Module and name of a class or a function, as journals record it."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{getattr(named, '__qualname__', '')}"


def _torch(tuned: TunedModel) -> tuple[str, ...]:
    module = getattr(tuned.make, "__module__", "")
    return ("torch",) if module.startswith("ganmf_fast.gan.") else ()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found
