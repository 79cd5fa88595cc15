"""Lists of other recommenders in frames: one row an item of a list, with ids of the user's own."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.text import few, shown
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.columns import id_column, series
from ganmf_fast.data.frames import columns_of
from ganmf_fast.data.ids import IdIndex, encode, id_array
from ganmf_fast.data.interactions import Interactions, interactions_of
from ganmf_fast.models.ids import Ids, aligned_positions, matching_csr
from ganmf_fast.scorers.validation import users_with_items

_PLACE = "row {} of lists".format


class FrameLists(NamedTuple):
    """Lists of a frame, over the users and items of test, of train, and of the lists."""

    items: NDArray[np.int32]
    """Of every user with test items, shape (n users, n), padded with -1; empty without a list."""
    users: NDArray[np.int64]
    """Their rows in `test`."""
    test: Csr
    train: Csr | None
    ids: Ids
    """Of the rows and columns of both."""


def is_frame(lists: object) -> bool:
    """Whether lists come as a frame, and not as an array."""
    package = type(lists).__module__.partition(".")[0]
    streams = hasattr(lists, "__arrow_c_stream__")
    return isinstance(lists, Mapping | pl.LazyFrame) or streams or package == "pandas"


def lists_of_frame(
    lists: Any,
    columns: Mapping[str, str | None],
    test: object,
    train: object,
    longest: int,
    *,
    from_text: bool = False,
) -> FrameLists:
    """Lists as an array, from a frame.

    Parameters
    ----------
    lists : frame, or mapping of names to arrays
    columns : mapping
        Names of the columns "user", "item", "rank" and "score", None for one that was not given.
    test, train
        As for `evaluate_lists`.
    longest : int
        Places of a list that count.
    from_text : bool, default False
        Whether ids were read from text, where "7" may be the number 7.

    Raises
    ------
    TypeError, ValueError
        If the frame holds no such lists; the message names a user and an item.
    """
    found = _columns(lists, columns)
    ids, held_out, popularity = _sides(test, train)
    user, item = (encode(id_column(found[role], role, _PLACE)) for role in ("user", "item"))
    given = id_array(user.distinct)
    index = IdIndex(ids.users, "user")
    row_of = aligned_positions("user", index, ids.users, given, from_text, "skip")
    wanted = users_with_items(held_out)
    rows = row_of[user.codes].astype(np.int64)
    kept = np.flatnonzero(np.isin(rows, wanted))
    if not len(kept):
        raise ValueError(
            f"none of the {len(given):,} users of lists, such as {shown(given.tolist()[0])}, has "
            f"test items; test has users such as {shown(ids.users.tolist()[0])}"
        )
    of_lists = id_array(item.distinct)
    if interactions_of(test) is None and (row_of < 0).any():
        stranger = shown(given[int(np.argmax(row_of < 0))].item())
        raise ValueError(
            f"lists hold user {stranger}, but the {len(ids.users):,} users of test are its rows, "
            "numbered from 0: leave other users out"
        )
    items, col_of = _union("item", ids.items, of_lists, from_text)
    if (col_of >= len(ids.items)).all():
        raise ValueError(
            f"none of the {len(of_lists):,} items of lists, such as {shown(of_lists.tolist()[0])}, "
            f"is known; test has items such as {shown(ids.items.tolist()[0])}: if they are of the "
            "same data, give train, which has the others"
        )
    # Text among numbers, or the other way round, is no id of the same data.
    foreign = items.dtype.kind != ids.items.dtype.kind or (
        items.dtype == object and of_lists.dtype != object
    )
    if len(items) > len(ids.items) and (foreign or interactions_of(test) is None):
        raise ValueError(
            f"lists hold item {shown(items.tolist()[-1])}, but the {len(ids.items):,} items of "
            f"test are such as {shown(ids.items.tolist()[0])}"
        )
    ordered = _ordered(
        rows[kept],
        col_of[item.codes[kept]],
        {role: found[role].to_numpy()[kept] for role in found.keys() & {"rank", "score"}},
        ids.users,
        items,
    )
    return FrameLists(
        _padded(*ordered, wanted, longest),
        wanted,
        _widened(held_out, len(items)),
        None if popularity is None else _widened(popularity, len(items)),
        Ids(ids.users, items, "dict"),
    )


def _columns(lists: Any, columns: Mapping[str, str | None]) -> dict[str, pl.Series]:
    """Columns of users and items, and of ranks or scores."""
    if isinstance(lists, pl.LazyFrame):
        lists = lists.collect()
    if not isinstance(lists, Mapping) and not hasattr(lists, "columns"):
        try:
            lists = pl.DataFrame(lists)
        except (pl.exceptions.PolarsError, ValueError, TypeError):
            raise TypeError(f"lists must be a frame with columns, not {shown(lists)}") from None
    # The attribute `columns` of a pyarrow table holds the columns themselves.
    names = list(
        lists if isinstance(lists, Mapping) else getattr(lists, "column_names", lists.columns)
    )
    given = {role: name for role, name in columns.items() if name is not None}
    if not given.keys() & {"rank", "score"}:
        given |= {role: role for role in ("rank", "score") if role in names}
    if not given.keys() & {"rank", "score"}:
        if not names:
            raise ValueError("lists has no columns")
        raise ValueError(
            "lists are in the order of a column of ranks or scores, and none of "
            f"{few(names)} is called rank or score: say which, such as "
            f"score={shown(str(names[-1]))}"
        )
    picked, _ = columns_of(lists, given)  # type: ignore[arg-type]
    found = {role: series(column, given[role], _PLACE) for role, column in picked.items()}
    if not len(found["user"]):
        raise ValueError("lists holds no rows")
    for role in found.keys() & {"rank", "score"}:
        if not found[role].dtype.is_numeric():
            raise TypeError(f"column {given[role]!r} must hold numbers, not {found[role].dtype}")
    return found


def _sides(test: object, train: object) -> tuple[Ids, Csr, Csr | None]:
    """Test and train over the users and items of both."""
    data, known = interactions_of(test), interactions_of(train)
    csr = as_csr(test, "test")
    ids = Ids.of(test) or Ids(np.arange(csr.n_rows), np.arange(csr.n_cols), "dict")
    if data is None or known is None or (known.shape == data.shape and _same_ids(data, known)):
        shape = (csr.n_rows, csr.n_cols)
        return ids, csr, None if train is None else matching_csr(train, "train", shape, ids)
    from_text = known.reading is not None
    users, row_of = _union("user", data.user_ids, known.user_ids, from_text)
    items, col_of = _union("item", data.item_ids, known.item_ids, from_text)
    rows = np.repeat(row_of, np.diff(known.csr.indptr))
    cols = col_of[known.csr.indices]
    popularity = Csr.from_coo(rows, cols, known.csr.values, len(users), len(items))
    return Ids(users, items, "dict"), _widened(csr, len(items), len(users)), popularity


def _same_ids(a: Interactions, b: Interactions) -> bool:
    return np.array_equal(a.user_ids, b.user_ids) and np.array_equal(a.item_ids, b.item_ids)


def _union(
    what: str, known: NDArray[Any], given: NDArray[Any], from_text: bool
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Ids of both, those `known` first, and the positions of `given` among them."""
    at = aligned_positions(what, IdIndex(known, what), known, given, from_text, "skip")
    new = given[at < 0]
    if not len(new):
        return known, at
    at[at < 0] = len(known) + np.arange(len(new), dtype=np.int32)
    if (new.dtype.kind in "OUT") != (known.dtype.kind in "OUT"):
        known, new = known.astype(object), new.astype(object)
    return np.concatenate([known, new]), at


