"""Models measured on one window of time after another, each fitted on what lies before it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import stats
from sklearn.base import clone

from ganmf_fast import _core
from ganmf_fast.base.checks import check_real
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.text import shown
from ganmf_fast.evaluation.evaluate import evaluate
from ganmf_fast.evaluation.result import Evaluation
from ganmf_fast.evaluation.significance import interval_of_mean
from ganmf_fast.scorers.metrics import PER_USER, check_metrics
from ganmf_fast.split.result import Folds, Split, Windows

_RESAMPLES = 2000


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """Figures of models by window.

    Attributes
    ----------
    windows : polars.DataFrame
        One row per window: window (from 0), from and until (its first moment, and the first one
        after it), train and test (interactions), users (with test interactions) and new_users
        (those of them without train interactions).
    figures : polars.DataFrame
        model, window, metric, k, value, low, high: one row per window, with the bootstrap interval
        of the mean over users, null for metrics of all lists together; and one with a null window
        for the mean over the windows, with the interval of Student's t over these, null if there is
        one window.
    confidence : float
        Of the intervals.
    evaluations : mapping of (model, window) to Evaluation
    """

    windows: pl.DataFrame
    figures: pl.DataFrame
    confidence: float
    evaluations: Mapping[tuple[str, int], Evaluation]

    def mean(self, model: str, metric: str, k: int) -> float:
        """Mean over the windows.

        Raises
        ------
        KeyError
            If it was not measured.
        """
        found = self.figures.filter(
            pl.col("window").is_null(),
            pl.col("model") == model,
            pl.col("metric") == metric,
            pl.col("k") == k,
        )
        if not len(found):
            raise KeyError(f"there is no {metric}@{k} of {shown(model)}")
        return float(found["value"][0])

    def to_frame(self) -> pl.DataFrame:
        """The figures, as a polars frame."""
        return self.figures

    def __repr__(self) -> str:
        """The windows, and the means of the first metric."""
        return f"Backtest of {len(self.windows)} windows\n{self.windows}\n{self.figures}"


def backtest(
    models: Mapping[str, Any] | Sequence[Any],
    windows: Folds | Sequence[Split],
    cutoffs: Sequence[int] = (5, 20),
    metrics: Sequence[str] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Backtest:
    """Fit and measure models on every window.

    Parameters
    ----------
    models : sequence of models, or mapping of names to models
        Unfitted; fitted anew for each window. A model of the library is cloned; any other is a
        class or a function without arguments that makes an object with `fit` and `recommend`.
    windows : Windows or sequence of Split
        Such as ``split.rolling(data, 5)``; folds of `split.k_fold` are measured in the same way.
    cutoffs, metrics
        As for `evaluate`.
    confidence : float, default 0.95
        Of the intervals.
    seed : int, default 0
        Of the bootstrap resamples.

    Returns
    -------
    Backtest

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Notes
    -----
    Users with test interactions in a window but none before it have an empty list, which counts as
    zero, from models that know nothing about them; `Backtest.windows` counts them.
    """
    named = _named(models)
    names = check_metrics(metrics)
    confidence = check_real("confidence", confidence, 0.0, 1.0)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, both excluded, not {confidence}")
    of_splits = isinstance(windows, Sequence) and all(isinstance(one, Split) for one in windows)
    if not (isinstance(windows, Folds) or of_splits):
        raise TypeError(
            "windows must hold splits, such as those of split.rolling(data, 5), not "
            f"{shown(windows)}"
        )
    if not len(windows):
        raise ValueError("windows is empty")
    described, rows, evaluations = [], [], {}
    with reporter("backtest") as report:
        for number, split in enumerate(windows):
            described.append(_described(number, split, windows))
            for at, (name, model) in enumerate(named.items()):
                try:
                    found = evaluate(_fitted(model, split), split.train, split.test, cutoffs, names)
                except ValueError as error:
                    raise ValueError(f"window {number}: {error}") from error
                evaluations[name, number] = found
                rows += _of_window(name, number, found, confidence, seed)
                report(number * len(named) + at + 1, len(windows) * len(named))
    schema = {
        "model": pl.String, "window": pl.Int64, "metric": pl.String, "k": pl.Int64,
        "value": pl.Float64, "low": pl.Float64, "high": pl.Float64,
    }  # fmt: skip
    by_window = pl.DataFrame(rows, schema=schema, orient="row")
    means = pl.DataFrame(_means(by_window, confidence), schema=schema, orient="row")
    return Backtest(pl.DataFrame(described), pl.concat([by_window, means]), confidence, evaluations)


def _named(models: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    if isinstance(models, Mapping):
        named = dict(models)
    elif isinstance(models, str) or not isinstance(models, Sequence):
        raise TypeError(f"models must be a sequence of models, not {shown(models)}")
    else:
        named = {}
        for model in models:
            name = getattr(model, "__name__", type(model).__name__)
            if name in named:
                raise ValueError(
                    f"models holds two called {name}: give a mapping of names to models"
                )
            named[name] = model
    if not named:
        raise ValueError("models is empty")
    for name, model in named.items():
        if not callable(model) and not hasattr(model, "get_params"):
            raise TypeError(
                f"models holds {name}, which is neither a class, a function nor an estimator with "
                f"get_params: {shown(model)}"
            )
    return named


def _fitted(model: Any, split: Split) -> Any:
    made = model() if callable(model) else clone(model)
    made.fit(split.train)
    return made


def _described(number: int, split: Split, windows: Any) -> dict[str, Any]:
    users = np.flatnonzero(np.diff(split.test.indptr))
    ends = windows.cuts if isinstance(windows, Windows) else None
    return {
        "window": number,
        "from": None if split.cut is None else str(split.cut),
        "until": None if ends is None else str(ends[number + 1]),
        "train": int(split.train.nnz),
        "test": int(split.test.nnz),
        "users": len(users),
        "new_users": len(split.users_without_train),
    }


_Row = tuple[str, int | None, str, int, float, float | None, float | None]


def _of_window(
    name: str, number: int, found: Evaluation, confidence: float, seed: int
) -> list[_Row]:
    keys = [(metric, k) for metric in found.metrics for k in found.cutoffs]
    bounds: dict[tuple[str, int], tuple[float, float]] = {}
    of_users = [key for key in keys if key[0] in PER_USER]
    if of_users and len(found.users) > 1:
        values = np.stack([found.per_user(*key) for key in of_users])
        resampled = _core.bootstrap_means(values, _RESAMPLES, seed)
        for key, row, means in zip(of_users, values, resampled, strict=True):
            bounds[key] = interval_of_mean(row, means, confidence)
    return [(name, number, *key, found[key], *bounds.get(key, (None, None))) for key in keys]


def _means(by_window: pl.DataFrame, confidence: float) -> list[_Row]:
    rows: list[_Row] = []
    for (name, metric, k), group in by_window.group_by("model", "metric", "k", maintain_order=True):
        values = group["value"].to_numpy()
        mean = math.fsum(values) / len(values)
        low, high = None, None
        if len(values) > 1:
            error = float(values.std(ddof=1)) / math.sqrt(len(values))
            reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
            low, high = mean - reach, mean + reach
        rows.append((str(name), None, str(metric), int(str(k)), mean, low, high))
    return rows
