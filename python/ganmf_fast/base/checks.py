"""Checks of arguments: each error is one sentence that names the argument and its value."""

import math
import numbers
from collections.abc import Sequence
from pathlib import Path

from ganmf_fast.base.errors import suggestion

__all__ = [
    "available_memory",
    "check_bool",
    "check_choice",
    "check_int",
    "check_memory",
    "check_real",
    "check_share",
]

_GIB = 2**30


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
        raise TypeError(f"{name} must be an integer, not {value!r}")
    number = int(value)
    if number < low or (high is not None and number > high):
        domain = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {domain}, not {number}")
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
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, not {number}")
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


def check_share(name: str, value: object) -> float:
    """Return `value` as a float in ``[0, 1)``.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is out of range.
    """
    number = check_real(name, value, 0.0, 1.0)
    if number == 1.0:
        raise ValueError(f"{name} must be less than 1, not 1")
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
    raise TypeError(f"{name} must be True or False, not {value!r}")


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
    raise ValueError(f"{name} must be one of {listed}, not {value!r}{hint}")


def available_memory() -> int:
    """Bytes of memory that the process can still allocate.

    The minimum of the system's available memory and of what the limit of the process's control
    group (a container's) leaves.
    """
    import psutil

    limits = [int(psutil.virtual_memory().available)]
    group = _read("/sys/fs/cgroup/memory.max").strip()
    if group.isdigit():
        used = _read("/sys/fs/cgroup/memory.current").strip()
        # Page cache counts as used but is reclaimed on demand.
        cached = next(
            (
                int(line.split()[1])
                for line in _read("/sys/fs/cgroup/memory.stat").splitlines()
                if line.startswith("inactive_file ")
            ),
            0,
        )
        limits.append(max(int(group) - (int(used) if used.isdigit() else 0) + cached, 0))
    return min(limits)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


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
