"""Times that are given to be compared with the timestamps of interactions."""

import datetime as dt
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base.checks import check_real
from ganmf_fast.base.text import shown


def moment(name: str, given: Any, times: NDArray[Any]) -> Any:
    """A time that timestamps can be compared with: a number, or a date without time zone.

    Raises
    ------
    TypeError
        If it is not of their kind.
    ValueError
        If it is missing, text that is no date, or out of the range of their unit.
    """
    dated = times.dtype.kind == "M"
    value: Any = given[()] if isinstance(given, np.ndarray) and not given.ndim else given
    if dated and isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{name} must be a date or time as of ISO 8601, such as 2020-01-31, not "
                f"{shown(given)}"
            ) from None
    if dated and isinstance(value, dt.date | np.datetime64):
        return _date(name, value, times)
    if dated:
        raise TypeError(
            f"{name} must be a date, datetime or ISO 8601 text, as timestamps are dates, not "
            f"{shown(given)}"
        )
    if isinstance(value, dt.date | np.datetime64 | str):
        raise TypeError(f"{name} must be a number, as timestamps are, not {shown(given)}")
    endless = isinstance(value, float) and math.isinf(value)
    number = value if endless else check_real(name, value)
    # Whole numbers beside whole numbers, which floating point would round.
    whole = times.dtype.kind in "iu" and number.is_integer()
    return int(value) if whole else np.float64(value)


def _date(name: str, given: dt.date | np.datetime64, times: NDArray[Any]) -> np.datetime64:
    """A date without time zone, in UTC if it had one, of a time that the unit of `times` holds."""
    value: Any = given
    try:
        if getattr(value, "tzinfo", None) is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:
        value = np.datetime64("NaT")
    # Those of pandas have nanoseconds.
    date = value.asm8 if hasattr(value, "asm8") else np.datetime64(value)
    if np.isnat(date):
        raise ValueError(f"{name} must be a date, not {shown(given)}")
    # Numpy compares in the finer unit, and there wraps around.
    common = np.promote_types(date.dtype, times.dtype)
    if date.astype(common).astype(date.dtype) != date:
        unit = np.datetime_data(common)[0]
        raise ValueError(f"{name} must be a date that {unit} since 1970 can hold, not {date}")
    return date
