"""The training step of GANMF on a GPU: an epoch is queued, and nothing in it waits for the host.

Objective and arithmetic: those of :mod:`~ganmf_fast.gan.ganmf.exact`, whose letters are used here.
Source: derived there.
What is different on a GPU:

- all cells of an epoch are put in the order of its batches there, and a step finds its own by the
  number of the batch, which it counts up itself. So each step is the same sequence of kernels on
  the same memory: it runs once, is recorded as a CUDA graph, and is repeated from then on. A last
  batch of another size is a recording of its own;
- whether the hinge is open is a factor of zero or one instead of a branch, and the sums of the
  losses stay on the GPU until the pass is over;
- wide products are those of dense matrices throughout. Real and made profiles lie on one another,
  ``[X_b; F]``: multiplying twice the rows takes no longer while the batch is small, which it is
  where these products are chosen;
- the moments of Adam and the shrinkage of the weights are one kernel.

The same seed gives the same bits on the same kind of GPU.
Cost: as there; in memory also two orders of the cells, and for narrow products the ends of
``batches x items`` lists.
"""

import math
import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache
from subprocess import SubprocessError
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmf_fast._core import Csr
from ganmf_fast.gan.adam import BETAS, Moments
from ganmf_fast.gan.ganmf.dense import LossWeights
from ganmf_fast.gan.ganmf.exact import d_costs, g_costs
from ganmf_fast.gan.ganmf.triton_kernels import adam, judge, n_shares, spread, sums_of_rows
from ganmf_fast.gan.networks import Discriminator, Generator

if TYPE_CHECKING:
    from ganmf_fast.gan.ganmf.module import Average

__all__ = ["QueuedAdam", "QueuedSteps", "can_be_compiled", "can_be_numbered"]

_D_LOSSES = ("d_loss", "real_energy", "made_energy", "hinge_active")
_G_LOSSES = ("g_loss", "feature_loss")


def can_be_numbered(profiles: Csr, batch_size: int) -> bool:
    """Whether 32 bits do for the cells and for the lists of items."""
    lists = math.ceil(profiles.n_rows / batch_size) * profiles.n_cols
    return max(profiles.nnz, lists) < 2**31


