"""One column at a time: ids, ratings and timestamps as checked arrays.

`place(row)` names a row in messages, such as "row 5" or "ratings.csv, line 6".
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.checks import available_memory, check_real
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import few, shown

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
        If the column is no array or list, or not one-dimensional, or its entries are of several
        types, such as times with and without a zone, or of one that has no order, such as tuples.
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
        try:
            column = pl.Series(_in_unit_of_polars(values, name))
        except UnicodeEncodeError:
            column = _of_one_type(values.tolist(), name, place)
    elif _is_tensor(values):
        return _polars(np.asarray(values), name, place)
    else:
        offered = _arrow(values, name, place)
        column = _of_one_type(_listed(values, name), name, place) if offered is None else offered
    if column.dtype == pl.Object or column.dtype.is_nested():
        raise _no_ids(name, "tuples or lists" if column.dtype.is_nested() else "objects")
    return column


def _is_tensor(values: Any) -> bool:
    """Whether it is an array of another package, such as torch."""
    is_array = isinstance(values, np.ndarray) or not hasattr(values, "__array__")
    package = type(values).__module__.partition(".")[0]
    return not (is_array or package == "pandas" or _streams(values))


def _in_unit_of_polars(values: NDArray[Any], name: str | int | None) -> NDArray[Any]:
    """Dates and spans of time in microseconds, or in nanoseconds if these are what is given."""
    if values.dtype.kind not in "Mm" or np.datetime_data(values.dtype)[0] == "ns":
        return values
    made = values.astype(f"{values.dtype.kind}8[us]")
    if not np.array_equal(made.astype(values.dtype), values, equal_nan=True):
        raise _too_fine(name)
    return made


def _too_fine(name: str | int | None) -> TypeError:
    return TypeError(
        f"column {shown(name)} holds times that microseconds cannot hold: give them as an array of "
        "numpy's datetime64[ns] or timedelta64[ns]"
    )


def _listed(values: Any, name: str | int | None) -> list[Any]:
    # The keys of a dict are a set, but one with an order.
    if isinstance(values, AbstractSet) and not hasattr(values, "mapping"):
        raise TypeError(
            f"column {shown(name)} must have an order, which a set has not: give a list or an array"
        )
    text = isinstance(values, str | bytes | bytearray)
    if text or isinstance(values, Mapping) or not hasattr(values, "__iter__"):
        raise TypeError(f"column {shown(name)} must be a list or an array, not {shown(values)}")
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
    """A column of ids: integers, text (categories are their names), numbers, dates or durations.

    Raises
    ------
    DataError, TypeError
        As `series`, or if its type is none of these, which no file could hold.
    """
    column = series(values, name, place)
    kind = column.dtype
    text = kind in (*TEXT, pl.Boolean)
    if (
        not (text or is_numpy_integer(kind) or kind.is_float() or kind.is_temporal())
        or kind == pl.Time
    ):
        raise TypeError(
            f"column {shown(name)} holds {kind} values, which are no ids: give them as text"
        )
    return column


TEXT = (pl.String, pl.Categorical, pl.Enum)


def is_numpy_integer(kind: pl.DataType) -> bool:
    """Whether a type is one of the integers that numpy has."""
    return kind.is_integer() and str(kind) not in {"Int128", "UInt128"}


def read_ids(values: Any, name: str | int | None, place: Place) -> pl.Series:
    """Ids of interactions: as `id_column`, and none is empty text or infinite.

    Raises
    ------
    DataError, TypeError
    """
    column = id_column(values, name, place)
    if column.dtype in TEXT:
        _refuse(column.cast(pl.String) == "", name, "is missing", place)
    if column.dtype.is_float():
        _refuse(column.is_infinite(), name, "is not finite", place, column)
    return column


def _streams(values: Any) -> bool:
    return hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")


def _arrow(values: Any, name: str | int | None, place: Place) -> pl.Series | None:
    """A column that offers an Arrow interface; None if it offers none or holds Python objects."""
    if not _streams(values):
        return None
    kind = str(getattr(values, "dtype", getattr(values, "type", "")))
    if kind == "object":
        return None
    if "decimal256" in kind:  # polars panics, and says so itself
        raise _no_ids(name, f"{kind} values")
    try:
        return pl.Series(values)
    except (ImportError, NotImplementedError, TypeError, ValueError, *_OF_POLARS):
        # Without pyarrow, polars takes only some columns of pandas; with it, not all.
        if type(values).__module__.partition(".")[0] != "pandas":
            raise _no_ids(name, f"{kind or type(values).__name__} values") from None
    return _of_pandas(values, name, place)


_OF_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def _of_pandas(values: Any, name: str | int | None, place: Place) -> pl.Series:
    """A column of pandas without missing entries, without pyarrow."""
    if hasattr(values, "sparse"):
        return _polars(values.sparse.to_dense(), name, place)
    if hasattr(values, "cat"):
        codes = values.cat.codes.to_numpy()

        def first(at: int) -> str:
            return place(int(np.argmax(codes == at)))

        column = _polars(values.cat.categories, name, first).gather(codes)
        return column.cast(pl.Categorical) if column.dtype == pl.String else column
    kind = getattr(values.dtype, "numpy_dtype", getattr(values.dtype, "base", None))
    if not isinstance(kind, np.dtype) or kind.kind == "O":
        return _of_one_type(values.tolist(), name, place)
    if kind.kind in "Mm" and np.datetime_data(kind)[0] == "s":
        # As pyarrow's become.
        kind = np.dtype(f"{kind.kind}8[ms]")
    return pl.Series(values.to_numpy(dtype=kind))


def _of_one_type(values: list[Any], name: str | int | None, place: Place) -> pl.Series:
    """Python objects of one type, so that no two ids merge by a conversion."""
    at, known = next(((n, v) for n, v in enumerate(values) if not _is_missing(v)), (0, None))
    several = len({type(value) for value in values}) > 1
    for row, value in enumerate(values if several or hasattr(known, "tzinfo") else ()):
        same = _kind(value) is _kind(known) and _has_zone(value) == _has_zone(known)
        if not same and not _is_missing(value):
            raise TypeError(
                f"{place(row)}: column {shown(name)} holds {shown(value)}, {_named(value)}, beside "
                f"{shown(known)}, {_named(known)}, in {place(at)}: give all as text, for example"
            )
    # Polars panics at some of what others may hold, and makes other values of some.
    if not (known is None or isinstance(known, _PLAIN)):
        nested = isinstance(known, list | tuple | np.ndarray | Mapping)
        raise _no_ids(name, "tuples or lists" if nested else "objects")
    kept = [None if _is_missing(value) else value for value in values]
    if isinstance(known, dt.date | dt.timedelta) and any(map(_has_nanoseconds, kept)):
        raise _too_fine(name)
    if several and _kind(known) is float:
        kept = [None if value is None else float(value) for value in kept]
    try:
        if _kind(known) is int and any(v is not None and v >= 2**63 for v in kept):
            return pl.Series(kept, dtype=pl.UInt64, strict=True)
        return pl.Series(kept, strict=True)
    except UnicodeEncodeError:
        lone = pl.Series([v is not None and not _is_unicode(v) for v in kept])
        _refuse(lone, name, "holds half a surrogate pair, which is no text", place, kept)
        raise
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series([object() for _ in values], dtype=pl.Object)


_PLAIN = (
    *(bool, np.bool_, int, float, str, np.integer, np.floating, bytes, Decimal),
    *(dt.date, dt.time, dt.timedelta),
)
"""Types that polars keeps as they are."""


def _kind(value: object) -> type:
    """Type of a value; those of numpy count as Python's."""
    if isinstance(value, bool | np.bool_):
        return bool
    for kind in (int, float, str):
        if isinstance(value, kind | _NUMPY[kind]):
            return kind
    return type(value)


