"""Checks of arguments: each error is one sentence that names the argument and its value."""

import math
import numbers
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown

_GIB = 2**30


def as_array(name: str, given: object) -> NDArray[Any]:
    """Numpy's array of `given`.

    Raises
    ------
    TypeError
        If some of it is masked, or a list holds True or False, which would be 1 or 0, beside
        numbers.
    ValueError
        If it has none, as lists of several lengths in a list.
    """
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(
            f"{name} must not be a masked array: pass its compressed(), or filled() with a value"
        )
    try:
        array = np.asarray(given)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} must be a plain list or array, not {shown(given)}") from None
    if (
        isinstance(given, list | tuple)
        and array.dtype.kind in "iuf"
        and not {bool, np.bool_}.isdisjoint(map(type, given))
    ):
        raise TypeError(f"{name} must hold numbers alone, not {shown(given)}")
    return array


def check_int(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` as an int in ``low..high`` (both included).

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, not {shown(value)}")
    number = int(value)
    if number < low or (high is not None and number > high):
        domain = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {domain}, not {shown(number)}")
    return number


def check_real(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
) -> float:
    """Return `value` as a finite float in ``[low, high]``, and greater than `above` if given.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is not finite or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, not {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, not {shown(value)}")
    if above is not None and number <= above:
        raise ValueError(f"{name} must be greater than {above:g}, not {number:g}")
    if number < low or number > high:
        if high == math.inf:
            domain = f"at least {low:g}"
        elif low == -math.inf:
            domain = f"at most {high:g}"
        else:
            domain = f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {domain}, not {number:g}")
    return number


def check_bool(name: str, value: object) -> bool:
    """Return `value` if it is a bool.

    Raises
    ------
    TypeError
        Otherwise.
    """
    if value is True or value is False:
        return bool(value)
    raise TypeError(f"{name} must be True or False, not {shown(value)}")


def check_path(name: str, value: object) -> Path:
    """Return `value` as a path.

    Raises
    ------
    TypeError
        If it is neither text nor a path.
    """
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise TypeError(f"{name} must be the name of a file or folder, not {shown(value)}")


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`.

    Raises
    ------
    ValueError
        If it is none of them; the message suggests the most similar one.
    """
    if isinstance(value, str) and value in choices:
        return value
    hint = suggestion(value, choices, '"')
    listed = ", ".join(f'"{choice}"' for choice in choices)
    raise ValueError(f"{name} must be one of {listed}, not {shown(value)}{hint}")


def available_memory() -> int:
    """Bytes of memory that the process can still allocate.

    The least of the system's available memory, and of what the limits of the process's control
    group (a container's) and of the process itself (``ulimit``) leave.
    """
    import psutil

    return min(int(psutil.virtual_memory().available), _core.available_memory())


def check_memory(needed: int, what: str, advice: str) -> None:
    """Refuse work that does not fit into memory, before anything is allocated.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        Subject of the message.
    advice : str
        What to change.

    Raises
    ------
    MemoryError
        If fewer than `needed` bytes are available.
    """
    available = available_memory()
    if needed > available:
        raise MemoryError(
            f"{what} needs {needed / _GIB:,.1f} GiB of memory but {available / _GIB:,.1f} GiB "
            f"are available; {advice}"
        )


def plain(value: Any) -> Any:
    """A NumPy scalar as a Python number; everything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value
