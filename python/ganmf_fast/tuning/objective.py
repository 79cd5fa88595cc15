"""One trial: parameters in, a finished trial out, whatever happens in between.

Protocol: fit on ``train_small``, stop iterative models early on ``early_stop``, measure on
``validation``. As in the paper only what was fitted is masked, so that items of ``early_stop`` in a
list count as misses; ``mask="known"`` leaves them out too.

An objective is plain data (matrices, parameters, a class) and can be sent to another process, where
it validates its matrices once, and counts once what the fits of a model share.
"""

import datetime as dt
import inspect
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ganmf_fast import models
from ganmf_fast.base import progress
from ganmf_fast.base.errors import reason, suggestion
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation import evaluate, evaluate_lists
from ganmf_fast.models.base import Recommender, users_with_items
from ganmf_fast.models.early_stopping import watched
from ganmf_fast.tuning.backends import median_pruner
from ganmf_fast.tuning.spaces import Params
from ganmf_fast.tuning.trial import Curve, Question, Trial

if TYPE_CHECKING:
    import scipy.sparse as sp

    from ganmf_fast.evaluation import Evaluation
    from ganmf_fast.split import Splits

__all__ = ["Metric", "Objective", "Target", "measure"]

Metric: TypeAlias = "str | Callable[[Any, sp.csr_array[Any], sp.csr_array[Any]], float]"
"""Name of a metric, or a function of (fitted model, matrix to mask, held-out matrix)."""


@dataclass(frozen=True)
class Target:
    """What is tuned.

    Attributes
    ----------
    name : str
        Of the class.
    make : callable
        Takes parameters, gives a model that is not fitted.
    params : dict
        Every parameter and its value where nothing is searched; of a function that takes
        ``**kwargs`` those it names.
    given : bool
        Whether the parameters are those of an instance.
    open : bool
        Whether `make` takes other parameters too.
    """

    name: str
    make: Callable[..., Any]
    params: Params
    given: bool
    open: bool

    @classmethod
    def of(cls, model: object) -> "Target":
        """Of a name, a class, another callable, or an instance with `get_params`.

        Raises
        ------
        TypeError, ValueError
            If it is nothing of these, or there is no such name.
        ImportError
            If the model needs a package that is not there; the message names the extra.
        """
        if isinstance(model, str):
            models.model_class(model)  # suggests a name
            model = getattr(models, model)
        if callable(model) and (isinstance(model, type) or not hasattr(model, "get_params")):
            name = getattr(model, "__name__", type(model).__name__)
            params, is_open = _signature(model)
            return cls(name, model, params, given=False, open=is_open)
        if hasattr(model, "get_params"):
            params = dict(model.get_params(deep=False))
            return cls(type(model).__name__, type(model), params, given=True, open=False)
        raise TypeError(
            "model must be the name of a model, a class, a function that makes one, or an instance "
            f"with get_params, not {model!r}"
        )

    @property
    def identity(self) -> str:
        """Name, with the module of what is not part of this library."""
        module = getattr(self.make, "__module__", "")
        if module.partition(".")[0] == "ganmf_fast":
            return self.name
        return f"{module}.{getattr(self.make, '__qualname__', self.name)}"

    def check(self, names: Mapping[str, object]) -> None:
        """Every one of `names` is a parameter.

        Raises
        ------
        ValueError
            If one is not; the message suggests the nearest.
        """
        for name in names:
            if not self.open and name not in self.params:
                raise ValueError(
                    f"space: {self.name} has no parameter {name!r}{suggestion(name, self.params)}"
                )


