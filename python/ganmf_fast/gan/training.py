"""One training run of GANMF: networks, optimisers and step put together from a model's settings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.dense import DenseStep, LossWeights
from ganmf_fast.gan.exact import ExactStep, d_costs
from ganmf_fast.gan.networks import Discriminator, Generator
from ganmf_fast.gan.trainer import Losses, Outcome, Schedule, Trainer
from ganmf_fast.progress import Report
from ganmf_fast.threads import get_num_threads

if TYPE_CHECKING:
    from ganmf_fast.gan.ganmf import GANMF

# Multiplications of a step below which threads wait for each other longer than they work, much
# longer on a busy machine. The weights do not depend on the number of threads.
_WORTH_THREADS = 10**8


def find_device(name: str) -> torch.device:
    """The device called `name`.

    Raises
    ------
    ValueError
        If it is a GPU that torch does not find.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if available else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= available:
        raise ValueError(
            f'device is "{name}" but torch finds {available or "no"} CUDA '
            f'GPU{"s" if available > 1 else ""}; use device="cpu"'
        )
    return device


class Training:
    """GANMF on the rows of `profiles`, with the settings of `model`; an ``Adversary``."""

    def __init__(self, model: "GANMF", profiles: Csr) -> None:
        device = find_device(model.device)
        self._rng = torch.Generator().manual_seed(model.seed)
        # Drawn on the CPU, so that every device starts from the same weights.
        shape = (profiles.n_rows, profiles.n_cols, model.num_factors)
        self._generator = Generator(*shape, self._rng).to(device)
        self._discriminator = Discriminator(profiles.n_cols, model.emb_dim, self._rng).to(device)
        self._d_adam = TensorFlowAdam(self._discriminator.parameters(), model.d_lr)
        self._g_adam = TensorFlowAdam(self._generator.parameters(), model.g_lr)
        self._batches = Batches(profiles, model.batch_size, device)
        weights = LossWeights(model.m, model.recon_coefficient, model.d_reg, model.g_reg)
        self._step: DenseStep | ExactStep
        if model.step == "dense":
            self._step = DenseStep(self._generator, self._discriminator, weights)
        else:
            self._step = ExactStep(
                self._generator,
                self._discriminator,
                weights,
                len(self._batches),
                "narrow" if model.step == "exact" else "auto",
            )
        self._schedule = Schedule(
            model.epochs, model.d_steps, model.g_steps, model.freq, model.allow_worse
        )
        self._n_rows = profiles.n_rows
        batch = min(model.batch_size, profiles.n_rows)
        work = min(d_costs(batch, profiles.n_cols, model.emb_dim, model.num_factors))
        self._n_threads = 1 if work < _WORTH_THREADS else get_num_threads()

    def run(self, validate: Callable[[], float] | None, report: Report) -> Outcome:
        """Train to the end of the schedule."""
        with _threads(self._n_threads):
            return Trainer(self, self._n_rows, self._cut, self._schedule, self._rng, validate).run(
                report
            )

    def factors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Factors of the rows and of the columns of `profiles`, as they are now."""
        rows, cols = (tensor.numpy(force=True).copy() for tensor in self.weights())
        return rows, cols

    def _cut(self, order: NDArray[np.int64]) -> list[Batch]:
        return list(self._batches.ordered(order))

    def start_pass(self) -> None:
        """See ``Adversary``."""
        self._step.start_pass()

    def train_d(self, batch: Batch) -> Losses:
        """See ``Adversary``."""
        losses = self._step.discriminator_step(batch)
        self._d_adam.step()
        return losses

    def train_g(self, batch: Batch) -> Losses:
        """See ``Adversary``."""
        losses = self._step.generator_step(batch)
        self._g_adam.step()
        return losses

    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """See ``Adversary``."""
        return self._generator.user_factors.detach(), self._generator.item_factors.detach()


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Let torch use `n` threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
