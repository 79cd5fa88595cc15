"""Top-N lists in files: delimited text, parquet, or runs of TREC."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from ganmf_fast.base.errors import DataError, suggestion
from ganmf_fast.base.text import shown
from ganmf_fast.data.dialect import find_dialect
from ganmf_fast.data.ids import CodedIds
from ganmf_fast.data.parquet import parquet_refused, scan_parquet
from ganmf_fast.data.readers import Options, read_text
from ganmf_fast.data.roles import Column, Roles, known_role
from ganmf_fast.data.sources import DataFile

ListFormat = Literal["auto", "table", "trec"]

_ORDERS = {"rank", "score"}
# A line of a run: the topic, "Q0", the document, its rank from 0 or 1, its score, name of the run.
_RUN = r"^\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+\S.*$"


@dataclass(frozen=True)
class ListColumns:
    """Columns of a file of lists, by name or position; what is not given is found by its name.

    Attributes
    ----------
    user, item : str or int, optional
    rank, score : str or int, optional
        What orders a list: places in ascending order, or scores in descending order. Found if they
        are called so.
    """

    user: Column | None = None
    item: Column | None = None
    rank: Column | None = None
    score: Column | None = None


def read_lists(
    path: str | Path,
    columns: ListColumns | None = None,
    form: ListFormat = "auto",
    options: Options | None = None,
) -> pl.DataFrame:
    """Read a file of lists.

    Parameters
    ----------
    path : str or Path
        One line an item of a list: delimited text, compressed or not; a parquet file; or a run of
        TREC (``user Q0 item rank score name``, between blanks or tabs).
    columns : ListColumns, optional
        Not for runs, whose columns are known.
    form : {"auto", "table", "trec"}, default "auto"
        "auto" takes text for a run if its first line has six fields of which the second is "Q0".
    options : Options, optional
        Separator, header, quotes and encoding of a table in text.

    Returns
    -------
    polars.DataFrame
        user, item, and rank or score or both, in the order of the file.

    Raises
    ------
    DataError
        If the file cannot be read, or a line is broken; the message gives the line.
    ValueError
        If a column does not exist, or cannot be told.
    """
    source = DataFile(Path(path), str(path))
    columns = columns or ListColumns()
    kind = source.format
    if kind == "text" and (form == "trec" or (form == "auto" and _is_run(source))):
        return _run(source)
    if kind == "parquet":
        return _parquet(Path(path), columns)
    if kind == "json lines":
        raise DataError(f"{path} holds JSON lines, but lists are read from text, parquet and TREC")
    return _text(source, columns, options or Options())


def _is_run(source: DataFile) -> bool:
    head = next(source.chunks("utf-8"), b"").lstrip().split(b"\n", 1)[0].split()
    return len(head) == 6 and head[1].upper() == b"Q0"


def _run(source: DataFile) -> pl.DataFrame:
    try:
        text = b"".join(source.chunks("utf-8")).decode()
    except UnicodeDecodeError:
        raise DataError(f"{source.label} is not UTF-8 text") from None
    lines = pl.Series("line", text.split("\n"), dtype=pl.String)
    frame = pl.DataFrame({"number": pl.int_range(1, len(lines) + 1, eager=True), "line": lines})
    frame = frame.filter(pl.col("line").str.strip_chars() != "")
    fields = frame["line"].str.extract_groups(_RUN).struct.unnest()
    fields.columns = ["user", "second", "item", "rank", "score"]
    wanted = "six fields: user, Q0, item, rank, score and the name of the run"
    _refuse(source, frame, fields["user"].is_null(), f"has not {wanted}")
    rank = fields["rank"].cast(pl.Int64, strict=False)
    _refuse(source, frame, rank.is_null(), "has a rank that is no whole number")
    score = fields["score"].cast(pl.Float64, strict=False)
    _refuse(source, frame, score.is_null() | score.is_nan(), "has a score that is no number")
    if not len(fields):
        raise DataError(f"{source.label} holds no lists")
    return fields.select("user", "item", rank=rank, score=score)


def _refuse(source: DataFile, frame: pl.DataFrame, bad: pl.Series, what: str) -> None:
    if bad.any():
        row = int(bad.arg_max() or 0)
        line = frame["line"][row]
        raise DataError(f"{source.label}, line {frame['number'][row]} {what}: {shown(line)}")


def _parquet(path: Path, columns: ListColumns) -> pl.DataFrame:
    with parquet_refused(path, [path]):
        lists = scan_parquet([path])
        found = _found(lists.collect_schema().names(), columns, str(path))
        picked = {role: pl.nth(c) if isinstance(c, int) else pl.col(c) for role, c in found.items()}
        return lists.select(**picked).collect()


def _text(source: DataFile, columns: ListColumns, options: Options) -> pl.DataFrame:
    # One that is given by name means that there is a header.
    asked = Roles(columns.user, columns.item, columns.rank, columns.score)
    names = find_dialect(
        source, asked, options.encoding, options.separator, options.header, options.quote
    ).names
    found = _found(names, columns, source.label)
    read: dict[str, pl.Series] = {}
    for order in sorted(found.keys() & _ORDERS):
        # The reader's one column of any numbers, negative ones too, is that of times.
        roles = Roles(found["user"], found["item"], rating=False, timestamp=found[order])
        try:
            log = read_text(source, roles, options)
        except DataError as error:
            raise DataError(str(error).replace("timestamp", order)) from None
        if log.timestamp is None or log.timestamp.dtype.kind not in "iuf":
            raise DataError(f"{source.label}: the column of {order} does not hold numbers")
        read |= {"user": _ids(log.user), "item": _ids(log.item), order: pl.Series(log.timestamp)}
    return pl.DataFrame(read)


def _ids(ids: CodedIds) -> pl.Series:
    return ids.distinct.gather(ids.codes)


def _found(names: Sequence[str] | None, columns: ListColumns, label: str) -> dict[str, Column]:
    """The column of each role that is there."""
    given = {role: c for role, c in vars(columns).items() if c is not None}
    for role in ("user", "item"):
        if role in given:
            continue
        matches = [name for name in names or () if known_role(name) == role]
        if names is not None and len(matches) != 1:
            what = "no column is" if not matches else f"{len(matches)} columns are"
            raise ValueError(
                f"{label}: {what} named like the {role} ({', '.join(names)}): say which"
            )
        given[role] = matches[0] if names is not None else ("user", "item").index(role)
    if not given.keys() & _ORDERS:
        given |= {
            role: name
            for role in ("rank", "score")
            for name in names or ()
            if name.casefold() == role
        }
    if not given.keys() & _ORDERS:
        hint = "" if names is None else suggestion("score", names)
        there = "there is no header" if names is None else f"columns are {', '.join(names)}"
        raise ValueError(
            f"{label}: lists are in the order of a column of ranks or scores, and none is called "
            f"rank or score ({there}{hint}): say which"
        )
    return given
