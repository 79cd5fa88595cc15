"""What the training runs of all families are made of: networks, optimisers, random numbers.

A family derives from :class:`Players` and says what its passes are and what `train_d` and
`train_g` do; the loop is :mod:`~ganmf_fast.gan.trainer`'s.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganmf_fast._core import Csr
from ganmf_fast.base.progress import Report
from ganmf_fast.base.threads import get_num_threads
from ganmf_fast.gan.adam import Moments, TensorFlowAdam
from ganmf_fast.gan.checkpoint import Checkpoint
from ganmf_fast.gan.distributed import Ranks, SharedCheckpoint
from ganmf_fast.gan.networks import Perceptron
from ganmf_fast.gan.trainer import Losses, Outcome, Pass, Schedule, Trainer
from ganmf_fast.scorers.autoencoder import Autoencoder
from ganmf_fast.scorers.base import Scorer

if TYPE_CHECKING:
    from ganmf_fast.gan.estimator import Adversarial

# Multiplications of a step below which threads wait for each other longer than they work, much
# longer on a busy machine. The weights do not depend on the number of threads.
_WORTH_THREADS = 10**8

# MKL cuts products between threads so that their last bits depend on how many there are, unless it
# is told not to before its first product; it does not get slower.
_VECTORS = "AVX512" if "AVX512" in torch.backends.cpu.get_cpu_capability() else "AVX2"
os.environ.setdefault("MKL_CBWR", f"{_VECTORS},STRICT")

# Made profiles that the alarm of a collapse looks at.
_SAMPLE = 64


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


@dataclass(frozen=True)
class Footprint:
    """Memory of a training run: bytes that stay, and bytes for each row of a batch."""

    fixed: int
    per_row: int
    parameter: str
    """Name of the parameter that says how many rows a batch has."""
    rows: int

    def fitting(self, capacity: int) -> int:
        """The most rows (a power of two) that fit into `capacity` bytes, or 0.

        Fewer than now in any case: those did not fit. A tenth is left to torch.
        """
        most = min((9 * capacity // 10 - self.fixed) // max(self.per_row, 1), self.rows - 1)
        return 0 if most < 1 else 1 << (most.bit_length() - 1)


class Players(ABC):
    """Networks that play against each other; the base of every ``Adversary``.

    Parameters
    ----------
    model : Adversarial
        Its settings.
    profiles : Csr
        The rows that are learned: users, or items.

    Attributes
    ----------
    ranks : Ranks
        The processes that train together.
    networks : dict of str to Module
        Filled by the family, as `optimisers` is.
    optimisers : dict of str to TensorFlowAdam
    """

    def __init__(self, model: "Adversarial", profiles: Csr) -> None:
        self.profiles = profiles
        self.ranks = Ranks.joined() if model.data_parallel else Ranks()
        self.device = find_device(model.device, self.ranks.local_rank)
        # Weights are drawn on the CPU, so that every device starts from the same ones.
        self.rng = torch.Generator().manual_seed(model.seed)
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, TensorFlowAdam] = {}
        self.gradient_norms = model.gradient_norms
        self._tf32 = model.tf32
        # The same rows in every epoch, spread over all.
        spread = np.linspace(0, profiles.n_rows - 1, min(_SAMPLE, profiles.n_rows))
        self.sample = spread.astype(np.int64)

    # what a family says -----------------------------------------------------------------------

    @abstractmethod
    def passes(self, epoch: int) -> Iterator[Pass]:
        """See ``Adversary``."""

    @abstractmethod
    def weights(self) -> Sequence[Tensor]:
        """See ``Adversary``."""

    @abstractmethod
    def diagnose(self) -> Losses:
        """See ``Adversary``."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """The weights as they are, in the form that ranks."""

    @abstractmethod
    def footprint(self) -> Footprint:
        """Memory of the run on its device."""

    @abstractmethod
    def work(self) -> int:
        """Multiplications of a step."""

    # what all share ---------------------------------------------------------------------------

    def run(
        self,
        schedule: Schedule,
        validate: Callable[[Scorer], float] | None,
        checkpoint: Checkpoint | None,
        report: Report,
    ) -> Outcome:
        """Train to the end of the schedule.

        Raises
        ------
        MemoryError
            If the GPU has not enough memory; the message names a batch size that would fit.
        """
        check = None if validate is None else partial(self._validated, validate)
        if self.ranks.size > 1:
            # Another kind of processor may have drawn or decomposed to other last bits.
            self.ranks.spread(
                t for net in self.networks.values() for t in net.state_dict().values()
            )
            if checkpoint is not None:
                checkpoint = SharedCheckpoint(**vars(checkpoint), ranks=self.ranks)
            if self.ranks.rank:
                report = _silent
        threads = 1 if self.work() < _WORTH_THREADS else get_num_threads()
        try:
            with _threads(threads), _on(self.device, self._tf32):
                return Trainer(self, schedule, check, checkpoint).run(report)
        except torch.cuda.OutOfMemoryError:
            raise MemoryError(self._too_large()) from None

    def _validated(self, validate: Callable[[Scorer], float]) -> float:
        return self.ranks.decided(lambda: validate(self.scorer()))

    def _too_large(self) -> str:
        need = self.footprint()
        capacity = torch.cuda.mem_get_info(self.device)[1]
        fitting = need.fitting(capacity)
        advice = (
            f"{need.parameter}={fitting} would fit"
            if fitting
            else (f"even {need.parameter}=1 would not fit: train smaller networks, or on the CPU")
        )
        return (
            f"{need.parameter}={need.rows} does not fit into the {capacity / 2**30:.1f} GiB of the "
            f"GPU; {advice}"
        )

    def state(self) -> dict[str, Tensor]:
        """See ``Adversary``."""
        found = {"rng": self.rng.get_state()}
        parts: dict[str, nn.Module | Moments] = {
            **{f"net.{name}": network for name, network in self.networks.items()},
            **{f"adam.{name}": moments for name, moments in self.moments().items()},
        }
        for name, part in parts.items():
            found |= {f"{name}.{key}": tensor for key, tensor in part.state_dict().items()}
        return found

    def moments(self) -> Mapping[str, Moments]:
        """What the optimisers remember."""
        return self.optimisers

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See ``Adversary``."""
        self.rng.set_state(state["rng"])
        for name, network in self.networks.items():
            network.load_state_dict(_under(f"net.{name}.", state))
        for name, moments in self.moments().items():
            moments.load_state_dict(_under(f"adam.{name}.", state))

    def move(self, name: str, loss: Tensor, reg: float) -> dict[str, float]:
        """Move a network down the gradient of `loss` with half its squares times `reg` added.

        Returns
        -------
        dict
            The whole loss, and the norm of its gradient if asked for.
        """
        network = self.networks[name]
        parameters = list(network.parameters())
        penalty = 0.0
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters), strict=True
        ):
            parameter.grad = gradient
            if reg:
                gradient.add_(parameter.detach(), alpha=reg)
                penalty += reg / 2 * squares(parameter)
        found = {f"{name}_loss": loss.item() + penalty, **self.norms(name)}
        self.optimisers[name].step()
        return found

    def norms(self, name: str) -> dict[str, float]:
        """Norm of a network's gradient, if asked for."""
        if not self.gradient_norms:
            return {}
        parameters = self.networks[name].parameters()
        total_squares = sum(squares(p.grad) for p in parameters if p.grad is not None)
        return {f"{name}_gradient": float(total_squares) ** 0.5}


