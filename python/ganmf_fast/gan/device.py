"""Where a module is trained: its device, the threads of the processor, the memory of a GPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ganmf_fast.base.threads import get_num_threads

# Multiplications of a step below which threads wait for each other longer than they work, much
# longer on a busy machine. The weights do not depend on the number of threads.
_WORTH_THREADS = 10**8

# MKL splits products between threads so that their last bits depend on how many there are, unless
# it is told not to before its first product; it does not get slower.
_VECTORS = "AVX512" if "AVX512" in torch.backends.cpu.get_cpu_capability() else "AVX2"
os.environ.setdefault("MKL_CBWR", f"{_VECTORS},STRICT")


def find_device(name: str, local_rank: int = 0) -> torch.device:
    """The device called `name`; of several GPUs, if none is named, that of the rank.

    Raises
    ------
    ValueError
        If it is a GPU that torch does not find.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if available else "cpu"
    if name == "cuda" and local_rank:
        name = f"cuda:{local_rank}"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= available:
        raise ValueError(
            f'device is "{name}" but torch finds {available or "no"} CUDA '
            f'GPU{"s" if available > 1 else ""}; use device="cpu"'
        )
    return device


@contextmanager
def computing(device: torch.device, tf32: bool, multiplications: int) -> Iterator[None]:
    """Set torch up for steps of so many multiplications on `device`; afterwards all is as before.

    On a GPU, products of matrices may round their factors if `tf32`.
    """
    threads = torch.get_num_threads()
    rounds = torch.backends.cuda.matmul.allow_tf32
    # Torch may be limited by OMP_NUM_THREADS or by its own call, beside other processes.
    most = min(threads, get_num_threads())
    torch.set_num_threads(1 if multiplications < _WORTH_THREADS else most)
    try:
        if device.type != "cuda":
            yield
            return
        torch.backends.cuda.matmul.allow_tf32 = tf32
        # Triton launches its kernels on the current device, wherever their tensors are.
        with torch.cuda.device(device):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = rounds


@dataclass(frozen=True)
class Footprint:
    """Memory of a training run: bytes that stay, and bytes for each row of a batch."""

    fixed: int
    per_row: int
    parameter: str
    """Name of the parameter that is the number of rows of a batch."""
    rows: int

    def fitting(self, capacity: int) -> int:
        """The most rows (a power of two) that fit into `capacity` bytes, or 0.

        Fewer than now in any case: those did not fit. A tenth is left to torch.
        """
        most = min((9 * capacity // 10 - self.fixed) // max(self.per_row, 1), self.rows - 1)
        return 0 if most < 1 else 1 << (most.bit_length() - 1)

    def too_large(self, device: torch.device) -> MemoryError:
        """The error that names a batch size which fits into the GPU `device`."""
        capacity = torch.cuda.mem_get_info(device)[1]
        fitting = self.fitting(capacity)
        advice = (
            f"{self.parameter}={fitting} would fit"
            if fitting
            else f"even {self.parameter}=1 would not fit: train smaller networks, or on the CPU"
        )
        return MemoryError(
            f"{self.parameter}={self.rows} does not fit into the {capacity / 2**30:.1f} GiB of the "
            f"GPU; {advice}"
        )
