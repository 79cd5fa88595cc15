"""The steps of GANMF on a GPU as CUDA graphs: no step of an epoch waits for the host.

Objective and arithmetic: those of :mod:`~ganmf_fast.gan.ganmf.exact`, whose letters are used here.
Source: derived there.
What is different on a GPU:

- all nonzeros of an epoch are put in the order of its batches, and a step finds its own by the
  number of the batch, which it increments itself. So each step is the same sequence of kernels on
  the same memory: it runs once, is captured as a CUDA graph, and is replayed from then on. A last
  batch of another size is a graph of its own;
- whether the hinge is active is a factor of zero or one instead of a branch, and the sums of the
  losses stay on the GPU until the end of the pass;
- wide products are those of dense matrices throughout. Real and generated profiles are stacked,
  ``[X_b; F]``: multiplying twice the rows takes no longer while the batch is small, as it is where
  these products are chosen;
- Adam's update with its moments and the penalty is one kernel.

The same seed gives the same bits on the same kind of GPU.
Cost: as there; in memory also two orders of the nonzeros, and for narrow products the ends of
``batches x items`` lists.
"""

import math
import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache
from subprocess import SubprocessError
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmf_fast._core import Csr
from ganmf_fast.gan.adam import BETAS, Moments
from ganmf_fast.gan.ema import Average
from ganmf_fast.gan.ganmf.dense import LossWeights
from ganmf_fast.gan.ganmf.exact import d_costs, g_costs
from ganmf_fast.gan.ganmf.steps import Steps
from ganmf_fast.gan.ganmf.triton_kernels import (
    adam,
    emphasise,
    hinge_factors,
    n_partial_sums,
    scatter_rows,
    spmm,
)
from ganmf_fast.gan.networks import Discriminator, Generator, with_ones

_D_LOSSES = ("d_loss", "real_energy", "generated_energy", "hinge_active")
_G_LOSSES = ("g_loss", "feature_loss")


def fits_int32(profiles: Csr, batch_size: int) -> bool:
    """Whether 32 bits number the nonzeros, and the lists of nonzeros by batch and item."""
    lists = math.ceil(profiles.n_rows / batch_size) * profiles.n_cols
    return max(profiles.nnz, lists) < 2**31


