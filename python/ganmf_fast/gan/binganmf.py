"""binGANMF's module: GANMF with a discriminator that classifies profiles as real or generated.

Objective: with the logit D and the last hidden layer h of a perceptron over profiles, real profiles
x and generated ones f = G(u),

- ``L_D = BCE(D(x), 1) + BCE(D(f), 0) + d_reg l2(D)``,
- ``L_G = BCE(D(f), 1) + a MSE(h(x), h(f)) + g_reg l2(G)``, a the `recon_coefficient`.

Source: Dervishaj and Cremonesi (SAC'22), table 3, as their published code computes it.
Deviation: as published, which `published_quirks` turns on, the generator's label is 0, so that it
is trained to be recognised, and the number of the row is one more input of the discriminator.
Cost: the first layer is linear, so a generated profile enters as ``P_b (Q^T K)`` or
``(P_b Q^T) K``, whichever takes fewer multiplications; real ones are sparse.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import mse_loss

from ganmf_fast._core import Csr
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.device import Footprint
from ganmf_fast.gan.matmul import affine
from ganmf_fast.gan.module import (
    GANModule,
    Losses,
    array_of,
    discriminator_loss,
    factors_scorer,
)
from ganmf_fast.gan.networks import ACTIVATIONS, Generator, Perceptron, mean_cosine_of_factors
from ganmf_fast.gan.settings import BinGANMFSettings
from ganmf_fast.gan.sparse_ops import times
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.perceptron_map import PerceptronMap


class BinGANMFModule(GANModule):
    """binGANMF on the rows of `profiles`."""

    def __init__(self, settings: BinGANMFSettings, profiles: Csr) -> None:
        super().__init__(settings, profiles)
        self._settings = settings
        self._quirks = settings.published_quirks
        users, items = profiles.n_rows, profiles.n_cols
        self.generator = Generator(users, items, settings.num_factors, self.rng).to(self.device)
        self.discriminator = Perceptron(
            (1, items) if self._quirks else (items,),
            settings.d_nodes,
            settings.d_layers,
            1,
            ACTIVATIONS[settings.d_hidden_act],
            self.rng,
        ).to(self.device)
        self.networks = {"g": self.generator, "d": self.discriminator}
        self.optimisers = {
            "d": TensorFlowAdam(self.discriminator.parameters(), settings.d_lr),
            "g": TensorFlowAdam(self.generator.parameters(), settings.g_lr),
        }
        self._batches = Batches(profiles, settings.batch_size, self.device)
        self._batch_size = min(settings.batch_size, users)
        narrow, wide = self._products()
        self._narrow = narrow < wide

    def epoch(self, number: int) -> Iterator[tuple[str, Sequence[Batch]]]:
        """See ``GANModule``: the rows once shuffled, D over all batches, then G over the same."""
        batches = list(self._batches.ordered(self.shuffled()))
        return self.alternated(batches, self._settings.d_steps, self._settings.g_steps)

    def outputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of real and of generated profiles, and their last hidden layers."""
        D, G = self.discriminator, self.generator
        kernel = D.first[-1]
        real = times(batch, kernel)
        rows = G.user_factors[batch.users]
        if self._narrow:
            generated = affine(rows, affine(kernel.T, G.item_factors.T))
        else:
            generated = affine(affine(rows, G.item_factors), kernel.T)
        if self._quirks:
            number = batch.users[:, None].to(kernel.dtype) * D.first[0]
            real, generated = real + number, generated + number
        h_real, h_generated = D.hidden(real), D.hidden(generated)
        return D.head(h_real), D.head(h_generated), h_real, h_generated

    def train_d(self, batch: Batch) -> Losses:
        """Update the discriminator."""
        real, generated, _, _ = self.outputs(batch)
        loss, scores = discriminator_loss(real, generated)
        return {**self.adam_step("d", loss, self._settings.d_reg), **scores}

    def train_g(self, batch: Batch) -> Losses:
        """Update the generator."""
        _, generated, h_real, h_generated = self.outputs(batch)
        label = torch.zeros_like(generated) if self._quirks else torch.ones_like(generated)
        features = mse_loss(h_generated, h_real.detach())
        loss = cross_entropy(generated, label) + self._settings.recon_coefficient * features
        losses = self.adam_step("g", loss, self._settings.g_reg)
        return {**losses, "feature_loss": features.item()}

    def diagnose(self) -> Losses:
        """See ``GANModule``."""
        rows, columns = self.weights()
        return mean_cosine_of_factors(rows, columns, self.sample)

    def scorer(self) -> Factors:
        """See ``GANModule``."""
        rows, columns = self.weights()
        return factors_scorer(rows, columns, self._settings.by_item)

    def companions(self) -> Sequence[Tensor]:
        """See ``GANModule``: the discriminator, by which users who were not fitted are judged."""
        if not self._settings.maps_profiles:
            return ()
        return [parameter.detach() for parameter in self.discriminator.parameters()]

    def profile_map(self) -> PerceptronMap | None:
        """See ``GANModule``. As published, a new user has the number of the next row."""
        s, D = self._settings, self.discriminator
        if not s.maps_profiles:
            return None
        users, items = (array_of(factors) for factors in self.weights())
        kernel, first_bias, *biases = map(array_of, (D.first[-1], *D.biases))
        if self._quirks:
            first_bias += self.profiles.n_rows * array_of(D.first[0])[0]
        with one_blas_thread():
            mixed = kernel.T.astype(np.float64) @ items
        return PerceptronMap(
            first=kernel,
            mixed=mixed.astype(np.float32),
            inner=tuple(map(array_of, D.inner)),
            biases=(first_bias, *biases),
            output=array_of(D.output)[0],
            start=users.mean(axis=0),
            output_bias=D.output_bias.item(),
            features=float(s.recon_coefficient),
            label=0.0 if self._quirks else 1.0,
            penalty=float(self.profiles.n_rows * s.g_reg),
            activation=s.d_hidden_act,
        )

    def footprint(self) -> Footprint:
        """See ``GANModule``."""
        settings = self._settings
        per_row = 4 * (2 * self.profiles.n_cols + 6 * settings.d_nodes * settings.d_layers)
        return Footprint(16 * self.n_parameters(), per_row, "batch_size", self._batch_size)

    def multiplications(self) -> int:
        """See ``GANModule``."""
        return 3 * min(self._products())

    def _products(self) -> tuple[int, int]:
        """Multiplications of ``P_b (Q^T K)`` and of ``(P_b Q^T) K``."""
        batch, items = self._batch_size, self.profiles.n_cols
        factors, nodes = self._settings.num_factors, self._settings.d_nodes
        return (items + batch) * factors * nodes, batch * items * (factors + nodes)