def squares(tensor: Tensor) -> float:
    """Sum of the squares of a vector or matrix, to the same bits for any number of threads."""
    tensor = tensor.detach()
    if tensor.dim() > 1:
        # Along the rows as they lie in memory, each by one thread.
        tensor = torch.linalg.vector_norm(tensor, dim=1)
    # Pieces short enough for one thread.
    return sum((piece**2).sum().item() for piece in torch.split(tensor, 4096))


def _silent(done: int, total: int, text: str = "", /) -> None:
    """A report that only the first rank makes."""


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Let torch use `n` threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _on(device: torch.device, tf32: bool) -> Iterator[None]:
    """Queue on a GPU within the block, where products of matrices may round their factors."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        # Kernels that are not torch's go to the current device, whatever they are given.
        with torch.cuda.device(device):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def autoencoder(network: Perceptron, activation: str, block: int = 0) -> Autoencoder:
    """A generator over profiles in the form that ranks, without torch."""

    def array(tensor: Tensor) -> NDArray[np.float32]:
        return tensor.numpy(force=True).copy()

    return Autoencoder(
        array(network.first[0]),
        tuple(map(array, network.inner)),
        tuple(map(array, network.biases)),
        array(network.output),
        array(network.output_bias),
        activation,
        block,
    )
