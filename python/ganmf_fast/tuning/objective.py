"""The objective of a search: one trial, by the folds of a protocol.

For each fold: fit, stop iterative models early, evaluate what is held out; the value is the mean
over the folds (:mod:`~ganmf_fast.tuning.protocols`). As in the paper only the fitted interactions
are masked, so that items of ``early_stop`` in a list count as misses; ``mask="known"`` masks them
too.

An objective is plain data (matrices, parameters, a class) and can be sent to another process, where
it validates its matrices and prepares what the fits of a model share only once.
"""

import datetime as dt
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeAlias

from ganmf_fast.base import progress
from ganmf_fast.base.errors import reason
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation.evaluate import evaluate_any_model
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.early_stopping import epochs_for_more_data, stopped_epochs
from ganmf_fast.models.fit_data import FitCallback
from ganmf_fast.tuning.backends import median_pruner
from ganmf_fast.tuning.protocols import Fold, MakeFolds
from ganmf_fast.tuning.spaces import Params
from ganmf_fast.tuning.trial import Curve, Trial, TrialSpec
from ganmf_fast.tuning.tuned_model import TunedModel

if TYPE_CHECKING:
    import scipy.sparse as sp

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
    folds : callable
        Makes the folds of the protocol.
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
        folds: MakeFolds,
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
        self._make_folds = folds
        self._masks_known = mask == "known"
        self._prepared: dict[Any, Any] = {}

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
            with progress.verbosity(False):
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
        folds: Sequence[Fold] = self._once("folds", self._make_folds)
        found: dict[str, Any] = {"fit_seconds": 0.0}
        epochs: defaultdict[str, list[int]] = defaultdict(list)
        values: list[float] = []
        metrics: list[dict[str, float]] = []
        for number, fold in enumerate(folds):
            # The curve, by which trials are pruned, is that of the first fold.
            model, masked = self._fitted(number, fold, params, None if number else callback)
            found["fit_seconds"] += time.perf_counter() - started
            for name, best in stopped_epochs(model).items():
                epochs[name].append(epochs_for_more_data(best, fold.more_data))
            value, measured = self._measured(number, fold, model, masked)
            values.append(value)
            metrics.append(measured)
            started = time.perf_counter()
        # Ours may be best before the first epoch; other classes may count from zero.
        least = 0 if isinstance(model, Recommender) else 1
        found |= {name: max(least, round(fmean(best))) for name, best in epochs.items()}
        found["metrics"] = {name: fmean(one[name] for one in metrics) for name in metrics[0]}
        value = fmean(values)
        if not math.isfinite(value):
            return found | {"reason": f"the value is {value}"}
        return found | {"status": "done", "value": value}

    def _fitted(
        self, number: int, fold: Fold, params: Params, callback: FitCallback | None
    ) -> tuple[Any, Any]:
        """A model fitted on a fold, and the interactions that its lists leave out."""
        model = self.tuned.make(**{**self.constants, **params})
        # Without an epoch there is nothing to stop.
        iterative = getattr(model, "iterative", False) and getattr(model, "epochs", None) != 0
        X: Any = fold.fitted if iterative else fold.whole
        early_stop: Any = fold.early_stop
        masked = fold.fitted + early_stop if self._masks_known else X
        given: dict[str, Any] = {}
        if isinstance(model, Recommender):
            # As a `Csr`, without ids: a metric asks for lists by row.
            bare = as_csr(X, "fitted")
            X = self._once((number, "fitted", bare.nnz), lambda: type(model).prepare(bare))
            early_stop = self._once((number, "stop"), lambda: as_csr(early_stop, "early_stop"))
            own = {"callback": callback, **stopping_rule(self.metric, self.k)}
            # A subclass may have a `fit` without them.
            known = signature(model.fit).parameters
            given = {name: value for name, value in own.items() if name in known}
        if iterative:
            given["validation"] = early_stop
        model.fit(X, **given)
        return model, masked

    def _measured(
        self, number: int, fold: Fold, model: Any, masked: Any
    ) -> tuple[float, dict[str, float]]:
        """The value of a model on what a fold holds out, and all metrics if it is one of them."""
        if callable(self.metric):
            return float(self.metric(model, masked, fold.held_out)), {}
        seen = self._once((number, "masked", masked.nnz), lambda: as_csr(masked, "fitted"))
        held_out = self._once((number, "held_out"), lambda: as_csr(fold.held_out, "held_out"))
        evaluation = evaluate_any_model(model, seen, held_out, (self.k,), self.ties)
        return evaluation[self.metric, self.k], evaluation.to_dict()[self.k]

    def _once(self, name: object, make: Callable[[], Any]) -> Any:
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
