"""One column at a time: ids, ratings and timestamps as checked arrays.

`place(row)` names a row in messages, such as "row 5" or "ratings.csv, line 6".
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.checks import available_memory, check_real
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import shown

Place = Callable[[int], str]


def series(values: Any, name: str | int | None, place: Place) -> pl.Series:
    """A column of any frame as a polars series without missing entries.

    Whatever offers the Arrow stream or array interface is taken as it is; other columns are
    sequences of Python objects of one type.

    Raises
    ------
    DataError
        If an entry is missing (null, None or NaN).
    TypeError
        If the column is not one-dimensional, or its entries are of several types or of one that
        has no order, such as tuples.
    """
    if getattr(values, "ndim", 1) != 1:
        raise TypeError(f"column {shown(name)} must be one-dimensional, not {values.ndim}-D")
    package = type(values).__module__.partition(".")[0]
    if package == "pandas":
        _refuse(pl.Series(np.asarray(values.isna(), dtype=bool)), name, "is missing", place)
    column = _polars(values, name, place)
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(value=False)
    _refuse(missing, name, "is missing", place)
    return column


def _polars(values: Any, name: str | int | None, place: Place) -> pl.Series:
    if isinstance(values, pl.Series):
        column = values
    elif isinstance(values, np.ndarray) and values.dtype != object:
        column = pl.Series(_in_unit_of_polars(values, name))
    else:
        offered = _arrow(values)
        column = _of_one_type(_listed(values, name), name, place) if offered is None else offered
    if column.dtype == pl.Object or column.dtype.is_nested():
        raise _no_ids(name, "tuples or lists" if column.dtype.is_nested() else "objects")
    return column


def _in_unit_of_polars(values: NDArray[Any], name: str | int | None) -> NDArray[Any]:
    """Dates and spans of time in microseconds, or in nanoseconds if these are what is given."""
    if values.dtype.kind not in "Mm" or np.datetime_data(values.dtype)[0] == "ns":
        return values
    made = values.astype(f"{values.dtype.kind}8[us]")
    if not np.array_equal(made.astype(values.dtype), values, equal_nan=True):
        raise TypeError(f"column {shown(name)} holds times that microseconds cannot hold")
    return made


def _listed(values: Any, name: str | int | None) -> list[Any]:
    # Python asks for the room of all that it is told of, before it looks at the first.
    if hasattr(values, "__len__") and 8 * len(values) > available_memory():
        raise TypeError(f"column {shown(name)} says that it is longer than memory")
    return list(values)


def _no_ids(name: str | int | None, kind: str) -> TypeError:
    return TypeError(
        f"column {shown(name)} holds {kind}, which are no ids, numbers or times: give text or "
        "integers"
    )


def id_column(values: Any, name: str | int | None, place: Place) -> pl.Series:
    """A column of ids: integers, text (categories are their names), real numbers, dates or times.

    Raises
    ------
    DataError, TypeError
        As `series`, or if its type is none of these, which no file could hold.
    """
    column = series(values, name, place)
    kind = column.dtype
    text = kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean)
    if not (text or kind.is_integer() or kind.is_float() or kind.is_temporal()):
        raise TypeError(
            f"column {shown(name)} holds {kind} values, which are no ids: give them as text"
        )
    return column


def read_ids(values: Any, name: str | int | None, place: Place) -> pl.Series:
    """Ids of interactions: as `id_column`, and none is empty text or infinite.

    Raises
    ------
    DataError, TypeError
    """
    column = id_column(values, name, place)
    if column.dtype == pl.String:
        _refuse(column == "", name, "is missing", place)
    if column.dtype.is_float():
        _refuse(column.is_infinite(), name, "is not finite", place, column)
    return column


def _arrow(values: Any) -> pl.Series | None:
    """A column that offers an Arrow interface; None if it offers none or holds Python objects."""
    if not (hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")):
        return None
    if str(getattr(values, "dtype", "")) == "object":
        return None
    return pl.Series(values)


def _of_one_type(values: list[Any], name: str | int | None, place: Place) -> pl.Series:
    """Python objects of one type, so that no two ids merge by a conversion."""
    known = next((value for value in values if not _is_missing(value)), None)
    several = len({type(value) for value in values}) > 1
    for row, value in enumerate(values if several else ()):
        if _is_missing(value):
            continue
        if _kind(value) is not _kind(known):
            raise TypeError(
                f"{place(row)}: column {shown(name)} holds {shown(value)}, {_named(value)}, beside "
                f"{shown(known)}, {_named(known)}: give all as text, for example"
            )
    # Polars panics at some of what these may hold.
    if isinstance(known, list | tuple | np.ndarray | Mapping):
        raise _no_ids(name, "tuples or lists")
    kept = [None if _is_missing(value) else value for value in values]
    try:
        if _kind(known) is int and any(v is not None and v >= 2**63 for v in kept):
            return pl.Series(kept, dtype=pl.UInt64, strict=True)
        return pl.Series(kept, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series([object() for _ in values], dtype=pl.Object)


def _kind(value: object) -> type:
    """Type of a value; those of numpy count as Python's."""
    if isinstance(value, bool | np.bool_):
        return bool
    for kind in (int, float, str):
        if isinstance(value, kind | _NUMPY[kind]):
            return kind
    return type(value)


