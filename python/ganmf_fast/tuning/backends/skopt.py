"""Gaussian processes of scikit-optimize: with better scales, and as the paper's authors had it."""

import importlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

import numpy as np

from ganmf_fast.base.checks import plain
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.tuning.backends.base import load
from ganmf_fast.tuning.spaces import Choice, Dimension, Int, Params
from ganmf_fast.tuning.trial import Trial

_MOST = 1e100


class Skopt:
    """A Gaussian process of scikit-optimize, driven as by its `gp_minimize`; see `Backend`.

    The initial points are those of ``gp_minimize(..., random_state=seed)``, drawn uniformly from
    the ranges. The points after them are those of `gp_minimize` with the initial points and their
    values as its `x0` and `y0`, with two changes to its defaults (effects: docs/results/tuning.md):

    - Integers are modelled on a logarithmic scale, as log(1 + x), unless their range is already
      logarithmic or extends below 0: from 5 to 10 neighbours, or from a shrink of 0 to 5, changes
      more than from 905 to 910.
    - Values are passed in percent. Two of the three acquisition functions look for an improvement
      of at least 0.01, and the choice between the three depends on differences of their values.
      MAP as a fraction hardly ever improves by 0.01, and the search would explore everywhere but
      near the best point.

    Points without a result are given the best value so far (constant liar); the sequence of
    suggestions therefore depends on how many there are.

    A failed trial counts as the worst value so far.
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
        self._ranges = _skopt_space(dimensions.values())
        modelled = {name: self._modelled(dimension) for name, dimension in dimensions.items()}
        self.offsets = {name: offset for name, (_, offset) in modelled.items()}
        """What is added to each parameter's value before it is modelled."""
        space = _skopt_space(dimension for dimension, _ in modelled.values())
        self.optimizer = self._make_optimizer(space, n_initial, seed)
        """The `skopt.Optimizer`."""

    @classmethod
    def _make_optimizer(cls, space: Any, n_initial: int, seed: int) -> Any:
        # As in gp_minimize, the process draws its seed before the first point.
        rng = np.random.RandomState(seed)
        own = rng.randint(0, np.iinfo(np.int32).max)
        return load("skopt", "scikit-optimize").Optimizer(
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
    def _modelled(cls, dimension: Dimension) -> tuple[Dimension, int]:
        """The dimension of the process, and the offset of its values."""
        if not (cls._logarithmic and isinstance(dimension, Int)):
            return dimension, 0
        if dimension.log or dimension.low < 0:
            return dimension, 0
        return Int(dimension.low + 1, dimension.high + 1, log=True), 1

    def to_point(self, params: Params) -> list[Any]:
        """Parameters as a point of the optimizer."""
        return [params[name] + by if by else params[name] for name, by in self.offsets.items()]

    def ask(self) -> Params:
        """See `Backend`."""
        with one_quiet_thread():
            params = self._draw() if self._asked < self._n_initial else self._suggest()
        self._open.append(self.to_point(params))
        self._asked += 1
        return params

    def _draw(self) -> Params:
        [drawn] = self._ranges.rvs(random_state=self.optimizer.rng)
        return {name: plain(value) for name, value in zip(self.offsets, drawn, strict=True)}

    def _suggest(self) -> Params:
        optimizer = self.optimizer
        if self._open:
            told = optimizer.yi
            lie = min(told) if told else 0.0
            seed = np.random.SeedSequence([self._seed, self._asked]).generate_state(1)[0]
            optimizer = optimizer.copy(random_state=int(seed))
            optimizer.tell(self._open, [lie] * len(self._open))
        found = zip(self.offsets.items(), optimizer.ask(), strict=True)
        return {name: plain(value) - by if by else plain(value) for (name, by), value in found}

    def amend(self, params: Params) -> None:
        """Replace the point suggested last by `params`."""
        self._open[-1] = self.to_point(params)

    def tell(self, trial: Trial) -> None:
        """See `Backend`."""
        point = self._open.pop(0)
        value = trial.value
        if value is None:
            told = self.optimizer.yi
            loss = max(told) if told else 0.0
        else:
            # Squares of larger ones leave the range of floating point.
            loss = -self._unit * min(max(value, -_MOST), _MOST)
        with one_quiet_thread():
            self.optimizer.tell(point, loss)


class Published(Skopt):
    """The search of the GANMF paper's authors, with the same suggestions.

    They used `gp_minimize` of scikit-optimize 0.7.2 with scikit-learn 0.20; later changes are
    undone: values are centred and not scaled to unit variance, and a point may be suggested again.
    Values are fractions, not percent. Given the values of the authors' log, it makes their
    suggestions (tests/tuning/test_published_search.py).
    """

    _logarithmic: ClassVar[bool] = False
    _unit: ClassVar[float] = 1.0
    _repeats: ClassVar[bool] = True

    @classmethod
    def _process(cls, space: Any, seed: int) -> Any:
        process = super()._process(space, seed)
        return _centring()(**{**process.get_params(deep=False), "normalize_y": False})


@cache
def _centring() -> type[Any]:
    """A Gaussian process that subtracts the mean of the values and keeps their scale.

    As ``normalize_y`` of scikit-learn before 0.23. MAP differs by hundredths between trials: to a
    process whose own scale is bounded below they are nearly equal, and it explores the corners of
    the space more often.
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
    load("skopt", "scikit-optimize")
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
def one_quiet_thread() -> Iterator[None]:
    """One BLAS thread, and no warning about repeated points.

    The matrices of a Gaussian process are small: several threads take many times as long.
    """
    with one_blas_thread(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The objective has been evaluated at")
        yield
