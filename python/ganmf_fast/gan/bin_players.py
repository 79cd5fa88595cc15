"""One training run of binGANMF: GANMF with a discriminator that says real or made.

Objective: with the logit D and the last hidden layer h of a perceptron over profiles, real profiles
x and made ones f = G(u),

- ``L_D = BCE(D(x), 1) + BCE(D(f), 0) + d_reg l2(D)``,
- ``L_G = BCE(D(f), 1) + a MSE(h(x), h(f)) + g_reg l2(G)``, a the `recon_coefficient`.

Source: Dervishaj and Cremonesi (SAC'22), table 3, as their published code computes it.
Deviation: as published, which `published_quirks` turns on, the generator's label is 0, so that it
is trained to be recognised, and the discriminator sees the number of the row as one more input.
Cost: the first layer is linear, so a made profile enters as ``P_b (Q^T K)`` or ``(P_b Q^T) K``,
whichever takes fewer multiplications; real ones are sparse.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import mse_loss

from ganmf_fast._core import Csr
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batch
from ganmf_fast.gan.ganmf.module import FactorPlayers
from ganmf_fast.gan.matmul import affine
from ganmf_fast.gan.networks import ACTIVATIONS, Perceptron
from ganmf_fast.gan.players import Footprint
from ganmf_fast.gan.sparse_ops import times
from ganmf_fast.gan.trainer import Losses

if TYPE_CHECKING:
    from ganmf_fast.gan.binganmf import BinGANMF


class BinPlayers(FactorPlayers):
    """binGANMF on the rows of `profiles`, with the settings of `model`."""

    def __init__(self, model: "BinGANMF", profiles: Csr) -> None:
        super().__init__(model, profiles)
        self._quirks = model.published_quirks
        inputs = (1, profiles.n_cols) if self._quirks else (profiles.n_cols,)
        self.discriminator = Perceptron(
            inputs,
            model.d_nodes,
            model.d_layers,
            1,
            ACTIVATIONS[model.d_hidden_act],
            self.rng,
        ).to(self.device)
        self.networks["d"] = self.discriminator
        self.optimisers["d"] = TensorFlowAdam(self.discriminator.parameters(), model.d_lr)
        self.optimisers["g"] = TensorFlowAdam(self.generator.parameters(), model.g_lr)
        self._regs = (model.d_reg, model.g_reg)
        self._recon = model.recon_coefficient
        self._shape = (min(model.batch_size, profiles.n_rows), model.num_factors, model.d_nodes)
        self._layers = model.d_layers
        narrow, wide = self._products()
        self._narrow = narrow < wide

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of real and of made profiles, and their last hidden layers."""
        D, G = self.discriminator, self.generator
        kernel = D.first[-1]
        real = times(batch, kernel)
        rows = G.user_factors[batch.users]
        if self._narrow:
            made = affine(rows, affine(kernel.T, G.item_factors.T))
        else:
            made = affine(affine(rows, G.item_factors), kernel.T)
        if self._quirks:
            number = batch.users[:, None].to(kernel.dtype) * D.first[0]
            real, made = real + number, made + number
        h_real, h_made = D.hidden(real), D.hidden(made)
        return D.head(h_real), D.head(h_made), h_real, h_made

    def train_d(self, batch: Batch) -> Losses:
        """See ``FactorPlayers``."""
        real, made, _, _ = self.losses(batch)
        loss = cross_entropy(real, torch.ones_like(real))
        loss = loss + cross_entropy(made, torch.zeros_like(made))
        with torch.no_grad():
            scores = {
                "real_score": real.sigmoid().mean().item(),
                "made_score": made.sigmoid().mean().item(),
            }
        return {**self.move("d", loss, self._regs[0]), **scores}

    def train_g(self, batch: Batch) -> Losses:
        """See ``FactorPlayers``."""
        _, made, h_real, h_made = self.losses(batch)
        label = torch.zeros_like(made) if self._quirks else torch.ones_like(made)
        features = mse_loss(h_made, h_real.detach())
        loss = cross_entropy(made, label) + self._recon * features
        return {**self.move("g", loss, self._regs[1]), "feature_loss": features.item()}

    def footprint(self) -> Footprint:
        """See ``Players``."""
        batch, factors, nodes = self._shape
        users, items = self.profiles.n_rows, self.profiles.n_cols
        numbers = users * factors + items * (factors + nodes)
        return Footprint(
            16 * numbers, 4 * (2 * items + 6 * nodes * self._layers), "batch_size", batch
        )

    def work(self) -> int:
        """See ``Players``."""
        return 3 * min(self._products())

    def _products(self) -> tuple[int, int]:
        """Multiplications of ``P_b (Q^T K)`` and of ``(P_b Q^T) K``."""
        batch, factors, nodes = self._shape
        items = self.profiles.n_cols
        return (items + batch) * factors * nodes, batch * items * (factors + nodes)
