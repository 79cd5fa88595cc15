"""``ganmf data fetch``."""

from typing import Annotated

from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin, print_json, print_table
from ganmf_fast.cli.data_options import DataOptions
from ganmf_fast.data import datasets

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


def data_fetch(
    names: Annotated[
        tuple[str, ...], Parameter(help="Data sets, as `ganmf data list` shows them.")
    ],
    /,
    *,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Download data sets and check them; what is there already is only checked."""
    begin(common)
    for name in names:
        if name not in datasets.names():
            # Before anything is downloaded.
            datasets.load(name, source.data_dir, download=False)
    found = []
    for name in names:
        data = datasets.load(name, source.data_dir, download=not source.offline)
        found.append(
            {
                "name": name,
                "interactions": data.n_interactions,
                "users": data.n_users,
                "items": data.n_items,
            }
        )
    if common.json:
        print_json(found)
    else:
        print_table("", tuple(found[0]), [tuple(entry.values()) for entry in found])
