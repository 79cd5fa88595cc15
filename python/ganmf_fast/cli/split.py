"""``ganmf split``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin, print_json, print_table, say
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split import PARTS, Splits, paper_protocol

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


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