_NUMPY: dict[type, type] = {int: np.integer, float: np.floating, str: np.str_}


def _has_zone(value: object) -> bool:
    return getattr(value, "tzinfo", None) is not None


def _has_nanoseconds(value: object) -> bool:
    """Whether a time or a span of pandas is finer than those of Python."""
    return bool(getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0))


def _is_unicode(text: str) -> bool:
    return text == text.encode(errors="replace").decode()


def _named(value: object) -> str:
    kind = f"of type {_kind(value).__name__}"
    if not hasattr(value, "tzinfo"):
        return kind
    return f"{kind} {'with' if _has_zone(value) else 'without'} a time zone"


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
    TypeError, ValueError
        If weights are no numbers above 0, or one value is given two.
    """
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"weights must map values of {shown(name)} to numbers, not {shown(weights)}"
        )
    column = series(values, name, place)
    known: dict[str, float] = {}
    for value, weight in weights.items():
        text = _as_in(column.dtype, value)
        number = check_real(f"the weight of {shown(value)}", weight, above=0.0)
        if known.setdefault(text, number) != number:
            raise ValueError(f"weights holds two weights of the value {text}: give one of them")
    found = column.cast(pl.String).replace_strict(known, default=None, return_dtype=pl.Float64)
    what = f"has no weight; those that have are {few(map(shown, weights))}"
    _refuse(found.is_null(), name, what, place, column)
    return numbers(found, name, place)


def _as_in(kind: pl.DataType, value: object) -> str:
    """A value as one of a column of this type is as text."""
    is_bool = isinstance(value, bool | np.bool_)
    if kind == pl.Boolean and is_bool:
        return str(value).lower()
    if isinstance(value, int | np.integer) and not is_bool and kind.is_float():
        with suppress(OverflowError):
            value = float(value)
    if isinstance(value, float | np.floating):
        if kind.is_float():
            return str(pl.Series([float(value)], dtype=kind).cast(pl.String)[0])
        if kind.is_integer() and value.is_integer():
            return str(int(value))
    return str(value)


def _floats(values: Any) -> Any:
    """Real numbers of several types, in a list or array of objects, as floats."""
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = values.tolist()
    if not isinstance(values, list):
        return values
    kinds = {_kind(value) for value in values if value is not None}
    plain = len(kinds) == 1 and kinds <= {int, float}
    if plain or bool in kinds or not all(issubclass(kind, Real) for kind in kinds):
        return values
    return [None if value is None else float(value) for value in values]


def times(values: Any, name: str | int | None, place: Place) -> NDArray[Any]:
    """Timestamps: integers, floating point, or dates as numpy datetime64."""
    column = series(values, name, place)
    is_number = is_numpy_integer(column.dtype) or column.dtype.is_float()
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
    content: Sequence[Any] | pl.Series | None = None,
) -> None:
    row = bad.arg_max()
    if row is None or not bad[row]:
        return
    value = "" if content is None else f" {shown(content[row])}"
    raise DataError(f"{place(row)}: {name}{value} {what}")
