"""The processor, which last bits of results and the choice of a library depend on."""

import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["processor"]


@cache
def processor() -> str:
    """Name of the processor, such as "AMD EPYC" or "Intel(R) Xeon(R) Processor"."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
