"""Several processes, called ranks, that train one model, each on its part of every batch.

Objective: losses, gradients and weights of one process that has whole batches, to rounding. Every
rank holds all parameters and moments. The losses of GANMF are functions of a few sums over the rows
of a batch, to which each rank adds its rows, and of the number of rows. With B rows in the whole
batch, I items, E hidden units and residuals as in :mod:`~ganmf_fast.gan.ganmf.exact`:

- energies are ``|R|^2 / (B I)`` and ``|R_f|^2 / (B I)``. Both together decide whether the hinge
  ``max(0, m E(x) - E(f))`` is active, so they are summed over the ranks *before* any gradient is
  formed; a mean of hinges, one for each rank, would be a different loss;
- feature matching is ``|Enc(x) - Enc(f)|^2 / (B E)``;
- penalties have no rows: each rank differentiates its equal part of them.

Once these sums are known, the loss depends on a rank's rows through its own terms only, so that the
gradient of the whole is the sum of the ranks' gradients, with divisors of the whole batch. A step:
sum two numbers, form gradients, sum these, update. The updates are the same on every rank. A rank
may have no row of a small batch. All draw the random numbers of whole batches and use their part.
Source: derived here; the sums are all-reduces of torch.distributed.
Cost: a step of D exchanges its ``I (2 E + 1) + E`` gradients, one of G ``(users + I) K``.
"""

import atexit
import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from torch import distributed as dist

from ganmf_fast.gan.checkpoint import TensorCheckpoint

# How long a rank waits for another, for the first one's validation too. The end of a rank's process
# is noticed at once.
_TIMEOUT = dt.timedelta(minutes=10)


class ProcessGroup:
    """The ranks that train together; by default one alone, which exchanges nothing.

    Attributes
    ----------
    rank, size : int
        Number of this rank, from 0, and how many there are.
    local_rank : int
        Its number among those on the same machine, which is also that of its GPU.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank

    @classmethod
    def join(cls) -> "ProcessGroup":
        """Join the ranks that torchrun started, or the process group that exists already.

        Raises
        ------
        ValueError
            If there is neither.
        """
        if not dist.is_initialized():
            if "WORLD_SIZE" not in os.environ:
                raise ValueError(
                    "data_parallel is True, but this process is not one of several: start it with "
                    "torchrun, or call torch.distributed.init_process_group first"
                )
            # No backend named: gloo for tensors on the CPU, NCCL for those on a GPU.
            dist.init_process_group(timeout=_TIMEOUT)
            atexit.register(_leave)
        return cls(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))

    def part(self, n: int) -> slice:
        """Which of `n` rows are this rank's; the parts differ by one row at most."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def sum_numbers(self, *numbers: float) -> list[float]:
        """Sum each of `numbers` over the ranks."""
        if self.size == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64)
        self._all_reduce(summed)
        totals: list[float] = summed.tolist()
        return totals

    def differentiable_sum(self, number: Tensor) -> Tensor:
        """Sum a number over the ranks; its gradient is with respect to this rank's summand."""
        if self.size == 1:
            return number
        whole: Tensor = _DifferentiableSum.apply(number, self)
        return whole

    def all_reduce(self, tensors: Iterable[Tensor | None]) -> None:
        """Sum tensors over the ranks, in place."""
        if self.size > 1:
            for tensor in tensors:
                if tensor is not None:
                    self._all_reduce(tensor)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy the tensors of the first rank to all, in place."""
        if self.size > 1:
            for tensor in tensors:
                with self._exchange():
                    dist.broadcast(tensor, src=0)

    def on_first(self, value: Callable[[], float]) -> float:
        """What `value` returns on the first rank; the others do not call it."""
        if self.size == 1:
            return value()
        number = torch.tensor([value() if self.rank == 0 else 0.0], dtype=torch.float64)
        self.broadcast([number])
        return number.item()

    def check_same_fit(self, config: Mapping[str, Any]) -> None:
        """Make sure that all ranks train the same model on the same data.

        Raises
        ------
        ValueError
            On every rank, if `config` is not the same on all.
        """
        text = json.dumps(config, sort_keys=True, default=str)
        digest = _bytes(hashlib.sha256(text.encode()).digest())
        first = digest.clone()
        self.broadcast([first])
        (different,) = self.sum_numbers(float(not torch.equal(first, digest)))
        if different:
            raise ValueError(
                f"{different:.0f} of {self.size} ranks have other data or parameters than rank 0: "
                "with data_parallel all of them fit the same model on the same matrix"
            )

    def _all_reduce(self, tensor: Tensor) -> None:
        with self._exchange():
            dist.all_reduce(tensor)

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch has no other error for it
            raise ConnectionError(
                f"rank {self.rank} of {self.size} lost another one, which ended or did not answer "
                f"in time ({error})"
            ) from None


class _DifferentiableSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, number: Tensor, group: ProcessGroup) -> Tensor:
        whole = number.detach().clone()
        group.all_reduce([whole])
        return whole

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


@dataclass(frozen=True)
class SharedCheckpoint(TensorCheckpoint):
    """A checkpoint that the first rank writes, reads for all, and removes."""

    group: ProcessGroup = field(kw_only=True)

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
        """See ``TensorCheckpoint``."""
        if self.group.rank == 0:
            super().write(facts, tensors)

    def read(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """See ``TensorCheckpoint``; the file need not be within reach of the other ranks."""
        content = torch.zeros(0, dtype=torch.uint8)
        if self.group.rank == 0 and (found := super().read()) is not None:
            facts, tensors = found
            described = {**tensors, _FACTS: _bytes(json.dumps(facts).encode())}
            content = _bytes(safetensors.torch.save(described))
        length = torch.tensor([len(content)])
        self.group.broadcast([length])
        if not length:
            return None
        if self.group.rank:
            content = torch.zeros(int(length), dtype=torch.uint8)
        self.group.broadcast([content])
        tensors = safetensors.torch.load(content.numpy().tobytes())
        return json.loads(tensors.pop(_FACTS).numpy().tobytes()), tensors

    def remove(self) -> None:
        """See ``TensorCheckpoint``."""
        if self.group.rank == 0:
            super().remove()


_FACTS = "facts"


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
