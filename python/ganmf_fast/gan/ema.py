"""Averaged weights of a generator."""

import torch
from torch import Tensor, nn

from ganmf_fast.gan.networks import Generator


class Average(nn.Module):
    """A running average of a generator's factors: of step t with weight ``max(1 - decay, 1/t)``."""

    user_factors: Tensor
    item_factors: Tensor
    steps: Tensor

    def __init__(self, generator: Generator, decay: float) -> None:
        super().__init__()
        self.register_buffer("user_factors", generator.user_factors.detach().clone())
        self.register_buffer("item_factors", generator.item_factors.detach().clone())
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._decay = decay

    @torch.no_grad()
    def add(self, generator: Generator) -> None:
        """Include the weights after one more step."""
        self.steps += 1
        # On the device, where reading the number of steps would hold up the queue of kernels.
        weight = (1 / self.steps).clamp(min=1 - self._decay)
        self.user_factors.lerp_(generator.user_factors, weight)
        self.item_factors.lerp_(generator.item_factors, weight)
