"""What trains GANMF by a batch: one interface for all devices and kinds of arithmetic."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ganmf_fast.gan.adam import Moments, TensorFlowAdam
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.distributed import ProcessGroup
from ganmf_fast.gan.ema import Average
from ganmf_fast.gan.ganmf.dense import DenseStep
from ganmf_fast.gan.ganmf.exact import ExactStep
from ganmf_fast.gan.networks import Discriminator, Generator, gradient_norm
from ganmf_fast.gan.settings import GANMFSettings


class Steps(ABC):
    """Batches of an epoch, and the training of either network on one of them.

    Attributes
    ----------
    optimisers : mapping of str to Moments
    matrices : int
        Matrices of batch x items that a step has in memory.
    """

    optimisers: Mapping[str, Moments]
    matrices: int

    @abstractmethod
    def batches(self, order: NDArray[np.int64]) -> Sequence[Any]:
        """The batches of an epoch, whose rows are in `order`."""

    @abstractmethod
    def start_pass(self) -> None:
        """Begin a pass of one network over the batches."""

    @abstractmethod
    def train_d(self, batch: Any) -> dict[str, float]:
        """Update the discriminator; its losses."""

    @abstractmethod
    def train_g(self, batch: Any) -> dict[str, float]:
        """Update the generator; its losses."""


class GradientSteps(Steps):
    """Batch by batch: the gradients of `arithmetic`, then a step of Adam.

    Batches are divided among the processes of `group`; `rng` is for dropout, and `average` includes
    the generator after each of its steps.
    """

    def __init__(
        self,
        arithmetic: DenseStep | ExactStep,
        generator: Generator,
        discriminator: Discriminator,
        settings: GANMFSettings,
        batches: Batches,
        group: ProcessGroup,
        rng: torch.Generator,
        average: Average | None,
    ) -> None:
        self._arithmetic = arithmetic
        self._generator, self._discriminator = generator, discriminator
        self._dropout, self._gradient_norms = settings.d_dropout, settings.gradient_norms
        self._batches = batches
        self._group = group
        self._rng = rng
        self._average = average
        # Dense: both profiles, both reconstructions and what differentiation keeps of them.
        exact = 4 if settings.matching == "reconstruction" else 3
        self.matrices = 8 if settings.step == "dense" else exact
        self._adam = {
            "d": TensorFlowAdam(discriminator.parameters(), settings.d_lr),
            "g": TensorFlowAdam(generator.parameters(), settings.g_lr),
        }
        self.optimisers = self._adam

    def batches(self, order: NDArray[np.int64]) -> list[Batch]:
        """See ``Steps``."""
        batches = list(self._batches.ordered(order))
        if self._group.size > 1:
            batches = [batch.part(self._group.part(batch.size)) for batch in batches]
        return batches

    def start_pass(self) -> None:
        """See ``Steps``."""
        self._arithmetic.start_pass()

    def train_d(self, batch: Batch) -> dict[str, float]:
        """See ``Steps``."""
        seen = batch.dropped(self._dropout, self._rng) if self._dropout else None
        losses = self._arithmetic.discriminator_step(batch, seen)
        return self._updated("d", self._discriminator, losses)

    def train_g(self, batch: Batch) -> dict[str, float]:
        """See ``Steps``."""
        losses = self._arithmetic.generator_step(batch)
        losses = self._updated("g", self._generator, losses)
        if self._average is not None:
            self._average.add(self._generator)
        return losses

    def _updated(self, name: str, network: nn.Module, losses: dict[str, float]) -> dict[str, float]:
        """Losses, after a step of Adam with the sum of the gradients of all processes."""
        self._group.all_reduce(p.grad for p in network.parameters())
        if self._gradient_norms:
            losses[f"{name}_gradient"] = gradient_norm(network)
        self._adam[name].step()
        return losses
