"""``ganmf fit``."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganmf_fast.base.text import one_line, shown
from ganmf_fast.cli.common import Common, begin, load_torch_threads, print_json, say, show
from ganmf_fast.cli.data_options import DataName, DataOptions, HeldOut, Part, part_of
from ganmf_fast.cli.measured import FitOptions
from ganmf_fast.cli.models import MODEL_HELP, named
from ganmf_fast.cli.params import given_params
from ganmf_fast.models.base import Recommender
from ganmf_fast.split import Splits
from ganmf_fast.tuning import fit_tracked

_NO_COMMON, _NO_DATA_OPTIONS, _NO_FIT = Common(), DataOptions(), FitOptions()


def fit(
    model: Annotated[str, Parameter(help=MODEL_HELP)],
    *,
    data: DataName,
    output: Annotated[Path, Parameter(help="File for the fitted model (.safetensors).")],
    param: Annotated[
        tuple[str, ...],
        Parameter(help="NAME=VALUE of the model; can be given again.", negative=""),
    ] = (),
    fit_on: Annotated[Part, Parameter(help="Which of five splits is fitted.")] = "train",
    validate_on: Annotated[
        HeldOut | None, Parameter(help="Split for early stopping; with --fit-on train_small.")
    ] = None,
    metric: Annotated[
        str, Parameter(help="What early stopping maximises on the split to validate on.")
    ] = "map",
    k: Annotated[int, Parameter(name="--k", help="Its cutoff.")] = 5,
    tracker: Annotated[
        tuple[str, ...],
        Parameter(
            help='"mlflow", "tensorboard", "wandb" or "trackio"; can be given again.', negative=""
        ),
    ] = (),
    options: FitOptions = _NO_FIT,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Fit a model and save it: on one of five splits, or on all of other data."""
    begin(common)
    row = named(model)
    if not issubclass(row.known_class, Recommender):
        raise TypeError(
            f"{row.name} cannot be saved, since it is no subclass of ganmf_fast.Recommender: "
            "evaluate, compare, tune, backtest and reproduce take it as it is"
        )
    for name in ("seed", "device"):
        if getattr(options, name) is not None and name not in row.signature:
            raise ValueError(f"{row.name} has no {name}")
    [params] = options.arguments([row])
    params |= given_params(row.known_class, param)
    if not output.parent.is_dir():
        raise ValueError(f"output is in {shown(str(output.parent), 400)}, which is no folder")
    load_torch_threads(common, [row])
    # A missing extra is named before anything is read.
    cls = row.make
    opened = source.open(data)
    held_out = None
    if isinstance(opened, Splits):
        X = part_of(opened, fit_on)
        if validate_on is not None:
            if fit_on == "train":
                raise ValueError(
                    "validate-on needs --fit-on train_small, since train includes validation and "
                    "early_stop and excludes test"
                    if validate_on != "test"
                    else "validate-on must not be test, which is kept for the final figure"
                )
            held_out = part_of(opened, validate_on)
    else:
        X = opened
        if validate_on is not None:
            raise ValueError(f"validate-on needs five splits, which {shown(data)} does not have")
    options_of_fit = {"validation": held_out, "metric": metric, "k": k}
    unfitted = cls(**params)
    fitted = (
        fit_tracked(unfitted, X, tracker, output.parent, **options_of_fit)
        if tracker
        else unfitted.fit(X, **options_of_fit)
    )
    if params.get("data_parallel") and os.environ.get("RANK", "0") != "0":
        return  # every rank of torchrun has the model, and the first one saves it
    fitted.save(output)
    best = getattr(fitted, "best_epoch_", None)
    epoch = f", best epoch {best}" if held_out is not None else ""
    say(f"{one_line(repr(fitted))} saved to {output}{epoch}")
    facts = {
        "model": type(fitted).__name__,
        "params": fitted.get_params(),
        "users": fitted.n_users_,
        "items": fitted.n_items_,
        "interactions": fitted.urm_.nnz,
        "data": opened.name,
        "simulated": opened.simulated,
        "output": str(output),
    }
    if best is not None:
        facts["best_epoch"] = best
    if common.json:
        print_json(facts)
    else:
        show(str(output))
