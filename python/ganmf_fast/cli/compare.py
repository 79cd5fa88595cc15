"""``ganmf compare``."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ganmf_fast.base.files import write_whole
from ganmf_fast.cli.common import (
    Common,
    begin,
    json_text,
    load_torch_threads,
    print_json,
    print_table,
)
from ganmf_fast.cli.data_options import DataOptions
from ganmf_fast.cli.frame_files import check_suffix, write_frame
from ganmf_fast.cli.measured import MEASURED_HELP, FitOptions, HeldOptions, Measured, evaluations
from ganmf_fast.evaluation import Comparison
from ganmf_fast.evaluation import compare as compare_evaluations
from ganmf_fast.results.significance import significance_latex
from ganmf_fast.scorers.metrics import PER_USER, check_metrics

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()
_NO_HELD, _NO_FIT = HeldOptions(), FitOptions()


def compare(
    models: Annotated[
        list[str], Parameter(help=f"{MEASURED_HELP} Files of lists too.", negative="")
    ],
    *,
    held: HeldOptions = _NO_HELD,
    metric: Annotated[str, Parameter(help="A metric that has a value for each user.")] = "ndcg",
    k: Annotated[int, Parameter(name="--k", help="Its cutoff.")] = 5,
    baseline: Annotated[
        str | None, Parameter(help="Compare the others with this one only, by its name.")
    ] = None,
    confidence: Annotated[float, Parameter(help="Of the intervals.")] = 0.95,
    resamples: Annotated[int, Parameter(help="Of the bootstrap.")] = 2000,
    output: Annotated[
        Path | None,
        Parameter(help="File: .csv or .parquet of the pairs, .json or .tex of all."),
    ] = None,
    fit: FitOptions = _NO_FIT,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Test whether models differ: paired tests over users, effect sizes and intervals.

    All are measured on the same held-out interactions; p-values are corrected by Holm for the
    number of pairs.
    """
    begin(common)
    [metric] = check_metrics(metric.lower())
    if metric not in PER_USER:
        raise ValueError(f"metric must have a value for each user, which {metric} has not")
    check_suffix(output, ".tex")
    if len(models) < 2:
        raise ValueError("models must be two at least")
    measured = Measured.of(models, fit, lists=True)
    load_torch_threads(common, [one.row for one in measured if one.row is not None])
    found = evaluations(measured, held.open(source), [k], metrics=[metric])
    comparison = compare_evaluations(
        found, metric, k, baseline=_label(baseline, [ev.label for ev in found]),
        confidence=confidence, n_resamples=resamples,
    )  # fmt: skip
    document = _document(comparison)
    if output is not None and output.suffix == ".tex":
        write_whole(output, significance_latex(comparison))
    elif output is not None and output.suffix == ".json":
        write_whole(output, json_text(document))
    elif output is not None:
        write_frame(comparison.pairs, output)
    if common.json:
        print_json(document)
    else:
        _show(comparison)


def _label(given: str | None, labels: list[str]) -> str | None:
    folded = {label.casefold(): label for label in labels}
    return given if given is None else folded.get(given.casefold(), given)


def _document(comparison: Comparison) -> dict[str, Any]:
    return {
        "metric": comparison.metric,
        "k": comparison.k,
        "confidence": comparison.confidence,
        "users": comparison.n_users,
        "models": comparison.models.to_dicts(),
        "pairs": comparison.pairs.to_dicts(),
    }


def _show(comparison: Comparison) -> None:
    percent = f"{100 * comparison.confidence:g} %"
    print_table(
        f"{comparison.metric}@{comparison.k} of {comparison.n_users:,} users, {percent} intervals",
        ("model", "mean", "low", "high"),
        comparison.models.select("model", "mean", "low", "high").rows(),
    )
    columns = ("difference", "low", "high", "effect_size", "t_p_holm", "wilcoxon_p_holm")
    print_table(
        "",
        ("pair", "difference", "low", "high", "effect", "t, Holm", "Wilcoxon, Holm"),
        [
            (f"{row['a']} - {row['b']}", *(row[name] for name in columns[:4]), *_p_values(row))
            for row in comparison.pairs.to_dicts()
        ],
    )


def _p_values(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['t_p_holm']:.2g}", f"{row['wilcoxon_p_holm']:.2g}"
