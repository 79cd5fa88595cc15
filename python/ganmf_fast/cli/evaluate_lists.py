"""``ganmf evaluate-lists``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin, numbers
from ganmf_fast.cli.data_options import DataOptions, column
from ganmf_fast.cli.evaluate import metric_names, show_evaluations
from ganmf_fast.cli.frame_files import check_suffix
from ganmf_fast.cli.measured import (
    Cutoffs,
    FiguresFile,
    HeldOptions,
    Measured,
    Metrics,
    evaluations,
)
from ganmf_fast.data.list_files import ListColumns, ListFormat
from ganmf_fast.data.readers import Options

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()
_NO_HELD = HeldOptions()


def evaluate_lists(
    files: Annotated[
        list[Path],
        Parameter(
            help="Lists of any recommender, one line an item: text, parquet, or runs of TREC "
            "(user Q0 item rank score name).",
            negative="",
        ),
    ],
    *,
    held: HeldOptions = _NO_HELD,
    list_user: Annotated[
        str | None,
        Parameter(help="Column of users in the lists: a name or a position from 0; found by name."),
    ] = None,
    list_item: Annotated[str | None, Parameter(help="Column of items, in the same way.")] = None,
    rank: Annotated[
        str | None, Parameter(help='Column of ranks; by default the one called "rank".')
    ] = None,
    score: Annotated[
        str | None, Parameter(help='Column of scores; by default the one called "score".')
    ] = None,
    format: Annotated[  # noqa: A002
        ListFormat, Parameter(help='"trec" for runs whose second field is not "Q0".')
    ] = "auto",
    list_header: Annotated[
        bool | None, Parameter(help="Whether the first line of the lists names the columns.")
    ] = None,
    cutoffs: Cutoffs = "5,20",
    metrics: Metrics = None,
    output: FiguresFile = None,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Measure lists that any recommender made, with the ids of the user's own.

    Users of the held-out interactions without a list count as zero.
    """
    begin(common)
    ks, names = numbers("cutoffs", cutoffs), metric_names(metrics)
    check_suffix(output)
    columns = ListColumns(column(list_user), column(list_item), column(rank), column(score))
    opened = held.open(source)
    found = evaluations(
        [Measured(str(file), is_model=False) for file in files],
        opened,
        ks,
        metrics=names,
        columns=columns,
        form=format,
        options=Options(header=list_header),
    )
    show_evaluations(found, opened, output, common, given=names is not None)
