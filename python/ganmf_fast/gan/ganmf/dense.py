"""The arithmetic of GANMF by definition: dense batches and automatic differentiation.

Objective: with the energy E of :mod:`~ganmf_fast.gan.networks`, real profiles x and generated ones
f = G(u) of one batch,

- ``L_D = E(x) + max(0, m E(x) - E(f)) + d_reg l2(D)``, the hinge on the two means of the batch,
- ``L_G = (1 - a) E(f) + a MSE(Enc(x), Enc(f)) + g_reg l2(G)``, a the `recon_coefficient`,

``l2(v) = 1/2 sum v^2`` over all parameters; that of G may weigh the rows of its factors. User
factors are parameters, or solved (:mod:`~ganmf_fast.gan.ganmf.closed_form`); solved ones have the
mean of ``|p|^2`` over the batch in the penalty, and are constants of the gradients, which is exact,
since the derivative by them is zero where they are the best. A
generated profile is target and input of the energy at once, and L_G is differentiated through both.
The second term of L_G is the published `matching`, "features"; "reconstruction" has
``a MSE(Dec(Enc(x)), f)`` in its place, and "decoder" ``a MSE(Dec(Enc(x)), Dec(Enc(f)))``.
"leave-one-out" is "reconstruction" with ``Dec(Enc(x)) - x * diag(We Wd)``, in which each item of x
is reconstructed from the other ones: what is said of it by itself is left out, as held-out items
have it, and as zero diagonals do in linear models (Steck, "Embarrassingly shallow autoencoders for
sparse data", WWW'19).

Some cells of a real profile may be hidden from the discriminator's input, each with probability p,
but not from its target. The error of a hidden one then weighs 1 and of another one b, divided by
their mean ``w0 = p + b (1 - p)``. A zero that is hidden changes no input, so that each zero has the
weight that it has on average, which is 1 after the division, and only nonzeros are drawn.
Source: Dervishaj and Cremonesi (SAC'22), as their published code computes it. Deviation: the
paper's text has sums instead of means, a hinge for every sample and no halves; the published
figures come from the form above. Emphasised denoising is that of Vincent et al. (JMLR 11, 2010) and
of Steck's EDLAE ("Autoencoders that don't overfit towards the identity", NeurIPS'20).
Cost: ``O(batch items (E + K))`` time, ``O(batch items)`` memory: the reference implementation of
:mod:`~ganmf_fast.gan.ganmf.exact`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganmf_fast.gan.batches import Batch
from ganmf_fast.gan.distributed import ProcessGroup
from ganmf_fast.gan.ganmf.closed_form import BestFactors, Grams, best_factors, profile_inputs
from ganmf_fast.gan.networks import Discriminator, Generator, self_weights, total
from ganmf_fast.gan.settings import Matching


@dataclass(frozen=True)
class LossWeights:
    """The constants of the two losses, see above."""

    m: float
    recon_coefficient: float
    d_reg: float
    g_reg: float
    matching: Matching = "features"
    d_dropout: float = 0.0
    d_emphasis: float = 1.0
    solved: bool = False

    def best_factors(self, grams: Grams, encoder_bias: Tensor, n_items: int) -> BestFactors:
        """What gives the factors of a profile where these are solved."""
        a, g_reg = self.recon_coefficient, self.g_reg
        return best_factors(grams, encoder_bias, n_items, a, g_reg, self.matching)

    @property
    def emphasis(self) -> tuple[float, float] | None:
        """Weights of hidden and of other nonzeros, that of a zero being one; None if all are."""
        hidden, b = self.d_dropout, self.d_emphasis
        if hidden == 0 or b == 1:
            return None
        mean = hidden + b * (1 - hidden)
        return 1 / mean, b / mean

    def of_nonzeros(self, seen: Batch | None) -> Tensor | None:
        """The weights of the nonzeros of a batch of which the discriminator sees `seen`."""
        if self.emphasis is None or seen is None or seen.kept is None:
            return None
        return seen.values.new_tensor(self.emphasis)[seen.kept.long()]


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
            generated = self._factors(batch) @ self._generator.item_factors.T
        real, weights = batch.dense(), self._weights.of_nonzeros(seen)
        if weights is not None:
            cells = torch.ones_like(real)
            cells[batch.row_numbers, batch.items] = weights
            weights = cells
        shown = None if seen is None else seen.dense()
        real_energy = self._energy(batch, real, shown, weights)
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
        D, matching = self._discriminator, self._weights.matching
        with torch.no_grad():
            real = batch.dense()
            target = D.encode(real)
            if matching != "features":
                target = D.decode(target)
            if matching == "leave-one-out":
                target -= real * self_weights(D.encoder, D.decoder)
        factors = self._factors(batch)
        generated = factors @ self._generator.item_factors.T
        energy = self._energy(batch, generated)
        matched = generated
        if matching in ("features", "decoder"):
            matched = D.encode(generated)
        if matching == "decoder":
            matched = D.decode(matched)
        difference = matched - target
        squares = self._group.differentiable_sum(total(difference**2))
        features = squares / (batch.whole.rows * difference.shape[1])
        a = self._weights.recon_coefficient
        loss = (1 - a) * energy + a * features
        if self._weights.solved:
            lengths = self._group.differentiable_sum(total(factors**2))
            loss += self._weights.g_reg * lengths / batch.whole.rows
        loss = self._differentiate(loss, self._weights.g_reg, self._generator)
        return {"g_loss": loss.item(), "feature_loss": features.item()}

    def _factors(self, batch: Batch) -> Tensor:
        """The user factors of the batch."""
        if not self._weights.solved:
            return self._generator.user_factors[batch.users]
        D, Q = self._discriminator, self._generator.item_factors
        with torch.no_grad():
            grams = Grams.of(Q, D.encoder, D.decoder)
            best = self._weights.best_factors(grams, D.encoder_bias, batch.n_items)
            inputs = profile_inputs(Q, D.encoder, D.decoder, self._weights.matching)
            return best.of(batch.dense() @ matrix for matrix in inputs)

    def start_pass(self) -> None:
        """Nothing is kept between batches."""

    def _energy(
        self,
        batch: Batch,
        profiles: Tensor,
        seen: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Mean squared error of the reconstruction over the whole batch."""
        squares = self._discriminator.squared_error(profiles, seen, weights)
        squares = self._group.differentiable_sum(squares)
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
