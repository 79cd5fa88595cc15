"""``ganmf bench``."""

from typing import Annotated

import polars as pl
from cyclopts import Parameter

from ganmf_fast.base.hardware import processor
from ganmf_fast.base.threads import get_num_threads
from ganmf_fast.cli.common import Common, begin, load_torch_threads, print_json, print_table
from ganmf_fast.cli.data_options import DataName, DataOptions, part_of
from ganmf_fast.cli.frame_files import check_suffix, write_frame
from ganmf_fast.cli.measured import FiguresFile, FitOptions
from ganmf_fast.cli.models import named
from ganmf_fast.experiments.benchmark import benchmark
from ganmf_fast.experiments.environment import gpu
from ganmf_fast.models.base import Recommender
from ganmf_fast.split import Splits

_NO_COMMON, _NO_DATA_OPTIONS, _NO_FIT = Common(), DataOptions(), FitOptions()
# What is fitted in seconds, also on larger data, and needs no extra.
_MODELS = ("TopPopular", "ItemKNN", "P3alpha", "RP3beta", "PureSVD", "EASE", "SLIMElasticNet")


def bench(
    models: Annotated[
        list[str] | None,
        Parameter(help="Models, such as EASE or GANMF-u; some that need no torch by default."),
    ] = None,
    /,
    *,
    data: DataName = "demo",
    n: Annotated[int, Parameter(name="--n", help="Length of the lists.")] = 20,
    rounds: Annotated[int, Parameter(help="Fits of each model; the median counts.")] = 3,
    output: FiguresFile = None,
    fit: FitOptions = _NO_FIT,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Measure how fast models are on this machine: a fit, lists for all users, one request."""
    begin(common)
    check_suffix(output)
    rows = [named(name) for name in (models or _MODELS)]
    names = [row.name for row in rows]
    for row in rows:
        if not issubclass(row.known_class, Recommender):
            raise TypeError(f"{row.name} is no subclass of ganmf_fast.Recommender")
        if names.count(row.name) > 1:
            raise ValueError(f"models names {row.name} twice")
    arguments = fit.arguments(rows)
    load_torch_threads(common, rows)
    made = {row.name: row.make(**own) for row, own in zip(rows, arguments, strict=True)}
    opened = source.open(data)
    X = part_of(opened, "train") if isinstance(opened, Splits) else opened
    found = benchmark(made, X, n=n, rounds=rounds)
    if output is not None:
        write_frame(found, output)
    threads = get_num_threads()
    machine = f"{threads} thread{'s' * (threads > 1)} of {processor()}"
    if (device := gpu()) is not None:
        machine += f", {device}"
    if common.json:
        about = {"data": opened.name, "simulated": opened.simulated, "machine": machine}
        print_json({**about, "models": found.to_dicts()})
        return
    simulated = " (simulated data)" if opened.simulated else ""
    print_table(
        f"{opened.name}{simulated}, {machine}",
        ("model", "fit s", "fit MiB", "lists a second", "a user, ms", "a profile, ms"),
        found.with_columns(pl.col("fit_mib", "lists_per_second").round().cast(pl.Int64)).rows(),
    )
