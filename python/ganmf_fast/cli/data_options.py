"""Options that say which data, where, and how a file is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ganmf_fast.base.text import is_whole, shown
from ganmf_fast.cli.common import say
from ganmf_fast.data import datasets
from ganmf_fast.data.builders import Repeated
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.readers import Options
from ganmf_fast.data.roles import Column, ColumnOrFalse, Roles
from ganmf_fast.split import Splits
from ganmf_fast.split.open_data import FileReading, open_data

Part = Literal["train", "train_small"]
HeldOut = Literal["test", "validation", "early_stop"]

DataName = Annotated[
    str,
    Parameter(
        help="Name of a data set, folder with five .npz splits, or file of interactions: delimited "
        "text, JSON lines or parquet, compressed or not, or a folder of parquet files."
    ),
]

_OFF = "off"
_TAB = ("tab", r"\t")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """Where data sets are looked for."""

    data_dir: Annotated[
        Path | None,
        Parameter(help="Folder with data sets; downloads go there too. Default: the user's cache."),
    ] = None
    offline: Annotated[bool, Parameter(help="Never use the network.", negative="")] = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions(DataFolder):
    """Where data sets are looked for, and how a file is read."""

    user: Annotated[
        str | None,
        Parameter(
            help="Column of users in a file: its name, or its position from 0. Default: by "
            "well-known names."
        ),
    ] = None
    item: Annotated[str | None, Parameter(help="Column of items, in the same way.")] = None
    rating: Annotated[
        str | None, Parameter(help='Column of ratings; "off" to count every line as one.')
    ] = None
    timestamp: Annotated[
        str | None, Parameter(help='Column of times; "off" to leave them out.')
    ] = None
    separator: Annotated[
        str | None, Parameter(help='Between the fields of a text file; "tab" for a tab.')
    ] = None
    header: Annotated[
        bool | None, Parameter(help="Whether the first line of a text file names the columns.")
    ] = None
    quote: Annotated[
        str | None, Parameter(help='Quote character of a text file, or "off" if it has none.')
    ] = None
    encoding: Annotated[
        str | None, Parameter(help="Encoding of a text file, utf-8 by default.")
    ] = None
    strip: Annotated[
        bool | None,
        Parameter(help="Drop blanks around the fields of a text file.", negative=""),
    ] = None
    duplicates: Annotated[
        Repeated | None, Parameter(help="What counts of an interaction that is given repeatedly.")
    ] = None

    @property
    def reading(self) -> FileReading:
        """How a file is to be read."""
        given: dict[str, Any] = {
            "separator": "\t" if self.separator in _TAB else self.separator,
            "header": self.header,
            "quote": self.quote,
            "encoding": self.encoding,
            "strip": self.strip,
        }
        return FileReading(
            Roles(
                column(self.user),
                column(self.item),
                _column_or_false(self.rating),
                _column_or_false(self.timestamp),
            ),
            Options(**{name: value for name, value in given.items() if value is not None}),
            self.duplicates,
        )

    def open(self, data: str) -> Splits | Interactions:
        """Open what ``--data`` names; a data set before a folder or file of the same name."""
        if data in datasets.names() and self.data_dir is None and Path(data).exists():
            say(f"{data} is the data set of this name; what lies here is ./{data}")
        return open_data(data, self.data_dir, self.offline, self.reading)

    def interactions(self, option: str, path: str) -> Interactions:
        """Open the file that another option names."""
        opened = self.open(path)
        if isinstance(opened, Interactions):
            return opened
        raise ValueError(
            f"{option} must be a file of interactions, but {shown(path)} has five splits"
        )


def column(text: str | None) -> Column | None:
    """A column as an option names it: a position if it is a number, else a name."""
    position = text is not None and is_whole(text) and not text.startswith("-")
    return int(text) if text is not None and position else text


def _column_or_false(text: str | None) -> ColumnOrFalse | None:
    return False if text == _OFF else column(text)


def part_of(splits: Splits, part: str) -> Any:
    """One of five splits, with ids where there are any."""
    matrix = getattr(splits, part)
    if splits.user_ids is None or splits.item_ids is None:
        return matrix
    return Interactions.from_matrix(matrix, splits.user_ids, splits.item_ids)
