"""``ganmf reproduce``."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ganmf_fast.cli.common import (
    Common,
    begin,
    load_torch_threads,
    numbers,
    print_json,
    say,
    show,
)
from ganmf_fast.cli.source import DataName, Source
from ganmf_fast.cli.tune import Lines
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.experiments.rows import Row, plans, read_params, select
from ganmf_fast.experiments.store import Store
from ganmf_fast.experiments.table2 import Table2, published_dataset
from ganmf_fast.experiments.tuned import tuned_params
from ganmf_fast.models import model_class
from ganmf_fast.report.comparison import Comparison, Entry
from ganmf_fast.report.tables import terminal_table
from ganmf_fast.split import Splits, paper_protocol

_NO_COMMON, _NO_SOURCE = Common(), Source()
_SOME_FAILED = 4


def table2(
    *,
    data: DataName = "demo",
    output: Annotated[
        Path, Parameter(help="Folder of the run; finished models found there are kept.")
    ],
    models: Annotated[
        str | None, Parameter(help="Rows of the table, separated by commas; all by default.")
    ] = None,
    params: Annotated[
        str,
        Parameter(
            help='"published", "tuned" by the paper\'s protocol on validation, or a JSON or TOML '
            'file: {"ItemKNN-cosine": {"topk": 100}}. Models without any are run with defaults.'
        ),
    ] = "published",
    calls: Annotated[int, Parameter(help="Trials for each model with --params tuned.")] = 50,
    cutoffs: Annotated[str, Parameter(help="Lengths of lists, separated by commas.")] = "5,20",
    seed: Annotated[int, Parameter(help="First seed of models, and seed of a split.")] = 1337,
    seeds: Annotated[
        int, Parameter(help="How many seeds; models without a random choice run once.")
    ] = 1,
    device: Annotated[str, Parameter(help='"cpu", "cuda" or "auto", for GANMF.')] = "auto",
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """The paper's comparison of models, with the published figure and the difference beside ours.

    It can be interrupted and run again; finished models are not run twice.
    """
    begin(common)
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, not {seeds}")
    ks = numbers("cutoffs", cutoffs)
    if min(ks) < 1:
        raise ValueError(f"cutoffs must be at least 1, not {min(ks)}")
    rows = select(None if models is None else [name.strip() for name in models.split(",")])
    given = None if params in ("published", "tuned") else read_params(Path(params))
    opened = source.open(data)
    splits, note = _splits(opened, seed, data)
    if any(model_class(row.model).iterative for row in rows):
        load_torch_threads(common)
    store = Store(output)
    origin = "file"
    if params == "tuned":
        origin = "tuned on validation"
        given = _tuned(rows, splits, output / "tuning", seed, calls, device)
    chosen = plans(rows, published_dataset(splits), given, origin)
    table = Table2(
        splits,
        chosen,
        store,
        seeds=range(seed, seed + seeds),
        cutoffs=ks,
        device=device,
        split_note=note,
        say=say,
    )
    simulated = " (simulated data)" if splits.simulated else ""
    say(f"{table.name}{simulated}: {splits!r}")
    try:
        comparison = table.run()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"; finished models are kept in {output}, the same command goes on from there"
        ) from None
    files = ["results.csv", "table.md", "table.tex", "config.json", *_chart(comparison, store)]
    if common.json:
        print_json(_document(comparison, output))
    else:
        show(terminal_table(comparison))
    for entry in comparison.entries:
        if entry.problem:
            say(f"{entry.model}: {entry.problem}")
    say(f"{', '.join(files)} and per-user values (models/*/per_user.npz) are in {output}")
    return 0 if comparison.complete else _SOME_FAILED


def _tuned(
    rows: Sequence[Row], splits: Splits, folder: Path, seed: int, calls: int, device: str
) -> dict[str, dict[str, Any]]:
    try:
        return tuned_params(rows, splits, folder, seed, calls, device, [Lines()], say)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"; finished trials are kept in {folder}, the same command goes on from there"
        ) from None


def _splits(opened: Splits | Interactions, seed: int, data: str) -> tuple[Splits, str]:
    if isinstance(opened, Splits):
        return opened, f"the splits stored in {Path(data).name}"
    return paper_protocol(opened, seed), f"split here by the paper's protocol with seed {seed}"


def _chart(comparison: Comparison, store: Store) -> list[str]:
    """Draw the chart, if there is something to draw and to draw with."""
    if not any(entry.runs for entry in comparison.entries):
        return []
    try:
        chart = importlib.import_module("ganmf_fast.report.chart")
    except ImportError:
        say('chart.png is left out, since it needs matplotlib: pip install "ganmf-fast[plots]"')
        return []
    return [store.write_text("chart.png", chart.bar_chart(comparison)).name]


def _document(comparison: Comparison, output: Path) -> dict[str, Any]:
    return {
        "dataset": comparison.dataset,
        "simulated": comparison.simulated,
        "splits": comparison.splits,
        "output": str(output),
        "complete": comparison.complete,
        "models": {entry.model: _model(entry) for entry in comparison.entries},
    }


def _model(entry: Entry) -> dict[str, Any]:
    keys = list(entry.runs[0].values) if entry.runs else []
    return {
        "params": entry.params,
        "source": entry.source,
        "problem": entry.problem or None,
        "seeds": [run.seed for run in entry.runs],
        "metrics": {
            f"{metric}@{k}": {
                "value": entry.mean(metric, k),
                "published": entry.published.get((metric, k)),
                "delta": entry.delta(metric, k),
            }
            for metric, k in keys
        },
    }
