"""Options that say which data, and where."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split import Splits
from ganmf_fast.split.open_data import open_data

__all__ = ["DataName", "DataOptions", "HeldOut", "Part", "part_of"]

Part = Literal["train", "train_small"]
HeldOut = Literal["test", "validation", "early_stop"]

DataName = Annotated[
    str,
    Parameter(
        help="Name of a data set, folder with five .npz splits, or CSV or parquet file whose first "
        "two columns are user and item."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where data sets are looked for."""

    data_dir: Annotated[
        Path | None,
        Parameter(help="Folder with data sets; downloads go there too. Default: the user's cache."),
    ] = None
    offline: Annotated[bool, Parameter(help="Never use the network.", negative="")] = False

    def open(self, data: str) -> Splits | Interactions:
        """Open what ``--data`` names."""
        return open_data(data, self.data_dir, self.offline)


def part_of(splits: Splits, part: str) -> Any:
    """One of five splits, with ids where there are any."""
    matrix = getattr(splits, part)
    if splits.user_ids is None or splits.item_ids is None:
        return matrix
    return Interactions.from_matrix(matrix, splits.user_ids, splits.item_ids)
