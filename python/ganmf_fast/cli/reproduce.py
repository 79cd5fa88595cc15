"""``ganmf reproduce``: one command for each experiment, which relays to `ganmf_fast.reproduce`."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin, load_torch_threads, numbers, print_json, say, show
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.cli.measured import Cutoffs
from ganmf_fast.cli.models import find_code
from ganmf_fast.experiments.session import options_of, reproduce
from ganmf_fast.experiments.variants import select
from ganmf_fast.results.document import overview
from ganmf_fast.results.result_table import ResultTable
from ganmf_fast.results.tables import terminal_table

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()
_SOME_FAILED = 4

_RESUMED = "It can be interrupted and run again; finished models are not run twice"
_HELP = {
    "table1": "Sizes and density of data sets; --data takes several, separated by commas.",
    "table2": "The paper's comparison of models, with the published figure and the difference "
    f"beside ours.\n\n{_RESUMED}.",
    "table3": f"GANMF beside binGANMF, as published and corrected.\n\n{_RESUMED}.",
    "figure4": "GANMF by the weight of feature matching in its generator's loss.",
    "figure5": "Cosines of the profiles that GANMF generates, with and without feature matching.",
    "figure6": "Factor models by their number of latent factors.",
    "figure7": "Models by the length of the users' profiles.",
    "adversarial": "Adversarial models of other papers beside EASE and EDLAE, with their defaults."
    f"\n\n{_RESUMED}.",
    "all": "Every table and figure of the paper, each in a folder of its own below OUTPUT.\n\n"
    f"{_RESUMED}, and models that several experiments share are fitted once.",
}


def _reproduce(
    experiment: str,
    *,
    data: DataName = "demo",
    output: Annotated[
        Path, Parameter(help="Folder of the run; finished models found there are kept.")
    ],
    models: Annotated[
        str | None,
        Parameter(
            help="Rows, models and package.module:Class, separated by commas; all that belong "
            "there by default."
        ),
    ] = None,
    params: Annotated[
        str,
        Parameter(
            help='"published", "dense" (chosen with nine tenths of train), "tuned" by the '
            "paper's protocol on validation, or a JSON or TOML file: "
            '{"ItemKNN-cosine": {"topk": 100}}. Models without any are run with defaults.'
        ),
    ] = "published",
    n_calls: Annotated[
        int, Parameter(name="--calls", help="Trials for each model with --params tuned.")
    ] = 50,
    cutoffs: Cutoffs = "5,20",
    points: Annotated[
        str | None, Parameter(help="Values on the axis, separated by commas; those of the paper.")
    ] = None,
    seed: Annotated[int, Parameter(help="First seed of models, and seed of a split.")] = 1337,
    seeds: Annotated[
        int, Parameter(help="How many seeds; models without a random choice run once.")
    ] = 1,
    device: Annotated[str, Parameter(help='"cpu", "cuda" or "auto", for the GANs.')] = "auto",
    quick: Annotated[
        bool,
        Parameter(
            help="Few epochs and points, for a first look: everything written says so.",
            negative="",
        ),
    ] = False,
    reuse: Annotated[
        list[Path] | None,
        Parameter(
            help="Folder of another run: its finished models of the same configuration are taken "
            "over. Can be given several times."
        ),
    ] = None,
    tracker: Annotated[
        tuple[str, ...],
        Parameter(
            help='"mlflow", "tensorboard", "wandb" or "trackio"; can be given again.', negative=""
        ),
    ] = (),
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> int:
    begin(common)
    chosen = None if models is None else _names(models)
    if experiment != "table1":
        find_code(chosen or ())
        load_torch_threads(common, select(chosen))
    found = reproduce(
        experiment,
        _names(data) if experiment == "table1" else data,
        output=output,
        models=chosen,
        params=params,
        n_calls=n_calls,
        cutoffs=numbers("cutoffs", cutoffs),
        points=None if points is None else numbers("points", points, float),
        seed=seed,
        seeds=seeds,
        device=device,
        quick=quick,
        reuse=reuse or (),
        trackers=tracker,
        data_dir=source.data_dir,
        offline=source.offline,
        reading=source.reading,
    )
    tables = list(found.values()) if isinstance(found, dict) else [found]
    _show(tables, output, common)
    return 0 if all(table.complete for table in tables) else _SOME_FAILED


def __getattr__(name: str) -> Callable[..., int]:
    """The command of an experiment: `_reproduce` without the options it does not have."""
    if name not in _HELP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def command(**options: Any) -> int:
        return _reproduce(name, **options)

    shown = {"data", "output", "seed", "source", "common", *options_of(name)}
    signature = inspect.signature(_reproduce)
    parameters = [p for p in signature.parameters.values() if p.name in shown]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__doc__ = _HELP[name]
    return command


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _show(tables: list[ResultTable], output: Path, common: Common) -> None:
    if common.json:
        documents = [{**overview(table), "output": str(output)} for table in tables]
        print_json(documents[0] if len(documents) == 1 else {"experiments": documents})
    else:
        for table in tables:
            show(terminal_table(table))
    for table in tables:
        for entry in table.entries:
            if entry.problem:
                point = table.point_name(entry.point)
                say(f"{entry.model}{f' at {point}' if point else ''}: {entry.problem}")
    say(f"tables, charts and the figures behind them are in {output}")
