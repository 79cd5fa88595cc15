"""One column at a time: ids, ratings and timestamps as checked arrays.

`place(row)` names a row in messages, such as "row 5" or "ratings.csv, line 6".
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.errors import DataError

Place = Callable[[int], str]


def series(values: Any, name: str | int | None, place: Place) -> pl.Series:
    """A column of any frame as a polars series without missing entries.

    Values that polars has no type for (tuples, mixed types) are kept as Python objects.

    Raises
    ------
    DataError
        If an entry is missing (null, None or NaN).
    TypeError
        If the column is not one-dimensional.
    """
    package = type(values).__module__.partition(".")[0]
    if package == "pandas":
        _refuse(pl.Series(np.asarray(values.isna(), dtype=bool)), name, "is missing", place)
        values = values.to_numpy()
    column = _polars(values, name, arrow=package == "pyarrow")
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(value=False)
    elif column.dtype == pl.Object:
        # NaN is the one value that differs from itself.
        missing = pl.Series([v is None or bool(_is_nan(v)) for v in column.to_list()])
    _refuse(missing, name, "is missing", place)
    return column


def _is_nan(value: object) -> bool:
    return isinstance(value, float | np.floating) and np.isnan(value)


def _polars(values: Any, name: str | int | None, *, arrow: bool) -> pl.Series:
    if isinstance(values, pl.Series):
        column = values
    elif arrow:
        converted = pl.from_arrow(values)
        column = converted if isinstance(converted, pl.Series) else converted.to_series()
    else:
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise TypeError(f"column {name!r} must be one-dimensional, not {values.ndim}-D")
        if isinstance(values, np.ndarray) and values.dtype != object:
            if values.dtype.kind == "M":
                values = values.astype("datetime64[us]")
            column = pl.Series(values)
        else:
            column = _from_objects(list(values))
    nested = column.dtype.is_nested()
    return pl.Series(column.to_list(), dtype=pl.Object) if nested else column


def _from_objects(values: list[Any]) -> pl.Series:
    """Python objects: tuples and mixed types stay as they are, so that no two ids merge."""
    if len({type(value) for value in values if value is not None}) <= 1:
        try:
            column = pl.Series(values, strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            pass
        else:
            if not column.dtype.is_nested():
                return column
    return pl.Series(values, dtype=pl.Object)


def parsed_ids(text: pl.Series, place: Place) -> pl.Series:
    """Ids from text: int64 if every one is a whole number written the plain way, else strings.

    The plain way matters: "007" and "7" are two ids.
    """
    _refuse(text.is_null(), text.name, "is missing", place)
    whole = text.cast(pl.Int64, strict=False)
    plain = whole.null_count() == 0 and bool((whole.cast(pl.String) == text).all())
    return whole if plain else text


def numbers(values: Any, name: str | int | None, place: Place) -> NDArray[np.float32]:
    """Ratings as float32: present, finite and positive.

    Raises
    ------
    DataError
        Otherwise; a rating of zero has no meaning, because a zero in the matrix is no interaction.
    TypeError
        If the column holds no numbers.
    """
    column = series(values, name, place)
    name = name or column.name
    if column.dtype == pl.String:
        parsed = column.cast(pl.Float64, strict=False)
        _refuse(parsed.is_null(), name, "is not a number", place, column)
        column = parsed
    if column.dtype == pl.Object:
        # Integers and floats side by side; anything else stays an object and is refused.
        column = _floats(column)
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise TypeError(f"column {name!r} must hold numbers, not {column.dtype}")
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


def _floats(column: pl.Series) -> pl.Series:
    try:
        return pl.Series(column.name, [float(v) for v in column.to_list()], dtype=pl.Float64)
    except (TypeError, ValueError, OverflowError):
        return column


def times(values: Any, name: str | int | None, place: Place) -> NDArray[Any]:
    """Timestamps: integers, floating point, or dates as numpy datetime64."""
    column = series(values, name, place)
    if not (column.dtype.is_numeric() or column.dtype in (pl.Date, pl.Datetime)):
        raise TypeError(f"column {name!r} must hold numbers or dates, not {column.dtype}")
    return column.to_numpy()


def parsed_times(text: pl.Series, place: Place) -> NDArray[Any]:
    """Timestamps from text: whole numbers, numbers, or ISO 8601 dates."""
    _refuse(text.is_null(), text.name, "is missing", place)
    for kind in (pl.Int64, pl.Float64):
        parsed = text.cast(kind, strict=False)
        if parsed.null_count() == 0:
            return parsed.to_numpy()
    try:
        moments = text.str.to_datetime(strict=False)
    except pl.exceptions.ComputeError:
        # polars has found no format at all; what the first wrong number holds says more.
        moments = pl.Series([None] * len(text), dtype=pl.Datetime)
    # A column that is mostly numbers has a broken number, not a broken date.
    best = min(moments, parsed, key=lambda s: s.null_count())
    _refuse(best.is_null(), text.name, "is neither a number nor a date", place, text)
    return best.to_numpy()


def _refuse(
    bad: pl.Series, name: str | int | None, what: str, place: Place, shown: pl.Series | None = None
) -> None:
    row = bad.arg_max()
    if row is None or not bad[row]:
        return
    value = "" if shown is None else f" {shown[row]!r}"
    raise DataError(f"{place(row)}: {name}{value} {what}")
