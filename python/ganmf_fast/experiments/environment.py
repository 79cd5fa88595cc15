"""On what an experiment ran: versions, hardware, state of the source; and how much it took."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from ganmf_fast.base.hardware import processor
from ganmf_fast.base.threads import get_num_threads

if sys.platform != "win32":
    import resource

_PACKAGES = ("ganmf-fast", "numpy", "scipy", "scikit-learn", "polars", "torch", "matplotlib")


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that figures depend on; None if not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def describe() -> dict[str, Any]:
    """Versions, hardware and, in a git checkout, the state of the source."""
    return {
        "versions": versions(),
        "hardware": {
            "platform": platform.platform(),
            "processor": processor(),
            "cpus": os.cpu_count(),
            "threads": get_num_threads(),
            "memory_mib": _memory_mib(),
            "gpu": gpu(),
        },
        "git": _git(),
    }


def gpu() -> str | None:
    """Name of the first CUDA device, if torch is loaded and sees one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))


def _memory_mib() -> int:
    return int(psutil.virtual_memory().total) // 2**20


def _git() -> dict[str, Any] | None:
    git = shutil.which("git")
    if git is None:
        return None
    here = str(Path(__file__).parent)
    answers = []
    for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        # The program was found above, and nothing of its arguments comes from outside.
        result = subprocess.run(
            [git, "-C", here, *command], capture_output=True, text=True, timeout=30, check=False
        )
        if result.returncode != 0:
            return None
        answers.append(result.stdout.strip())
    return {"commit": answers[0], "changed": bool(answers[1])}


class Cost:
    """What a block of work took; filled in when the block ends."""

    seconds: float = 0.0
    peak_mib: float = 0.0
    extra_mib: float | None = None
    """Of the peak, what the process did not hold before; None where the system cannot tell."""


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure wall time and the largest resident memory of the process within the block.

    On Linux the peak is that of the block; elsewhere the system only knows the peak since the
    process began.
    """
    cost = Cost()
    _return_free_memory()
    before = None
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _peak_mib()
    start = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        cost.peak_mib = _peak_mib()
        if before is not None:
            cost.extra_mib = max(0.0, cost.peak_mib - before)


def _return_free_memory() -> None:
    """Give the system what was freed before, so that a block's growth is its own (glibc)."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def _peak_mib() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