@cache
def triton_available(device: torch.device) -> bool:
    """Whether Triton compiles kernels that run here, for which it needs a C compiler.

    Warns if it does not.
    """
    values, gradients, means, squares = torch.zeros(4, 16, device=device)
    rates, at = values.new_zeros(1), torch.zeros(1, dtype=torch.int32, device=device)
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            adam(values, gradients, means, squares, rates, at, 0.0)
    except torch.cuda.OutOfMemoryError:
        raise
    except (RuntimeError, OSError, ImportError, SubprocessError) as error:
        warnings.warn(
            f"Triton cannot compile kernels here ({error}), without which GANMF trains several "
            "times slower on a GPU",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


class Entries(NamedTuple):
    """Values of the nonzeros of an epoch, in both orders; None where all are ones or not needed."""

    by_row: Tensor | None = None
    by_item: Tensor | None = None


class DeviceBatches:
    """The nonzeros of an epoch on the device, in the order of its batches.

    Parameters
    ----------
    profiles : Csr
        The rows that are learned.
    batch_size : int
    device, dtype
        Where, and in which precision the values are.
    transposed : bool
        Also store them by item, batch by batch.
    dropout : bool
        Whether some are hidden from the discriminator.
    weights : tuple of float, optional
        Weights of those that are hidden and of the others, if they are not one.

    Attributes
    ----------
    at : int32 Tensor, shape (1,)
        Number of the batch.
    real, seen, targets : Entries
        What the nonzeros are, what remains of them after dropout, and what takes their place in
        the residuals where some weigh more than others.
    """

    def __init__(
        self,
        profiles: Csr,
        batch_size: int,
        device: torch.device,
        dtype: torch.dtype,
        transposed: bool,
        dropout: bool,
        weights: tuple[float, float] | None,
    ) -> None:
        self.batch_size = batch_size
        self.n_rows, self.n_items = profiles.n_rows, profiles.n_cols
        self.n_batches = math.ceil(profiles.n_rows / batch_size)
        self.at = torch.zeros(1, dtype=torch.int32, device=device)

        def on_device(array: NDArray[np.generic], kind: torch.dtype) -> Tensor:
            return torch.from_numpy(np.array(array)).to(device, kind)

        lengths = np.diff(profiles.indptr)
        self._lengths = lengths
        self._first = on_device(profiles.indptr[:-1], torch.int64)
        self._all_items = on_device(profiles.indices, torch.int32)
        self._all_values = None
        squares = lengths.astype(np.float64)
        if profiles.values is not None:
            self._all_values = on_device(profiles.values, dtype)
            ends = np.concatenate([[0.0], np.cumsum(np.square(profiles.values, dtype=np.float64))])
            squares = ends[profiles.indptr[1:]] - ends[profiles.indptr[:-1]]
        self._squares_of_rows = squares
        self._nonzeros_of_batches: list[int] = []

        def buffer(n: int, kind: torch.dtype) -> Tensor:
            return torch.zeros(n, dtype=kind, device=device)

        n, nnz = self.n_rows, profiles.nnz
        self._nnz = nnz
        # A captured step has the addresses of these.
        self.users = buffer(self.n_batches * batch_size, torch.int64).view(-1, batch_size)
        self.squares = buffer(self.n_batches, dtype)
        self.starts = buffer(n + 1, torch.int32)
        self.items = buffer(nnz, torch.int32)
        self._transposed = transposed
        if transposed:
            self.item_starts = buffer(self.n_batches * self.n_items + 1, torch.int32)
            self.rows = buffer(nnz, torch.int32)
            self._order = buffer(nnz, torch.int64)

        def entries() -> Entries:
            return Entries(buffer(nnz, dtype), buffer(nnz, dtype) if transposed else None)

        self._weights = buffer(2, dtype)
        self._places: Tensor | None = None
        self.real = Entries() if self._all_values is None else entries()
        self.seen = entries() if dropout else self.real
        self.targets = self.real
        if dropout and weights is not None:
            self.targets = entries()
            self._weights.copy_(torch.tensor(weights, dtype=dtype))
            self._places = buffer(nnz, torch.int32) if transposed else None

    def arrange(self, order: NDArray[np.int64]) -> None:
        """Arrange the rows in `order`."""
        device = self.at.device
        padded = np.zeros(self.users.numel(), np.int64)
        padded[: len(order)] = order
        self.users.copy_(torch.from_numpy(padded).view(self.users.shape))
        squares = np.zeros(self.users.numel())
        squares[: len(order)] = self._squares_of_rows[order]
        self.squares.copy_(torch.from_numpy(squares.reshape(self.n_batches, -1).sum(axis=1)))
        lengths_here = self._lengths[order].astype(np.int64)
        starts = np.arange(0, self.n_rows, self.batch_size)
        self._nonzeros_of_batches = np.add.reduceat(lengths_here, starts).tolist()
        lengths = torch.from_numpy(lengths_here).to(device)
        ends = torch.cumsum(lengths, 0)
        self.starts[1:].copy_(ends)
        # For each nonzero its row, and its distance from its place in the whole matrix.
        shift = self._first[torch.from_numpy(order).to(device)] - (ends - lengths)
        row = torch.repeat_interleave(
            torch.arange(self.n_rows, device=device), lengths, output_size=self._nnz
        )
        source = torch.arange(self._nnz, device=device) + shift[row]
        torch.index_select(self._all_items, 0, source, out=self.items)
        if self.real.by_row is not None and self._all_values is not None:
            torch.index_select(self._all_values, 0, source, out=self.real.by_row)
        if self._transposed:
            lists = (row // self.batch_size) * self.n_items + self.items
            ordered, place = torch.sort(lists, stable=True)
            bounds = torch.arange(len(self.item_starts), device=device)
            torch.searchsorted(ordered, bounds, out_int32=True, out=self.item_starts)
            self.rows.copy_((row % self.batch_size)[place])
            self._order.copy_(place)
            if self.real.by_row is not None and self.real.by_item is not None:
                torch.index_select(self.real.by_row, 0, place, out=self.real.by_item)
            if self._places is not None:
                numbers = torch.arange(self._nnz, dtype=torch.int32, device=device)
                self._places.index_copy_(0, place, numbers)

    def drop(self, fraction: float, rng: torch.Generator) -> None:
        """Hide a random `fraction` of the nonzeros from the discriminator, and scale the others.

        The numbers drawn are those of ``Batch.dropped``, batch by batch.
        """
        drawn = torch.cat([torch.rand(n, generator=rng) for n in self._nonzeros_of_batches])
        kept = drawn.to(self.at.device) >= fraction
        values = self.squares.new_ones(1) if self.real.by_row is None else self.real.by_row
        seen = torch.where(kept, values / (1 - fraction), 0.0).to(self.squares.dtype)
        if self.seen.by_row is not None:
            self.seen.by_row.copy_(seen)
        if self.seen.by_item is not None:
            torch.index_select(seen, 0, self._order, out=self.seen.by_item)

    def emphasise(self, hidden: Tensor, decoder: Tensor) -> Tensor | None:
        """Set the targets, from Z and W; sums of their squares and of what |R|^2 lacks."""
        if self.targets.by_row is None or self.targets is self.real or self.seen.by_row is None:
            return None
        return emphasise(
            self.targets.by_row,
            self.targets.by_item,
            hidden,
            decoder,
            self.starts,
            self.items,
            self.real.by_row,
            self.seen.by_row,
            self._places,
            self._weights,
            self.at,
            self.batch_size,
        )

    def users_of(self, rows: int) -> Tensor:
        """The `rows` rows of the batch."""
        return self.users.index_select(0, self.at)[0, :rows]

    def times(self, matrix: Tensor, rows: int, entries: Entries) -> Tensor:
        """``X_b matrix``, with `entries` for X_b."""
        out = matrix.new_empty(rows, matrix.shape[1])
        values = entries.by_row
        spmm(out, matrix, self.starts, self.items, values, self.at, self.batch_size, at_once=64)
        return out

    def add_transposed(self, out: Tensor, matrix: Tensor, alpha: float, entries: Entries) -> None:
        """``out += alpha X_b^T matrix`` in place."""
        values = entries.by_item
        spmm(
            out, matrix, self.item_starts, self.rows, values, self.at, self.n_items, alpha, add=True
        )

    def scatter(self, out: Tensor, entries: Entries) -> None:
        """Write X_b to the rows of `out`, which are zeros elsewhere."""
        values = entries.by_row
        scatter_rows(out, self.starts, self.items, values, self.at, self.batch_size)


class CapturedAdam(Moments):
    """Adam whose steps are captured: the learning rate is read by the number of the batch."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float, steps: int) -> None:
        super().__init__(parameters, lr)
        some = self._means[0]
        self._rates = some.new_zeros(steps)
        self._partial_sums = [some.new_zeros(n_partial_sums(means)) for means in self._means]

    def start_pass(self) -> None:
        """Prepare the steps of a pass, each of which is one :meth:`step`."""
        taken = np.arange(self._steps + 1, self._steps + 1 + len(self._rates), dtype=np.float64)
        b1, b2 = BETAS
        rates = self._lr * np.sqrt(1 - b2**taken) / (1 - b1**taken)
        self._rates.copy_(torch.from_numpy(rates))
        self._steps += len(self._rates)
        for sums in self._partial_sums:
            sums.zero_()

    def step(self, gradients: Iterable[Tensor], at: Tensor, reg: float) -> None:
        """Update all by the step of batch `at`, ``reg`` times themselves in their gradients."""
        parts = (self._parameters, gradients, self._means, self._squares, self._partial_sums)
        for parameter, gradient, means, squares, sums in zip(*parts, strict=True):
            adam(parameter.data, gradient, means, squares, self._rates, at, reg, sums)

    def squares(self) -> Tensor:
        """Squares of all parameters before each step of the pass, summed."""
        return torch.stack([sums.sum() for sums in self._partial_sums]).sum()


class CapturedSteps(Steps):
    """Passes of both networks, each step of which is captured once and then replayed.

    The loop sees one batch, which is the whole epoch.

    Parameters
    ----------
    generator, discriminator : the networks
    weights : LossWeights
    profiles : Csr
        The rows that are learned.
    batch_size : int
    rates : tuple of float
        Learning rates of discriminator and generator.
    rng : Generator
        Draws what is hidden from the discriminator.
    average : Average, optional
        Includes the generator after each of its steps.
    gradient_norms : bool
    products : {"auto", "narrow", "wide"}
        Which association to take; "auto" counts multiplications.
    capture : bool
        If not, every step is launched kernel by kernel.
    """

    # Both profiles twice, since some nonzeros may be hidden from the discriminator; the residuals.
    matrices = 6

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        weights: LossWeights,
        profiles: Csr,
        batch_size: int,
        rates: tuple[float, float],
        *,
        rng: torch.Generator,
        average: Average | None = None,
        gradient_norms: bool = False,
        products: Literal["auto", "narrow", "wide"] = "auto",
        capture: bool = True,
    ) -> None:
        self._G, self._D = generator, discriminator
        self._P, self._Q = generator.user_factors.data, generator.item_factors.data
        self._We, self._W = discriminator.encoder.data, discriminator.decoder.data
        self._weights = weights
        self._rng = rng
        self._average = average
        self._gradient_norms = gradient_norms
        self._capture = capture
        P, We = self._P, self._We
        batch_size = min(batch_size, profiles.n_rows)
        n_batches = math.ceil(profiles.n_rows / batch_size)
        shape = (batch_size, profiles.n_cols, We.shape[1], P.shape[1])
        d_narrow, d_wide = d_costs(*shape)
        g_narrow, g_wide = g_costs(*shape, n_batches, weights.matching)
        self._narrow = (d_narrow <= d_wide, g_narrow <= g_wide)
        if products != "auto":
            self._narrow = (products == "narrow",) * 2
        self._batches = DeviceBatches(
            profiles,
            batch_size,
            P.device,
            P.dtype,
            self._narrow[0],
            weights.d_dropout > 0,
            weights.emphasis,
        )
        last = profiles.n_rows - (n_batches - 1) * batch_size
        self._rows = [batch_size] * (n_batches - 1) + [last]
        self._adam = {
            name: CapturedAdam(network.parameters(), rate, n_batches)
            for (name, network), rate in zip(
                (("d", discriminator), ("g", generator)), rates, strict=True
            )
        }
        self.optimisers = self._adam
        # Products of the network that is not trained.
        self._WW = P.new_zeros(We.shape[1] + 1, We.shape[1] + 1)
        self._QQ = P.new_zeros(P.shape[1], P.shape[1])
        self._sums = P.new_zeros(len(_D_LOSSES) + 1)
        self._graphs: dict[tuple[str, int], torch.cuda.CUDAGraph | None] = {}
        self._pool = torch.cuda.graph_pool_handle() if capture else None

    def batches(self, order: NDArray[np.int64]) -> list[DeviceBatches]:
        """See ``Steps``."""
        self._batches.arrange(order)
        return [self._batches]

    def start_pass(self) -> None:
        """See ``Steps``: nothing is kept between passes."""

    @torch.no_grad()
    def train_d(self, batch: DeviceBatches) -> dict[str, float]:
        """Update the discriminator by every batch of an epoch; the means of its losses."""
        if self._weights.d_dropout:
            batch.drop(self._weights.d_dropout, self._rng)
        if self._narrow[0]:
            torch.mm(self._Q.T, self._Q, out=self._QQ)
        return self._pass("d", self._d_step, _D_LOSSES, self._weights.d_reg)

    @torch.no_grad()
    def train_g(self, batch: DeviceBatches) -> dict[str, float]:
        """Likewise the generator."""
        if self._narrow[1] or self._weights.matching == "decoder":
            torch.mm(self._W.T, self._W, out=self._WW)
        weighted = self._G.user_shrinkage is not None
        return self._pass("g", self._g_step, _G_LOSSES, 0.0 if weighted else self._weights.g_reg)

    def _pass(
        self, name: str, step: Callable[[int], None], losses: tuple[str, ...], reg: float
    ) -> dict[str, float]:
        self._sums.zero_()
        self._batches.at.zero_()
        self._adam[name].start_pass()
        for rows in self._rows:
            self._run(name, rows, step)
        if reg:
            self._sums[0].add_(self._adam[name].squares(), alpha=reg / 2)
        # The only time that the host waits.
        *found, norm = (self._sums / len(self._rows)).tolist()
        named = dict(zip(losses, found, strict=False))
        return {**named, f"{name}_gradient": norm} if self._gradient_norms else named

    def _run(self, name: str, rows: int, step: Callable[[int], None]) -> None:
        """The step on a batch of so many rows: first kernel by kernel, then captured, replayed."""
        key = (name, rows)
        if not self._capture or key not in self._graphs:
            # The first call loads libraries and kernels, which a capture must not.
            step(rows)
            self._graphs[key] = None
            return
        graph = self._graphs[key]
        if graph is None:
            graph = self._captured(lambda: step(rows))
            self._graphs[key] = graph
        graph.replay()

    def _captured(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        # torch.cuda.graph would empty torch's cache of memory first.
        graph, stream = torch.cuda.CUDAGraph(), _capture_stream(self._batches.at.device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                step()
            finally:
                graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)
        return graph

    def _d_step(self, rows: int) -> None:
        P_b = self._P[self._batches.users_of(rows)]
        form = self._d_narrow if self._narrow[0] else self._d_wide
        to_encoder, to_bias, to_decoder = form(P_b, rows)
        reg = self._weights.d_reg
        # In the order of the parameters: those of `Discriminator` and of Adam.
        gradients = [to_encoder, to_bias, to_decoder]
        if self._gradient_norms:
            for parameter, gradient in zip(self._D.parameters(), gradients, strict=True):
                gradient.add_(parameter.data, alpha=reg)
            self._add_norm(gradients)
            reg = 0.0
        self._adam["d"].step(gradients, self._batches.at, reg)
        self._batches.at.add_(1)

    def _d_wide(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        batches = self._batches
        target = shown = self._stacked(P_b, rows)
        if batches.seen is not batches.real:
            shown = self._stacked(P_b, rows, target)
        Z = with_ones(torch.addmm(self._D.encoder_bias.data, shown, self._We))
        sums = batches.emphasise(Z[:rows], self._W)
        if sums is not None:
            batches.scatter(target[:rows], batches.targets)
        R = torch.addmm(target, Z, self._W.T, beta=-1)
        squares = torch.linalg.vector_norm(R.view(2, -1), dim=1).square_()
        if sums is not None:
            squares[0] += sums[1]
        factors = self._hinge_factors(squares, rows)
        dEnc = torch.mm(R, self._W)[:, :-1] * factors
        to_decoder = torch.mm(R.T, Z * factors)
        return torch.mm(shown.T, dEnc), dEnc.sum(dim=0), to_decoder

    def _d_narrow(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        batches, bias = self._batches, self._D.encoder_bias.data
        QWe, QW = torch.mm(self._Q.T, self._We), torch.mm(self._Q.T, self._W)
        WW = torch.mm(self._W.T, self._W)
        encoded = torch.cat([batches.times(self._We, rows, batches.seen), torch.mm(P_b, QWe)])
        Z = with_ones(encoded + bias)
        sums = batches.emphasise(Z[:rows], self._W)
        targets = torch.cat([batches.times(self._W, rows, batches.targets), torch.mm(P_b, QW)])
        RW = torch.addmm(targets, Z, WW, beta=-1)
        # |R|^2 = sum of (R W) Z - (target W) Z + |target|^2
        inner = ((RW - targets) * Z).view(2, -1).sum(dim=1)
        generated = (torch.mm(P_b, self._QQ) * P_b).sum()
        real = batches.squares.index_select(0, batches.at)[0] if sums is None else sums.sum()
        factors = self._hinge_factors(inner + torch.stack([real, generated]), rows)
        scaled, dEnc = Z * factors, RW[:, :-1] * factors
        to_decoder = torch.mm(self._W, torch.mm(Z.T, scaled))
        to_decoder.addmm_(self._Q, torch.mm(P_b.T, scaled[rows:]), alpha=-1)
        batches.add_transposed(to_decoder, scaled[:rows], -1.0, batches.targets)
        to_encoder = torch.mm(self._Q, torch.mm(P_b.T, dEnc[rows:]))
        batches.add_transposed(to_encoder, dEnc[:rows], 1.0, batches.seen)
        return to_encoder, dEnc.sum(dim=0), to_decoder

    def _stacked(self, P_b: Tensor, rows: int, whole: Tensor | None = None) -> Tensor:
        """``[X_b; F]``; if that is `whole`, what remains of it after dropout."""
        out = P_b.new_empty(2 * rows, self._batches.n_items)
        out[:rows].zero_()
        batches = self._batches
        batches.scatter(out[:rows], batches.real if whole is None else batches.seen)
        if whole is None:
            torch.mm(P_b, self._Q.T, out=out[rows:])
        else:
            out[rows:].copy_(whole[rows:])
        return out

    def _hinge_factors(self, squares: Tensor, rows: int) -> Tensor:
        """The factor c of each real row's gradient and c_f of each generated one's, a column."""
        factors = hinge_factors(squares, self._sums, rows * self._batches.n_items, self._weights.m)
        return factors[:, None].expand(2, rows).reshape(-1, 1)

    def _g_step(self, rows: int) -> None:
        users = self._batches.users_of(rows)
        P_b = self._P[users]
        form = self._g_narrow if self._narrow[1] else self._g_wide
        to_rows, to_items, squares, match_squares = form(P_b, rows)
        to_users = torch.zeros_like(self._P)
        to_users.index_copy_(0, users, to_rows)
        G, weights, a = self._G, self._weights, self._weights.recon_coefficient
        n_entries = n_matched = rows * self._batches.n_items
        if weights.matching == "features":
            n_matched = rows * self._We.shape[1]
        loss = squares * ((1 - a) / n_entries) + match_squares * (a / n_matched)
        reg = weights.g_reg
        if reg and G.user_shrinkage is not None:
            loss += reg * G.squares()
        if reg and (G.user_shrinkage is not None or self._gradient_norms):
            for gradient, decay in zip((to_users, to_items), G.decay(reg), strict=True):
                gradient.add_(decay)
            reg = 0.0
        self._sums[:2].add_(torch.stack([loss, match_squares / n_matched]))
        gradients = [to_users, to_items]
        if self._gradient_norms:
            self._add_norm(gradients)
        self._adam["g"].step(gradients, self._batches.at, reg)
        if self._average is not None:
            self._average.add(G)
        self._batches.at.add_(1)

    def _to_encoded(self, rows: int, RW: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
        """dEnc(f), and the squares of what is matched, if that is no reconstruction.

        `difference` is that of the hidden layers.
        """
        a, entries = self._weights.recon_coefficient, rows * self._batches.n_items
        to_encoded = RW[:, :-1] * (2 * (1 - a) / entries)
        match self._weights.matching:
            case "features":
                squares = torch.linalg.vector_norm(difference).square_()
                to_encoded.add_(difference, alpha=2 * a / difference.numel())
            case "decoder":
                moved = torch.mm(difference, self._WW[:-1, :-1])
                squares = (moved * difference).sum()
                to_encoded.add_(moved, alpha=2 * a / entries)
            case _:
                squares = RW.new_zeros(())
        return to_encoded, squares

    def _to_generated(self, rows: int) -> float:
        """The factor of R_f in dF, or of the mixture."""
        a, entries = self._weights.recon_coefficient, rows * self._batches.n_items
        return 2 / entries if self._weights.matching == "reconstruction" else 2 * (1 - a) / entries

    def _g_wide(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        both = self._stacked(P_b, rows)
        F, encoded = both[rows:], torch.mm(both, self._We)
        Z = with_ones(encoded + self._D.encoder_bias.data)
        R = torch.addmm(F, Z[rows:], self._W.T, beta=-1)
        squares = torch.linalg.vector_norm(R).square_()
        difference = encoded[rows:] - encoded[:rows]
        dEnc, match_squares = self._to_encoded(rows, torch.mm(R, self._W), difference)
        if self._weights.matching == "reconstruction":
            matched = torch.addmm(F, Z[:rows], self._W.T, beta=-1)
            match_squares = torch.linalg.vector_norm(matched).square_()
            R.lerp_(matched, self._weights.recon_coefficient)
        dF = torch.addmm(R, dEnc, self._We.T, beta=-self._to_generated(rows))
        return torch.mm(dF, self._Q), torch.mm(dF.T, P_b), squares, match_squares

    def _g_narrow(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        Q, We, W, bias = self._Q, self._We, self._W, self._D.encoder_bias.data
        QWe, QW, QQ = torch.mm(Q.T, We), torch.mm(Q.T, W), torch.mm(Q.T, Q)
        generated, real = torch.mm(P_b, QWe), self._batches.times(We, rows, self._batches.real)
        Z_f = with_ones(generated + bias)
        FW, PQQ = torch.mm(P_b, QW), torch.mm(P_b, QQ)
        RW = torch.addmm(FW, Z_f, self._WW, beta=-1)
        F_squares = (PQQ * P_b).sum()
        squares = ((RW - FW) * Z_f).sum() + F_squares
        dEnc, match_squares = self._to_encoded(rows, RW, generated - real)
        if self._weights.matching == "reconstruction":
            Z = with_ones(real + bias)
            inner = (torch.mm(Z, self._WW) - 2 * FW) * Z
            match_squares = inner.sum() + F_squares
            Z_f.lerp_(Z, self._weights.recon_coefficient)
        c = self._to_generated(rows)
        to_items = torch.mm(We, torch.mm(dEnc.T, P_b))
        to_items.addmm_(W, torch.mm(Z_f.T, P_b), alpha=-c)
        to_items.addmm_(Q, torch.mm(P_b.T, P_b), alpha=c)
        RQ = torch.addmm(PQQ, Z_f, QW.T, beta=-1)
        to_rows = torch.addmm(RQ, dEnc, QWe.T, beta=-c)
        return to_rows, to_items, squares, match_squares

    def _add_norm(self, gradients: list[Tensor]) -> None:
        squares = [torch.linalg.vector_norm(gradient).square_() for gradient in gradients]
        self._sums[-1:].add_(torch.stack(squares).sum().sqrt())


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which all steps are captured: libraries keep memory for each."""
    return torch.cuda.Stream(device)
