"""One training run of CFGAN: a generator of profiles from profiles, judged beside the profile.

Objective: with a generator G and a discriminator D that are perceptrons, a profile x, and
``f = G(x) e``, cell by cell,

- ``L_D = BCE(D(x, x), 1) + BCE(D(x, f), 0) + d_reg l2(D)``,
- ``L_G = BCE(D(x, f), 1) + g_reg l2(G) + zr_coefficient mean over users of the sum over ZR of
  G(x)^2``,

where an epoch draws for every user, uniformly and without replacement from the items the profile
does not hold, a set ZR of ``floor(zr_ratio n)`` and a set PM of ``floor(zp_ratio n)`` of the n
items. The scheme says which are used: "ZR" has e = x and the ZR term; "PM" has ones in e at PM
too, and no ZR term; "ZP" has both.
Source: Chae et al., "CFGAN: a generic collaborative filtering framework based on generative
adversarial networks" (CIKM'18), as the published code of Dervishaj and Cremonesi (SAC'22) trains
it.
Deviation: as published, which `published_quirks` turns on, `zr_ratio` is the share of PM too, and
users are never shuffled.
Known: the generator sees the very profile it is to make, and no noise, so it can learn to copy it
(Perez Maurera et al., ECIR'22). ``adversarial=False`` is the control without a discriminator: in
place of its opinion stands ``mean over users of the sum over x of (G(x) - x)^2``.
Cost: a pass with e = x needs G(x) only where x is not zero: ``O(nnz nodes)``, no batch x items
matrix. The ZR term and PM are dense: ``O(batch items g_nodes)`` time and ``O(batch items)`` memory.
Masks are made again for each batch, from the epoch, the row and the seed.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import embedding

from ganmf_fast._core import Csr, mask_unobserved
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.matmul import affine
from ganmf_fast.gan.networks import ACTIVATIONS, Perceptron, mean_cosine
from ganmf_fast.gan.players import Footprint, Players, autoencoder
from ganmf_fast.gan.sparse_ops import masked_squares, sampled, times, weighted
from ganmf_fast.gan.trainer import Losses, Pass
from ganmf_fast.scorers.autoencoder import Autoencoder
from ganmf_fast.scorers.base import Factors

if TYPE_CHECKING:
    from ganmf_fast.gan.cfgan import CFGAN

# The paper of CFGAN has it.
_BIAS_BOUND = 0.01


class CfganPlayers(Players):
    """CFGAN on the rows of `profiles`, with the settings of `model`."""

    def __init__(self, model: "CFGAN", profiles: Csr) -> None:
        super().__init__(model, profiles)
        self._model = model
        items = profiles.n_cols
        self.generator = Perceptron(
            (items,),
            model.g_nodes,
            model.g_layers,
            items,
            ACTIVATIONS[model.g_hidden_act],
            self.rng,
            _BIAS_BOUND,
        ).to(self.device)
        self.discriminator = Perceptron(
            (items, items),
            model.d_nodes,
            model.d_layers,
            1,
            ACTIVATIONS[model.d_hidden_act],
            self.rng,
            _BIAS_BOUND,
        ).to(self.device)
        self.networks = {"g": self.generator, "d": self.discriminator}
        self.optimisers = {
            "d": TensorFlowAdam(self.discriminator.parameters(), model.d_lr),
            "g": TensorFlowAdam(self.generator.parameters(), model.g_lr),
        }
        self._sizes = [min(n, profiles.n_rows) for n in (model.d_batch_size, model.g_batch_size)]
        self._batches = [Batches(profiles, n, self.device) for n in self._sizes]
        self._zr_ratio = model.zr_ratio if model.scheme in {"ZR", "ZP"} else 0.0
        pm = model.zr_ratio if model.published_quirks else model.zp_ratio
        self._pm_ratio = pm if model.scheme in {"PM", "ZP"} else 0.0
        self._buffers: dict[str, torch.Tensor] = {}
        self._epoch = 0

    def passes(self, epoch: int) -> Iterator[Pass]:
        """See ``Adversary``."""
        self._epoch = epoch
        n = self.profiles.n_rows
        order = np.arange(n)
        if not self._model.published_quirks:
            order = torch.randperm(n, generator=self.rng).numpy()
        d_batches, g_batches = (list(batches.ordered(order)) for batches in self._batches)
        if self._model.adversarial:
            for _ in range(self._model.d_steps):
                yield Pass("d", self.train_d, d_batches)
        for _ in range(self._model.g_steps):
            yield Pass("g", self.train_g, g_batches)

    def train_d(self, batch: Batch) -> Losses:
        """Move the discriminator."""
        D = self.discriminator
        with torch.no_grad():
            hidden = self._hidden(batch)
            profiles = self.generator.head(hidden) if self._pm_ratio else None
        condition = times(batch, D.first[0])
        real = D.head(D.hidden(condition + times(batch, D.first[1])))
        made = D.head(D.hidden(condition + self._made(batch, hidden, profiles)))
        loss = cross_entropy(real, torch.ones_like(real))
        loss = loss + cross_entropy(made, torch.zeros_like(made))
        with torch.no_grad():
            scores = {
                "real_score": real.sigmoid().mean().item(),
                "made_score": made.sigmoid().mean().item(),
            }
        return {**self.move("d", loss, self._model.d_reg), **scores}

    def train_g(self, batch: Batch) -> Losses:
        """Move the generator."""
        D, G, model = self.discriminator, self.generator, self._model
        pull = self._zr_ratio * model.zr_coefficient
        hidden = self._hidden(batch)
        profiles = G.head(hidden) if pull or (self._pm_ratio and model.adversarial) else None
        if model.adversarial:
            with torch.no_grad():
                condition = batch.times(D.first[0])
            made = D.head(D.hidden(condition + self._made(batch, hidden, profiles)))
            loss = cross_entropy(made, torch.ones_like(made))
        else:
            loss = (self._cells(batch, hidden) - batch.values).square().sum() / batch.size
        losses = {}
        if pull and profiles is not None:
            mask = self._mask("zr", batch, self._zr_ratio)
            zr = masked_squares(profiles, mask) / batch.size
            losses["zr_loss"] = zr.item()
            loss = loss + model.zr_coefficient * zr
        return {**self.move("g", loss, model.g_reg), **losses}

    def _hidden(self, batch: Batch) -> Tensor:
        return self.generator.hidden(times(batch, self.generator.first[0]))

    def _cells(self, batch: Batch, hidden: Tensor) -> Tensor:
        """G(x) where x has cells."""
        G = self.generator
        # Indexing would add gradients up in an order that depends on the threads.
        bias = embedding(batch.items, G.output_bias[:, None])[:, 0]
        return sampled(batch, hidden, G.output) + bias

    def _made(self, batch: Batch, hidden: Tensor, profiles: Tensor | None) -> Tensor:
        """The made profiles times the discriminator's kernel for them."""
        kernel = self.discriminator.first[1]
        if profiles is None or not self._pm_ratio:
            return weighted(batch, self._cells(batch, hidden) * batch.values, kernel)
        return affine(profiles * self._mask("pm", batch, self._pm_ratio), kernel.T)

    def _mask(self, name: str, batch: Batch, ratio: float) -> Tensor:
        """Ones at the sampled items of each row of the batch; in PM, its cells as well."""
        if name not in self._buffers:
            self._buffers[name] = torch.empty(max(self._sizes), self.profiles.n_cols)
        out = self._buffers[name][: batch.size]
        mask_unobserved(
            self.profiles,
            batch.numbers,
            ratio,
            self._model.seed,
            # Two sets an epoch.
            2 * self._epoch + (name == "pm"),
            out.numpy(),
            keep_observed=name == "pm",
        )
        return out.to(self.device)

    def weights(self) -> list[Tensor]:
        """See ``Adversary``."""
        return [parameter.detach() for parameter in self.generator.parameters()]

    @torch.no_grad()
    def diagnose(self) -> Losses:
        """See ``Adversary``."""
        batch = self._batches[0].whole(self.sample)
        return mean_cosine(self.generator.head(self._hidden(batch)))

    def scorer(self) -> Autoencoder | Factors:
        """See ``Players``.

        In item mode the profiles that a user's scores are read from are those of all items, so
        that nothing but their last hidden layers is needed.
        """
        form = autoencoder(self.generator, self._model.g_hidden_act)
        if self._model.mode == "user":
            return form
        return Factors(form.output_rows(), form.hidden(to_scipy(self.profiles)))

    def footprint(self) -> Footprint:
        """See ``Players``."""
        model, items = self._model, self.profiles.n_cols
        dense = 4 if self._zr_ratio or self._pm_ratio else 0
        per_row = 4 * (dense * items + 6 * model.g_layers * model.g_nodes)
        at = "d_batch_size" if self._sizes[0] > self._sizes[1] else "g_batch_size"
        return Footprint(16 * self.numbers(), per_row, at, max(self._sizes))

    def numbers(self) -> int:
        """Numbers that are learned."""
        return sum(p.numel() for net in self.networks.values() for p in net.parameters())

    def work(self) -> int:
        """See ``Players``."""
        return max(self._sizes) * self.profiles.n_cols * self._model.g_nodes // 4