@cache
def can_be_compiled(device: torch.device) -> bool:
    """Whether Triton makes kernels that run here, for which it needs a C compiler.

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


class Cells:
    """The cells of an epoch on the device, in the order of its batches.

    Parameters
    ----------
    profiles : Csr
        The rows that are learned.
    batch_size : int
    device, dtype
        Where, and in which precision the values are.
    transposed : bool
        Also keep them by item, batch by batch.

    Attributes
    ----------
    at : int32 Tensor, shape (1,)
        Number of the batch.
    """

    def __init__(
        self,
        profiles: Csr,
        batch_size: int,
        device: torch.device,
        dtype: torch.dtype,
        transposed: bool,
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
        self._cells_of_batches: list[int] = []

        def buffer(n: int, kind: torch.dtype) -> Tensor:
            return torch.zeros(n, dtype=kind, device=device)

        n, nnz = self.n_rows, profiles.nnz
        self._nnz = nnz
        # A recorded step knows these by their place in memory.
        self.users = buffer(self.n_batches * batch_size, torch.int64).view(-1, batch_size)
        self.squares = buffer(self.n_batches, dtype)
        self.starts = buffer(n + 1, torch.int32)
        self.items = buffer(nnz, torch.int32)
        self.values = None if self._all_values is None else buffer(nnz, dtype)
        self.seen_values: Tensor | None = None
        self._transposed = transposed
        if transposed:
            self.item_starts = buffer(self.n_batches * self.n_items + 1, torch.int32)
            self.rows = buffer(nnz, torch.int32)
            self._order = buffer(nnz, torch.int64)
            self._seen_by_item: Tensor | None = None
            self._values_by_item = None if self.values is None else buffer(nnz, dtype)

    def arrange(self, order: NDArray[np.int64]) -> None:
        """Put the rows in `order`."""
        device = self.at.device
        padded = np.zeros(self.users.numel(), np.int64)
        padded[: len(order)] = order
        self.users.copy_(torch.from_numpy(padded).view(self.users.shape))
        squares = np.zeros(self.users.numel())
        squares[: len(order)] = self._squares_of_rows[order]
        self.squares.copy_(torch.from_numpy(squares.reshape(self.n_batches, -1).sum(axis=1)))
        lengths_here = self._lengths[order].astype(np.int64)
        starts = np.arange(0, self.n_rows, self.batch_size)
        self._cells_of_batches = np.add.reduceat(lengths_here, starts).tolist()
        lengths = torch.from_numpy(lengths_here).to(device)
        ends = torch.cumsum(lengths, 0)
        self.starts[1:].copy_(ends)
        # For each cell its row, and how far it lies behind where it was in the whole matrix.
        shift = self._first[torch.from_numpy(order).to(device)] - (ends - lengths)
        row = torch.repeat_interleave(
            torch.arange(self.n_rows, device=device), lengths, output_size=self._nnz
        )
        source = torch.arange(self._nnz, device=device) + shift[row]
        torch.index_select(self._all_items, 0, source, out=self.items)
        if self.values is not None and self._all_values is not None:
            torch.index_select(self._all_values, 0, source, out=self.values)
        if self._transposed:
            lists = (row // self.batch_size) * self.n_items + self.items
            ordered, place = torch.sort(lists, stable=True)
            bounds = torch.arange(len(self.item_starts), device=device)
            torch.searchsorted(ordered, bounds, out_int32=True, out=self.item_starts)
            self.rows.copy_((row % self.batch_size)[place])
            self._order.copy_(place)
            if self._values_by_item is not None and self.values is not None:
                torch.index_select(self.values, 0, place, out=self._values_by_item)

    def drop(self, share: float, rng: torch.Generator) -> None:
        """Hide a random `share` of the cells from the discriminator, and raise the others.

        The numbers drawn are those of ``Batch.dropped``, batch by batch.
        """
        drawn = torch.cat([torch.rand(n, generator=rng) for n in self._cells_of_batches])
        kept = drawn.to(self.at.device) >= share
        values = self.squares.new_ones(1) if self.values is None else self.values
        seen = torch.where(kept, values / (1 - share), 0.0).to(self.squares.dtype)
        self.seen_values = _into(self.seen_values, seen)
        if self._transposed:
            self._seen_by_item = _into(self._seen_by_item, seen[self._order])

    def users_of(self, rows: int) -> Tensor:
        """The rows of the batch, of which there are so many."""
        return self.users.index_select(0, self.at)[0, :rows]

    def times(self, matrix: Tensor, rows: int, seen: bool = False) -> Tensor:
        """``X_b matrix``; of what the discriminator sees of it, if `seen`."""
        values = self.seen_values if seen and self.seen_values is not None else self.values
        out = matrix.new_empty(rows, matrix.shape[1])
        sums_of_rows(
            out, matrix, self.starts, self.items, values, self.at, self.batch_size, at_once=64
        )
        return out

    def add_transposed(self, out: Tensor, matrix: Tensor, alpha: float, seen: bool = False) -> None:
        """``out += alpha X_b^T matrix`` in place."""
        values = self._values_by_item
        if seen and self._seen_by_item is not None:
            values = self._seen_by_item
        sums_of_rows(
            out, matrix, self.item_starts, self.rows, values, self.at, self.n_items, alpha, add=True
        )

    def spread(self, out: Tensor, seen: bool = False) -> None:
        """Write X_b to the rows of `out`, which are all zeros."""
        values = self.seen_values if seen and self.seen_values is not None else self.values
        spread(out, self.starts, self.items, values, self.at, self.batch_size)


def _into(buffer: Tensor | None, values: Tensor) -> Tensor:
    """Copy to memory that stays where it is."""
    return values.clone() if buffer is None else buffer.copy_(values)


class QueuedAdam(Moments):
    """Adam whose steps are those of the batches of a pass, queued together."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float, steps: int) -> None:
        super().__init__(parameters, lr)
        some = self._means[0]
        self._rates = some.new_zeros(steps)
        self._shares = [some.new_zeros(n_shares(means)) for means in self._means]

    def start_pass(self) -> None:
        """Take the steps of a pass, each of which is to be followed by its :meth:`move`."""
        taken = np.arange(self._steps + 1, self._steps + 1 + len(self._rates), dtype=np.float64)
        b1, b2 = BETAS
        rates = self._lr * np.sqrt(1 - b2**taken) / (1 - b1**taken)
        self._rates.copy_(torch.from_numpy(rates))
        self._steps += len(self._rates)
        for shares in self._shares:
            shares.zero_()

    def move(self, gradients: Iterable[Tensor], at: Tensor, reg: float) -> None:
        """Move all by the step of batch `at`, ``reg`` times themselves in their gradients."""
        parts = (self._parameters, gradients, self._means, self._squares, self._shares)
        for parameter, gradient, means, squares, shares in zip(*parts, strict=True):
            adam(parameter.data, gradient, means, squares, self._rates, at, reg, shares)

    def squares(self) -> Tensor:
        """Squares of all parameters before each step of the pass, summed."""
        return torch.stack([shares.sum() for shares in self._shares]).sum()


