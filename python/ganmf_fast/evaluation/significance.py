"""Statistical significance of differences between models: paired tests and bootstrap intervals.

The unit is the user: models are measured on the same users, and the differences of their values per
user are tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from ganmf_fast import _core
from ganmf_fast.base.checks import check_int
from ganmf_fast.base.notebook import html_table
from ganmf_fast.base.text import shown
from ganmf_fast.evaluation.result import Evaluation

_MODELS = {"model": pl.String} | dict.fromkeys(("mean", "low", "high"), pl.Float64)
_PAIRS = dict.fromkeys(("a", "b"), pl.String) | dict.fromkeys(
    (
        "difference", "low", "high", "effect_size", "t", "t_p", "t_p_holm", "t_p_bh",
        "wilcoxon", "wilcoxon_p", "wilcoxon_p_holm", "wilcoxon_p_bh",
    ),
    pl.Float64,
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Means with confidence intervals, and paired tests of their differences.

    Attributes
    ----------
    metric : str
    k : int
    confidence : float
        Of the intervals.
    n_users : int
    models : polars.DataFrame
        model, mean, low, high: one row per evaluation, in their order.
    pairs : polars.DataFrame
        One row per pair: a, b, difference of the means (a minus b) with its interval low..high,
        effect_size (Cohen's d of the differences), t and wilcoxon with their p-values, uncorrected
        and corrected for the number of pairs by Holm (`_holm`) and Benjamini-Hochberg (`_bh`).
    """

    metric: str
    k: int
    confidence: float
    n_users: int
    models: pl.DataFrame
    pairs: pl.DataFrame

    def to_frame(self) -> pl.DataFrame:
        """The pairs, as a polars frame."""
        return self.pairs

    def __repr__(self) -> str:
        """Two small tables."""
        width = max(len("model"), *(len(m) for m in self.models["model"]))
        percent = f"{100 * self.confidence:g}%"
        lines = [
            f"{self.metric}@{self.k} of {self.n_users:,} users, {percent} intervals",
            f"{'model':<{width}}    mean  interval",
        ]
        lines += [
            f"{row['model']:<{width}}  {row['mean']:.4f}  {row['low']:.4f} .. {row['high']:.4f}"
            for row in self.models.iter_rows(named=True)
        ]
        names = [f"{row['a']} - {row['b']}" for row in self.pairs.iter_rows(named=True)]
        width = max(len("pair"), *map(len, names))
        lines.append(
            f"{'pair':<{width}}  difference  {'interval':<18}  effect  t, Holm  Wilcoxon, Holm"
        )
        for name, row in zip(names, self.pairs.iter_rows(named=True), strict=True):
            interval = f"{row['low']:+.4f} .. {row['high']:+.4f}"
            lines.append(
                f"{name:<{width}}  {row['difference']:>+10.4f}  {interval:<18}  "
                f"{row['effect_size']:>+6.2f}  {row['t_p_holm']:>7.2g}  "
                f"{row['wilcoxon_p_holm']:>14.2g}"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What notebooks show: the same two tables, the best model first."""
        percent = f"{100 * self.confidence:g}%"
        title = f"{self.metric}@{self.k} of {self.n_users:,} users, {percent} intervals"
        best = self.models.sort("mean", descending=True)
        names = ("model", "mean", "low", "high")
        models = html_table(title, names, best.select(names).iter_rows())
        pairs = html_table(
            "Differences, tested in pairs",
            ("pair", "difference", "low", "high", "effect", "t, Holm", "Wilcoxon, Holm"),
            (
                (
                    f"{row['a']} - {row['b']}", row["difference"], row["low"], row["high"],
                    row["effect_size"], f"{row['t_p_holm']:.2g}", f"{row['wilcoxon_p_holm']:.2g}",
                )
                for row in self.pairs.iter_rows(named=True)
            ),
        )  # fmt: skip
        return models + pairs


def compare(
    evaluations: Sequence[Evaluation],
    metric: str = "ndcg",
    k: int = 5,
    labels: Sequence[str] | None = None,
    baseline: str | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare models that were evaluated on the same users and their same test items.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        At least two, of the same users, with values per user.
    metric : str, default "ndcg"
        A metric with values per user.
    k : int, default 5
        One of the cutoffs.
    labels : sequence of str, optional
        Distinct names; by default the labels of the evaluations, numbered if they repeat.
    baseline : str, optional
        Compare the others only with this one. By default all pairs are compared.
    confidence : float, default 0.95
    n_resamples : int, default 2000
        Number of bootstrap resamples for the intervals.
    seed : int, default 0
        Seed of the resamples.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two evaluations or users, users or their test items differ, or an
        argument is out of range.
    KeyError
        If an evaluation lacks the metric, the cutoff, or values per user.

    Notes
    -----
    Intervals are bias-corrected and accelerated bootstrap intervals of the mean; a resample draws
    the same users for all models, which keeps the pairing. The t test (two-sided, paired) is of the
    mean difference; Wilcoxon's signed-rank test leaves out users without a difference. The effect
    size is the mean difference divided by the standard deviation of differences. If no user
    differs, p-values are 1.

    References
    ----------
    Efron, "Better bootstrap confidence intervals", JASA 82, 1987. Holm, "A simple sequentially
    rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979. Benjamini and
    Hochberg, "Controlling the false discovery rate", JRSS B 57, 1995. Wilcoxon, "Individual
    comparisons by ranking methods", Biometrics 1, 1945.
    """
    evs = _checked_evaluations(evaluations)
    names = _names(evs, labels)
    confidence = check_confidence(confidence)
    n_resamples = check_int("n_resamples", n_resamples, 100)
    seed = check_int("seed", seed, 0)
    pairs = _pairs(names, baseline)
    values = np.stack([ev.per_user(metric, k) for ev in evs])

    bootstrap = _core.bootstrap_means(values, n_resamples, seed)
    models = [
        (name, float(ev[metric, k]), *interval_of_mean(row, means, confidence))
        for name, ev, row, means in zip(names, evs, values, bootstrap, strict=True)
    ]
    rows: list[dict[str, Any]] = []
    for a, b in pairs:
        i, j = names.index(a), names.index(b)
        difference = values[i] - values[j]
        low, high = interval_of_mean(difference, bootstrap[i] - bootstrap[j], confidence)
        row = {"a": a, "b": b, "difference": evs[i][metric, k] - evs[j][metric, k]}
        rows.append(row | {"low": low, "high": high} | _tests(difference))
    _correct(rows)
    return Comparison(
        metric,
        k,
        confidence,
        values.shape[1],
        pl.DataFrame(models, schema=_MODELS, orient="row"),
        pl.DataFrame(rows, schema=_PAIRS),
    )


def check_confidence(confidence: object) -> float:
    """The confidence of intervals.

    Raises
    ------
    TypeError, ValueError
        If it is no number between 0 and 1.
    """
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        raise TypeError(f"confidence must be a number, not {shown(confidence)}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, both excluded, not {confidence}")
    return float(confidence)


def compare_values(values: Mapping[str, NDArray[np.float64]], baseline: str) -> pl.DataFrame:
    """Paired tests of each model against a baseline, on values per user.

    Parameters
    ----------
    values : mapping of str to float64 array, shape (n users,)
        Values of each model for the same users in the same order.
    baseline : str
        Model that the others are compared with.

    Returns
    -------
    polars.DataFrame
        One row for each other model, as `Comparison.pairs` without intervals.

    Raises
    ------
    ValueError
        If `baseline` is not one of the models, or lengths differ.
    """
    rows: list[dict[str, Any]] = []
    for a, b in _pairs(list(values), baseline):
        if values[a].shape != values[b].shape:
            raise ValueError(
                f"values of {a} and {b} are of {len(values[a])} and {len(values[b])} users"
            )
        difference = values[a] - values[b]
        rows.append({"a": a, "b": b, "difference": float(difference.mean())} | _tests(difference))
    _correct(rows)
    schema = {name: kind for name, kind in _PAIRS.items() if name not in ("low", "high")}
    return pl.DataFrame(rows, schema=schema)


def _correct(rows: list[dict[str, Any]]) -> None:
    """Add p-values corrected for multiple testing."""
    for test in ("t_p", "wilcoxon_p") if rows else ():
        ps = np.array([row[test] for row in rows])
        for name, corrected in (
            (f"{test}_holm", holm(ps)),
            (f"{test}_bh", stats.false_discovery_control(ps)),
        ):
            for row, p in zip(rows, corrected, strict=True):
                row[name] = float(p)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values for multiple testing by Holm's step-down method.

    Parameters
    ----------
    p_values : float64 array, shape (m,)

    Returns
    -------
    float64 array, shape (m,)
        The i-th smallest times m - i (i from 0), made monotone, at most 1.
    """
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(stepped)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def _tests(difference: NDArray[np.float64]) -> dict[str, float]:
    """Effect size and paired tests of differences."""
    if not difference.any():
        return {"effect_size": 0.0, "t": 0.0, "t_p": 1.0, "wilcoxon": 0.0, "wilcoxon_p": 1.0}
    spread = difference.std(ddof=1)
    if spread == 0:
        # Every user differs by the same amount: t is infinite.
        effect = t = float(np.copysign(np.inf, difference[0]))
        t_p = 0.0
    else:
        effect = float(difference.mean() / spread)
        tested = stats.ttest_1samp(difference, 0.0)
        t, t_p = float(tested.statistic), float(tested.pvalue)
    ranked = stats.wilcoxon(difference)
    return {
        "effect_size": effect,
        "t": t,
        "t_p": t_p,
        "wilcoxon": float(ranked.statistic),
        "wilcoxon_p": float(ranked.pvalue),
    }


def interval_of_mean(
    values: NDArray[np.float64], means: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval of the mean."""
    centre = values.mean()
    away = values - centre
    squares = (away**2).sum()
    # Half of the resamples that hit the mean exactly count as below it.
    below = ((means < centre).sum() + 0.5 * (means == centre).sum()) / len(means)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if squares > 0 and 0 < below < 1:
        bias = stats.norm.ppf(below)
        # The jackknife of a mean in closed form.
        acceleration = (away**3).sum() / (6 * squares**1.5)
        shifted = bias + stats.norm.ppf(tails)
        tails = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(means, tails)
    return float(low), float(high)


def _checked_evaluations(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    if isinstance(evaluations, Evaluation) or not hasattr(evaluations, "__iter__"):
        raise TypeError(f"evaluations must be a sequence of evaluations, not {shown(evaluations)}")
    evs = list(evaluations)
    for ev in evs:
        if not isinstance(ev, Evaluation):
            raise TypeError(f"evaluations must hold evaluations, not {type(ev).__name__}")
    if len(evs) < 2:
        raise ValueError(f"evaluations holds {len(evs)}, but at least two are needed")
    for at, ev in enumerate(evs):
        if not np.array_equal(ev.users, evs[0].users):
            raise ValueError(
                f"evaluations {at} has other users than evaluations 0: measure all models on "
                "one test set"
            )
        if n_other := ev.differing_tests(evs[0]):
            raise ValueError(
                f"evaluations {at} has other test items than evaluations 0 for {n_other:,} of "
                f"{len(ev.users):,} users: measure all models on one test set"
            )
    if len(evs[0].users) < 2:
        raise ValueError("evaluations are of a single user: at least two are needed")
    return evs


def _names(evs: list[Evaluation], labels: Sequence[str] | None) -> list[str]:
    if labels is None:
        return distinct_labels(evs)
    names = list(labels)
    if len(names) != len(evs) or len(set(names)) < len(names):
        raise ValueError(f"labels must be {len(evs)} distinct names, not {shown(names)}")
    return names


def distinct_labels(evaluations: Sequence[Evaluation]) -> list[str]:
    """Labels of evaluations, numbered where they repeat."""
    given = [ev.label for ev in evaluations]
    return [
        name if given.count(name) == 1 else f"{name} {given[: at + 1].count(name)}"
        for at, name in enumerate(given)
    ]


def _pairs(names: list[str], baseline: str | None) -> list[tuple[str, str]]:
    if baseline is None:
        return list(combinations(names, 2))
    if baseline not in names:
        raise ValueError(f"baseline {shown(baseline)} is none of {', '.join(names)}")
    return [(name, baseline) for name in names if name != baseline]
