"""The objective of a search: one trial of the paper's protocol.

Protocol: fit on ``train_small``, stop iterative models early on ``early_stop``, evaluate on
``validation``. As in the paper only the fitted interactions are masked, so that items of
``early_stop`` in a list count as misses; ``mask="known"`` masks them too.

An objective is plain data (matrices, parameters, a class) and can be sent to another process, where
it validates its matrices and prepares what the fits of a model share only once.
"""

import datetime as dt
import math
import time
from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeAlias

from ganmf_fast.base import progress
from ganmf_fast.base.errors import reason
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation.evaluate import evaluate_any_model
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.fit_data import FitCallback
from ganmf_fast.tuning.backends import median_pruner
from ganmf_fast.tuning.spaces import Params
from ganmf_fast.tuning.trial import Curve, Trial, TrialSpec
from ganmf_fast.tuning.tuned_model import TunedModel

if TYPE_CHECKING:
    import scipy.sparse as sp

    from ganmf_fast.split import Splits

__all__ = ["Metric", "Objective", "stopping_rule"]

Metric: TypeAlias = "str | Callable[[Any, sp.csr_array[Any], sp.csr_array[Any]], float]"
"""Name of a metric, or a function of (fitted model, matrix to mask, held-out matrix)."""


class _PrunedError(Exception):
    """Raised by the callback of a fit to prune its trial."""


class Objective:
    """Runs trials: a function from `TrialSpec` to `Trial`.

    Parameters
    ----------
    tuned : TunedModel
    constants : mapping
        Parameters that are the same in every trial.
    splits : Splits
    metric : str or callable
        The metric that is maximised.
    k : int
        Cutoff of a named metric.
    mask : {"fitted", "known"}
        Masked interactions: those that were fitted, or those of ``early_stop`` as well.
    ties : {"index", "published"}
        Order of equal scores, see `ganmf_fast.evaluate`.
    """

    def __init__(
        self,
        tuned: TunedModel,
        constants: Mapping[str, Any],
        splits: "Splits",
        metric: Metric,
        k: int,
        mask: str = "fitted",
        ties: str = "index",
    ) -> None:
        self.tuned = tuned
        self.constants = dict(constants)
        self.metric = metric
        self.k = k
        self.ties = ties
        self._fitted = splits.train_small
        self._early_stop = splits.early_stop
        self._validation = splits.validation
        self._masked = self._fitted if mask == "fitted" else self._fitted + self._early_stop
        self._prepared: dict[str, Any] = {}

    @property
    def repeats(self) -> bool:
        """Whether equal parameters always give the same value."""
        return self.tuned.identity == self.tuned.name and not callable(self.metric)

    def __getstate__(self) -> dict[str, Any]:
        """State without the prepared matrices; another process prepares its own."""
        return {**vars(self), "_prepared": {}}

    def __call__(self, spec: TrialSpec) -> Trial:
        """Run a trial; every failure but Ctrl-C is a failed trial with its reason."""
        started = time.perf_counter()
        curve: Curve = []
        found: dict[str, Any] = {"status": "failed", "curve": curve}
        try:
            with progress.silence():
                found |= self._run(spec.params, _callback(curve, spec), started)
        except _PrunedError:
            found |= {"status": "pruned", "reason": f"stopped in epoch {curve[-1][0]}"}
            found |= {"fit_seconds": time.perf_counter() - started}
        except Exception as error:
            found |= {"status": "failed", "reason": reason(error)}
        seed = {**self.constants, **spec.params}.get("seed")
        return Trial(
            spec.number,
            spec.params,
            seconds=time.perf_counter() - started,
            seed=seed if isinstance(seed, int) else None,
            finished=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            **found,
        )

    def _run(self, params: Params, callback: FitCallback, started: float) -> dict[str, Any]:
        model = self.tuned.make(**{**self.constants, **params})
        iterative = bool(getattr(model, "iterative", False))
        if isinstance(model, Recommender):
            # As a `Csr`, without ids: a metric asks for lists by row.
            bare = as_csr(self._fitted, "train_small")
            fitted = self._once("fitted", lambda: type(model).prepare(bare))
            early_stop = self._once("early_stop", lambda: as_csr(self._early_stop, "early_stop"))
        else:
            fitted, early_stop = self._fitted, self._early_stop
        given: dict[str, Any] = {"validation": early_stop} if iterative else {}
        if isinstance(model, Recommender):
            own = {"callback": callback, **stopping_rule(self.metric, self.k)}
            # A subclass may have a `fit` without them.
            known = signature(model.fit).parameters
            given |= {name: value for name, value in own.items() if name in known}
        model.fit(fitted, **given)
        found: dict[str, Any] = {"fit_seconds": time.perf_counter() - started}
        if iterative and getattr(model, "best_epoch_", None) is not None:
            found["epochs"] = max(1, int(model.best_epoch_))
        if callable(self.metric):
            value = float(self.metric(model, self._masked, self._validation))
        else:
            masked = self._once("masked", lambda: as_csr(self._masked, "train_small"))
            held_out = self._once("validation", lambda: as_csr(self._validation, "validation"))
            evaluation = evaluate_any_model(model, masked, held_out, (self.k,), self.ties)
            found["metrics"] = evaluation.to_dict()[self.k]
            value = evaluation[self.metric, self.k]
        if not math.isfinite(value):
            return found | {"reason": f"the value is {value}"}
        return found | {"status": "done", "value": value}

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._prepared:
            self._prepared[name] = make()
        return self._prepared[name]


def stopping_rule(metric: Metric, k: int) -> dict[str, Any]:
    """What `fit` stops early on: the metric of the search, MAP@5 if that is a function."""
    return {} if callable(metric) else {"metric": metric, "k": k}


def _callback(curve: Curve, spec: TrialSpec) -> FitCallback:
    """Records the validation curve, and prunes a trial that does worse than earlier ones."""
    stop = None if spec.completed is None else median_pruner(spec.completed)

    def record(epoch: int, values: Mapping[str, float]) -> None:
        if "validation" not in values:
            return
        value = values["validation"]
        curve.append((epoch, value))
        if stop is not None and stop(epoch, value):
            raise _PrunedError

    return record
