"""Shared by the studies of tuning: rows, data sets, options, one search by the paper's protocol."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments.variants import ModelVariant
from ganmf_fast.models.registry import model_class
from ganmf_fast.tuning.backends import Skopt

SETS = ("lastfm", "hetrec2011", "ml-1m")
ROWS = ("ItemKNN-cosine", "P3alpha", "PureSVD", "EASE-R")
SEED, CALLS = 1337, 50


class Plain(Skopt):
    """`gp_minimize` as most programs call it: integers on a linear scale, MAP as a fraction."""

    # The name in journals of earlier runs.
    __module__ = "__main__"

    _logarithmic = False
    _unit = 1.0


BACKENDS: dict[str, Any] = {name: name for name in ("skopt", "published", "optuna", "random")}
BACKENDS["plain"] = Plain


def search(
    row: ModelVariant,
    splits: gf.Splits,
    folder: Path,
    calls: int,
    seed: int = SEED,
    backend: str = "skopt",
    ties: str = "index",
    moved: bool = False,
    begin: Sequence[dict[str, Any]] = (),
) -> Any:
    """The search of a row, with its journal in `folder`."""
    return gf.tune(
        row.model,
        splits,
        n_calls=calls,
        seed=seed,
        fixed=fixed_of(row, ties),
        backend=BACKENDS[backend],
        journal=folder / "journal.jsonl",
        ties=ties,
        moved=moved,
        first=begin,
    )


def first_points(row: ModelVariant, dataset: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """First points of a search: none, or with --others what is known from the other data sets."""
    return [params_of(row, other) for other in SETS if args.others and other != dataset]


def params_of(row: ModelVariant, dataset: str) -> dict[str, Any]:
    """Published parameters, or chosen ones."""
    published = reference.best_params(dataset, row.name)
    return published or reference.chosen_params(dataset, row.name) or {}


def fixed_of(row: ModelVariant, ties: str) -> dict[str, Any]:
    """Parameters that are not searched; for the published order of ties also the quirks."""
    quirks = {"published_quirks": True} if row.quirks and ties == "published" else {}
    return {**row.fixed, **quirks}


def reference_value(
    row: ModelVariant, dataset: str, splits: gf.Splits, ties: str = "index"
) -> dict[str, Any]:
    """Published parameters, or chosen ones, fitted and evaluated as a trial."""
    params = params_of(row, dataset)
    cls = model_class(row.model)
    seeded = {"seed": SEED} if "seed" in cls().get_params() else {}
    model = cls(**{**fixed_of(row, ties), **params, **seeded}).fit(splits.train_small)
    found = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,), ties=ties)
    value = found["map", 5]
    return {
        "params": params,
        "value": value,
        "source": "published" if reference.best_params(dataset, row.name) else "chosen",
    }


def folder_name(row: ModelVariant, args: argparse.Namespace) -> str:
    """The folder of a search; searches other than the paper's have a suffix."""
    name = row.name if args.calls == CALLS else f"{row.name}-{args.calls}"
    name = name if args.backend == "skopt" else f"{name}-{args.backend}"
    name = name if args.ties == "index" else f"{name}-ties"
    return f"{name}-others" if args.others else name


def label(args: argparse.Namespace) -> str:
    """Name of a search in tables."""
    return f"{args.backend}, others" if args.others else str(args.backend)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options of a study that reads the data sets and writes to a folder of runs."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--data", type=Path, required=True)
    made.add_argument("--runs", type=Path, required=True)
    made.add_argument("--threads", type=int, default=os.cpu_count())
    return made


def search_parser(description: str | None) -> argparse.ArgumentParser:
    """Options of a study that runs searches."""
    made = parser(description)
    made.add_argument("--rows", default=",".join(ROWS))
    made.add_argument("--datasets", default=",".join(SETS))
    made.add_argument("--calls", type=int, default=CALLS)
    made.add_argument("--backend", choices=BACKENDS, default="skopt")
    made.add_argument("--ties", choices=("index", "published"), default="index")
    made.add_argument("--others", action="store_true")
    return made
