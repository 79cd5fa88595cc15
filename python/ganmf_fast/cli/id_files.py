"""Users and items that options name: in a list, or in files of ids or of users and their items."""

import csv
import io
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.files import is_file
from ganmf_fast.base.text import is_number, is_whole, shown
from ganmf_fast.cli.common import say
from ganmf_fast.data.frames import pairs_of
from ganmf_fast.data.ids import IdIndex
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.parquet import parquet_refused, scan_parquet
from ganmf_fast.data.roles import known_role
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.ids import numbers

_SEPARATORS = ("\t", ",", ";", "|", "::")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(_DATE.pattern + r"[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class Known:
    """The users or items of a model, whom text can name."""

    what: Literal["user", "item"]
    index: IdIndex | None
    """None where they have no ids, but numbers."""
    size: int

    def has(self, values: Any) -> NDArray[np.bool_]:
        """Which of some ids are known."""
        if self.index is None:
            return numbers(values, self.what, self.size, "skip") >= 0
        return self.index.find(values) >= 0

    def has_texts(self, texts: list[str]) -> NDArray[np.bool_]:
        """Which of some texts name what is known."""
        ids = [self._id(text) for text in texts]
        found = np.zeros(len(texts), dtype=bool)
        named = [at for at, value in enumerate(ids) if value is not None]
        found[named] = self.has([ids[at] for at in named])
        return found

    def typed(self, texts: list[str], option: str) -> list[Any]:
        """Text as ids of the type that the model has; numbers where it has none.

        Raises
        ------
        ValueError
            If a text names no such id.
        """
        ids = [self._id(text) for text in texts]
        if None in ids:
            text = texts[ids.index(None)]
            raise ValueError(
                f"{option} must hold {self._described}, as the model has ids, not {shown(text)}"
            )
        return ids

    @property
    def example(self) -> str:
        """What messages say of the ids."""
        return "" if self.index is None else f", which has ids such as {self.index.example}"

    @property
    def _kind(self) -> str:
        return "i" if self.index is None else self.index.ids.dtype.kind

    @property
    def _described(self) -> str:
        first = "" if self.index is None else f" such as {self.index.example}"
        words = {
            "i": "whole numbers, written without leading zeros",
            "f": f"numbers{first}",
            "M": f"dates{first}",
            "b": "true or false",
        }
        return words.get("i" if self._kind == "u" else self._kind, "ids from a parquet file")

    def _id(self, text: str) -> Any:
        """The id that a text names, and that gives this text; None if it names none."""
        kind = self._kind
        if kind in "OU":
            return text
        if kind in "iu":
            return int(text) if is_whole(text) else None
        if kind == "b":
            return {"true": True, "false": False}.get(text)
        if self.index is None or kind not in "fM":
            return None
        dtype = self.index.ids.dtype
        if kind == "f":
            number = dtype.type(text) if is_number(text) else None
            same = number is not None and np.isfinite(number)
            return number if same and Decimal(str(number)) == Decimal(text) else None
        form = _DATE if np.datetime_data(dtype)[0] == "D" else _TIME
        try:
            return np.datetime64(text) if form.fullmatch(text) else None
        except ValueError:
            return None


def known_users(model: Recommender) -> Known:
    """The users of a model."""
    return Known("user", None if model.ids_ is None else model.ids_.user_index, model.n_users_)


def known_items(model: Recommender) -> Known:
    """The items of a model."""
    return Known("item", None if model.ids_ is None else model.ids_.item_index, model.n_items_)


def given_ids(text: str, known: Known, unknown: str = "error") -> Any:
    """Ids of an option: a file of one a line or with a column of them, or a list with commas.

    Raises
    ------
    ValueError
        If it is not certain which of these it is, or an id is of another type than the model's or
        unknown.
    """
    what, option = known.what, f"{known.what}s"
    parts = [part.strip() for part in text.split(",")]
    if is_file(text):
        if known.has_texts(parts).all():
            raise ValueError(
                f"{option} {shown(text)} is a file, and ids of the model as well: ./{text} is the "
                f"file, and for the ids name a file with one {what} a line"
            )
        return _ids_in(Path(text), known, option)
    by_file = f"give a file, --{option} FILE, with one {what} a line"
    wider = [given for given in (text, *text.split(",")) if given not in parts]
    for given, is_known in zip(wider, known.has_texts(wider), strict=True):
        if is_known:
            raise ValueError(
                f"{option} holds {shown(given)}, an id with commas or outer blanks: {by_file}"
            )
    ids = known.typed(parts, option)
    if unknown == "error" and known.index is not None and known.index.is_text:
        for part, is_known in zip(parts, known.has(ids), strict=True):
            if not is_known:
                raise ValueError(
                    f"{what} {shown(part)} is unknown to the model{known.example}; if its id holds "
                    f"commas or outer blanks, {by_file}"
                )
    return ids


def items_in(path: Path, users: Known, items: Known, option: str) -> Any:
    """Items for all users from a file of one a line, or pairs from columns of users and items.

    Raises
    ------
    DataError
        If the file cannot be read.
    ValueError
        If it is not certain which of both it is, or an id has another type than those given.
    """
    if not is_file(path):
        raise DataError(f"{option}: there is no file {path}")
    if path.suffix == ".parquet":
        table = _table(path)
        if len(table.columns) == 1 or not _has_user(table.columns):
            return _only_column(table, path, "item")
        return pl.DataFrame(dict(zip(("user", "item"), pairs_of(table, str(path)), strict=True)))
    text = _text(path)
    lines, quoted = _lines(text), _quoted(text)
    first = lines[0] if lines else ""
    separator = next((s for s in _SEPARATORS if s in first), None)
    if separator is None or quoted is not None or items.has_texts([first]).all():
        return _ids_of(lines, quoted, items, f"{option}: {path}")
    if not _has_user(first.split(separator)):
        raise ValueError(
            f"{option}: {path} must hold one item a line, or columns whose names in the first line "
            f"are those of users and items, such as user{separator}item; its first line is "
            f"{shown(first)}"
        )
    data = Interactions.from_csv(path, rating=False, timestamp=False, duplicates="first")
    rows = np.repeat(np.arange(data.n_users), np.diff(data.csr.indptr))
    names = [[str(name) for name in ids.tolist()] for ids in (data.user_ids, data.item_ids)]
    return pl.DataFrame(
        {
            "user": pl.Series(users.typed(names[0], option)).gather(rows),
            "item": pl.Series(items.typed(names[1], option)).gather(data.csr.indices),
        }
    )


def check_unknown(found: Any, users: Known, items: Known, option: str) -> None:
    """Say how many ids of a file, as `items_in` returns them, are unknown.

    Raises
    ------
    ValueError
        If all are, so that the file would have no effect.
    """
    sides = [(items, found)]
    if isinstance(found, pl.DataFrame):
        sides = [(users, found["user"]), (items, found["item"])]
    for known, ids in sides:
        unknown = np.flatnonzero(~known.has(ids))
        if not len(unknown):
            continue
        first = shown(ids[int(unknown[0])])
        if len(unknown) == len(ids):
            raise ValueError(
                f"{option}: none of {len(ids):,} {known.what} ids, such as {first}, is known to "
                f"the model{known.example}; with --unknown skip they have no effect"
            )
        say(
            f"{option}: {len(unknown):,} of {len(ids):,} {known.what} ids, such as {first}, are "
            "unknown to the model and have no effect"
        )


def _has_user(names: list[str]) -> bool:
    return "user" in {known_role(name.strip().strip('"')) for name in names}


def _ids_in(path: Path, known: Known, option: str) -> Any:
    """Ids of a file of one a line, or of a parquet file with a column of them."""
    if path.suffix == ".parquet":
        return _only_column(_table(path), path, known.what)
    text = _text(path)
    return _ids_of(_lines(text), _quoted(text), known, f"{option}: {path}")


def _ids_of(lines: list[str], quoted: list[str] | None, known: Known, option: str) -> list[Any]:
    """Ids of lines, or of the fields that quotes enclose there, but for a name of the column."""
    if quoted is not None and not known.has_texts([line for line in lines if '"' in line]).any():
        lines = quoted
    if lines and known_role(lines[0]) == known.what and not known.has_texts(lines[:1]).all():
        lines = lines[1:]
    return known.typed(lines, option)


def _table(path: Path) -> pl.DataFrame:
    with parquet_refused(path, [path]):
        return scan_parquet([path]).collect()


def _only_column(table: pl.DataFrame, path: Path, what: str) -> pl.Series:
    named = [name for name in table.columns if known_role(name) == what] or table.columns
    if len(named) != 1:
        raise ValueError(
            f"{path} must have one column of {what}s; its columns are {', '.join(table.columns)}"
        )
    return table[named[0]]


def _lines(text: str) -> list[str]:
    """Lines that are not empty; other characters than line feeds are part of an id."""
    return [line for line in (one.removesuffix("\r") for one in text.split("\n")) if line]


def _quoted(text: str) -> list[str] | None:
    """Fields of CSV of one column of which some are quoted, as polars writes; None if it is not."""
    if '"' not in text:
        return None
    try:
        records = [record for record in csv.reader(io.StringIO(text, ""), strict=True) if record]
    except csv.Error:
        return None
    return [field for [field] in records] if all(len(record) == 1 for record in records) else None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
