"""A single fit, followed by the trackers of searches."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr, fingerprint
from ganmf_fast.data.interactions import interactions_of
from ganmf_fast.models.base import Recommender
from ganmf_fast.tuning.trackers.base import Ending, Study, Tracker, Trackers
from ganmf_fast.tuning.trial import Trial

_Model = TypeVar("_Model", bound=Recommender)


def fit_tracked(
    model: _Model,
    X: object,
    trackers: Iterable[Tracker | str],
    folder: str | Path | None = None,
    **options: Any,
) -> _Model:
    """Fit a model, and tell trackers of its parameters, every epoch, and the end.

    To a tracker it is a search with the parameters of the model. A tracker with a method
    ``epoch(epoch, values)``, such as `MLflow` and `TensorBoard`, is told the losses of each epoch.
    A fit with `validation` is the one trial of the search, with the curve of early stopping and its
    best value.

    Parameters
    ----------
    model : Recommender
        Not necessarily fitted.
    X : as for `Recommender.fit`
    trackers : iterable of Tracker, "mlflow", "tensorboard", "wandb" or "trackio"
        As for `ganmf_fast.tune`; one that fails is a warning, and the fit goes on.
    folder : str or Path, optional
        Folder for trackers that write files: "tensorboard" writes to ``tensorboard/`` in it.
    **options
        Passed to `fit`: ``validation``, ``callback``, ``metric``, ``k``, ``verbose``.

    Returns
    -------
    Recommender
        The model, fitted.

    Raises
    ------
    TypeError, ValueError
        If a tracker is unknown, or as `fit` raises them.
    ImportError
        If the package of a tracker is not installed; the message names the extra.
    """
    if not isinstance(model, Recommender):
        raise TypeError(f"model must be a model of this library, not {shown(model)}")
    notified = Trackers(trackers)
    data = interactions_of(X)
    seed: int | None = getattr(model, "seed", None)
    header: dict[str, Any] = {
        "model": type(model).__name__,
        "params": model.get_params(deep=False),
        "dataset": "data" if data is None else data.name,
        "data": fingerprint(as_csr(X, "X")),
        "metric": f"{options.get('metric', 'map')}@{options.get('k', 5)}",
        "backend": "fit",
        "seed": seed,
    }
    notified.begin(Study(header, 1, None if folder is None else Path(folder) / "fit"), [])
    given, started = options.pop("callback", None), time.perf_counter()

    def callback(epoch: int, values: Mapping[str, float]) -> None:
        notified.epoch(epoch, values)
        if given is not None:
            given(epoch, values)

    ending: Ending = "failed"
    try:
        model.fit(X, callback=callback, **options)
        seconds = time.perf_counter() - started
        history = getattr(model, "history_", [])
        curve = [(row["epoch"], row["validation"]) for row in history if _has(row, "validation")]
        if curve:
            params, best = model.get_params(deep=False), max(value for _, value in curve)
            notified.trial(
                Trial(
                    0,
                    params,
                    "done",
                    value=best,
                    epochs=getattr(model, "best_epoch_", None),
                    curve=curve,
                    seconds=seconds,
                    fit_seconds=seconds,
                    seed=seed,
                )
            )
        ending = "done"
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    finally:
        notified.end(ending)
    return model


def _has(row: Mapping[str, Any], name: str) -> bool:
    return row.get(name) is not None