class QueuedSteps:
    """Passes of both networks, each step of which is recorded once and then repeated.

    Parameters
    ----------
    generator, discriminator : the networks
    weights : LossWeights
    profiles : Csr
        The rows that are learned.
    batch_size : int
    rates : tuple of float
        Learning rates of discriminator and generator.
    dropout : (float, Generator), optional
        Share of the real cells that the discriminator does not see, and what draws them.
    average : Average, optional
        Takes in the generator after each of its steps.
    gradient_norms : bool
    products : {"auto", "narrow", "wide"}
        Which association to take; "auto" counts multiplications.
    record : bool
        Off, every step is queued kernel by kernel.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        weights: LossWeights,
        profiles: Csr,
        batch_size: int,
        rates: tuple[float, float],
        *,
        dropout: tuple[float, torch.Generator] | None = None,
        average: "Average | None" = None,
        gradient_norms: bool = False,
        products: Literal["auto", "narrow", "wide"] = "auto",
        record: bool = True,
    ) -> None:
        self._G, self._D = generator, discriminator
        self._P, self._Q = generator.user_factors.data, generator.item_factors.data
        self._We, self._W = discriminator.encoder.data, discriminator.decoder.data
        self._weights = weights
        self._dropout = dropout if dropout and dropout[0] else None
        self._average = average
        self._gradient_norms = gradient_norms
        self._record = record
        P, We = self._P, self._We
        batch_size = min(batch_size, profiles.n_rows)
        n_batches = math.ceil(profiles.n_rows / batch_size)
        shape = (batch_size, profiles.n_cols, We.shape[1], P.shape[1])
        d_narrow, d_wide = d_costs(*shape)
        g_narrow, g_wide = g_costs(*shape, n_batches)
        self._narrow = (d_narrow <= d_wide, g_narrow <= g_wide)
        if products != "auto":
            self._narrow = (products == "narrow",) * 2
        self._cells = Cells(profiles, batch_size, P.device, P.dtype, self._narrow[0])
        last = profiles.n_rows - (n_batches - 1) * batch_size
        self._rows = [batch_size] * (n_batches - 1) + [last]
        self.optimisers = {
            name: QueuedAdam(network.parameters(), rate, n_batches)
            for (name, network), rate in zip(
                (("d", discriminator), ("g", generator)), rates, strict=True
            )
        }
        # What stays while one of the networks does.
        self._WW = P.new_zeros(We.shape[1] + 1, We.shape[1] + 1)
        self._QQ = P.new_zeros(P.shape[1], P.shape[1])
        self._sums = P.new_zeros(len(_D_LOSSES) + 1)
        self._graphs: dict[tuple[str, int], torch.cuda.CUDAGraph | None] = {}
        self._pool = torch.cuda.graph_pool_handle() if record else None

    def arranged(self, order: NDArray[np.int64]) -> Cells:
        """The cells of an epoch that takes the rows in `order`."""
        self._cells.arrange(order)
        return self._cells

    @torch.no_grad()
    def train_d(self, cells: Cells) -> dict[str, float]:
        """Move the discriminator by every batch of an epoch; the means of its losses."""
        if self._dropout is not None:
            cells.drop(*self._dropout)
        if self._narrow[0]:
            torch.mm(self._Q.T, self._Q, out=self._QQ)
        return self._pass("d", self._d_step, _D_LOSSES, self._weights.d_reg)

    @torch.no_grad()
    def train_g(self, cells: Cells) -> dict[str, float]:
        """Likewise the generator."""
        del cells
        if self._narrow[1]:
            torch.mm(self._W.T, self._W, out=self._WW)
        weighted = self._G.user_shrinkage is not None
        return self._pass("g", self._g_step, _G_LOSSES, 0.0 if weighted else self._weights.g_reg)

    def _pass(
        self, name: str, step: Callable[[int], None], losses: tuple[str, ...], reg: float
    ) -> dict[str, float]:
        self._sums.zero_()
        self._cells.at.zero_()
        self.optimisers[name].start_pass()
        for rows in self._rows:
            self._queue(name, rows, step)
        if reg:
            self._sums[0].add_(self.optimisers[name].squares(), alpha=reg / 2)
        # The one time that the host waits.
        *found, norm = (self._sums / len(self._rows)).tolist()
        named = dict(zip(losses, found, strict=False))
        return {**named, f"{name}_gradient": norm} if self._gradient_norms else named

    def _queue(self, name: str, rows: int, step: Callable[[int], None]) -> None:
        """The step on a batch of so many rows: first as it is, then recorded, then repeated."""
        key = (name, rows)
        if not self._record or key not in self._graphs:
            # Libraries and kernels load what they need, which a recording must not.
            step(rows)
            self._graphs[key] = None
            return
        graph = self._graphs[key]
        if graph is None:
            graph = self._recorded(lambda: step(rows))
            self._graphs[key] = graph
        graph.replay()

    def _recorded(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        # torch.cuda.graph would empty torch's store of memory first.
        graph, stream = torch.cuda.CUDAGraph(), _recorder(self._cells.at.device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                step()
            finally:
                graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)
        return graph

    # one step ---------------------------------------------------------------------------------

    def _d_step(self, rows: int) -> None:
        P_b = self._P[self._cells.users_of(rows)]
        form = self._d_narrow if self._narrow[0] else self._d_wide
        to_encoder, to_bias, to_decoder = form(P_b, rows)
        D, reg = self._D, self._weights.d_reg
        found = {D.encoder: to_encoder, D.encoder_bias: to_bias, D.decoder: to_decoder}
        gradients = [found[parameter] for parameter in D.parameters()]
        if self._gradient_norms:
            for parameter, gradient in found.items():
                gradient.add_(parameter.data, alpha=reg)
            self._add_norm(gradients)
            reg = 0.0
        self.optimisers["d"].move(gradients, self._cells.at, reg)
        self._cells.at.add_(1)

    def _d_wide(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        target = self._stacked(P_b, rows)
        shown = self._stacked(P_b, rows, target) if self._cells.seen_values is not None else target
        Z = _with_ones(torch.addmm(self._D.encoder_bias.data, shown, self._We))
        R = torch.addmm(target, Z, self._W.T, beta=-1)
        squares = torch.linalg.vector_norm(R.view(2, -1), dim=1).square_()
        factors = self._judged(squares, rows)
        dEnc = torch.mm(R, self._W)[:, :-1] * factors
        to_decoder = torch.mm(R.T, Z * factors)
        return torch.mm(shown.T, dEnc), dEnc.sum(dim=0), to_decoder

    def _d_narrow(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        cells, bias = self._cells, self._D.encoder_bias.data
        QWe, QW = torch.mm(self._Q.T, self._We), torch.mm(self._Q.T, self._W)
        WW = torch.mm(self._W.T, self._W)
        encoded = torch.cat([cells.times(self._We, rows, seen=True), torch.mm(P_b, QWe)])
        Z = _with_ones(encoded + bias)
        targets = torch.cat([cells.times(self._W, rows), torch.mm(P_b, QW)])
        RW = torch.addmm(targets, Z, WW, beta=-1)
        # |R|^2 = sum of (R W) Z - (target W) Z + |target|^2
        inner = ((RW - targets) * Z).view(2, -1).sum(dim=1)
        made = (torch.mm(P_b, self._QQ) * P_b).sum()
        real = cells.squares.index_select(0, cells.at)[0]
        factors = self._judged(inner + torch.stack([real, made]), rows)
        scaled, dEnc = Z * factors, RW[:, :-1] * factors
        to_decoder = torch.mm(self._W, torch.mm(Z.T, scaled))
        to_decoder.addmm_(self._Q, torch.mm(P_b.T, scaled[rows:]), alpha=-1)
        cells.add_transposed(to_decoder, scaled[:rows], -1.0)
        to_encoder = torch.mm(self._Q, torch.mm(P_b.T, dEnc[rows:]))
        cells.add_transposed(to_encoder, dEnc[:rows], 1.0, seen=True)
        return to_encoder, dEnc.sum(dim=0), to_decoder

    def _stacked(self, P_b: Tensor, rows: int, beside: Tensor | None = None) -> Tensor:
        """``[X_b; F]``; what is seen of it, if the whole is `beside`."""
        out = P_b.new_empty(2 * rows, self._cells.n_items)
        out[:rows].zero_()
        self._cells.spread(out[:rows], seen=beside is not None)
        if beside is None:
            torch.mm(P_b, self._Q.T, out=out[rows:])
        else:
            out[rows:].copy_(beside[rows:])
        return out

    def _judged(self, squares: Tensor, rows: int) -> Tensor:
        """The factor c of each real row's gradient and c_f of each made one's, a column."""
        factors = judge(squares, self._sums, rows * self._cells.n_items, self._weights.m)
        return factors[:, None].expand(2, rows).reshape(-1, 1)

    def _g_step(self, rows: int) -> None:
        users = self._cells.users_of(rows)
        P_b = self._P[users]
        form = self._g_narrow if self._narrow[1] else self._g_wide
        to_rows, to_items, squares, features = form(P_b, rows)
        to_users = torch.zeros_like(self._P)
        to_users.index_copy_(0, users, to_rows)
        G, weights, share = self._G, self._weights, self._weights.recon_coefficient
        n_cells, n_features = rows * self._cells.n_items, rows * self._We.shape[1]
        loss = squares * ((1 - share) / n_cells) + features * (share / n_features)
        reg = weights.g_reg
        if reg and G.user_shrinkage is not None:
            loss += reg * G.squares()
        if reg and (G.user_shrinkage is not None or self._gradient_norms):
            for gradient, decay in zip((to_users, to_items), G.decay(reg), strict=True):
                gradient.add_(decay)
            reg = 0.0
        self._sums[:2].add_(torch.stack([loss, features / n_features]))
        found = {G.user_factors: to_users, G.item_factors: to_items}
        gradients = [found[parameter] for parameter in G.parameters()]
        if self._gradient_norms:
            self._add_norm(gradients)
        self.optimisers["g"].move(gradients, self._cells.at, reg)
        if self._average is not None:
            self._average.add(G)
        self._cells.at.add_(1)

    def _g_factors(self, rows: int) -> tuple[float, float]:
        """c_g, and the factor of the difference between the hidden layers."""
        share = self._weights.recon_coefficient
        return (
            2 * (1 - share) / (rows * self._cells.n_items),
            2 * share / (rows * self._We.shape[1]),
        )

    def _g_wide(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        c_g, c_features = self._g_factors(rows)
        both = self._stacked(P_b, rows)
        encoded = torch.mm(both, self._We)
        made = encoded[rows:]
        difference = made - encoded[:rows]
        Z_f = _with_ones(made + self._D.encoder_bias.data)
        R = torch.addmm(both[rows:], Z_f, self._W.T, beta=-1)
        dEnc = torch.mm(R, self._W)[:, :-1].mul_(c_g).add_(difference, alpha=c_features)
        squares, features = (torch.linalg.vector_norm(t).square_() for t in (R, difference))
        dF = torch.addmm(R, dEnc, self._We.T, beta=-c_g)
        return torch.mm(dF, self._Q), torch.mm(dF.T, P_b), squares, features

    def _g_narrow(self, P_b: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        c_g, c_features = self._g_factors(rows)
        Q, We, W = self._Q, self._We, self._W
        QWe, QW, QQ = torch.mm(Q.T, We), torch.mm(Q.T, W), torch.mm(Q.T, Q)
        made = torch.mm(P_b, QWe)
        difference = made - self._cells.times(We, rows)
        Z_f = _with_ones(made + self._D.encoder_bias.data)
        FW, PQQ = torch.mm(P_b, QW), torch.mm(P_b, QQ)
        RW = torch.addmm(FW, Z_f, self._WW, beta=-1)
        squares = ((RW - FW) * Z_f).sum() + (PQQ * P_b).sum()
        features = torch.linalg.vector_norm(difference).square_()
        dEnc = (RW[:, :-1] * c_g).add_(difference, alpha=c_features)
        to_items = torch.mm(We, torch.mm(dEnc.T, P_b))
        to_items.addmm_(W, torch.mm(Z_f.T, P_b), alpha=-c_g)
        to_items.addmm_(Q, torch.mm(P_b.T, P_b), alpha=c_g)
        RQ = torch.addmm(PQQ, Z_f, QW.T, beta=-1)
        to_rows = torch.addmm(RQ, dEnc, QWe.T, beta=-c_g)
        return to_rows, to_items, squares, features

    def _add_norm(self, gradients: list[Tensor]) -> None:
        squares = [torch.linalg.vector_norm(gradient).square_() for gradient in gradients]
        self._sums[-1:].add_(torch.stack(squares).sum().sqrt())


@cache
def _recorder(device: torch.device) -> torch.cuda.Stream:
    """The stream on which all steps are recorded: libraries keep memory for each."""
    return torch.cuda.Stream(device)


def _with_ones(hidden: Tensor) -> Tensor:
    """``[hidden, 1]``: the column that meets the bias in the decoder."""
    return torch.nn.functional.pad(hidden, (0, 1), value=1.0)
