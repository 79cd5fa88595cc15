"""AugCF's module: a factorisation that learns from likes and dislikes, real and generated.

Objective: with c = 1 for a like, 0 for a dislike, and f_i the features of item i, scaled to length
one,

- D, the recommender: ``s(u, i) = p_u . (q_i + f_i W) + b_i``, P(like) = sigma(s), and whether an
  interaction is real, ``P(real | c) = sigma((p_u * w_c) . (q_i + f_i W) + b_ci)``: four outcomes;
- G: ``softmax((x_u * t_c) . (y_i + f_i V) + a_ci)`` over all items i for user u and condition c.

In the first phase D minimises the mean of minus the logarithm of the outcome over real interactions
and over (u, i, c) with i drawn by G; G minimises ``-ln P(c | u, i) - ln P(real | c, u, i)``, whose
gradient passes through a straight-through Gumbel-softmax: i is the largest of logits and noise, a
one-hot vector, and the derivative that of the softmax of the same at `temperature`. In the second
phase G stands still and D minimises ``-ln P(c)`` over real and generated interactions alike.
Source: Wang et al., "Enhancing collaborative filtering with generative augmentation" (KDD'19),
after the paper's description, unverified: no code or data of the authors is known. Straight-through
Gumbel-softmax: Jang, Gu and Poole (ICLR'17).
Deviation: unknown, beside reviews, which are not read. Dislikes are given ones and items outside
the profile; generated items of the second phase are outside the profile too.
Cost: an epoch ``O(real interactions (1 + share) K)`` and, unless `share` is 0, five products of
``2 users x items x K``; memory of a batch of users times the items, and of an epoch's interactions.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding, logsigmoid

from ganmf_fast._core import Csr, draw_items
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batch
from ganmf_fast.gan.device import Footprint
from ganmf_fast.gan.matmul import affine
from ganmf_fast.gan.module import DivergedError, GANModule, Losses, array_of
from ganmf_fast.gan.networks import glorot, mean_cosine
from ganmf_fast.gan.settings import AugCFSettings
from ganmf_fast.gan.sparse_ops import times
from ganmf_fast.scorers.factors import Factors

# Users whose items are drawn together.
_BLOCK = 256
# Numbers that one thread sums, and real interactions that get their dislikes in one go.
_PIECE, _PART = 2**14, 2**18
# Below the smallest number above 0 that is drawn, so that the noise is finite.
_LEAST = 2.0**-25

Numbers = NDArray[np.int32]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
        disturbed = (logits + noise) / temperature
        soft = disturbed.softmax(dim=1)
        ctx.save_for_backward(soft)
        ctx.temperature = temperature
        hard = torch.zeros_like(soft)
        return hard.scatter_(1, disturbed.argmax(dim=1, keepdim=True), 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (soft,) = ctx.saved_tensors
        weighted = grad * soft
        inner = weighted.sum(dim=1, keepdim=True)
        return (weighted - soft * inner).div_(ctx.temperature), None, None


def straight_through(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """One-hot rows at the largest of ``logits + noise``, with the derivative of a softmax.

    Parameters
    ----------
    logits : Tensor, shape (rows, items)
    noise : Tensor, shape (rows, items)
        Standard Gumbel noise makes an item as likely as the softmax of the logits does.
    temperature : float
        The derivative is that of ``softmax((logits + noise) / temperature)``.
    """
    chosen: Tensor = _StraightThrough.apply(logits, noise, temperature)
    return chosen


class Pairs(NamedTuple):
    """A batch of D: users and items, of which the first `n_real` are real."""

    users: Tensor
    items: Tensor
    conditions: Tensor
    """1 for likes, 0 for dislikes."""
    n_real: int
    judged: bool
    """Whether D learns which are real."""


class Conditions(NamedTuple):
    """A batch of G: users, 1 for a like or 0 for a dislike, and noise for all items."""

    users: Tensor
    conditions: Tensor
    noise: Tensor


class ItemVectors(nn.Module):
    """Factors of users and items; those of items with the projection of their features."""

    def __init__(
        self, shape: tuple[int, int], width: int, features: Batch | None, rng: torch.Generator
    ) -> None:
        super().__init__()
        n_users, n_items = shape
        self.user_factors = nn.Parameter(glorot(n_users, width, rng, torch.float32))
        self.item_factors = nn.Parameter(glorot(n_items, width, rng, torch.float32))
        self.features = features
        if features is not None:
            weights = glorot(features.n_items, width, rng, torch.float32)
            self.projection = nn.Parameter(weights)

    def vectors(self) -> Tensor:
        """``q_i + f_i W`` of all items."""
        if self.features is None:
            return self.item_factors
        return self.item_factors + times(self.features, self.projection)


class LikeDiscriminator(ItemVectors):
    """D but for its opinion of what is real."""

    def __init__(self, shape: tuple[int, int], *args: Any) -> None:
        super().__init__(shape, *args)
        self.item_bias = nn.Parameter(torch.zeros(shape[1]))


class Condition(nn.Module):
    """Per condition, a weight of each factor and a bias of each item."""

    def __init__(self, n_items: int, width: int) -> None:
        super().__init__()
        self.gates = nn.Parameter(torch.ones(2, width))
        self.item_biases = nn.Parameter(torch.zeros(2, n_items))

    def logits_of_all(self, rows: Tensor, items: Tensor, conditions: Tensor) -> Tensor:
        """For vectors of users, one row each: logits of all items."""
        gated = rows * embedding(conditions, self.gates)
        return affine(gated, items) + embedding(conditions, self.item_biases)


class ItemGenerator(ItemVectors):
    """G: logits over all items for a user and a condition."""

    def __init__(self, shape: tuple[int, int], width: int, *args: Any) -> None:
        super().__init__(shape, width, *args)
        self.condition = Condition(shape[1], width)

    def forward(self, users: Tensor, conditions: Tensor) -> Tensor:
        """Logits, shape (users, items)."""
        rows = embedding(users, self.user_factors)
        return self.condition.logits_of_all(rows, self.vectors(), conditions)


class AugCFModule(GANModule):
    """AugCF on the rows of `profiles`, with the `features` of items, one row each, or None."""

    def __init__(self, settings: AugCFSettings, profiles: Csr, features: Csr | None = None) -> None:
        super().__init__(settings, profiles)
        self._settings = settings
        shape, width = (profiles.n_rows, profiles.n_cols), settings.num_factors
        side = None if features is None else self._batch_of(features)
        # D first: it starts from the same weights with a generator and without one.
        self.recommender = LikeDiscriminator(shape, width, side, self.rng).to(self.device)
        self.networks = {"d": self.recommender}
        rates = {"d": settings.d_lr}
        if settings.share:
            self.source = Condition(profiles.n_cols, width).to(self.device)
            self.generator = ItemGenerator(shape, width, side, self.rng).to(self.device)
            self.networks |= {"source": self.source, "g": self.generator}
            rates |= {"source": settings.d_lr, "g": settings.g_lr}
        self.optimisers = {
            name: TensorFlowAdam(self.networks[name].parameters(), rate)
            for name, rate in rates.items()
        }
        lengths = np.diff(profiles.indptr)
        likes = settings.likes(profiles)
        self._n_missing = profiles.n_cols - lengths
        users = np.repeat(np.arange(profiles.n_rows, dtype=np.int32), lengths)
        # What goes before the k-th missing item of a profile: the number of its items a with
        # (a - their place) <= k, which are in order.
        places = np.arange(profiles.nnz) - np.repeat(profiles.indptr[:-1], lengths)
        self._gaps = users * np.int64(profiles.n_cols + 1) + (profiles.indices - places)
        chosen = likes & (self._n_missing[users] > 0)
        self._anchors: Numbers = users[chosen]
        self._given = users, profiles.indices, likes
        n_real = profiles.nnz + settings.negatives * len(self._anchors)
        # Users, items, conditions and their order, and again where they are drawn.
        check_memory(40 * n_real, "AugCF", "lower negatives")
        self._rows = min(settings.g_batch_size, 2 * profiles.n_rows)

    def _batch_of(self, features: Csr) -> Batch:
        rows, numbers = to_scipy(features).copy(), np.arange(features.n_rows)
        return Batch(numbers, rows, features.values is None, self.device, torch.float32)

    def epoch(self, number: int) -> Iterator[tuple[str, Iterator[Any]]]:
        """See ``GANModule``: D over all interactions, then G over all users, if it still learns."""
        settings = self._settings
        judged = bool(settings.share) and number <= settings.adversarial_epochs
        users, items, likes = self._real()
        order = torch.randperm(len(users), generator=self.rng).numpy()
        starts = range(0, len(order), settings.batch_size)
        parts = [order[start : start + settings.batch_size] for start in starts]
        generated = self._generated([users, likes], parts, number, judged)
        for _ in range(settings.d_steps):
            yield "d", self._pairs((users, items, likes), parts, generated, judged)
        if judged:
            # Draws of their own: those of the real interactions are the same without a generator.
            seeds = np.random.SeedSequence((settings.seed, number)).generate_state(1)
            draws = torch.Generator().manual_seed(int(seeds[0]))
            for _ in range(settings.g_steps):
                yield "g", self._conditions(users, likes, draws)

    def _real(self) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
        """Users, items, and whether they like them: given interactions, then drawn dislikes."""
        users, items, likes = self._given
        drawn = [self._outside(self._anchors) for _ in range(self._settings.negatives)]
        if not drawn:
            return users, items, likes
        return (
            np.concatenate([users, *[self._anchors] * len(drawn)]),
            np.concatenate([items, *drawn]),
            np.concatenate([likes, np.zeros(len(drawn) * len(self._anchors), np.bool_)]),
        )

    def _outside(self, users: Numbers) -> Numbers:
        """For each of `users` an item outside the profile, drawn uniformly."""
        found = np.empty(len(users), np.int32)
        stride = self.profiles.n_cols + 1
        # In parts, between which Ctrl-C is heard.
        for start in range(0, len(users), _PART):
            mine = users[start : start + _PART].astype(np.int64)
            drawn = torch.rand(len(mine), generator=self.rng, dtype=torch.float64).numpy()
            k = (drawn * self._n_missing[mine]).astype(np.int64)
            before = np.searchsorted(self._gaps, mine * stride + k, side="right")
            found[start : start + _PART] = k + before - self.profiles.indptr[mine]
        return found

    def _generated(
        self,
        real: Sequence[NDArray[Any]],
        parts: Sequence[NDArray[np.int64]],
        number: int,
        judged: bool,
    ) -> Sequence[tuple[NDArray[Any], ...]]:
        """Users, items and conditions that G adds to each of the batches `parts`."""
        share = self._settings.share
        if not share:
            return []
        # The first ones of a batch are as random as any.
        counts = [int(np.ceil(share * len(part))) for part in parts]
        chosen = np.concatenate([part[:n] for part, n in zip(parts, counts, strict=True)])
        users, likes = (array[chosen] for array in real)
        items = self._drawn(users, likes, number, masked=not judged)
        ends = np.cumsum(counts)[:-1]
        split = [np.split(array, ends) for array in (users, items, likes)]
        return list(zip(*split, strict=True))

    @torch.no_grad()
    def _drawn(
        self, users: Numbers, likes: NDArray[np.bool_], number: int, masked: bool
    ) -> Numbers:
        """An item of G for each of `users`; -1 where `masked` and nothing is outside a profile."""
        found = np.full(len(users), -1, np.int32)
        for condition in (0, 1):
            mine = np.flatnonzero(likes == bool(condition))
            if masked:
                mine = mine[self._n_missing[users[mine]] > 0]
            mine = mine[np.argsort(users[mine], kind="stable")]
            rows, counts = np.unique(users[mine], return_counts=True)
            ends = np.concatenate(([0], np.cumsum(counts)))
            for start in range(0, len(rows), _BLOCK):
                block = slice(start, start + _BLOCK)
                weights = self._weights(rows[block].astype(np.int64), condition, masked)
                if np.isnan(weights.sum()):
                    raise DivergedError("an output of the generator = nan")
                places = mine[ends[start] : ends[min(start + _BLOCK, len(rows))]]
                found[places] = draw_items(
                    weights,
                    rows[block].astype(np.int64),
                    counts[block].astype(np.int64),
                    self._settings.seed,
                    2 * number + condition,
                )
        return found

    def _weights(
        self, users: NDArray[np.int64], condition: int, masked: bool
    ) -> NDArray[np.float32]:
        """Probabilities of all items, of which G draws."""
        numbers = torch.from_numpy(users).to(self.device)
        logits = self.generator(numbers, torch.full_like(numbers, condition))
        if masked:
            profiles = to_scipy(self.profiles)[users].tocoo()
            at = torch.from_numpy(np.stack([profiles.row, profiles.col]).astype(np.int64))
            row, column = at.to(self.device)
            logits[row, column] = -torch.inf
        weights: NDArray[np.float32] = logits.softmax(dim=1).numpy(force=True)
        return weights

    def _pairs(
        self,
        real: tuple[NDArray[Any], ...],
        parts: Sequence[NDArray[np.int64]],
        generated: Sequence[tuple[NDArray[Any], ...]],
        judged: bool,
    ) -> Iterator[Pairs]:
        for place, part in enumerate(parts):
            arrays = [array[part] for array in real]
            if generated:
                known = generated[place][1] >= 0
                made = [array[known] for array in generated[place]]
                arrays = [np.concatenate(both) for both in zip(arrays, made, strict=True)]
            users, items, conditions = map(self._tensor, arrays)
            yield Pairs(users, items, conditions, len(part), judged)

    def _tensor(self, numbers: NDArray[Any]) -> Tensor:
        return torch.from_numpy(numbers.astype(np.int64)).to(self.device)

    def _conditions(
        self, users: Numbers, likes: NDArray[np.bool_], draws: torch.Generator
    ) -> Iterator[Conditions]:
        """Every user under every condition of which there are interactions, shuffled."""
        present = np.zeros((self.profiles.n_rows, 2), np.bool_)
        present[users, likes.astype(np.int64)] = True
        rows = np.argwhere(present)
        rows = rows[torch.randperm(len(rows), generator=draws).numpy()]
        for start in range(0, len(rows), self._rows):
            part = self._tensor(rows[start : start + self._rows].T)
            uniform = torch.rand(part.shape[1], self.profiles.n_cols, generator=draws)
            noise = uniform.clamp_(min=_LEAST).log_().neg_().log_().neg_()
            yield Conditions(part[0], part[1], noise.to(self.device))

    def train_d(self, batch: Pairs) -> Losses:
        """Update D by real and generated interactions."""
        D, n = self.recommender, batch.n_real
        rows = embedding(batch.users, D.user_factors)
        products = rows * embedding(batch.items, D.vectors())
        bias = embedding(batch.items, D.item_bias[:, None])[:, 0]
        likes = products.sum(dim=1) + bias
        outcomes = logsigmoid(likes * (2 * batch.conditions - 1))
        names, scores = ["d"], {}
        if batch.judged:
            names.append("source")
            gates = embedding(batch.conditions, self.source.gates)
            biases = self.source.item_biases.reshape(-1, 1)
            at = batch.conditions * self.profiles.n_cols + batch.items
            real = (products * gates).sum(dim=1) + embedding(at, biases)[:, 0]
            sign = torch.ones_like(real)
            sign[n:] = -1
            outcomes = outcomes + logsigmoid(real * sign)
            judged = real.detach().sigmoid()
            scores = {"real_score": judged[:n].mean().item()}
            scores |= {"generated_score": judged[n:].mean().item()}
        loss = -_summed(outcomes) / n
        parameters = {name: list(self.networks[name].parameters()) for name in names}
        every = [one for ones in parameters.values() for one in ones]
        gradients = iter(torch.autograd.grad(loss, every))
        found: dict[str, float] = {}
        for name, ones in parameters.items():
            mine = [next(gradients) for _ in ones]
            found |= self.step_along(name, loss, mine, self._settings.d_reg)
        found.pop("source_loss", None)
        return {**found, **scores}

    def train_g(self, batch: Conditions) -> Losses:
        """Update G by the gradient of D at the items it draws."""
        D = self.recommender
        with torch.no_grad():
            rows, items = embedding(batch.users, D.user_factors), D.vectors()
            likes = affine(rows, items) + D.item_bias
            real = self.source.logits_of_all(rows, items, batch.conditions)
        logits = self.generator(batch.users, batch.conditions)
        chosen = straight_through(logits, batch.noise, self._settings.temperature)
        sign = 2 * batch.conditions - 1
        of_chosen = [(chosen * values).sum(dim=1) for values in (likes, real)]
        loss = -_summed(logsigmoid(of_chosen[0] * sign) + logsigmoid(of_chosen[1]))
        return self.adam_step("g", loss / len(sign), self._settings.g_reg)

    def weights(self) -> Sequence[Tensor]:
        """See ``GANModule``: those of D."""
        return [parameter.detach() for parameter in self.recommender.parameters()]

    @torch.no_grad()
    def diagnose(self) -> Losses:
        """See ``GANModule``; a generated profile is the probabilities under the condition like."""
        if not self._settings.share:
            return {}
        return mean_cosine(torch.from_numpy(self._weights(self.sample, 1, masked=False)))

    @torch.no_grad()
    def scorer(self) -> Factors:
        """See ``GANModule``; the last column is one for users, for items the bias."""
        D = self.recommender
        users = torch.nn.functional.pad(D.user_factors, (0, 1), value=1.0)
        return Factors(array_of(users), array_of(torch.cat([D.vectors(), D.item_bias[:, None]], 1)))

    def footprint(self) -> Footprint:
        """See ``GANModule``: of a batch of G, noise and what is made of it, for all items."""
        per_row = 4 * 12 * self.profiles.n_cols
        return Footprint(16 * self.n_parameters(), per_row, "g_batch_size", self._rows)

    def multiplications(self) -> int:
        """See ``GANModule``: of a step of D, of which there are more than of G."""
        return 4 * self._settings.batch_size * self._settings.num_factors


def _summed(values: Tensor) -> Tensor:
    """Sum of a vector, to the same bits for any number of threads."""
    return torch.stack([piece.sum() for piece in values.split(_PIECE)]).sum()
