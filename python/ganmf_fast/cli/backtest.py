"""``ganmf backtest``."""

from functools import partial
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from ganmf_fast.base.text import shown
from ganmf_fast.cli.common import (
    Common,
    begin,
    load_torch_threads,
    numbers,
    print_json,
    print_table,
)
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.cli.evaluate import metric_names
from ganmf_fast.cli.frame_files import check_suffix, write_frame
from ganmf_fast.cli.measured import Cutoffs, FiguresFile, FitOptions
from ganmf_fast.cli.models import named
from ganmf_fast.cli.split import core_of, not_split, parsed, size
from ganmf_fast.evaluation import Backtest
from ganmf_fast.evaluation import backtest as run
from ganmf_fast.split import rolling

_NO_COMMON, _NO_DATA_OPTIONS, _NO_FIT = Common(), DataOptions(), FitOptions()


def backtest(
    data: DataName,
    *,
    models: Annotated[
        str,
        Parameter(help="Names of models or rows, or package.module:Class, separated by commas."),
    ],
    windows: Annotated[int, Parameter(help="How many, the last of which ends with the data.")] = 5,
    test_size: Annotated[
        str | None,
        Parameter(help="Interactions of a window: a fraction, or a count. Default: equal parts."),
    ] = None,
    span: Annotated[
        str | None,
        Parameter(help="Instead: duration of a window, in days or in the unit of numeric times."),
    ] = None,
    train_span: Annotated[
        str | None, Parameter(help="How far back models learn, likewise; default: all.")
    ] = None,
    k_core: Annotated[
        str | None, Parameter(help="U,I: keep users and items with as many interactions.")
    ] = None,
    cutoffs: Cutoffs = "5,20",
    metrics: Annotated[
        str, Parameter(help="Metrics, separated by commas.")
    ] = "precision,recall,map,ndcg",
    confidence: Annotated[float, Parameter(help="Of the intervals.")] = 0.95,
    output: FiguresFile = None,
    fit: FitOptions = _NO_FIT,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Measure models on windows of time, each predicted from what lies before it.

    Interactions of one moment are never parted. Users without an earlier interaction have no list
    and count as zero.
    """
    begin(common)
    ks, names = numbers("cutoffs", cutoffs), metric_names(metrics)
    check_suffix(output)
    rows = [named(name.strip()) for name in models.split(",")]
    if len({row.name for row in rows}) < len(rows):
        raise ValueError(f"models holds a model twice: {shown(models)}")
    arguments = fit.arguments(rows)
    sizes = {
        "test_size": size("test-size", test_size),
        "span": _duration("span", span),
        "train_span": _duration("train-span", train_span),
    }
    load_torch_threads(common, rows)
    made = {row.name: partial(row.make, **own) for row, own in zip(rows, arguments, strict=True)}
    opened = not_split(source.open(data), data)
    kept = opened if k_core is None else core_of(opened, k_core)
    found = run(made, rolling(kept, windows, **sizes), ks, names, confidence)
    if output is not None:
        write_frame(found.figures, output)
    if common.json:
        print_json(
            {
                "data": opened.name,
                "simulated": opened.simulated,
                "confidence": found.confidence,
                "windows": found.windows.to_dicts(),
                "figures": found.figures.to_dicts(),
            }
        )
    else:
        _show(found)


def _duration(option: str, text: str | None) -> float | None:
    found: float | None = None if text is None else parsed(text, None)
    if text is not None and found is None:
        raise ValueError(
            f"{option} must be a number of days, or of the times' unit, not {shown(text)}"
        )
    return found


def _show(found: Backtest) -> None:
    print_table("", found.windows.columns, found.windows.rows())
    count = len(found.windows)
    rows = []
    for (model, metric, k), group in found.figures.group_by(
        "model", "metric", "k", maintain_order=True
    ):
        mean = group.filter(pl.col("window").is_null())
        values = group.filter(pl.col("window").is_not_null()).sort("window")["value"]
        rows.append((model, f"{metric}@{k}", *values, *mean.select("value", "low", "high").row(0)))
    print_table(
        f"by window, and the mean of these with its {100 * found.confidence:g} % interval",
        ("model", "metric", *map(str, range(count)), "mean", "low", "high"),
        rows,
    )
