"""``ganmf fit``, ``evaluate`` and ``recommend``."""

import difflib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from cyclopts import Parameter

from ganmf_fast import models
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.cli.common import (
    Common,
    begin,
    load_torch_threads,
    numbers,
    print_json,
    print_table,
    say,
    show,
)
from ganmf_fast.cli.source import DataName, Source
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.evaluation import evaluate as evaluate_model
from ganmf_fast.models import model_class
from ganmf_fast.models.base import Recommendations, Recommender
from ganmf_fast.models.ids import matching_csr
from ganmf_fast.models.model_file import load
from ganmf_fast.split import Splits

Part = Literal["train", "train_small"]
HeldOut = Literal["test", "validation", "early_stop"]

_NO_COMMON, _NO_SOURCE = Common(), Source()
_SUFFIXES = (".csv", ".parquet", ".json")


def fit(
    model: Annotated[str, Parameter(help="Name of the model, such as ItemKNN or GANMF.")],
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
    seed: Annotated[int | None, Parameter(help="Seed of the model.")] = None,
    device: Annotated[str | None, Parameter(help='"cpu", "cuda" or "auto", for GANMF.')] = None,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> None:
    """Fit a model and save it: on one of five splits, or on all of other data."""
    begin(common)
    cls = model_class(model)
    params = given_params(cls, param)
    for name, value in (("seed", seed), ("device", device)):
        if value is not None:
            if name not in cls().get_params():
                raise ValueError(f"{model} has no {name}")
            params[name] = value
    if not output.parent.is_dir():
        raise ValueError(f"output is in {str(output.parent)!r}, which is no folder")
    if cls.iterative:
        load_torch_threads(common)
    # Looked up as a user would, so that a missing extra is named before anything is read.
    cls = getattr(models, model)
    opened = source.open(data)
    held_out = None
    if isinstance(opened, Splits):
        X = _part(opened, fit_on)
        if validate_on is not None:
            if fit_on == "train":
                raise ValueError(
                    "validate-on needs --fit-on train_small, since train includes validation and "
                    "early_stop and excludes test"
                    if validate_on != "test"
                    else "validate-on must not be test, which is kept for the final figure"
                )
            held_out = _part(opened, validate_on)
    else:
        X = opened
        if validate_on is not None:
            raise ValueError(f"validate-on needs five splits, which {data!r} does not have")
    fitted = cls(**params).fit(X, validation=held_out)
    if params.get("data_parallel") and os.environ.get("RANK", "0") != "0":
        return  # every rank of torchrun has the model, and the first one saves it
    fitted.save(output)
    best = getattr(fitted, "best_epoch_", None)
    say(f"{fitted!r} saved to {output}" + (f", best epoch {best}" if held_out is not None else ""))
    facts = {
        "model": model,
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


def evaluate(
    model: Annotated[Path, Parameter(help="File that `ganmf fit` wrote.")],
    *,
    data: DataName,
    on: Annotated[HeldOut, Parameter(help="Split that is predicted.")] = "test",
    cutoffs: Annotated[str, Parameter(help="Lengths of lists, separated by commas.")] = "5,20",
    output: Annotated[
        Path | None, Parameter(help="File for the figures: .csv, .parquet or .json.")
    ] = None,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> None:
    """Measure a fitted model on held-out interactions of five splits."""
    begin(common)
    ks = numbers("cutoffs", cutoffs)
    _check_suffix(output)
    fitted = load(model)
    opened = _five_splits(source.open(data), data)
    held_out = _part(opened, on)
    shape = (fitted.n_users_, fitted.n_items_)
    hidden = to_scipy(matching_csr(held_out, on, shape, fitted.ids_))
    leaked = int(to_scipy(fitted.urm_).multiply(hidden).nnz)
    if leaked:
        raise ValueError(
            f"the model was fitted on {leaked:,} interactions of {on}: fit it on the split "
            f"{'train' if on == 'test' else 'train_small'} of the same folder"
        )
    # What was fitted is masked, as the protocol has it.
    result = evaluate_model(fitted, to_scipy(fitted.urm_), hidden, ks)
    if output is not None:
        _write(result.to_frame(), output)
    if common.json:
        print_json(
            {
                "model": type(fitted).__name__,
                "data": opened.name,
                "simulated": opened.simulated,
                "on": on,
                "users": len(result.users),
                "metrics": result.to_dict(),
            }
        )
        return
    simulated = " (simulated data)" if opened.simulated else ""
    print_table(
        f"{type(fitted).__name__} on {on} of {opened.name}{simulated}, {len(result.users):,} users",
        ("metric", *(f"@{k}" for k in result.cutoffs)),
        [(name, *(result[name, k] for k in result.cutoffs)) for name in result.metrics],
    )


def recommend(
    model: Annotated[Path, Parameter(help="File that `ganmf fit` wrote.")],
    *,
    users: Annotated[
        str | None, Parameter(help="Users, separated by commas; all by default.")
    ] = None,
    n: Annotated[int, Parameter(name=["--n", "-n"], help="Length of the lists.")] = 20,
    include_seen: Annotated[
        bool, Parameter(help="Also items the user had already.", negative="")
    ] = False,
    output: Annotated[Path | None, Parameter(help="File: .csv, .parquet or .json.")] = None,
    common: Common = _NO_COMMON,
) -> None:
    """Recommend items: one line for each user and item, as CSV."""
    begin(common)
    _check_suffix(output)
    fitted = load(model)
    wanted = _users(fitted, users)
    lists = fitted.recommend(wanted, n=n, exclude_seen=not include_seen)
    table = _as_polars(lists, wanted)
    if output is not None:
        _write(table, output)
        say(f"{len(table):,} recommendations written to {output}")
    elif common.json:
        print_json(table.to_dicts())
    else:
        # Straight to the stream: this is data, not a table to look at.
        sys.stdout.write(table.write_csv())


def _five_splits(opened: Splits | Interactions, data: str) -> Splits:
    if isinstance(opened, Splits):
        return opened
    raise ValueError(
        f"data must have five splits, which {data!r} has not: make them with "
        f"`ganmf split --data {data} --output FOLDER` and fit on these"
    )


def _part(splits: Splits, part: str) -> Any:
    """One of the five, with ids where there are any."""
    matrix = getattr(splits, part)
    if splits.user_ids is None or splits.item_ids is None:
        return matrix
    return Interactions.from_matrix(matrix, splits.user_ids, splits.item_ids)


def given_params(
    cls: type[Recommender], given: Sequence[str], option: str = "param"
) -> dict[str, Any]:
    """Parameters of a model from the NAME=VALUE texts of an option.

    Raises
    ------
    ValueError
        If a text has another form, or there is no such parameter.
    """
    defaults = cls().get_params()
    params = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{option} must be NAME=VALUE, not {text!r}")
        if name not in defaults:
            near = difflib.get_close_matches(name, list(defaults), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{cls.__name__} has no parameter {name!r}{hint}")
        params[name] = _typed(name, value, defaults[name])
    return params


def _typed(name: str, text: str, default: object) -> object:
    """The text as a value of the default's type."""
    kind = type(default)
    if kind is str:
        return text
    try:
        value = json.loads(text.lower() if kind is bool else text)
    except ValueError:
        value = text
    if kind is float and type(value) is int:
        return float(value)
    if default is None or type(value) is kind or (kind is int and type(value) is float):
        # A fraction where a whole number belongs is refused by the model, in its own words.
        return value
    names = {bool: "true or false", int: "a whole number", float: "a number"}
    raise ValueError(f"{name} must be {names.get(kind, kind.__name__)}, not {text!r}")


def _users(fitted: Recommender, text: str | None) -> Any:
    ids = None if fitted.ids_ is None else fitted.ids_.users
    if text is None:
        return list(range(fitted.n_users_)) if ids is None else ids
    parts: list[Any] = [part.strip() for part in text.split(",")]
    kind = "i" if ids is None else ids.dtype.kind
    if kind in "iuf":
        try:
            return [float(part) if kind == "f" else int(part) for part in parts]
        except ValueError:
            raise ValueError(f"users must be numbers separated by commas, not {text!r}") from None
    return parts


def _as_polars(lists: Any, users: Any) -> pl.DataFrame:
    if isinstance(lists, Recommendations):
        n = lists.items.shape[1]
        real = lists.items.ravel() >= 0
        columns = {
            "user": [user for user in users for _ in range(n)],
            "rank": list(range(1, n + 1)) * len(users),
            "item": lists.items.ravel(),
            "score": lists.scores.ravel(),
        }
        return pl.DataFrame(columns).filter(pl.Series(real))
    if isinstance(lists, pl.DataFrame):
        return lists
    if isinstance(lists, dict):
        return pl.DataFrame(lists)
    package = type(lists).__module__.partition(".")[0]
    return pl.from_pandas(lists) if package == "pandas" else pl.DataFrame(pl.from_arrow(lists))


def _check_suffix(path: Path | None) -> None:
    if path is None:
        return
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"output must end in {', '.join(_SUFFIXES)}, not {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"output is in {str(path.parent)!r}, which is no folder")


def _write(table: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        table.write_csv(path)
    elif path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_json(path)
