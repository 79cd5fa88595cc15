"""Options that say which data, and where."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split import Splits
from ganmf_fast.split.open_data import open_data

__all__ = ["DataName", "Source"]

DataName = Annotated[
    str,
    Parameter(
        help="Name of a data set, folder with five .npz splits, or CSV or parquet file whose first "
        "two columns are user and item."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Source:
    """Where data sets are looked for."""

    data_dir: Annotated[
        Path | None,
        Parameter(help="Folder with data sets; downloads go there too. Default: the user's cache."),
    ] = None
    offline: Annotated[bool, Parameter(help="Never use the network.", negative="")] = False

    def open(self, data: str) -> Splits | Interactions:
        """Open what ``--data`` names."""
        return open_data(data, self.data_dir, self.offline)