_NUMPY: dict[type, type] = {int: np.integer, float: np.floating, str: np.str_}


def _named(value: object) -> str:
    return f"of type {_kind(value).__name__}"


def _is_missing(value: object) -> bool:
    # NaN is the one value that differs from itself.
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def parsed_ids(text: pl.Series, place: Place) -> pl.Series:
    """Ids from text: integers if every one is a whole number written the plain way, else text.

    The plain way matters: "007" and "7" are two ids.
    """
    _refuse(text.is_null(), text.name, "is missing", place)
    for dtype in (pl.Int64, pl.UInt64):
        whole = text.cast(dtype, strict=False)
        if whole.null_count() == 0 and bool((whole.cast(pl.String) == text).all()):
            return whole
    return text


def numbers(values: Any, name: str | int | None, place: Place) -> NDArray[np.float32]:
    """Ratings as float32: present, finite and positive.

    Raises
    ------
    DataError
        Otherwise; a rating of zero has no meaning, because a zero in the matrix is no interaction.
    TypeError
        If the column holds no numbers.
    """
    column = series(_floats(values), name, place)
    name = name or column.name
    if column.dtype == pl.String:
        parsed = column.cast(pl.Float64, strict=False)
        _refuse(parsed.is_null(), name, "is not a number", place, column)
        column = parsed
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise TypeError(f"column {shown(name)} must hold numbers, not {column.dtype}")
    wide = column.cast(pl.Float64)
    with np.errstate(over="ignore"):
        single = wide.to_numpy().astype(np.float32)
    _refuse(pl.Series(~np.isfinite(single)), name, "is not a finite float32", place, column)
    _refuse(wide < 0, name, "is negative", place, column)
    _refuse(
        pl.Series(single == 0),
        name,
        "is no interaction; leave such rows out, or read without ratings to count every row",
        place,
        column,
    )
    return single


def weighted(
    values: Any, weights: Mapping[str, float], name: str | int | None, place: Place
) -> NDArray[np.float32]:
    """Weights of the values of a column, such as of types of events.

    Raises
    ------
    DataError
        If a value is missing or has no weight, or a weight is no rating (see `numbers`).
    """
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"weights must map values of {shown(name)} to numbers, not {shown(weights)}"
        )
    column = series(values, name, place).cast(pl.String)
    known = {
        str(value): check_real(f"the weight of {shown(value)}", weight, above=0.0)
        for value, weight in weights.items()
    }
    found = column.replace_strict(known, default=None, return_dtype=pl.Float64)
    _refuse(found.is_null(), name, "has no weight", place, column)
    return numbers(found, name, place)


def _floats(values: Any) -> Any:
    """Integers and floats side by side, in a list or array of objects, as floats."""
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = values.tolist()
    mixed = isinstance(values, list) and {_kind(v) for v in values if v is not None} == {int, float}
    return [None if v is None else float(v) for v in values] if mixed else values


def times(values: Any, name: str | int | None, place: Place) -> NDArray[Any]:
    """Timestamps: integers, floating point, or dates as numpy datetime64."""
    column = series(values, name, place)
    is_number = column.dtype.is_integer() or column.dtype.is_float()
    if not (is_number or column.dtype in (pl.Date, pl.Datetime)):
        raise TypeError(
            f"column {shown(name)} must hold integers, floating-point numbers or dates, not "
            f"{column.dtype}"
        )
    if column.dtype.is_float():
        _refuse(column.is_infinite(), name, "is not finite", place, column)
    return column.to_numpy()


def _refuse(
    bad: pl.Series,
    name: str | int | None,
    what: str,
    place: Place,
    content: pl.Series | None = None,
) -> None:
    row = bad.arg_max()
    if row is None or not bad[row]:
        return
    value = "" if content is None else f" {shown(content[row])}"
    raise DataError(f"{place(row)}: {name}{value} {what}")
