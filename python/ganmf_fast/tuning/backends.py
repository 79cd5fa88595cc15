"""Where the questions come from: Gaussian processes, tree-structured Parzen estimators, chance.

A backend is asked for parameters and told what became of them, in the order of asking. It may be
asked again before it is told, as often as there are workers beyond the first. Its questions depend
on nothing but its seed and the answers told so far, which is what makes a search resumable:
replaying `ask` and `tell` from a journal brings a new backend to where the old one was. Giving a
new one the old points instead (x0 and y0 in scikit-optimize) does not: its random numbers start
again.
"""

import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar, Protocol, cast

import numpy as np
from threadpoolctl import threadpool_limits

from ganmf_fast.base.errors import unknown
from ganmf_fast.tuning.spaces import Choice, Dimension, Int, Params
from ganmf_fast.tuning.trial import Curve, Trial

__all__ = [
    "BACKENDS",
    "Backend",
    "Optuna",
    "Published",
    "RandomSearch",
    "Skopt",
    "backend_class",
    "median_pruner",
]


class Backend(Protocol):
    """What a search asks.

    A class of one's own is passed to `ganmf_fast.tune` as `backend`. If it has a method
    ``amend(params)``, which says that the question asked last was another one, its searches can
    begin with points of the user's (``first``) and go on from a journal of another machine
    (``moved=True``).

    Parameters
    ----------
    dimensions : mapping of str to Int, Real or Choice
    n_initial : int
        Questions that are drawn at random.
    seed : int

    Attributes
    ----------
    packages : sequence of str
        Distributions whose versions decide the questions; they are written to the journal.
    prunes : bool
        Whether trials of iterative models that do worse than earlier ones are to be stopped.
    """

    packages: ClassVar[Sequence[str]]
    prunes: ClassVar[bool]

    def __init__(self, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> None: ...

    def ask(self) -> Params:
        """Parameters to be tried next, as plain Python values."""

    def tell(self, trial: Trial) -> None:
        """Learn what became of a question: of the first one that has not been told yet."""


class RandomSearch:
    """Every trial on its own: drawn uniformly, from the seed and its number."""

    packages: ClassVar[Sequence[str]] = ()
    prunes: ClassVar[bool] = False

    def __init__(self, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> None:
        del n_initial
        self._dimensions = dimensions
        self._seed = seed
        self._asked = 0

    def ask(self) -> Params:
        """See `Backend`."""
        rng = np.random.default_rng([self._seed, self._asked])
        self._asked += 1
        return {name: _draw(rng, dimension) for name, dimension in self._dimensions.items()}

    def amend(self, params: Params) -> None:
        """The question asked last was another one; no later question depends on it."""

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""


def _draw(rng: np.random.Generator, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return dimension.choices[int(rng.integers(len(dimension.choices)))]
    if isinstance(dimension, Int) and not dimension.log:
        return int(rng.integers(dimension.low, dimension.high, endpoint=True))
    low, high = float(dimension.low), float(dimension.high)
    if dimension.log:
        drawn = min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
    else:
        drawn = float(rng.uniform(low, high))
    return round(drawn) if isinstance(dimension, Int) else drawn


class Skopt:
    """A Gaussian process of scikit-optimize, as its `gp_minimize` drives it.

    The first questions are those of ``gp_minimize(..., random_state=seed)``, drawn evenly from the
    ranges. From then on they are those of `gp_minimize` with what these brought as its `x0` and
    `y0`, in two respects otherwise than by default (docs/results/tuning.md has what they do):

    - Whole numbers are seen on a logarithmic scale, as log(1 + x), unless their range is already
      logarithmic or goes below 0: from 5 to 10 neighbours, or from a shrink of 0 to 5, changes more
      than from 905 to 910.
    - Values are told in percent. Two of the three acquisition functions look for an improvement by
      at least .01, and the choice between the three goes by differences of what they promise. MAP
      as a share is hardly ever improved by .01, and the search would look everywhere but near the
      best point.

    Questions asked while others are open take the best value so far for what these will bring (the
    constant liar); that is another sequence, and a function of how many are open.

    A trial that failed counts as the worst one so far.
    """

    packages: ClassVar[Sequence[str]] = ("scikit-optimize", "scikit-learn", "scipy")
    prunes: ClassVar[bool] = False
    _logarithmic: ClassVar[bool] = True
    _unit: ClassVar[float] = 100.0
    _repeats: ClassVar[bool] = False

    def __init__(self, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> None:
        self._n_initial = n_initial
        self._seed = seed
        self._open: list[list[Any]] = []
        self._asked = 0
        self._shifts = {name: self._seen(dim)[1] for name, dim in dimensions.items()}
        self._ranges = _skopt_space(dimensions.values())
        self._optimizer = self._made(dimensions, n_initial, seed)

    @classmethod
    def _made(cls, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> Any:
        skopt = _needed("skopt", "scikit-optimize", "skopt")
        space = _skopt_space(cls._seen(dimension)[0] for dimension in dimensions.values())
        # As in gp_minimize, the process draws its seed before the first question.
        rng = np.random.RandomState(seed)
        own = rng.randint(0, np.iinfo(np.int32).max)
        return skopt.Optimizer(
            space,
            cls._process(space, own),
            n_initial_points=n_initial,
            acq_func="gp_hedge",
            random_state=rng,
            avoid_duplicates=not cls._repeats,
        )

    @classmethod
    def _process(cls, space: Any, seed: int) -> Any:
        cook = importlib.import_module("skopt.utils").cook_estimator
        return cook("GP", space=space, noise="gaussian", random_state=seed)

    @classmethod
    def _seen(cls, dimension: Dimension) -> tuple[Dimension, int]:
        """A dimension as the process sees it, and what its values are raised by there."""
        if not (cls._logarithmic and isinstance(dimension, Int)):
            return dimension, 0
        if dimension.log or dimension.low < 0:
            return dimension, 0
        return Int(dimension.low + 1, dimension.high + 1, log=True), 1

    def _point(self, params: Params) -> list[Any]:
        """Parameters as the optimizer has them."""
        return [params[name] + by if by else params[name] for name, by in self._shifts.items()]

    def ask(self) -> Params:
        """See `Backend`."""
        with _one_quiet_thread():
            params = self._draw() if self._asked < self._n_initial else self._sought()
        self._open.append(self._point(params))
        self._asked += 1
        return params

    def _draw(self) -> Params:
        [drawn] = self._ranges.rvs(random_state=self._optimizer.rng)
        return {name: _plain(value) for name, value in zip(self._shifts, drawn, strict=True)}

    def _sought(self) -> Params:
        optimizer = self._optimizer
        if self._open:
            told = optimizer.yi
            lie = min(told) if told else 0.0
            seed = np.random.SeedSequence([self._seed, self._asked]).generate_state(1)[0]
            optimizer = optimizer.copy(random_state=int(seed))
            optimizer.tell(self._open, [lie] * len(self._open))
        found = zip(self._shifts.items(), optimizer.ask(), strict=True)
        return {name: _plain(value) - by if by else _plain(value) for (name, by), value in found}

    def amend(self, params: Params) -> None:
        """The question asked last was another one, `params`."""
        self._open[-1] = self._point(params)

    def tell(self, trial: Trial) -> None:
        """See `Backend`."""
        point = self._open.pop(0)
        value = trial.value
        if value is None:
            told = self._optimizer.yi
            loss = max(told) if told else 0.0
        else:
            loss = -self._unit * value
        with _one_quiet_thread():
            self._optimizer.tell(point, loss)

    @staticmethod
    def partial_dependence(
        dimensions: Mapping[str, Dimension],
        observed: Sequence[tuple[Params, float]],
        samples: int = 250,
    ) -> dict[str, tuple[list[Any], list[float]]]:
        """What each parameter does to the value, the others averaged over random points.

        Parameters
        ----------
        dimensions : mapping of str to Int, Real or Choice
        observed : sequence of (params, value)
            At least two.
        samples : int, default 250

        Returns
        -------
        dict of (points, values)
            For each parameter some points along its range and the mean of the process there.
        """
        backend = Skopt(dimensions, 1, 0)
        optimizer = backend._optimizer
        space = optimizer.space
        found = {}
        with _one_quiet_thread():
            points = [backend._point(params) for params, _ in observed]
            optimizer.tell(points, [-value for _, value in observed])
            others = space.transform(space.rvs(n_samples=samples, random_state=0))
            column = 0
            for (name, by), seen in zip(backend._shifts.items(), space.dimensions, strict=True):
                dimension = dimensions[name]
                if isinstance(dimension, Choice):
                    along = list(dimension.choices)
                else:
                    # Evenly on the scale that the process sees; whole numbers come once.
                    steps = seen.inverse_transform(np.linspace(0.0, 1.0, 40))
                    along = [_plain(x) for x in np.unique(steps)]
                end = column + seen.transformed_size
                means = []
                for place in np.asarray(seen.transform(along)).reshape(len(along), -1):
                    others_here = others.copy()
                    others_here[:, column:end] = place
                    means.append(-float(optimizer.models[-1].predict(others_here).mean()))
                found[name] = ([x - by if by else x for x in along], means)
                column = end
        return found


class Published(Skopt):
    """The search of the GANMF paper's authors, question for question.

    They used `gp_minimize` of scikit-optimize 0.7.2 with scikit-learn 0.20; what has changed since
    is undone: values are centred and not scaled to unit variance, and a point may be asked again.
    Values are shares, not percent. Told the values of their log, it asks their questions
    (tests/tuning/test_published_search.py).
    """

    _logarithmic: ClassVar[bool] = False
    _unit: ClassVar[float] = 1.0
    _repeats: ClassVar[bool] = True

    @classmethod
    def _process(cls, space: Any, seed: int) -> Any:
        cook = importlib.import_module("skopt.utils").cook_estimator
        process = cook("GP", space=space, noise="gaussian", random_state=seed)
        return _centring()(**{**process.get_params(deep=False), "normalize_y": False})


@cache
def _centring() -> type[Any]:
    """A Gaussian process that subtracts the mean of the values, and leaves their scale alone.

    So did ``normalize_y`` of scikit-learn before 0.23. MAP differs by hundredths between trials,
    so to a process with a scale of its own bounded below they are nearly alike, and it looks into
    the corners of the space more often.
    """
    learning = importlib.import_module("skopt.learning")

    class Centring(learning.GaussianProcessRegressor):  # type: ignore[misc, name-defined]
        def fit(self, X: Any, y: Any) -> Any:
            values = np.asarray(y, dtype=np.float64)
            mean = values.mean()
            super().fit(X, values - mean)
            self.y_train_mean_ = self._y_train_mean = mean
            return self

    return Centring


def _skopt_space(dimensions: Iterable[Dimension]) -> Any:
    _needed("skopt", "scikit-optimize", "skopt")
    space = importlib.import_module("skopt.space")
    normalize = importlib.import_module("skopt.utils").normalize_dimensions
    return normalize([_skopt_dimension(space, dimension) for dimension in dimensions])


def _skopt_dimension(space: Any, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return space.Categorical(list(dimension.choices))
    prior = "log-uniform" if dimension.log else "uniform"
    kind = space.Integer if isinstance(dimension, Int) else space.Real
    return kind(dimension.low, dimension.high, prior=prior)


@contextmanager
def _one_quiet_thread() -> Iterator[None]:
    """On several threads the small matrices of a Gaussian process take many times as long.

    A point that comes a second time is warned about.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The objective has been evaluated at")
        yield


class Optuna:
    """The tree-structured Parzen estimator of Optuna, and its median pruner.

    Open questions count as the constant liar of Optuna has it. A trial of an iterative model is
    stopped at a check of its early stopping where it is worse than the median of what earlier ones
    had there; see `median_pruner`.
    """

    packages: ClassVar[Sequence[str]] = ("optuna",)
    prunes: ClassVar[bool] = True

    def __init__(self, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> None:
        self._optuna = optuna = _needed("optuna", "optuna", "optuna")
        self._distributions = {n: _optuna_dimension(optuna, d) for n, d in dimensions.items()}
        with _quiet_optuna(optuna):
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=n_initial, seed=seed, constant_liar=True
            )
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._open: list[Any] = []

    def ask(self) -> Params:
        """See `Backend`."""
        with _quiet_optuna(self._optuna):
            trial = self._study.ask(self._distributions)
        self._open.append(trial)
        return {name: _plain(value) for name, value in trial.params.items()}

    def amend(self, params: Params) -> None:
        """The question asked last was another one, `params`."""
        with _quiet_optuna(self._optuna):
            self._study.tell(self._open.pop(), state=self._optuna.trial.TrialState.FAIL)
            self._study.enqueue_trial(params)
        self.ask()

    def tell(self, trial: Trial) -> None:
        """See `Backend`."""
        states = self._optuna.trial.TrialState
        state = {"done": states.COMPLETE, "failed": states.FAIL, "pruned": states.PRUNED}
        asked = self._open.pop(0)
        with _quiet_optuna(self._optuna):
            for epoch, value in trial.curve:
                asked.report(value, epoch)
            self._study.tell(asked, trial.value, state=state[trial.status])


def _optuna_dimension(optuna: Any, dimension: Dimension) -> Any:
    kinds = optuna.distributions
    if isinstance(dimension, Choice):
        return kinds.CategoricalDistribution(dimension.choices)
    kind = kinds.IntDistribution if isinstance(dimension, Int) else kinds.FloatDistribution
    return kind(dimension.low, dimension.high, log=dimension.log)


@contextmanager
def _quiet_optuna(optuna: Any) -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def median_pruner(
    rivals: Sequence[tuple[Curve, float]], warmup: int = 5
) -> Callable[[int, float], bool]:
    """Optuna's median pruner over finished trials, as a function that needs no study.

    Parameters
    ----------
    rivals : sequence of (curve, value)
        Checks and final values of finished trials.
    warmup : int, default 5
        Rivals that are needed before anything is stopped.

    Returns
    -------
    callable ``stop(epoch, value)``
        To be called at each check of one trial; whether it is to be stopped.
    """
    optuna = _needed("optuna", "optuna", "optuna")
    with _quiet_optuna(optuna):
        study = optuna.create_study(
            direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=warmup)
        )
        for curve, value in rivals:
            study.add_trial(optuna.trial.create_trial(value=value, intermediate_values=dict(curve)))
        trial = study.ask()

    def stop(epoch: int, value: float) -> bool:
        with _quiet_optuna(optuna):
            trial.report(value, epoch)
            return bool(trial.should_prune())

    return stop


BACKENDS: dict[str, type[Backend]] = {
    "skopt": cast("type[Backend]", Skopt),
    "published": cast("type[Backend]", Published),
    "optuna": cast("type[Backend]", Optuna),
    "random": cast("type[Backend]", RandomSearch),
}
"""Backends by name."""


def backend_class(backend: object) -> type[Backend]:
    """The backend of a name, or a class of the user's own as it is.

    Raises
    ------
    TypeError, ValueError
        If there is no such backend, or it can be neither asked nor told.
    """
    if isinstance(backend, str):
        if backend not in BACKENDS:
            raise ValueError(unknown("backend", backend, BACKENDS))
        return BACKENDS[backend]
    if not (callable(backend) and hasattr(backend, "ask") and hasattr(backend, "tell")):
        raise TypeError(
            f"backend must be a name or a class with the methods ask and tell, not {backend!r}"
        )
    return cast("type[Backend]", backend)


def _needed(module: str, package: str, backend: str) -> Any:
    if importlib.util.find_spec(module) is None:
        raise ImportError(
            f'the backend "{backend}" needs {package}: pip install "ganmf-fast[tune]"'
        )
    return importlib.import_module(module)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