def _signature(make: Any) -> tuple[Params, bool]:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return {}, True
    named = (p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    params = {p.name: None if p.default is p.empty else p.default for p in named}
    return params, any(p.kind is p.VAR_KEYWORD for p in parameters)


class _PrunedError(Exception):
    """A trial does worse than others."""


class Objective:
    """What a trial does; a function of a `Question` that answers with a `Trial`.

    Parameters
    ----------
    target : Target
    constants : mapping
        Parameters that are the same in every trial.
    splits : Splits
    metric : str or callable
        What is maximised.
    k : int
        Cutoff of a named metric.
    mask : {"fitted", "known"}
        What is masked beside the fitted matrix: nothing, or ``early_stop``.
    ties : {"index", "published"}
        Order of equal scores, see `ganmf_fast.evaluate`.
    """

    def __init__(
        self,
        target: Target,
        constants: Mapping[str, Any],
        splits: "Splits",
        metric: Metric,
        k: int,
        mask: str = "fitted",
        ties: str = "index",
    ) -> None:
        self.target = target
        self.constants = dict(constants)
        self.metric = metric
        self.k = k
        self.ties = ties
        self._fitted = splits.train_small
        self._early_stop = splits.early_stop
        self._validation = splits.validation
        self._masked = self._fitted if mask == "fitted" else self._fitted + self._early_stop
        self._resident: dict[str, Any] = {}

    @property
    def repeats(self) -> bool:
        """Whether the same parameters are sure to give the same value again."""
        return self.target.identity == self.target.name and not callable(self.metric)

    def __getstate__(self) -> dict[str, Any]:
        """Without what another process makes for itself."""
        return {**vars(self), "_resident": {}}

    def __call__(self, question: Question) -> Trial:
        """Run a trial. Only Ctrl-C gets out; every other failure is a trial with its reason."""
        started = time.perf_counter()
        curve: Curve = []
        found: dict[str, Any] = {"status": "failed", "curve": curve}
        try:
            with progress.silence(), watched(_watcher(curve, question)):
                found |= self._run(question.params, started)
        except _PrunedError:
            found |= {"status": "pruned", "reason": f"stopped in epoch {curve[-1][0]}"}
            found |= {"fit_seconds": time.perf_counter() - started}
        except Exception as error:
            found |= {"status": "failed", "reason": reason(error)}
        seed = {**self.constants, **question.params}.get("seed")
        return Trial(
            question.number,
            question.params,
            seconds=time.perf_counter() - started,
            seed=seed if isinstance(seed, int) else None,
            finished=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            **found,
        )

    def _run(self, params: Params, started: float) -> dict[str, Any]:
        model = self.target.make(**{**self.constants, **params})
        iterative = bool(getattr(model, "iterative", False))
        if isinstance(model, Recommender):
            fitted = self._once("fitted", lambda: type(model).prepare(self._fitted))
            early_stop = self._once("early_stop", lambda: as_csr(self._early_stop, "early_stop"))
        else:
            fitted, early_stop = self._fitted, self._early_stop
        if iterative:
            model.fit(fitted, validation=early_stop)
        else:
            model.fit(fitted)
        found: dict[str, Any] = {"fit_seconds": time.perf_counter() - started}
        if iterative and getattr(model, "best_epoch_", None) is not None:
            found["epochs"] = max(1, int(model.best_epoch_))
        if callable(self.metric):
            value = float(self.metric(model, self._masked, self._validation))
        else:
            masked = self._once("masked", lambda: as_csr(self._masked, "train_small"))
            held_out = self._once("validation", lambda: as_csr(self._validation, "validation"))
            evaluation = measure(model, masked, held_out, (self.k,), self.ties)
            found["metrics"] = evaluation.to_dict()[self.k]
            value = evaluation[self.metric, self.k]
        if not math.isfinite(value):
            return found | {"reason": f"the value is {value}"}
        return found | {"status": "done", "value": value}

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._resident:
            self._resident[name] = make()
        return self._resident[name]


def _watcher(curve: Curve, question: Question) -> Callable[[int, float], None]:
    """Keeps the checks of early stopping, and stops a trial that does worse than its rivals."""
    stop = None if question.rivals is None else median_pruner(question.rivals)

    def watch(epoch: int, value: float) -> None:
        curve.append((epoch, value))
        if stop is not None and stop(epoch, value):
            raise _PrunedError

    return watch


def measure(
    model: Any, masked: Any, held_out: Any, cutoffs: tuple[int, ...], ties: str = "index"
) -> "Evaluation":
    """Evaluate a model of this library, or any other with ``recommend(users, n=...)``.

    Parameters
    ----------
    model : Recommender, or an object whose `recommend` takes user rows and a length and gives
        lists, int of shape (n users, n), padded with -1, or a tuple or object (`items`) with them.
        It leaves out what it was fitted on.
    masked, held_out : matrix
    cutoffs : tuple of int
    ties : {"index", "published"}
        Of this library's models.
    """
    if isinstance(model, Recommender):
        return evaluate(model, masked, held_out, cutoffs, per_user=False, ties=ties)
    users = users_with_items(as_csr(held_out, "held_out"))
    lists = model.recommend(users, n=max(cutoffs))
    items = lists[0] if isinstance(lists, tuple) else getattr(lists, "items", lists)
    return evaluate_lists(
        np.asarray(items), held_out, cutoffs, masked, users, per_user=False,
        label=type(model).__name__,
    )  # fmt: skip
