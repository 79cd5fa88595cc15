"""CPU seconds and memory of this process."""

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """Seconds of every run, and how far memory rose above the input in the first."""

    seconds: list[float]
    mebibytes: float
    result: Any


def cpu_seconds() -> float:
    """User and system time of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(work: Callable[[], Any], repeats: int) -> Measurement:
    """Run `work` so often; keeps the result of the first run."""
    gc.collect()
    _give_back()
    _reset_peak()
    before = _memory("VmRSS")
    start = cpu_seconds()
    result = work()
    seconds = [cpu_seconds() - start]
    mebibytes = max(0.0, _memory("VmHWM") - before) / 1024
    for _ in range(repeats - 1):
        start = cpu_seconds()
        work()
        seconds.append(cpu_seconds() - start)
    return Measurement(seconds, mebibytes, result)


def _give_back() -> None:
    """Return freed memory to the system, so that its reuse is not taken for no use."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> None:
    """Let the peak that Linux keeps begin again at what is in use now."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5", encoding="ascii")


def _memory(field: str) -> float:
    """A line of /proc/self/status in KiB; elsewhere the peak since the process began."""
    status = Path("/proc/self/status")
    if not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1024 if sys.platform == "darwin" else peak
    lines = status.read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1])
