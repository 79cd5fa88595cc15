"""``ganmf data`` and ``ganmf split``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganmf_fast.cli.common import (
    Common,
    begin,
    print_json,
    print_table,
    say,
)
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.data import datasets
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split import PARTS, Splits, paper_protocol

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


def list_(*, common: Common = _NO_COMMON) -> None:
    """List the data sets that are known by name."""
    begin(common)
    rows = []
    for name in datasets.names():
        source = datasets.SOURCES.get(name)
        sizes = source.sizes if source is not None else (None, None, None)
        rows.append((name, *sizes, "observed" if source is not None else "simulated"))
    if common.json:
        keys = ("name", "interactions", "users", "items", "kind")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_table("", ("name", "interactions", "users", "items", "kind"), rows)


def fetch_(
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


def describe_(
    data: DataName, *, source: DataOptions = _NO_DATA_OPTIONS, common: Common = _NO_COMMON
) -> None:
    """Show the size and the shape of data."""
    begin(common)
    opened = source.open(data)
    facts = datasets.describe(opened)
    if isinstance(opened, Splits):
        facts |= {part: int(getattr(opened, part).nnz) for part in PARTS}
    if common.json:
        print_json(facts)
    else:
        print_table("", ("what", "value"), [(k, _shown(k, v)) for k, v in facts.items()])


def _shown(key: str, value: object) -> object:
    if key == "density" and isinstance(value, float):
        return f"{value:.4%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def split(
    *,
    data: DataName,
    output: Annotated[Path, Parameter(help="Folder for the five .npz files.")],
    seed: Annotated[int, Parameter(help="Decides which interactions go where.")] = 1337,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Split data by the protocol of the GANMF paper."""
    begin(common)
    opened = source.open(data)
    splits = _split(opened, data, seed)
    splits.save(output)
    sizes = {part: int(getattr(splits, part).nnz) for part in PARTS}
    simulated = " (simulated data)" if splits.simulated else ""
    say(f"{splits.name}{simulated} split into {output}")
    facts = {"users": splits.n_users, "items": splits.n_items, **sizes}
    if common.json:
        print_json(
            {
                "name": splits.name,
                "simulated": splits.simulated,
                "output": str(output),
                "seed": seed,
                "hash": splits.data_hash,
                **facts,
            }
        )
    else:
        print_table("", ("what", "number"), list(facts.items()))


def _split(opened: Splits | Interactions, data: str, seed: int) -> Splits:
    if isinstance(opened, Interactions):
        return paper_protocol(opened, seed)
    raise ValueError(f"data is split already: {data}")
