"""CAAE's module: two generators that pick items, and a discriminator that ranks them.

Objective: D is a matrix factorisation with item bias, ``s(u, i) = p_u . q_i + b_i``. G and G' are
perceptrons over profiles with sigmoid layers, whose outputs r give items a probability of
``softmax(r)``. Over triples (u, i, j), i from the profile and j drawn by G or by G',

- ``L_D = -mean log sigmoid(s(u, i) - s(u, j)) + beta l2(looked-up rows)``, the penalty summed over
  the batch;
- ``L_G = -lmbda mean(log p R) + (1 - lmbda) sum(((r - x) e)^2) + beta l2(G)`` over items drawn from
  p = softmax(r), with the reward ``R = log sigmoid(s - 1)``, and e the profile x itself with ones
  at ``floor(S n)`` of the n items it does not hold, drawn one after the other by G';
- ``L_G' = -mean(log p' R') + beta l2(G')``, ``R' = log sigmoid(1 - s)``.

For each user of a batch twice as many items are drawn as the median profile is long. An epoch is
`d_steps` passes over all interactions, shuffled once, each batch once with negatives of G and once
with those of G'; then `g_steps` updates of G and `gpr_steps` of G', each for `m_batch` random
users. Plain gradient descent everywhere.
Source: Chae, Shin and Kim, "Collaborative adversarial autoencoders" (IEEE Access, 2019), as the
published code of Dervishaj and Cremonesi (SAC'22) trains it.
Deviation: as published, which `published_quirks` turns on, G' has the layer sizes of G, and users
after the first thousand are scored by the profiles of others. Ours: their own; an option subtracts
the mean reward. Users of a batch are distinct in updates of G' too; scores are the outputs before
the last sigmoid, which has the same order.
Cost: two passes of both generators over all users for the draws, block by block; ``O(d_steps nnz
K)`` for D; ``O(m_batch items units)`` for an update of a generator.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from ganmf_fast._core import Csr, draw_items, mask_unobserved
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.device import Footprint
from ganmf_fast.gan.module import DivergedError, GANModule, Losses, autoencoder_scorer
from ganmf_fast.gan.networks import (
    Generator,
    Perceptron,
    mean_cosine,
    sigmoid,
    sum_of_squares,
    total,
)
from ganmf_fast.gan.settings import CAAESettings
from ganmf_fast.gan.sparse_ops import times
from ganmf_fast.scorers.autoencoder import Autoencoder

# Users whose outputs are in memory at once while items are drawn.
_BLOCK = 512

# Users of a block in the published evaluation, each of which was scored by the first of them.
PUBLISHED_BLOCK = 1000


def _as_weights(probabilities: Tensor) -> NDArray[np.float32]:
    """What items are drawn in proportion to.

    Raises
    ------
    DivergedError
        If one is NaN: no item can be drawn then, and no loss computed.
    """
    weights: NDArray[np.float32] = probabilities.numpy(force=True)
    if np.isnan(weights.sum()):
        raise DivergedError("an output of a generator = nan")
    return weights


class Triples(NamedTuple):
    """A batch of D: users, items of their profiles, and items that a generator drew for them."""

    users: Tensor
    items: Tensor
    drawn: Tensor


class Ranker(Generator):
    """D: factors of users and items with an item bias."""

    def __init__(self, n_users: int, n_items: int, num_factors: int, rng: torch.Generator) -> None:
        super().__init__(n_users, n_items, num_factors, rng)
        # Glorot's bound for a vector counts its length twice.
        bound = (3 / n_items) ** 0.5
        self.item_bias = torch.nn.Parameter(
            torch.empty(n_items).uniform_(-bound, bound, generator=rng)
        )

    def scores(self, users: Tensor, items: Tensor) -> Tensor:
        """s(u, i) for a row of items for each user."""
        rows = self.user_factors[users][:, :, None]
        products: Tensor = torch.bmm(self.item_factors[items], rows)[:, :, 0]
        return products + self.item_bias[items]


class CAAEModule(GANModule):
    """CAAE on the rows of `profiles`."""

    def __init__(self, settings: CAAESettings, profiles: Csr) -> None:
        super().__init__(settings, profiles)
        self._settings = settings
        n_users, n_items = profiles.n_rows, profiles.n_cols
        gpr = (settings.gpr_units, settings.gpr_layers)
        own = (settings.g_units, settings.g_layers)
        self.ranker = Ranker(n_users, n_items, settings.num_factors, self.rng).to(self.device)
        self.generator, self.negative = (
            Perceptron((n_items,), *sizes, n_items, sigmoid, self.rng).to(self.device)
            for sizes in (own, own if settings.published_quirks else gpr)
        )
        self.networks = {"d": self.ranker, "g": self.generator, "gpr": self.negative}
        self._rows = Batches(profiles, _BLOCK, self.device)
        lengths = np.diff(profiles.indptr)
        self._lengths = lengths
        self._users = np.repeat(np.arange(n_users), lengths)
        self._draws = max(1, 2 * int(np.median(lengths)))
        self._m_batch = min(settings.m_batch, n_users)
        self._stream = 0

    def epoch(self, number: int) -> Iterator[tuple[str, Iterator[Any]]]:
        """See ``GANModule``: D over all interactions, then G and G' for some users at a time."""
        settings = self._settings
        # Streams of an epoch: one for the draws of each generator, two for each update.
        self._stream = number * (2 + 2 * (settings.g_steps + settings.gpr_steps))
        yield "d", self._triples()
        yield "g", (self._some_users() for _ in range(settings.g_steps))
        yield "gpr", (self._some_users() for _ in range(settings.gpr_steps))

    def _next_stream(self) -> int:
        self._stream += 1
        return self._stream - 1

    def _triples(self) -> Iterator[Triples]:
        """The batches of all passes of D, during which G and G' do not change."""
        settings = self._settings
        drawn = [self._drawn_for_all(net) for net in (self.generator, self.negative)]
        nnz = self.profiles.nnz
        order = torch.randperm(nnz, generator=self.rng).numpy()
        users, items = self._users[order], self.profiles.indices[order]
        for step in range(settings.d_steps):
            for start in range(0, nnz, settings.d_bsize):
                part = slice(start, start + settings.d_bsize)
                of_users, of_items = (self._tensor(a[part]) for a in (users, items))
                for numbers in drawn:
                    others = self._tensor(numbers[step, order[part]])
                    yield Triples(of_users, of_items, others)

    def _tensor(self, numbers: NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(numbers.astype(np.int64)).to(self.device)

    @torch.no_grad()
    def _drawn_for_all(self, network: Perceptron) -> NDArray[np.int32]:
        """Items drawn for every interaction, shape (d_steps, nnz), for its user."""
        steps = self._settings.d_steps
        drawn = np.empty((steps, self.profiles.nnz), dtype=np.int32)
        stream = self._next_stream()
        for start in range(0, self.profiles.n_rows, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, self.profiles.n_rows))
            weights = self._draw_weights(network, self._rows.whole(rows))
            counts = self._lengths[rows] * steps
            items = draw_items(weights, rows, counts, self._settings.seed, stream)
            ends = self.profiles.indptr[[rows[0], rows[-1] + 1]]
            # The draws of a user are consecutive: row by row, one pass after the other.
            by_user = np.split(items, np.cumsum(counts)[:-1])
            block = [part.reshape(steps, -1) for part in by_user]
            drawn[:, ends[0] : ends[1]] = np.concatenate(block, axis=1)
        return drawn

    def _some_users(self) -> Batch:
        users = torch.randperm(self.profiles.n_rows, generator=self.rng)[: self._m_batch]
        return self._rows.whole(users.numpy())

    @staticmethod
    def _logits(network: Perceptron, batch: Batch) -> Tensor:
        """Outputs before the last sigmoid."""
        return network.head(network.hidden(times(batch, network.first[0])))

    @torch.no_grad()
    def _draw_weights(self, network: Perceptron, batch: Batch) -> NDArray[np.float32]:
        """What the probabilities of the items are proportional to."""
        return _as_weights(sigmoid(self._logits(network, batch)).exp_())

    @torch.no_grad()
    def train_d(self, batch: Triples) -> Losses:
        """Update D; its gradient is written out, because only some rows have one."""
        D, beta, lr = self.ranker, self._settings.beta, self._settings.lr
        users = D.user_factors[batch.users]
        items, drawn = D.item_factors[batch.items], D.item_factors[batch.drawn]
        b_items, b_drawn = D.item_bias[batch.items], D.item_bias[batch.drawn]
        difference = items - drawn
        logits = (users * difference).sum(dim=1) + b_items - b_drawn
        loss = -logsigmoid(logits).mean().item()
        rows = (users, items, drawn, b_items, b_drawn)
        penalty = beta / 2 * sum(sum_of_squares(row) for row in rows)
        # d loss / d logits.
        slope = (torch.sigmoid(-logits) / -len(logits))[:, None]
        towards = slope * users
        D.user_factors.index_add_(0, batch.users, slope * difference + beta * users, alpha=-lr)
        D.item_factors.index_add_(0, batch.items, towards + beta * items, alpha=-lr)
        D.item_factors.index_add_(0, batch.drawn, beta * drawn - towards, alpha=-lr)
        bias = D.item_bias[:, None]
        bias.index_add_(0, batch.items, slope + beta * b_items[:, None], alpha=-lr)
        bias.index_add_(0, batch.drawn, beta * b_drawn[:, None] - slope, alpha=-lr)
        return {"d_loss": loss + penalty}

    def train_g(self, batch: Batch) -> Losses:
        """Update G."""
        lmbda = self._settings.lmbda
        logits = self._logits(self.generator, batch)
        outputs = sigmoid(logits.detach())
        reward_loss, slope = self._reward_loss(outputs, batch, sign=1.0)
        # (r - x) e, and then its derivative.
        mask = self._reconstruction_mask(batch)
        error = outputs.clone()
        error[batch.row_numbers, batch.items] -= batch.values
        error *= mask
        reconstruction = total(error**2).item()
        slope.mul_(lmbda).add_(error.mul_(mask), alpha=2 * (1 - lmbda))
        loss = lmbda * reward_loss + (1 - lmbda) * reconstruction
        return {
            **self._descend("g", logits, loss, slope.mul_(outputs).mul_(1 - outputs)),
            "reconstruction_loss": reconstruction,
        }

    def train_gpr(self, batch: Batch) -> Losses:
        """Update G'."""
        logits = self._logits(self.negative, batch)
        outputs = sigmoid(logits.detach())
        reward_loss, slope = self._reward_loss(outputs, batch, sign=-1.0)
        return self._descend("gpr", logits, reward_loss, slope.mul_(outputs).mul_(1 - outputs))

    @torch.no_grad()
    def _reward_loss(self, outputs: Tensor, batch: Batch, sign: float) -> tuple[float, Tensor]:
        """``-mean(log p R)`` over items drawn from p, and its slope in `outputs`.

        `sign` is that of the score in R. With n draws in all, a user with rewards R_j for the items
        j has the slope ``(p sum_j R_j - sum_j R_j at j) / n``.
        """
        odds = outputs.exp()
        counts = np.full(batch.size, self._draws)
        stream = self._next_stream()
        items = draw_items(_as_weights(odds), batch.numbers, counts, self._settings.seed, stream)
        drawn = self._tensor(items).reshape(batch.size, self._draws)
        reward = logsigmoid(sign * (self.ranker.scores(batch.users, drawn) - 1))
        if self._settings.reward_baseline:
            reward -= reward.mean()
        summed = odds.sum(dim=1, keepdim=True)
        log_p = outputs.gather(1, drawn) - summed.log()
        loss = -total(log_p * reward).item() / reward.numel()
        slope = odds.mul_(reward.sum(dim=1, keepdim=True) / summed)
        slope.scatter_add_(1, drawn, -reward)
        return loss, slope.div_(reward.numel())

    def _reconstruction_mask(self, batch: Batch) -> Tensor:
        """e: the profiles, with ones at the items that G' draws beside them."""
        weights = self._draw_weights(self.negative, batch)
        out = np.empty_like(weights)
        mask_unobserved(
            self.profiles,
            batch.numbers,
            self._settings.S,
            self._settings.seed,
            self._next_stream(),
            out,
            keep_observed=True,
            weights=weights,
        )
        return torch.from_numpy(out).to(self.device)

    def _descend(self, name: str, logits: Tensor, loss: float, slope: Tensor) -> dict[str, float]:
        """One step down a loss whose `slope` in the logits is known, and down the penalty."""
        settings = self._settings
        parameters = list(self.networks[name].parameters())
        penalty = 0.0
        gradients = torch.autograd.grad(logits, parameters, slope)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                penalty += settings.beta / 2 * sum_of_squares(parameter)
                gradient.add_(parameter, alpha=settings.beta)
                parameter.grad = gradient
            found = {f"{name}_loss": loss + penalty, **self.gradient_norm(name)}
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=settings.lr)
        return found

    @torch.no_grad()
    def diagnose(self) -> Losses:
        """See ``GANModule``."""
        batch = self._rows.whole(self.sample)
        return mean_cosine(sigmoid(self._logits(self.generator, batch)))

    def scorer(self) -> Autoencoder:
        """See ``GANModule``."""
        block = PUBLISHED_BLOCK if self._settings.published_quirks else 0
        return autoencoder_scorer(self.generator, "sigmoid", block)

    def footprint(self) -> Footprint:
        """See ``GANModule``."""
        per_row = 4 * 8 * self.profiles.n_cols
        return Footprint(8 * self.n_parameters(), per_row, "m_batch", self._m_batch)

    def multiplications(self) -> int:
        """See ``GANModule``."""
        return self._m_batch * self.profiles.n_cols * self._settings.g_units
