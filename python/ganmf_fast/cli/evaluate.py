"""``ganmf evaluate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from cyclopts import Parameter

from ganmf_fast.cli.common import (
    Common,
    begin,
    load_torch_threads,
    numbers,
    print_json,
    print_table,
    say,
)
from ganmf_fast.cli.data_options import DataOptions
from ganmf_fast.cli.frame_files import check_suffix, write_frame
from ganmf_fast.cli.measured import (
    MEASURED_HELP,
    Cutoffs,
    FiguresFile,
    FitOptions,
    Held,
    HeldOptions,
    Measured,
    Metrics,
    evaluations,
)
from ganmf_fast.evaluation import Evaluation
from ganmf_fast.scorers.metrics import BEYOND_ACCURACY, check_metrics

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()
_NO_HELD, _NO_FIT = HeldOptions(), FitOptions()
# Columns of the table of several models, unless others are asked for.
_SHOWN = ("precision", "recall", "map", "ndcg", "mrr", "hit_rate", "coverage_item")


def evaluate(
    models: Annotated[list[str], Parameter(help=MEASURED_HELP, negative="")],
    *,
    held: HeldOptions = _NO_HELD,
    cutoffs: Cutoffs = "5,20",
    metrics: Metrics = None,
    output: FiguresFile = None,
    fit: FitOptions = _NO_FIT,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Measure models on held-out interactions, of a folder of splits or of files.

    Several models are measured on the same users, in one table.
    """
    begin(common)
    ks, names = numbers("cutoffs", cutoffs), metric_names(metrics)
    check_suffix(output)
    measured = Measured.of(models, fit)
    load_torch_threads(common, [one.row for one in measured if one.row is not None])
    opened = held.open(source)
    found = evaluations(measured, opened, ks, metrics=names)
    show_evaluations(found, opened, output, common, given=names is not None)


def metric_names(text: str | None) -> tuple[str, ...] | None:
    """Metrics that an option names, in the order of all metrics."""
    if text is None:
        return None
    return check_metrics([name.strip().lower() for name in text.split(",")], BEYOND_ACCURACY)


def show_evaluations(
    found: Sequence[Evaluation],
    held: Held,
    output: Path | None,
    common: Common,
    *,
    given: bool = False,
) -> None:
    """Print evaluations as one table or JSON document, and write them to a file."""
    if output is not None:
        frames = [ev.to_frame().insert_column(0, pl.lit(ev.label).alias("model")) for ev in found]
        write_frame(pl.concat(frames), output)
    for ev in found:
        if any(ev.skipped):
            users, items, interactions = ev.skipped
            say(
                f"{ev.label}: {interactions:,} interactions of {held.on} left out, of {users:,} "
                f"unknown users or {items:,} unknown items"
            )
        if len(ev.without_list):
            say(
                f"{ev.label}: {len(ev.without_list):,} of {len(ev.users):,} users have no list and "
                "count as zero"
            )
    if common.json:
        about = {"data": held.name, "simulated": held.simulated, "on": held.on}
        print_json(
            {**_facts(found[0]), **about}
            if len(found) == 1
            else {**about, "models": [_facts(ev) for ev in found]}
        )
        return
    simulated = " (simulated data)" if held.simulated else ""
    where = f"{held.on} of {held.name}{simulated}"
    if len(found) == 1:
        [ev] = found
        print_table(
            f"{ev.label} on {where}, {len(ev.users):,} users",
            ("metric", *(f"@{k}" for k in ev.cutoffs)),
            [(name, *(ev[name, k] for k in ev.cutoffs)) for name in ev.metrics],
        )
        return
    shown = [name for name in found[0].metrics if given or name in _SHOWN]
    print_table(
        where,
        ("model", "users", "k", *shown),
        [
            (ev.label, len(ev.users), k, *(ev[name, k] for name in shown))
            for k in found[0].cutoffs
            for ev in found
        ],
    )


def _facts(ev: Evaluation) -> dict[str, Any]:
    return {
        "model": ev.label,
        "users": len(ev.users),
        "without_list": len(ev.without_list),
        "skipped": ev.skipped._asdict(),
        "metrics": ev.to_dict(),
    }