def _widened(csr: Csr, n_cols: int, n_rows: int | None = None) -> Csr:
    """A matrix with further rows and columns, which are empty."""
    more = 0 if n_rows is None else n_rows - csr.n_rows
    if not more and n_cols == csr.n_cols:
        return csr
    indptr = np.concatenate([csr.indptr, np.full(more, csr.indptr[-1])])
    return Csr(indptr, csr.indices, csr.values, n_cols)


def _ordered(
    rows: NDArray[np.int64],
    cols: NDArray[np.int32],
    orders: Mapping[str, NDArray[Any]],
    users: NDArray[Any],
    items: NDArray[Any],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Rows and columns of the lists, list by list and best first.

    Equal scores are in the order of the frame.
    """

    def refuse(bad: NDArray[np.bool_], what: str) -> None:
        if bad.any():
            at = int(np.argmax(bad))
            user, item = users.tolist()[rows[at]], items.tolist()[cols[at]]
            raise ValueError(f"the list of user {shown(user)} {what.format(item=repr(item)[:80])}")

    by = "rank" if "rank" in orders else "score"
    key = orders["rank"] if by == "rank" else -orders["score"].astype(np.float64)
    place = np.lexsort((np.arange(len(rows)), key, rows))
    rows, cols, key = rows[place], cols[place], key[place]
    follows = np.concatenate(([False], rows[1:] == rows[:-1]))
    if by == "rank":
        refuse(follows & (key == np.roll(key, 1)), "has two items of one rank, one of them {item}")
    if len(orders) == 2:
        score = orders["score"][place]
        refuse(
            follows & (score > np.roll(score, 1)),
            "has a rank and a score of item {item} that contradict each other: say which counts, "
            "as rank= or score=",
        )
    cells = rows * np.int64(len(items)) + cols
    again = np.zeros(len(cells), dtype=bool)
    order = np.argsort(cells, kind="stable")
    again[order[1:]] = cells[order[1:]] == cells[order[:-1]]
    refuse(again, "holds item {item} twice")
    return rows, cols


def _padded(
    rows: NDArray[np.int64], cols: NDArray[np.int32], wanted: NDArray[np.int64], longest: int
) -> NDArray[np.int32]:
    """One list for each of the `wanted` rows, in an array."""
    at = np.searchsorted(wanted, rows)
    starts = np.searchsorted(rows, rows, side="left")
    place = np.arange(len(rows)) - starts
    most = int(place.max()) + 1
    if most < longest:
        raise ValueError(
            f"cutoffs holds {longest}, but the longest of the lists has {most} places: give "
            f"cutoffs of at most {most}"
        )
    lists = np.full((len(wanted), longest), -1, dtype=np.int32)
    counts = place < longest
    lists[at[counts], place[counts]] = cols[counts]
    return lists
