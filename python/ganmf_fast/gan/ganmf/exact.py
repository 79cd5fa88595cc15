"""The arithmetic of GANMF from low-rank pieces, without a dense batch.

Objective: losses and gradients of :mod:`~ganmf_fast.gan.ganmf.dense`, to rounding.
Source: derived here. Everything in both losses is quadratic in matrices of low rank. Write
We (I x E) for the encoder, W = [Wd^T, bd] (I x (E+1)) for the decoder with its bias, F = P_b Q^T
for the generated profiles, Z = [Enc(x), 1] and Z_f = [Enc(f), 1] for the hidden layers. The
residuals are R = Z W^T - X_b and R_f = Z_f W^T - F, and with n = batch x items:

- energies ``|R|^2 / n`` and ``|R_f|^2 / n``, with ``R W = Z W^T W - X_b W`` and
  ``R_f W = Z_f W^T W - F W``;
- D, with c = 2 (1 + m) / n and c_f = -2 / n if the hinge is active, else c = 2 / n and c_f = 0:
  ``dW = c R^T Z + c_f R_f^T Z_f``, ``dEnc(x) = c R W`` and ``dEnc(f) = c_f R_f W`` without their
  last columns, ``dWe = X_b^T dEnc(x) + F^T dEnc(f)``;
- G, with c_g = 2 (1 - a) / n: ``dEnc(f) = c_g R_f W + 2 a / (batch E) (Enc(f) - Enc(x))`` and
  ``dF = dEnc(f) We^T - c_g R_f``, where the minus sign is the generated profile as its own target;
  ``dP_b = dF Q``, ``dQ = dF^T P_b``;
- G that matches the decoder's outputs: their difference is ``(Enc(f) - Enc(x)) Wd``, so that
  ``2 a / n (Enc(f) - Enc(x)) Wd Wd^T`` takes the place of the second term of dEnc(f);
- G that matches reconstructions, ``a |Z W^T - F|^2 / n``: dEnc(f) has its first term alone, and in
  dF ``c_g R_f`` becomes ``2 / n (Z_m W^T - F)`` with the mixture ``Z_m = (1 - a) Z_f + a Z``;
- leave-one-out, with the sparse matrix ``C = X_b diag(We Wd)``: the difference is
  ``Z W^T - F - C``, so that dF gains ``2 a / n C``, and the loss
  ``a / n (|C|^2 - 2 <Z, C W> + 2 <P_b, C Q>)``.

Where nonzeros are hidden from D's input, X_b is replaced by what remains in ``Enc(x)`` and in
``dWe``, and stays whole in R. If the error of a nonzero x weighs w instead of one, the real energy
is, with y its reconstruction, an entry of Z W^T that is computed at the nonzeros alone,

    ``|Z W^T|^2 + sum over the nonzeros of (w (y - x)^2 - y^2)``,

and its gradients are those above with the weighted residuals in the place of R. These are residuals
from other targets, ``t = y + w (x - y)`` for x: with t in X_b nothing else changes but
``|R|^2``, which lacks ``sum (w - w^2) (y - x)^2``.

X_b is sparse and only ever multiplies narrow matrices. In the other products the factors can be
associated in two ways: through W^T W, Q^T W, Q^T We and Q^T Q, which costs nothing per user of
the batch (:class:`_Narrow`), or through Z W^T and P_b Q^T, which is cheaper when the batch is
smaller than the layers (:class:`_Wide`). Both give the same results; `auto` counts multiplications
and takes the cheaper one, batch by batch. Solved user factors need the narrow products in any case.
Cost: time ``O(items E (E + K) + nnz_b E)`` for narrow products, ``O(batch items (E + K))`` for wide
ones, ``O(nnz_b E)`` for weights; memory ``O(items (E + K) + nnz)``, since wide products are only
chosen for small batches.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

from ganmf_fast.gan.batches import Batch
from ganmf_fast.gan.distributed import ProcessGroup
from ganmf_fast.gan.ganmf.closed_form import BestFactors, Grams, profile_inputs
from ganmf_fast.gan.ganmf.dense import LossWeights
from ganmf_fast.gan.matmul import add_product, product
from ganmf_fast.gan.networks import (
    Discriminator,
    Generator,
    self_weights,
    sum_of_squares,
    total,
    with_ones,
)
from ganmf_fast.gan.settings import Matching


def d_costs(batch: int, items: int, emb: int, factors: int) -> tuple[int, int]:
    """Multiplications of the narrow and of the wide products in a discriminator step."""
    narrow = items * (2 * emb**2 + 4 * emb * factors) + batch * emb * (4 * emb + 4 * factors)
    return narrow, batch * items * (8 * emb + factors)


def g_costs(
    batch: int, items: int, emb: int, factors: int, batches: int, matching: Matching = "features"
) -> tuple[int, int]:
    """Likewise in a generator step, of which `batches` share one W^T W."""
    gram = items * emb**2 // batches
    narrow = items * (4 * emb * factors + 2 * factors**2) + gram
    narrow += batch * (emb**2 + 6 * emb * factors + 2 * factors**2)
    wide = batch * items * (4 * emb + 3 * factors)
    if matching == "decoder":
        return narrow + batch * emb**2, wide + gram + batch * emb**2
    if matching != "features":
        return narrow + batch * (emb**2 + emb * factors), wide + batch * items * emb
    return narrow, wide


class _Products(Protocol):
    """Products with the generated profiles and with the decoder, named as above."""

    P_b: Tensor

    def squared_factors(self) -> Tensor:
        """``|P_b|^2``."""

    def encoded(self) -> Tensor:
        """``F We``."""

    def residuals(self, Z: Tensor, Z_f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(Z W^T W, |R_f|^2, R_f W)``, and remember ``Z`` and ``Z_f``."""

    def residual(self, Z_f: Tensor) -> tuple[Tensor, Tensor]:
        """``(|R_f|^2, R_f W)``, and remember ``Z_f``."""

    def matched(self, Z: Tensor, a: float) -> Tensor:
        """``|Z W^T - F|^2``, and remember ``Z_m`` in the place of ``Z_f``."""

    def decoder_gradient(self, out: Tensor, c: float, c_f: float, d_reg: float) -> None:
        """``out = c W Z^T Z + c_f R_f^T Z_f + d_reg W``; the rest of dW is sparse."""

    def encoder_gradient(self, out: Tensor, dEnc_f: Tensor) -> None:
        """``out += F^T dEnc(f)``."""

    def factor_gradients(self, out: Tensor, dEnc_f: Tensor, c_g: float) -> Tensor:
        """``out += dF^T P_b``; returns ``dF Q``."""


