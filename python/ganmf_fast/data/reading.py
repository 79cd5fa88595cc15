"""How a file was read, for people to check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reading:
    """How a file became interactions; `Interactions.reading` and `ganmf data describe` show it.

    Every line is a header, a record that was read, or counted in `left_out`.

    Attributes
    ----------
    format : str
        "text", "json lines", "parquet" or, of the data set "steam", "literals of Python".
    compression : str or None
        "gzip", "bzip2", "xz", "zstandard" or "zip".
    encoding : str or None
    separator : str or None
    quote : str or None
        The quote character of RFC 4180; None where quotes are characters like others.
    header : bool
        Whether the first line names the columns.
    columns : dict of str to str
        Name (or position, as text, without a header) of the column behind each role.
    unread : tuple of str
        The other columns.
    lines : int
        Lines, or rows of a parquet file, header included.
    records : int
        Records that were read; of the data sets "steam" and "mind-small" a line has several.
    left_out : dict of str to int
        Lines that are no record and records that are no interaction, by reason.
    """

    format: str
    columns: Mapping[str, str]
    unread: tuple[str, ...]
    lines: int
    records: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    header: bool = True
    compression: str | None = None
    encoding: str | None = None
    separator: str | None = None
    quote: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            **vars(self),
            "columns": dict(self.columns),
            "unread": list(self.unread),
            "left_out": dict(self.left_out),
        }
