"""CFGAN's module: a generator of profiles from profiles, discriminated beside the profile.

Objective: with a generator G and a discriminator D that are perceptrons, a profile x, and
``f = G(x) e``, entry by entry,

- ``L_D = BCE(D(x, x), 1) + BCE(D(x, f), 0) + d_reg l2(D)``,
- ``L_G = BCE(D(x, f), 1) + g_reg l2(G) + zr_coefficient mean over users of the sum over ZR of
  G(x)^2``,

where an epoch draws for every user, uniformly and without replacement from the n items the profile
does not hold, a set ZR of ``floor(zr_ratio n)`` and a set PM of ``floor(zp_ratio n)``. The scheme
is which are used: "ZR" has e = x and the ZR term; "PM" has ones in e at PM too, and no ZR term;
"ZP" has both.
Source: Chae et al., "CFGAN: a generic collaborative filtering framework based on generative
adversarial networks" (CIKM'18), as the published code of Dervishaj and Cremonesi (SAC'22) trains
it.
Deviation: as published, which `published_quirks` turns on, `zr_ratio` is the fraction of PM too,
and users are never shuffled.
Known: the input of the generator is the profile it is to generate, and no noise, so it can learn to
copy it (Perez Maurera et al., ECIR'22). ``adversarial=False`` is the control without a
discriminator: in place of its loss is ``mean over users of the sum over x of (G(x) - x)^2``.
Cost: a pass with e = x needs G(x) only where x is not zero: ``O(nnz nodes)``, no batch x items
matrix. The ZR term and PM are dense: ``O(batch items g_nodes)`` time and ``O(batch items)`` memory.
Masks are drawn again for each batch, from the epoch, the row and the seed.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import embedding

from ganmf_fast._core import Csr, mask_unobserved
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.device import Footprint
from ganmf_fast.gan.matmul import affine
from ganmf_fast.gan.module import GANModule, Losses, autoencoder_scorer, discriminator_loss
from ganmf_fast.gan.networks import ACTIVATIONS, Perceptron, mean_cosine
from ganmf_fast.gan.settings import CFGANSettings
from ganmf_fast.gan.sparse_ops import masked_squares, sampled, times, weighted
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.factors import Factors

# As in the paper of CFGAN.
_BIAS_BOUND = 0.01


class CFGANModule(GANModule):
    """CFGAN on the rows of `profiles`."""

    def __init__(self, settings: CFGANSettings, profiles: Csr) -> None:
        super().__init__(settings, profiles)
        self._settings = settings
        items = profiles.n_cols
        self.generator = Perceptron(
            (items,),
            settings.g_nodes,
            settings.g_layers,
            items,
            ACTIVATIONS[settings.g_hidden_act],
            self.rng,
            _BIAS_BOUND,
        ).to(self.device)
        self.discriminator = Perceptron(
            (items, items),
            settings.d_nodes,
            settings.d_layers,
            1,
            ACTIVATIONS[settings.d_hidden_act],
            self.rng,
            _BIAS_BOUND,
        ).to(self.device)
        self.networks = {"g": self.generator, "d": self.discriminator}
        self.optimisers = {
            "d": TensorFlowAdam(self.discriminator.parameters(), settings.d_lr),
            "g": TensorFlowAdam(self.generator.parameters(), settings.g_lr),
        }
        self._sizes = [
            min(n, profiles.n_rows) for n in (settings.d_batch_size, settings.g_batch_size)
        ]
        self._batches = [Batches(profiles, n, self.device) for n in self._sizes]
        self._zr_ratio = settings.zr_ratio if settings.scheme in {"ZR", "ZP"} else 0.0
        pm = settings.zr_ratio if settings.published_quirks else settings.zp_ratio
        self._pm_ratio = pm if settings.scheme in {"PM", "ZP"} else 0.0
        self._buffers: dict[str, torch.Tensor] = {}
        self._epoch = 0

    def epoch(self, number: int) -> Iterator[tuple[str, list[Batch]]]:
        """See ``GANModule``: D over all its batches, then G over its own."""
        settings = self._settings
        self._epoch = number
        shuffle = not settings.published_quirks
        order = self.shuffled() if shuffle else np.arange(self.profiles.n_rows)
        d_batches, g_batches = (list(batches.ordered(order)) for batches in self._batches)
        if settings.adversarial:
            for _ in range(settings.d_steps):
                yield "d", d_batches
        for _ in range(settings.g_steps):
            yield "g", g_batches

    def train_d(self, batch: Batch) -> Losses:
        """Update the discriminator."""
        D = self.discriminator
        with torch.no_grad():
            hidden = self._hidden(batch)
            profiles = self.generator.head(hidden) if self._pm_ratio else None
        condition = times(batch, D.first[0])
        real = D.head(D.hidden(condition + times(batch, D.first[1])))
        generated = D.head(D.hidden(condition + self._generated(batch, hidden, profiles)))
        loss, scores = discriminator_loss(real, generated)
        return {**self.adam_step("d", loss, self._settings.d_reg), **scores}

    def train_g(self, batch: Batch) -> Losses:
        """Update the generator."""
        D, G, settings = self.discriminator, self.generator, self._settings
        has_zr = bool(self._zr_ratio * settings.zr_coefficient)
        hidden = self._hidden(batch)
        has_pm = bool(self._pm_ratio and settings.adversarial)
        profiles = G.head(hidden) if has_zr or has_pm else None
        if settings.adversarial:
            with torch.no_grad():
                condition = batch.times(D.first[0])
            generated = D.head(D.hidden(condition + self._generated(batch, hidden, profiles)))
            loss = cross_entropy(generated, torch.ones_like(generated))
        else:
            loss = (self._at_nonzeros(batch, hidden) - batch.values).square().sum() / batch.size
        losses = {}
        if has_zr and profiles is not None:
            mask = self._mask("zr", batch, self._zr_ratio)
            zr = masked_squares(profiles, mask) / batch.size
            losses["zr_loss"] = zr.item()
            loss = loss + settings.zr_coefficient * zr
        return {**self.adam_step("g", loss, settings.g_reg), **losses}

    def _hidden(self, batch: Batch) -> Tensor:
        return self.generator.hidden(times(batch, self.generator.first[0]))

    def _at_nonzeros(self, batch: Batch, hidden: Tensor) -> Tensor:
        """G(x) at the nonzeros of x."""
        G = self.generator
        # Indexing would add gradients up in an order that depends on the threads.
        bias = embedding(batch.items, G.output_bias[:, None])[:, 0]
        return sampled(batch, hidden, G.output) + bias

    def _generated(self, batch: Batch, hidden: Tensor, profiles: Tensor | None) -> Tensor:
        """The generated profiles times the discriminator's kernel for them."""
        kernel = self.discriminator.first[1]
        if profiles is None or not self._pm_ratio:
            return weighted(batch, self._at_nonzeros(batch, hidden) * batch.values, kernel)
        return affine(profiles * self._mask("pm", batch, self._pm_ratio), kernel.T)

    def _mask(self, name: str, batch: Batch, ratio: float) -> Tensor:
        """Ones at the sampled items of each row of the batch; in PM, at its nonzeros as well."""
        if name not in self._buffers:
            self._buffers[name] = torch.empty(max(self._sizes), self.profiles.n_cols)
        out = self._buffers[name][: batch.size]
        mask_unobserved(
            self.profiles,
            batch.numbers,
            ratio,
            self._settings.seed,
            # Two sets an epoch.
            2 * self._epoch + (name == "pm"),
            out.numpy(),
            keep_observed=name == "pm",
        )
        return out.to(self.device)

    @torch.no_grad()
    def diagnose(self) -> Losses:
        """See ``GANModule``."""
        batch = self._batches[0].whole(self.sample)
        return mean_cosine(self.generator.head(self._hidden(batch)))

    def scorer(self) -> Scorer:
        """See ``GANModule``.

        In item mode a user's scores are read from the generated profiles of all items, of which
        only the last hidden layers are needed.
        """
        form = autoencoder_scorer(self.generator, self._settings.g_hidden_act)
        if not self._settings.by_item:
            return form
        return Factors(form.output_rows, form.hidden(to_scipy(self.profiles)))

    def footprint(self) -> Footprint:
        """See ``GANModule``."""
        settings, items = self._settings, self.profiles.n_cols
        dense = 4 if self._zr_ratio or self._pm_ratio else 0
        per_row = 4 * (dense * items + 6 * settings.g_layers * settings.g_nodes)
        at = "d_batch_size" if self._sizes[0] > self._sizes[1] else "g_batch_size"
        return Footprint(16 * self.n_parameters(), per_row, at, max(self._sizes))

    def multiplications(self) -> int:
        """See ``GANModule``."""
        return max(self._sizes) * self.profiles.n_cols * self._settings.g_nodes // 4
