"""Checks of parameters: one sentence that names the parameter and the value."""

import difflib
import math
import numbers
import os
from collections.abc import Sequence
from pathlib import Path

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
    number = float(value)
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
    """Return `value` if it is true or false.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if value is True or value is False:
        return bool(value)
    raise TypeError(f"{name} must be True or False, not {value!r}")


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`; otherwise suggest the nearest.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if isinstance(value, str) and value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    listed = ", ".join(f'"{choice}"' for choice in choices)
    raise ValueError(f"{name} must be one of {listed}, not {value!r}{hint}")


def available_memory() -> int:
    """Bytes of memory that a process may still ask for; what cannot be found out counts as free.

    The least of what the system says is available and what the control group of the process
    (a container's limit) leaves.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    meminfo = _read("/proc/meminfo")
    limits.extend(
        int(line.split()[1]) * 1024
        for line in meminfo.splitlines()
        if line.startswith("MemAvailable:")
    )
    group = _read("/sys/fs/cgroup/memory.max").strip()
    if group.isdigit():
        used = _read("/sys/fs/cgroup/memory.current").strip()
        # Page cache counts as used but is given back on demand.
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
    """Refuse work that would not fit, before anything is allocated.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        Subject of the sentence.
    advice : str
        What to do instead.

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
