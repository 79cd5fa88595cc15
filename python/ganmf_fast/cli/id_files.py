"""Files of users, of items, or of users and their items, that options name."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import shown
from ganmf_fast.data.frames import pairs_of
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.parquet import parquet_refused
from ganmf_fast.data.roles import Role, known_role
from ganmf_fast.models.base import Recommender

__all__ = ["given_users", "items_in", "typed"]

_SEPARATORS = ("\t", ",", ";", "|", "::")


def typed(texts: list[str], ids: NDArray[Any] | None, option: str) -> list[Any]:
    """Text as ids of the type that the model has; numbers where it has none.

    Raises
    ------
    ValueError
        If a text is no such id.
    """
    kind = "i" if ids is None else ids.dtype.kind
    make: Any = {"i": int, "u": int, "f": float, "M": np.datetime64}.get(kind)
    try:
        return texts if make is None else [make(text) for text in texts]
    except ValueError as error:
        what = "dates" if kind == "M" else "numbers"
        raise ValueError(f"{option} must hold {what}, as the model has ids: {error}") from None


def given_users(model: Recommender, text: str) -> Any:
    """Users of an option: a file of one user a line or with a column of users, or a list."""
    path = Path(text)
    if path.is_file():
        if path.suffix == ".parquet":
            return _only_column(path, "user")
        return typed(_lines(path, "user"), model.user_ids_, f"users: {path}")
    return typed([part.strip() for part in text.split(",")], model.user_ids_, "users")


def items_in(
    path: Path, user_ids: NDArray[Any] | None, item_ids: NDArray[Any] | None, option: str
) -> Any:
    """Items for all users from a file of one a line, or pairs from columns of users and items.

    Raises
    ------
    DataError
        If the file cannot be read.
    ValueError
        If it is not certain which of both it is, or an id has another type than those given.
    """
    if not path.is_file():
        raise DataError(f"{option}: there is no file {path}")
    if path.suffix == ".parquet":
        with parquet_refused(path, [path]):
            table = pl.read_parquet(path)
        if len(table.columns) == 1 or not _has_user(table.columns):
            return _only_column(path, "item")
        return pl.DataFrame(dict(zip(("user", "item"), pairs_of(table, str(path)), strict=True)))
    first = _first_line(path)
    separator = next((s for s in _SEPARATORS if s in first), None)
    if separator is None:
        return typed(_lines(path, "item"), item_ids, f"{option}: {path}")
    if not _has_user(first.split(separator)):
        raise ValueError(
            f"{option}: {path} must hold one item a line, or columns whose names in the first line "
            f"are those of users and items, such as user{separator}item; its first line is "
            f"{shown(first)}"
        )
    data = Interactions.from_csv(path, rating=False, timestamp=False, duplicates="first")
    rows = np.repeat(np.arange(data.n_users), np.diff(data.csr.indptr))
    users = [str(user) for user in data.user_ids.tolist()]
    items = [str(item) for item in data.item_ids.tolist()]
    return pl.DataFrame(
        {
            "user": pl.Series(typed(users, user_ids, option)).gather(rows),
            "item": pl.Series(typed(items, item_ids, option)).gather(data.csr.indices),
        }
    )


def _has_user(names: list[str]) -> bool:
    return "user" in {known_role(name.strip().strip('"')) for name in names}


def _only_column(path: Path, role: Role) -> pl.Series:
    with parquet_refused(path, [path]):
        table = pl.read_parquet(path)
    named = [name for name in table.columns if known_role(name) == role] or table.columns
    if len(named) != 1:
        raise ValueError(
            f"{path} must have one column of {role}s; its columns are {', '.join(table.columns)}"
        )
    return table[named[0]]


def _first_line(path: Path) -> str:
    lines = _text(path).splitlines()
    return lines[0] if lines else ""


def _lines(path: Path, role: Role) -> list[str]:
    """Lines that are not empty, but for a first one that names the column."""
    lines = [line for line in _text(path).splitlines() if line]
    return lines[1:] if lines and known_role(lines[0]) == role else lines


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
