"""Optuna: its tree-structured Parzen estimator and its median pruner."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from ganmf_fast.base.checks import plain
from ganmf_fast.tuning.backends.base import load
from ganmf_fast.tuning.spaces import Choice, Dimension, Int, Params
from ganmf_fast.tuning.trial import Curve, Trial


class Optuna:
    """Tree-structured Parzen estimator with pruning; see `Backend`.

    Points without a result count as in Optuna's constant liar. A trial of an iterative model is
    stopped at an evaluation of its early stopping where it is below the median of earlier trials;
    see `median_pruner`.
    """

    packages: ClassVar[Sequence[str]] = ("optuna",)
    prunes: ClassVar[bool] = True

    def __init__(self, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> None:
        self._optuna = optuna = load("optuna", "optuna")
        self._distributions = {n: _distribution(optuna, d) for n, d in dimensions.items()}
        with _quiet(optuna):
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=n_initial, seed=seed, constant_liar=True
            )
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._open: list[Any] = []

    def ask(self) -> Params:
        """See `Backend`."""
        with _quiet(self._optuna):
            trial = self._study.ask(self._distributions)
        self._open.append(trial)
        return {name: plain(value) for name, value in trial.params.items()}

    def amend(self, params: Params) -> None:
        """Replace the point suggested last by `params`."""
        with _quiet(self._optuna):
            self._study.tell(self._open.pop(), state=self._optuna.trial.TrialState.FAIL)
            self._study.enqueue_trial(params)
        self.ask()

    def tell(self, trial: Trial) -> None:
        """See `Backend`."""
        states = self._optuna.trial.TrialState
        state = {"done": states.COMPLETE, "failed": states.FAIL, "pruned": states.PRUNED}
        asked = self._open.pop(0)
        with _quiet(self._optuna):
            for epoch, value in trial.curve:
                asked.report(value, epoch)
            self._study.tell(asked, trial.value, state=state[trial.status])


def median_pruner(
    completed: Sequence[tuple[Curve, float]], warmup: int = 5
) -> Callable[[int, float], bool]:
    """Optuna's median pruner over finished trials, as a function without a study.

    Parameters
    ----------
    completed : sequence of (curve, value)
        Validation curves and final values of finished trials.
    warmup : int, default 5
        Number of finished trials before anything is stopped.

    Returns
    -------
    callable ``stop(epoch, value)``
        Called at each evaluation of one trial; returns whether to stop it.
    """
    optuna = load("optuna", "optuna")
    with _quiet(optuna):
        study = optuna.create_study(
            direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=warmup)
        )
        for curve, value in completed:
            study.add_trial(optuna.trial.create_trial(value=value, intermediate_values=dict(curve)))
        trial = study.ask()

    def stop(epoch: int, value: float) -> bool:
        with _quiet(optuna):
            trial.report(value, epoch)
            return bool(trial.should_prune())

    return stop


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    kinds = optuna.distributions
    if isinstance(dimension, Choice):
        return kinds.CategoricalDistribution(dimension.choices)
    kind = kinds.IntDistribution if isinstance(dimension, Int) else kinds.FloatDistribution
    return kind(dimension.low, dimension.high, log=dimension.log)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna without its log of trials."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
