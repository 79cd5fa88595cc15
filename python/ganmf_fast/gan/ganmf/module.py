"""One training run of GANMF: networks, optimisers and step put together from a model's settings.

Beyond the paper, each an option that is off by default:

- dropout of the real profiles that the discriminator sees, their reconstruction's target being
  whole (a denoising autoencoder, Vincent et al., ICML'08);
- averaged generator weights: an exponential moving average over the generator's steps, which is a
  plain mean at the beginning, stands in the place of the generator whenever it is judged;
- the rows of the factors shrunk in proportion to a power of their number of interactions
  (Rendle et al., "Revisiting the performance of iALS", RecSys'22), scaled to a mean of one;
- factors that start from a truncated decomposition, see :mod:`~ganmf_fast.gan.init`.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ganmf_fast._core import Csr
from ganmf_fast.gan.adam import Moments, TensorFlowAdam
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.ganmf.dense import DenseStep, LossWeights
from ganmf_fast.gan.ganmf.exact import ExactStep, d_costs
from ganmf_fast.gan.init import start_from
from ganmf_fast.gan.networks import Discriminator, Generator, mean_cosine_of_factors
from ganmf_fast.gan.players import Footprint, Players
from ganmf_fast.gan.trainer import Losses, Pass
from ganmf_fast.scorers.base import Factors

if TYPE_CHECKING:
    from ganmf_fast.gan.binganmf import BinGANMF
    from ganmf_fast.gan.ganmf.cuda_graphs import QueuedSteps
    from ganmf_fast.gan.ganmf.estimator import GANMF


class FactorPlayers(Players):
    """Players whose generator is a matrix factorisation."""

    def __init__(self, model: "GANMF | BinGANMF", profiles: Csr) -> None:
        super().__init__(model, profiles)
        self._by_item = model.mode == "item"
        self.generator = Generator(
            profiles.n_rows, profiles.n_cols, model.num_factors, self.rng
        ).to(self.device)
        self.networks["g"] = self.generator
        self._batches = Batches(profiles, model.batch_size, self.device)
        self._steps = (model.d_steps, model.g_steps)

    def start_pass(self) -> None:
        """A pass of one network over the batches begins."""

    @abstractmethod
    def train_d(self, batch: Batch) -> Losses:
        """Move the discriminator."""

    @abstractmethod
    def train_g(self, batch: Batch) -> Losses:
        """Move the generator."""

    def passes(self, epoch: int) -> Iterator[Pass]:
        """See ``Adversary``: the users once shuffled, D over all batches, then G over the same."""
        del epoch
        order = torch.randperm(self.profiles.n_rows, generator=self.rng).numpy()
        batches = list(self._batches.ordered(order))
        if self.ranks.size > 1:
            batches = [batch.part(self.ranks.share(batch.size)) for batch in batches]
        for phase, train, steps in zip(
            "dg", (self.train_d, self.train_g), self._steps, strict=True
        ):
            for _ in range(steps):
                self.start_pass()
                yield Pass(phase, train, batches)

    def weights(self) -> tuple[Tensor, Tensor]:
        """See ``Adversary``."""
        return self.generator.user_factors.detach(), self.generator.item_factors.detach()

    def diagnose(self) -> Losses:
        """See ``Adversary``."""
        rows, columns = self.weights()
        return mean_cosine_of_factors(rows[torch.from_numpy(self.sample).to(rows.device)], columns)

    def scorer(self) -> Factors:
        """See ``Players``."""
        rows, columns = (tensor.numpy(force=True).copy() for tensor in self.weights())
        return Factors(columns, rows) if self._by_item else Factors(rows, columns)


class Training(FactorPlayers):
    """GANMF on the rows of `profiles`, with the settings of `model`."""

    _step: DenseStep | ExactStep

    def __init__(self, model: "GANMF", profiles: Csr) -> None:
        super().__init__(model, profiles)
        # Drawn on the CPU, so that every device starts from the same weights.
        self.discriminator = Discriminator(profiles.n_cols, model.emb_dim, self.rng).to(self.device)
        self.networks["d"] = self.discriminator
        if model.init != "glorot":
            start_from(model.init, profiles, self.generator, model.seed)
        if model.g_reg_exponent:
            self._shrink_by_frequency(model.g_reg_exponent)
        self._average: Average | None = None
        if model.g_ema:
            self._average = Average(self.generator, model.g_ema).to(self.device)
            self.networks["average"] = self._average
        self._dropout = model.d_dropout
        weights = LossWeights(model.m, model.recon_coefficient, model.d_reg, model.g_reg)
        self._queued = self._queue(model, weights)
        if self._queued is None:
            self.optimisers["d"] = TensorFlowAdam(self.discriminator.parameters(), model.d_lr)
            self.optimisers["g"] = TensorFlowAdam(self.generator.parameters(), model.g_lr)
            self._step = self._unqueued(model, weights)
        self._dense = model.step == "dense"
        self._shape = (
            min(model.batch_size, profiles.n_rows),
            profiles.n_cols,
            model.emb_dim,
            model.num_factors,
        )

    def _unqueued(self, model: "GANMF", weights: LossWeights) -> DenseStep | ExactStep:
        networks = (self.generator, self.discriminator)
        if model.step == "dense":
            return DenseStep(*networks, weights, self.ranks)
        n_batches = len(self._batches)
        return ExactStep(*networks, weights, n_batches, _products(model), self.ranks)

    def _queue(self, model: "GANMF", weights: LossWeights) -> "QueuedSteps | None":
        """Steps that are queued on the GPU, where they can be."""
        alone = self.ranks.size == 1 and model.step != "dense"
        # torch comes without Triton on some systems.
        if self.device.type != "cuda" or not alone or find_spec("triton") is None:
            return None
        from ganmf_fast.gan.ganmf.cuda_graphs import QueuedSteps, can_be_compiled, can_be_numbered

        if not (can_be_numbered(self.profiles, model.batch_size) and can_be_compiled(self.device)):
            return None
        return QueuedSteps(
            self.generator,
            self.discriminator,
            weights,
            self.profiles,
            model.batch_size,
            (model.d_lr, model.g_lr),
            dropout=(model.d_dropout, self.rng),
            average=self._average,
            gradient_norms=model.gradient_norms,
            products=_products(model),
        )

    def passes(self, epoch: int) -> Iterator[Pass]:
        """See ``FactorPlayers``; what is queued takes all batches of a pass at once."""
        queued = self._queued
        if queued is None:
            yield from super().passes(epoch)
            return
        cells = queued.arranged(torch.randperm(self.profiles.n_rows, generator=self.rng).numpy())
        for phase, train, steps in zip(
            "dg", (queued.train_d, queued.train_g), self._steps, strict=True
        ):
            for _ in range(steps):
                yield Pass(phase, train, [cells])

    def _shrink_by_frequency(self, exponent: float) -> None:
        lengths = np.diff(self.profiles.indptr)
        counts = np.bincount(self.profiles.indices, minlength=self.profiles.n_cols)
        for name, n in (("user_shrinkage", lengths), ("item_shrinkage", counts)):
            weights = np.maximum(n, 1).astype(np.float64) ** exponent
            column = torch.from_numpy(weights / weights.mean())[:, None]
            setattr(self.generator, name, column.to(self.device, torch.float32))

    def start_pass(self) -> None:
        """See ``FactorPlayers``."""
        self._step.start_pass()

    def train_d(self, batch: Batch) -> Losses:
        """See ``FactorPlayers``."""
        seen = batch.dropped(self._dropout, self.rng) if self._dropout else None
        losses = self._step.discriminator_step(batch, seen)
        self.ranks.add_up(p.grad for p in self.discriminator.parameters())
        losses.update(self.norms("d"))
        self.optimisers["d"].step()
        return losses

    def train_g(self, batch: Batch) -> Losses:
        """See ``FactorPlayers``."""
        losses = self._step.generator_step(batch)
        self.ranks.add_up(p.grad for p in self.generator.parameters())
        losses.update(self.norms("g"))
        self.optimisers["g"].step()
        if self._average is not None:
            self._average.add(self.generator)
        return losses

    def moments(self) -> Mapping[str, Moments]:
        """See ``Players``."""
        return self.optimisers if self._queued is None else self._queued.optimisers

    def weights(self) -> tuple[Tensor, Tensor]:
        """See ``Adversary``: the averaged ones, if there are any."""
        if self._average is None:
            return super().weights()
        return self._average.user_factors, self._average.item_factors

    def footprint(self) -> Footprint:
        """See ``Players``."""
        batch, items, emb, factors = self._shape
        users = self.profiles.n_rows
        numbers = users * factors + items * (factors + 2 * emb + 1)
        # Dense: both profiles, both reconstructions and what differentiation keeps of them. Queued:
        # both profiles twice, since the discriminator may not see all, and their residuals.
        matrices = 8 if self._dense else 6 if self._queued is not None else 3
        return Footprint(16 * numbers, 4 * matrices * items, "batch_size", batch)

    def work(self) -> int:
        """See ``Players``."""
        return min(d_costs(*self._shape))


def _products(model: "GANMF") -> Literal["auto", "narrow"]:
    return "narrow" if model.step == "exact" else "auto"


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
        """Take in the weights after one more step."""
        self.steps += 1
        # On the device, where looking at the number of steps would hold up the queue.
        share = (1 / self.steps).clamp(min=1 - self._decay)
        self.user_factors.lerp_(generator.user_factors, share)
        self.item_factors.lerp_(generator.item_factors, share)
