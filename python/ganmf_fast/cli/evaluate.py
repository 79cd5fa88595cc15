"""``ganmf evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ganmf_fast.base.urm import to_scipy
from ganmf_fast.cli.common import Common, begin, numbers, print_json, print_table, say
from ganmf_fast.cli.data_options import DataName, DataOptions, HeldOut, part_of
from ganmf_fast.cli.frame_files import check_suffix, write_frame
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.evaluation import evaluate as evaluate_model
from ganmf_fast.models.ids import matching_csr
from ganmf_fast.models.load import load
from ganmf_fast.split import Splits

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


def evaluate(
    model: Annotated[Path, Parameter(help="File that `ganmf fit` wrote.")],
    *,
    data: DataName,
    on: Annotated[HeldOut, Parameter(help="Split that is predicted.")] = "test",
    profiles: Annotated[
        str | None,
        Parameter(
            help="File of interactions of people who were not fitted, whose held-out items are "
            "in --data; both are read with the same options."
        ),
    ] = None,
    unknown: Annotated[
        Literal["error", "skip"],
        Parameter(help="With --profiles: refuse unknown items, or leave them out."),
    ] = "error",
    cutoffs: Annotated[str, Parameter(help="Lengths of lists, separated by commas.")] = "5,20",
    output: Annotated[
        Path | None, Parameter(help="File for the figures: .csv, .parquet or .json.")
    ] = None,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Measure a fitted model on held-out interactions: of five splits, or of new users."""
    begin(common)
    ks = numbers("cutoffs", cutoffs)
    check_suffix(output)
    fitted = load(model)
    opened = source.open(data)
    if profiles is None:
        held_out = part_of(_five_splits(opened, data), on)
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
    else:
        result = evaluate_model(
            fitted, None, _interactions(opened, data), ks,
            unknown=unknown, profiles=_interactions(source.open(profiles), profiles),
        )  # fmt: skip
        on = "new users"
        skipped = result.skipped.interactions
        if skipped:
            say(f"{skipped:,} interactions of {data} left out: their users or items are unknown")
    if output is not None:
        write_frame(result.to_frame(), output)
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


def _interactions(opened: Splits | Interactions, name: str) -> Interactions:
    if isinstance(opened, Interactions):
        return opened
    raise ValueError(f"profiles need files of interactions, but {name!r} has five splits")


def _five_splits(opened: Splits | Interactions, data: str) -> Splits:
    if isinstance(opened, Splits):
        return opened
    raise ValueError(
        f"data must have five splits, which {data!r} has not: make them with "
        f"`ganmf split --data {data} --output FOLDER` and fit on these"
    )