class _Pass:
    """Parameters of both networks, and products of those that do not change during a pass."""

    def __init__(self, generator: Generator, discriminator: Discriminator) -> None:
        self.P = generator.user_factors
        self.Q = generator.item_factors
        self.We = discriminator.encoder
        self.W = discriminator.decoder
        self._fixed: dict[str, Tensor] = {}

    def clear(self) -> None:
        """Forget the products: another network is trained from now on."""
        self._fixed.clear()

    def gram_of_decoder(self, fixed: bool) -> Tensor:
        """W^T W; kept for the rest of the pass if the discriminator is `fixed`."""
        return self._kept("W", self.W, fixed)

    def gram_of_factors(self, fixed: bool) -> Tensor:
        """Q^T Q, likewise if the generator is."""
        return self._kept("Q", self.Q, fixed)

    def _kept(self, name: str, matrix: Tensor, fixed: bool) -> Tensor:
        if not fixed:
            return product(matrix.T, matrix)
        if name not in self._fixed:
            self._fixed[name] = product(matrix.T, matrix)
        return self._fixed[name]


class _Narrow:
    """Products through the small matrices W^T W, Q^T W, Q^T We, Q^T Q.

    User factors are parameters, or solved by what `best` makes of these.
    """

    def __init__(
        self,
        state: _Pass,
        batch: Batch,
        trains_d: bool,
        best: Callable[[Grams], BestFactors] | None,
        matching: Matching,
    ) -> None:
        self._state = state
        self._QWe = product(state.Q.T, state.We)
        self._QW = product(state.Q.T, state.W)
        self._WW = state.gram_of_decoder(fixed=not trains_d)
        self._QQ = state.gram_of_factors(fixed=trains_d)
        if best is None:
            self.P_b = state.P[batch.users]
        else:
            grams = Grams(self._QWe, self._QW, self._WW, self._QQ)
            inputs = profile_inputs(state.Q, state.We, state.W, matching)
            self.P_b = best(grams).of(map(batch.times, inputs))
        self._Z = self.P_b.new_empty(0)
        self._Z_f = self.P_b.new_empty(0)

    def squared_factors(self) -> Tensor:
        return total(self.P_b * self.P_b)

    def encoded(self) -> Tensor:
        return product(self.P_b, self._QWe)

    def residuals(self, Z: Tensor, Z_f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self._Z = Z
        return (product(Z, self._WW), *self.residual(Z_f))

    def residual(self, Z_f: Tensor) -> tuple[Tensor, Tensor]:
        self._Z_f = Z_f
        FW = product(self.P_b, self._QW)
        RW = product(Z_f, self._WW) - FW
        squares = total(RW * Z_f) - total(FW * Z_f)
        squares += total(product(self.P_b, self._QQ) * self.P_b)
        return squares, RW

    def matched(self, Z: Tensor, a: float) -> Tensor:
        squares = total(product(Z, self._WW) * Z)
        squares -= 2 * total(product(Z, self._QW.T) * self.P_b)
        squares += total(product(self.P_b, self._QQ) * self.P_b)
        self._Z_f = torch.lerp(self._Z_f, Z, a)
        return squares

    def decoder_gradient(self, out: Tensor, c: float, c_f: float, d_reg: float) -> None:
        small = c * product(self._Z.T, self._Z)
        if c_f:
            add_product(small, self._Z_f.T, self._Z_f, c_f)
        small.diagonal().add_(d_reg)
        out.copy_(product(self._state.W, small))
        if c_f:
            add_product(out, self._state.Q, product(self.P_b.T, self._Z_f), -c_f)

    def encoder_gradient(self, out: Tensor, dEnc_f: Tensor) -> None:
        add_product(out, self._state.Q, product(self.P_b.T, dEnc_f))

    def factor_gradients(self, out: Tensor, dEnc_f: Tensor, c_g: float) -> Tensor:
        state, P_b = self._state, self.P_b
        add_product(out, state.We, product(dEnc_f.T, P_b))
        add_product(out, state.W, product(self._Z_f.T, P_b), -c_g)
        add_product(out, state.Q, product(P_b.T, P_b), c_g)
        RQ = product(self._Z_f, self._QW.T) - product(P_b, self._QQ)
        return add_product(RQ.mul_(-c_g), dEnc_f, self._QWe.T)


class _Wide:
    """Products through Z W^T and P_b Q^T, which are batch x items but sum over few columns.

    In a discriminator step those of real and generated profiles are one product of twice the rows:
    W is read once for both, which is most of the cost where the batch is small.
    """

    def __init__(self, state: _Pass, users: Tensor) -> None:
        self._state = state
        self.P_b = state.P[users]
        self._F = product(self.P_b, state.Q.T)
        self._Z = self._R = self.P_b.new_empty(0)

    def squared_factors(self) -> Tensor:
        return total(self.P_b * self.P_b)

    def encoded(self) -> Tensor:
        return product(self._F, self._state.We)

    def residuals(self, Z: Tensor, Z_f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self._Z = torch.cat([Z, Z_f])
        self._R = product(self._Z, self._state.W.T)
        R_f = self._R[len(Z) :].sub_(self._F)
        RW = product(self._R, self._state.W)
        return RW[: len(Z)], total(R_f * R_f), RW[len(Z) :]

    def residual(self, Z_f: Tensor) -> tuple[Tensor, Tensor]:
        self._R = product(Z_f, self._state.W.T).sub_(self._F)
        return total(self._R * self._R), product(self._R, self._state.W)

    def matched(self, Z: Tensor, a: float) -> Tensor:
        R = product(Z, self._state.W.T).sub_(self._F)
        squares = total(R * R)
        self._R.lerp_(R, a)
        return squares

    def decoder_gradient(self, out: Tensor, c: float, c_f: float, d_reg: float) -> None:
        half = len(self._F)
        if c_f:
            Z, R = self._Z, self._R
            Z[:half] *= c
            Z[half:] *= c_f
        else:
            Z, R = c * self._Z[:half], self._R[:half]
        torch.mul(self._state.W, d_reg, out=out)
        add_product(out, R.T, Z)

    def encoder_gradient(self, out: Tensor, dEnc_f: Tensor) -> None:
        add_product(out, self._F.T, dEnc_f)

    def factor_gradients(self, out: Tensor, dEnc_f: Tensor, c_g: float) -> Tensor:
        dF = product(dEnc_f, self._state.We.T).sub_(self._R, alpha=c_g)
        add_product(out, dF.T, self.P_b)
        return product(dF, self._state.Q)


class _Own:
    """C: what each nonzero of the batch says of itself, by which leave-one-out differs."""

    def __init__(self, batch: Batch, state: _Pass) -> None:
        self._batch = batch
        self._entries = batch.values * self_weights(state.We, state.W)[batch.items]
        self._CQ = batch.weighted(self._entries, state.Q)
        self._CW = batch.weighted(self._entries, state.W)

    def squares(self, P_b: Tensor, Z: Tensor) -> float:
        """``|Z W^T - F - C|^2 - |Z W^T - F|^2``."""
        crossed = total(self._CQ * P_b) - total(self._CW * Z)
        return sum_of_squares(self._entries) + 2 * crossed.item()

    def add_gradients(self, to_rows: Tensor, to_items: Tensor, P_b: Tensor, c: float) -> None:
        """Those of c C in dF."""
        to_rows.add_(self._CQ, alpha=c)
        self._batch.add_transposed(to_items, P_b, c, self._entries)


class ExactStep:
    """Losses and gradients as :class:`~ganmf_fast.gan.ganmf.dense.DenseStep`, by other arithmetic.

    Parameters
    ----------
    generator, discriminator : the networks
    weights : LossWeights
    batches : int
        Batches of a pass.
    products : {"auto", "narrow", "wide"}
        Which association to take; "auto" counts multiplications.
    group : ProcessGroup, optional
        The processes among which batches are divided; by default this one alone.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        weights: LossWeights,
        batches: int,
        products: Literal["auto", "narrow", "wide"] = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        self._generator = generator
        self._discriminator = discriminator
        self._weights = weights
        self._batches = batches
        self._choice = products
        self._group = group or ProcessGroup()
        self._state = _Pass(generator, discriminator)
        for parameter in (*generator.parameters(), *discriminator.parameters()):
            parameter.grad = torch.zeros_like(parameter)

    def start_pass(self) -> None:
        """Forget the products of the network that is trained from now on."""
        self._state.clear()

    def _products(self, batch: Batch, trains_d: bool) -> _Products:
        shape = (batch.size, batch.n_items, self._state.We.shape[1], self._state.Q.shape[1])
        narrow, wide = (
            d_costs(*shape) if trains_d else g_costs(*shape, self._batches, self._weights.matching)
        )
        if self._weights.solved:
            return _Narrow(self._state, batch, trains_d, self._best_factors, self._weights.matching)
        if self._choice == "narrow" or (self._choice == "auto" and narrow <= wide):
            return _Narrow(self._state, batch, trains_d, None, self._weights.matching)
        return _Wide(self._state, batch.users)

    def _best_factors(self, grams: Grams) -> BestFactors:
        D = self._discriminator
        return self._weights.best_factors(grams, D.encoder_bias, len(D.encoder))

    def _targets(self, batch: Batch, seen: Batch, Z: Tensor) -> tuple[Tensor | None, float]:
        """``t`` where it is not X_b, and what ``|R|^2`` has beside the terms of Z."""
        w = self._weights.of_nonzeros(seen)
        if w is None:
            return None, batch.squares
        y = batch.sampled(Z, self._state.W)
        errors = batch.values - y
        t = y + w * errors
        lacking = sum_of_squares(w.sqrt() * errors) - sum_of_squares(w * errors)
        return t, sum_of_squares(t) + lacking

    @torch.no_grad()
    def discriminator_step(self, batch: Batch, seen: Batch | None = None) -> dict[str, float]:
        """L_D and its gradients; `seen` is the input of D, if not the whole real profiles."""
        D, weights = self._discriminator, self._weights
        seen = batch if seen is None else seen
        entries = batch.whole.rows * batch.n_items
        products = self._products(batch, trains_d=True)
        Z = with_ones(seen.times(D.encoder) + D.encoder_bias)
        targets, constant = self._targets(batch, seen, Z)
        XW = batch.times(D.decoder) if targets is None else batch.weighted(targets, D.decoder)
        Z_f = with_ones(products.encoded() + D.encoder_bias)
        ZWW, generated_squares, RW_f = products.residuals(Z, Z_f)
        real_squares = (total(ZWW * Z) - 2 * total(XW * Z) + constant).item()
        squares = self._group.sum_numbers(real_squares, generated_squares.item())
        real_energy, generated_energy = (whole / entries for whole in squares)
        hinge = weights.m * real_energy - generated_energy
        c = 2 * (1 + weights.m * (hinge > 0)) / entries
        c_f = -2 / entries if hinge > 0 else 0.0

        to_decoder, to_encoder, to_bias = (
            _gradient(p) for p in (D.decoder, D.encoder, D.encoder_bias)
        )
        penalty = weights.d_reg * D.squares().item() if weights.d_reg else 0.0
        reg = weights.d_reg / self._group.size
        products.decoder_gradient(to_decoder, c, c_f, reg)
        batch.add_transposed(to_decoder, Z, -c, targets)
        dEnc = c * (ZWW - XW)[:, :-1]
        torch.mul(D.encoder, reg, out=to_encoder)
        seen.add_transposed(to_encoder, dEnc, 1.0)
        torch.add(dEnc.sum(dim=0), D.encoder_bias, alpha=reg, out=to_bias)
        if c_f:
            dEnc_f = c_f * RW_f[:, :-1]
            products.encoder_gradient(to_encoder, dEnc_f)
            to_bias += dEnc_f.sum(dim=0)
        return {
            "d_loss": real_energy + max(0.0, hinge) + penalty,
            "real_energy": real_energy,
            "generated_energy": generated_energy,
            "hinge_active": float(hinge > 0),
        }

    @torch.no_grad()
    def generator_step(self, batch: Batch) -> dict[str, float]:
        """L_G and its gradients."""
        G, D, weights = self._generator, self._discriminator, self._weights
        entries = batch.whole.rows * batch.n_items
        a = weights.recon_coefficient
        c_g = 2 * (1 - a) / entries
        products = self._products(batch, trains_d=False)
        FWe, XWe = products.encoded(), batch.times(D.encoder)
        squares, RW = products.residual(with_ones(FWe + D.encoder_bias))
        own: _Own | None = None
        if weights.matching in ("reconstruction", "leave-one-out"):
            # Of the whole difference, that of the generated profiles' energy included.
            c_m = 2 / entries
            Z = with_ones(XWe + D.encoder_bias)
            match_squares = products.matched(Z, a).item()
            match_entries = entries
            dEnc_f = c_g * RW[:, :-1]
            if weights.matching == "leave-one-out":
                own = _Own(batch, self._state)
                match_squares += own.squares(products.P_b, Z)
        else:
            c_m = c_g
            difference = FWe - XWe
            if weights.matching == "decoder":
                match_entries = entries
                moved = product(difference, self._state.gram_of_decoder(fixed=True)[:-1, :-1])
                match_squares = total(moved * difference).item()
                difference = moved
            else:
                match_entries = batch.whole.rows * difference.shape[1]
                match_squares = total(difference * difference).item()
            dEnc_f = difference.mul_(2 * a / match_entries).add_(RW[:, :-1], alpha=c_g)
        whole, match_whole = self._group.sum_numbers(squares.item(), match_squares)
        energy, matched = whole / entries, match_whole / match_entries

        to_users, to_items = _gradient(G.user_factors), _gradient(G.item_factors)
        if reg := weights.g_reg / self._group.size:
            for gradient, decay in zip((to_users, to_items), G.decay(reg), strict=True):
                gradient.copy_(decay)
        else:
            to_users.zero_()
            to_items.zero_()
        to_rows = products.factor_gradients(to_items, dEnc_f, c_m)
        if own is not None:
            own.add_gradients(to_rows, to_items, products.P_b, 2 * a / entries)
        penalty = weights.g_reg * G.squares().item() if weights.g_reg else 0.0
        if not weights.solved:
            to_users.index_add_(0, batch.users, to_rows)
        elif weights.g_reg:
            (lengths,) = self._group.sum_numbers(products.squared_factors().item())
            penalty += weights.g_reg * lengths / batch.whole.rows
        return {
            "g_loss": (1 - a) * energy + a * matched + penalty,
            "feature_loss": matched,
        }


def _gradient(parameter: Tensor) -> Tensor:
    """The buffer of a parameter's gradient, allocated by the constructor of the step."""
    if parameter.grad is None:
        raise RuntimeError("the gradient buffer of a parameter was removed")
    return parameter.grad
