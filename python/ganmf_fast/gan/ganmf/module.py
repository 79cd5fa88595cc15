"""GANMF's module: networks, and the steps that suit the settings and the device.

Losses are defined in :mod:`~ganmf_fast.gan.ganmf.dense`. The same losses and gradients are computed
in several ways:

==========  ===================================  ======================================  ===========
`step`      CPU, or several processes            one GPU with Triton                     products
==========  ===================================  ======================================  ===========
``auto``    `ExactStep` in `GradientSteps`       `CapturedSteps`                         cheaper one
``exact``   `ExactStep` in `GradientSteps`       `CapturedSteps`                         narrow
``dense``   `DenseStep` in `GradientSteps`       `DenseStep` in `GradientSteps`          dense
==========  ===================================  ======================================  ===========

A GPU without Triton, or data that 32 bits cannot number, is trained as a CPU is. Narrow products
go through matrices of the size of the layers, wide ones through batch x items, see
:mod:`~ganmf_fast.gan.ganmf.exact`; "auto" takes the one of fewer multiplications, for each network.

Beyond the paper, each an option that is off in the published model:

- dropout of the real profiles in the discriminator's input, the target being whole (a denoising
  autoencoder, Vincent et al., ICML'08), and emphasis on what was dropped;
- what the generator matches: the hidden layer, the reconstruction, that of each item from the
  others alone, or the decoder's output;
- averaged generator weights: an exponential moving average over the generator's steps, which is a
  plain mean at the beginning, in place of the generator wherever it is validated or returned;
- the rows of the factors shrunk in proportion to a power of their number of interactions
  (Rendle et al., "Revisiting the performance of iALS", RecSys'22), scaled to a mean of one;
- profiles divided by powers of their norms, see :mod:`~ganmf_fast.scorers.profile_norms`;
- factors and discriminators that start from a truncated decomposition, see
  :mod:`~ganmf_fast.gan.init`.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmf_fast._core import Csr
from ganmf_fast.gan.adam import Moments
from ganmf_fast.gan.batches import Batches
from ganmf_fast.gan.device import Footprint
from ganmf_fast.gan.ema import Average
from ganmf_fast.gan.ganmf.closed_form import Grams, best_factors, factor_map, profile_inputs
from ganmf_fast.gan.ganmf.dense import DenseStep, LossWeights
from ganmf_fast.gan.ganmf.exact import ExactStep, d_costs
from ganmf_fast.gan.ganmf.steps import GradientSteps, Steps
from ganmf_fast.gan.init import start_as_ease, start_from
from ganmf_fast.gan.module import GANModule, Losses, array_of, factors_scorer
from ganmf_fast.gan.networks import Discriminator, Generator, mean_cosine_of_factors
from ganmf_fast.gan.settings import GANMFSettings
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.profile_maps import LinearMap
from ganmf_fast.scorers.profile_norms import ProfileNorms

# Profiles whose factors are solved together, in the end.
_BLOCK = 4096


class GANMFModule(GANModule):
    """GANMF on the rows of `profiles`."""

    def __init__(self, settings: GANMFSettings, profiles: Csr) -> None:
        settings = settings.resolved(profiles)
        self._divisors, self._norms = None, None
        if settings.norm_exponent:
            self._norms = ProfileNorms.of(profiles, settings.norm_exponent)
            profiles, self._divisors = self._norms.divided(profiles)
        super().__init__(settings, profiles)
        self._settings = settings
        users, items = profiles.n_rows, profiles.n_cols
        self._solved = settings.user_factors == "solved"
        self.starts_fitted = settings.d_init == "ease"
        if self._solved and settings.g_reg_exponent:
            raise ValueError(
                f"g_reg_exponent is {settings.g_reg_exponent}, but solved user factors share one "
                'penalty: leave it at 0, or set user_factors="learned"'
            )
        rows = 0 if self._solved else users
        self.generator = Generator(rows, items, settings.num_factors, self.rng).to(self.device)
        self.discriminator = Discriminator(items, settings.emb_dim, self.rng).to(self.device)
        self.networks = {"g": self.generator, "d": self.discriminator}
        if settings.d_init == "ease":
            start_as_ease(profiles, self.discriminator, settings.d_reg, settings.seed)
        if settings.init != "glorot":
            networks = self.generator, self.discriminator
            start_from(settings.init, profiles, *networks, settings.seed)
        if settings.g_reg_exponent:
            self._shrink_by_frequency(settings.g_reg_exponent)
        self._average: Average | None = None
        if settings.g_ema:
            self._average = Average(self.generator, settings.g_ema).to(self.device)
            self.networks["average"] = self._average
        self._steps = self._captured_steps() or self._gradient_steps()
        batch_size = min(settings.batch_size, users)
        self._shape = (batch_size, items, settings.emb_dim, settings.num_factors)

    def _shrink_by_frequency(self, exponent: float) -> None:
        lengths = np.diff(self.profiles.indptr)
        counts = np.bincount(self.profiles.indices, minlength=self.profiles.n_cols)
        for name, n in (("user_shrinkage", lengths), ("item_shrinkage", counts)):
            weights = np.maximum(n, 1).astype(np.float64) ** exponent
            column = torch.from_numpy(weights / weights.mean())[:, None]
            setattr(self.generator, name, column.to(self.device, torch.float32))

    def _loss_weights(self) -> LossWeights:
        s = self._settings
        return LossWeights(
            s.m,
            s.recon_coefficient,
            s.d_reg,
            s.g_reg,
            s.matching,
            s.d_dropout,
            s.d_emphasis,
            self._solved,
        )

    def _products(self) -> Literal["auto", "narrow"]:
        return "narrow" if self._settings.step == "exact" else "auto"

    def _gradient_steps(self) -> Steps:
        settings, networks = self._settings, (self.generator, self.discriminator)
        weights = self._loss_weights()
        batches = Batches(self.profiles, settings.batch_size, self.device)
        arithmetic: DenseStep | ExactStep
        if settings.step == "dense":
            arithmetic = DenseStep(*networks, weights, self.group)
        else:
            arithmetic = ExactStep(*networks, weights, len(batches), self._products(), self.group)
        return GradientSteps(
            arithmetic, *networks, settings, batches, self.group, self.rng, self._average
        )

    def _captured_steps(self) -> Steps | None:
        """Steps that are captured as CUDA graphs, where they can be."""
        settings = self._settings
        plain = not self._solved and settings.matching != "leave-one-out"
        plain = plain and self.group.size == 1 and settings.step != "dense"
        # torch comes without Triton on some systems.
        if self.device.type != "cuda" or not plain or find_spec("triton") is None:
            return None
        from ganmf_fast.gan.ganmf.cuda_graphs import CapturedSteps, fits_int32, triton_available

        if not (fits_int32(self.profiles, settings.batch_size) and triton_available(self.device)):
            return None
        return CapturedSteps(
            self.generator,
            self.discriminator,
            self._loss_weights(),
            self.profiles,
            settings.batch_size,
            (settings.d_lr, settings.g_lr),
            rng=self.rng,
            average=self._average,
            gradient_norms=settings.gradient_norms,
            products=self._products(),
        )

    def epoch(self, number: int) -> Iterator[tuple[str, Sequence[Any]]]:
        """See ``GANModule``: the rows once shuffled, D over all batches, then G over the same."""
        batches = self._steps.batches(self.shuffled())
        for one_pass in self.alternated(batches, self._settings.d_steps, self._settings.g_steps):
            self._steps.start_pass()
            yield one_pass

    def train_d(self, batch: Any) -> Losses:
        """Update the discriminator."""
        return self._steps.train_d(batch)

    def train_g(self, batch: Any) -> Losses:
        """Update the generator."""
        return self._steps.train_g(batch)

    def moments(self) -> Mapping[str, Moments]:
        """See ``GANModule``."""
        return self._steps.optimisers

    def weights(self) -> tuple[Tensor, ...]:
        """See ``GANModule``: the averaged ones, if there are any.

        Factors of rows and of items; where those of rows are solved, what they are solved from.
        """
        factors = self._average or self.generator
        Q = factors.item_factors.detach()
        if self._solved:
            return Q, *(p.detach() for p in self.discriminator.parameters())
        return factors.user_factors.detach(), Q

    def diagnose(self) -> Losses:
        """See ``GANModule``."""
        if self._solved:
            rows, Q = self._solved_factors(self.sample)
            return mean_cosine_of_factors(rows, Q, np.arange(len(rows)))
        rows, Q = self.weights()
        return mean_cosine_of_factors(rows, Q, self.sample)

    def scorer(self) -> Factors:
        """See ``GANModule``."""
        everyone = np.arange(self.profiles.n_rows)
        rows, Q = self._solved_factors(everyone) if self._solved else self.weights()
        if self._divisors is not None:
            rows = rows * torch.from_numpy(self._divisors).to(rows)[:, None]
        return factors_scorer(rows, Q, self._settings.by_item)

    @torch.no_grad()
    def _solved_factors(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Factors of `rows`, and of all items."""
        Q, We, bias, W = self.weights()
        best = self._loss_weights().best_factors(Grams.of(Q, We, W), bias, len(Q))
        blocks = Batches(self.profiles, _BLOCK, self.device).ordered(rows)
        inputs = profile_inputs(Q, We, W, self._settings.matching)
        return torch.cat([best.of(map(block.times, inputs)) for block in blocks]), Q

    def companions(self) -> Sequence[Tensor]:
        """See ``GANModule``: the discriminator, by which users who were not fitted are judged."""
        if not self._settings.maps_profiles:
            return ()
        return [parameter.detach() for parameter in self.discriminator.parameters()]

    def profile_map(self) -> LinearMap | None:
        """See ``GANModule``: the closed form, which learned factors are near to.

        Their penalty is that of all users in every batch; with `g_reg_exponent` a new user has the
        mean weight, one.
        """
        s, D = self._settings, self.discriminator
        if not s.maps_profiles:
            return None
        Q = (self._average or self.generator).item_factors.detach()
        penalty = s.g_reg if self._solved else self.profiles.n_rows * s.g_reg / 2
        with torch.no_grad():
            best = best_factors(
                Grams.in_double(Q, D.encoder, D.decoder), D.encoder_bias, len(Q),
                s.recon_coefficient, penalty, s.matching,
            )  # fmt: skip
            inputs = profile_inputs(Q, D.encoder, D.decoder, s.matching)
            weights, bias = factor_map(best, inputs)
        return LinearMap(array_of(weights), array_of(bias), self._norms)

    def footprint(self) -> Footprint:
        """See ``GANModule``."""
        batch, items, _, _ = self._shape
        per_row = 4 * self._steps.matrices * items
        return Footprint(16 * self.n_parameters(), per_row, "batch_size", batch)

    def multiplications(self) -> int:
        """See ``GANModule``."""
        narrow, wide = d_costs(*self._shape)
        return narrow if self._solved else min(narrow, wide)
