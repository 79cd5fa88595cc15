"""The processor: its name, which last bits of results depend on, and its speed."""

import platform
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np


@cache
def processor() -> str:
    """Name of the processor, such as "AMD EPYC" or "Intel(R) Xeon(R) Processor"."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def product_seconds(n: int) -> float:
    """Seconds that a product of two dense f64 matrices of n rows would take: a rough estimate.

    The time of a small one, measured here and now in some hundredths of a second, times the cube.
    """
    a = np.ones((_PROBE, _PROBE))
    found = []
    for _ in range(3):
        started = time.perf_counter()
        a @ a
        found.append(time.perf_counter() - started)
    return min(found) * (n / _PROBE) ** 3


_PROBE = 768
