"""``ganmf tune``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ganmf_fast.cli.common import (
    Common,
    begin,
    load_torch_threads,
    print_json,
    print_table,
    say,
)
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.cli.index_option import Index
from ganmf_fast.cli.models import MODEL_HELP, named
from ganmf_fast.cli.params import given_params
from ganmf_fast.experiments.tuned import write_result
from ganmf_fast.results.search import JOURNAL
from ganmf_fast.split import Splits, paper_protocol
from ganmf_fast.tuning import tune as search
from ganmf_fast.tuning.trackers.index import RunIndex
from ganmf_fast.tuning.trackers.lines import Lines
from ganmf_fast.tuning.trial import best_of

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()
_FAILED, _SOME_FAILED = 1, 4


def tune(
    model: Annotated[str, Parameter(help=MODEL_HELP)],
    *,
    data: DataName,
    output: Annotated[Path, Parameter(help="Folder of the search; it goes on from what is there.")],
    calls: Annotated[int, Parameter(help="Trials in all.")] = 50,
    initial: Annotated[int, Parameter(help="Of these drawn at random.")] = 10,
    seed: Annotated[int, Parameter(help="Of the search, of the model, and of a split.")] = 1337,
    metric: Annotated[str, Parameter(help="What is maximised on validation.")] = "map",
    k: Annotated[int, Parameter(name="--k", help="Its cutoff.")] = 5,
    backend: Annotated[
        str, Parameter(help='"skopt", "published" (the authors\' search), "optuna" or "random".')
    ] = "skopt",
    executor: Annotated[
        str, Parameter(help='Where trials run: "local", or "ray" for the cluster of RAY_ADDRESS.')
    ] = "local",
    workers: Annotated[int, Parameter(help="Trials at a time.")] = 1,
    space: Annotated[
        Path | None, Parameter(help="TOML file with ranges of your own: [ItemKNN] ...")
    ] = None,
    param: Annotated[
        tuple[str, ...],
        Parameter(help="NAME=VALUE that is not searched; can be given again.", negative=""),
    ] = (),
    mask: Annotated[
        Literal["fitted", "known"],
        Parameter(help="Leave out of lists what was fitted, or early_stop as well."),
    ] = "fitted",
    ties: Annotated[
        Literal["index", "published"],
        Parameter(help="Order of equal scores: by item number, or as in the paper's lists."),
    ] = "index",
    first: Annotated[
        tuple[str, ...],
        Parameter(
            help="A point to try before all others, NAME=VALUE,NAME=VALUE; can be given again.",
            negative="",
        ),
    ] = (),
    protocol: Annotated[
        Literal["paper", "dense"],
        Parameter(
            help="Divide train as the paper does, or hold out small parts of it; then a file of "
            "interactions is train as a whole."
        ),
    ] = "paper",
    holdout: Annotated[
        float | None, Parameter(help="Fraction that a fold of dense holds out. Default: 0.1.")
    ] = None,
    folds: Annotated[
        int | None, Parameter(help="Folds of dense that are measured. Default: 1.")
    ] = None,
    moved: Annotated[
        bool,
        Parameter(help="Go on from a journal of another machine or of other versions."),
    ] = False,
    device: Annotated[str | None, Parameter(help='"cpu", "cuda" or "auto", for GANs.')] = None,
    final: Annotated[
        bool, Parameter(help="Fit the best parameters on train and measure them on test.")
    ] = True,
    tracker: Annotated[
        tuple[str, ...],
        Parameter(
            help='"mlflow", "tensorboard", "wandb" or "trackio"; can be given again.', negative=""
        ),
    ] = (),
    index: Index = None,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> int:
    """Search hyper-parameters by the paper's protocol or a denser one, then fit the best on train.

    It can be interrupted and run again; finished trials are not run twice.
    """
    begin(common)
    row = named(model)
    fixed = {**row.fixed, **given_params(row.known_class, param)}
    if device is not None:
        if "device" not in row.signature:
            raise ValueError(f"{row.name} has no device")
        fixed["device"] = device
    load_torch_threads(common, [row])
    opened = source.open(data)
    if protocol == "paper" and not isinstance(opened, Splits):
        opened = paper_protocol(opened, seed)
    try:
        result = search(
            row.make,
            opened,
            n_calls=calls,
            n_initial=initial,
            seed=seed,
            metric=metric,
            k=k,
            backend=backend,
            executor=executor,
            n_workers=workers,
            space=space,
            fixed=fixed,
            journal=output / JOURNAL,
            mask=mask,
            ties=ties,
            trackers=[RunIndex(index), Lines(say), *tracker],
            moved=moved,
            first=[given_params(row.known_class, point.split(","), "first") for point in first],
            protocol=protocol,
            holdout=holdout,
            folds=folds,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"; finished trials are kept in {output / JOURNAL}, the same command goes on from there"
        ) from None
    if best_of(result.history) is None:
        say(f"none of {len(result.history)} trials is done: {result.history[0].reason}")
        return _FAILED
    document = write_result(output, row.name, result, final=final)
    if common.json:
        print_json(document)
    else:
        _show(document)
    say(f"{JOURNAL}, result.json and best.json (for reproduce --params) are in {output}")
    return _SOME_FAILED if result.n_failed else 0


def _show(document: Mapping[str, Any]) -> None:
    rows = [(name, value) for name, value in document["best_params"].items()]
    rows.append((f"{document['metric']} on validation", document["best_value"]))
    if document["test"] is not None:
        for k, metrics in document["test"].items():
            rows += [(f"{m}@{k} on test", metrics[m]) for m in ("map", "ndcg", "recall")]
    title = f"{document['model']} on {document['dataset']}: trial {document['best_trial']}"
    print_table(title, ("best", "value"), [(name, _text(value)) for name, value in rows])


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
