"""``ganmf data fetch``."""

from typing import Annotated, Any

from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin, print_json, print_table, say
from ganmf_fast.cli.data_options import DataFolder
from ganmf_fast.data import datasets
from ganmf_fast.data.dataset_sources import PUBLISHED_SPLITS
from ganmf_fast.split import Splits

_NO_COMMON, _NO_DATA_FOLDER = Common(), DataFolder()


def data_fetch(
    names: Annotated[
        tuple[str, ...], Parameter(help="Data sets, as `ganmf data list` shows them.")
    ],
    /,
    *,
    published_splits: Annotated[
        bool,
        Parameter(
            help="The five splits that the authors of the GANMF paper published, instead of the "
            "original data: for lastfm, hetrec2011 and ml-1m. `reproduce` then uses them.",
            negative="",
        ),
    ] = False,
    source: DataFolder = _NO_DATA_FOLDER,
    common: Common = _NO_COMMON,
) -> None:
    """Download data sets and check them; what is there already is only checked."""
    begin(common)
    known = list(PUBLISHED_SPLITS) if published_splits else datasets.names()
    fetch = _splits if published_splits else _original
    for name in names:
        if name not in known:
            # Before anything is downloaded.
            fetch(name, source)
    found = [fetch(name, source) for name in names]
    if common.json:
        print_json(found)
    else:
        print_table("", tuple(found[0]), [tuple(entry.values()) for entry in found])


def _original(name: str, source: DataFolder) -> dict[str, Any]:
    data = datasets.load(name, source.data_dir, download=not source.offline)
    return _facts(name, data.n_interactions, data.n_users, data.n_items)


def _splits(name: str, source: DataFolder) -> dict[str, Any]:
    folder = datasets.fetch_published_splits(name, source.data_dir, download=not source.offline)
    splits = Splits.load(folder)
    say(f"the published splits of {name} are in {folder}")
    facts = _facts(name, splits.n_interactions, splits.n_users, splits.n_items)
    return {**facts, "folder": str(folder)}


def _facts(name: str, interactions: int, users: int, items: int) -> dict[str, Any]:
    return {"name": name, "interactions": interactions, "users": users, "items": items}
