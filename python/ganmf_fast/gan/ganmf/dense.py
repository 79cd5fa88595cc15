"""The arithmetic of GANMF by definition: dense batches and automatic differentiation.

Objective: with the energy E of :mod:`~ganmf_fast.gan.networks`, real profiles x and generated ones
f = G(u) of one batch,

- ``L_D = E(x) + max(0, m E(x) - E(f)) + d_reg l2(D)``, the hinge on the two means of the batch,
- ``L_G = (1 - a) E(f) + a MSE(Enc(x), Enc(f)) + g_reg l2(G)``, a the `recon_coefficient`,

``l2(v) = 1/2 sum v^2`` over all parameters; that of G may weigh the rows of its factors. A
generated profile is target and input of the energy at once, and L_G is differentiated through both.
Some nonzeros of a real profile may be hidden from the discriminator's input, not from its target.
Source: Dervishaj and Cremonesi (SAC'22), as their published code computes it. Deviation: the
paper's text has sums instead of means, a hinge for every sample and no halves; the published
figures come from the form above.
Cost: ``O(batch items (E + K))`` time, ``O(batch items)`` memory: the reference implementation of
:mod:`~ganmf_fast.gan.ganmf.exact`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganmf_fast.gan.batches import Batch
from ganmf_fast.gan.distributed import ProcessGroup
from ganmf_fast.gan.networks import Discriminator, Generator, total


@dataclass(frozen=True)
class LossWeights:
    """The constants of the two losses, see above."""

    m: float
    recon_coefficient: float
    d_reg: float
    g_reg: float


class DenseStep:
    """Losses of one batch; each call leaves the gradients of one network in its ``grad``.

    Each rank of the `group` gets its part of the batch; losses are those of the whole, and the
    gradients of the whole are the sum of those of the ranks.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        weights: LossWeights,
        group: ProcessGroup | None = None,
    ) -> None:
        self._generator = generator
        self._discriminator = discriminator
        self._weights = weights
        self._group = group or ProcessGroup()

    def discriminator_step(self, batch: Batch, seen: Batch | None = None) -> dict[str, float]:
        """L_D and its gradients; `seen` is the input of D, if not the whole real profiles."""
        with torch.no_grad():
            generated = self._generator(batch.users)
        real = batch.dense()
        real_energy = self._energy(batch, real, None if seen is None else seen.dense())
        generated_energy = self._energy(batch, generated)
        hinge = self._weights.m * real_energy - generated_energy
        loss = real_energy + torch.relu(hinge)
        loss = self._differentiate(loss, self._weights.d_reg, self._discriminator)
        return {
            "d_loss": loss.item(),
            "real_energy": real_energy.item(),
            "generated_energy": generated_energy.item(),
            "hinge_active": float(hinge.item() > 0),
        }

    def generator_step(self, batch: Batch) -> dict[str, float]:
        """L_G and its gradients."""
        with torch.no_grad():
            real_features = self._discriminator.encode(batch.dense())
        generated = self._generator(batch.users)
        energy = self._energy(batch, generated)
        difference = self._discriminator.encode(generated) - real_features
        squares = self._group.differentiable_sum(total(difference**2))
        features = squares / (batch.whole.rows * difference.shape[1])
        a = self._weights.recon_coefficient
        loss = (1 - a) * energy + a * features
        loss = self._differentiate(loss, self._weights.g_reg, self._generator)
        return {"g_loss": loss.item(), "feature_loss": features.item()}

    def start_pass(self) -> None:
        """Nothing is kept between batches."""

    def _energy(self, batch: Batch, profiles: Tensor, seen: Tensor | None = None) -> Tensor:
        """Mean squared error of the reconstruction over the whole batch."""
        squares = self._group.differentiable_sum(self._discriminator.squared_error(profiles, seen))
        return squares / (batch.whole.rows * batch.n_items)

    def _differentiate(
        self, loss: Tensor, reg: float, network: Generator | Discriminator
    ) -> Tensor:
        """The loss with its penalty, of which each rank differentiates an equal part."""
        penalty = reg * network.squares()
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(loss + penalty / self._group.size, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return (loss + penalty).detach()
