"""GANMF's arithmetic: losses, gradients, optimiser, initial weights."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch", reason="GANMF needs torch, which is not installed")

from ganmf_fast.base.urm import as_csr
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batches
from ganmf_fast.gan.ganmf.dense import DenseStep, LossWeights
from ganmf_fast.gan.ganmf.exact import ExactStep, d_costs, g_costs
from ganmf_fast.gan.networks import Discriminator, Generator, glorot


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def networks(users, items, emb, factors, dtype=torch.float64, seed=3):
    source = rng(seed)
    G = Generator(users, items, factors, source, dtype)
    D = Discriminator(items, emb, source, dtype)
    with torch.no_grad():  # biases of zero would hide their terms
        D.encoder_bias += glorot(1, emb, source, dtype)[0]
        D.decoder[:, -1] += glorot(items, 1, source, dtype)[:, 0]
    return G, D


def one_batch(X, users=None, dtype=torch.float64):
    order = np.arange(X.shape[0]) if users is None else np.asarray(users)
    batches = Batches(as_csr(X), len(order), torch.device("cpu"), dtype)
    return next(iter(batches.ordered(order)))


# the losses, by definition -----------------------------------------------------------------------


def numpy_losses(X, users, P, Q, We, be, W, weights, shown=None, cells=1.0):
    """Both losses; of real profiles D is shown `shown`, and their error is weighed by `cells`."""
    x, f = X[users], P[users] @ Q.T

    def encode(v):
        return v @ We + be

    def decode(h):
        return h @ W[:, :-1].T + W[:, -1]

    def energy(v):
        return np.mean((decode(encode(v)) - v) ** 2)

    l2 = lambda *arrays: 0.5 * sum((a**2).sum() for a in arrays)
    real = np.mean(cells * (decode(encode(x if shown is None else shown)) - x) ** 2)
    d_loss = real + max(0.0, weights.m * real - energy(f))
    d_loss += weights.d_reg * l2(We, be, W)
    share = weights.recon_coefficient
    first, second = {
        "features": (encode(x), encode(f)),
        "reconstruction": (decode(encode(x)), f),
        "decoder": (decode(encode(x)), decode(encode(f))),
        "leave-one-out": (from_the_others(x, lambda v: decode(encode(v))), f),
    }[weights.matching]
    g_loss = (1 - share) * energy(f) + share * np.mean((first - second) ** 2)
    return d_loss, g_loss + weights.g_reg * l2(P, Q)


def from_the_others(profiles, reconstruct):
    """Each item of each profile as it is reconstructed without itself."""
    found = reconstruct(profiles)
    for row, item in zip(*profiles.nonzero(), strict=True):
        others = profiles[row].copy()
        others[item] = 0
        found[row, item] = reconstruct(others)[item]
    return found


def slopes(loss, array):
    """Central differences of `loss`, a function of the global contents of `array`."""
    out = np.empty_like(array)
    for at in np.ndindex(array.shape):
        value = array[at]
        array[at] = value + 1e-6
        up = loss()
        array[at] = value - 1e-6
        out[at] = (up - loss()) / 2e-6
        array[at] = value
    return out


@pytest.mark.parametrize("m", [0.0, 5.0], ids=["hinge_off", "hinge_on"])
@pytest.mark.parametrize(
    ("matching", "emphasis"),
    [("features", None), ("reconstruction", 0.2), ("decoder", 0.0), ("leave-one-out", 0.0)],
)
def test_dense_losses_and_gradients_are_those_of_the_formula(m, matching, emphasis):
    X = (np.random.default_rng(1).random((5, 7)) < 0.4).astype(float)
    users = [4, 0, 2]
    G, D = networks(5, 7, 3, 2)
    p, b = (0.0, 1.0) if emphasis is None else (0.5, emphasis)
    weights = LossWeights(m, 0.3, 0.02, 0.05, matching, p, b)
    step = DenseStep(G, D, weights)
    arrays = [
        parameter.detach().numpy().copy()
        for parameter in (G.user_factors, G.item_factors, D.encoder, D.encoder_bias, D.decoder)
    ]
    batch = one_batch(X, users)
    hidden = {}
    seen = []
    if p:
        seen = [batch.dropped(p, rng())]
        shown = seen[0].dense().numpy()
        w = np.where(shown == 0, 1.0, b) / (p + b * (1 - p))
        hidden = {"shown": shown, "cells": np.where(X[users] == 0, 1.0, w)}
    both = lambda: numpy_losses(X, users, *arrays, weights, **hidden)

    d = step.discriminator_step(batch, *seen)
    assert d["hinge_active"] == (m > 0)
    assert_allclose(d["d_loss"], both()[0], rtol=1e-12)
    for parameter, array in zip((D.encoder, D.encoder_bias, D.decoder), arrays[2:], strict=True):
        assert_allclose(parameter.grad, slopes(lambda: both()[0], array), atol=1e-8)

    g = step.generator_step(batch)
    assert_allclose(g["g_loss"], both()[1], rtol=1e-12)
    for parameter, array in zip((G.user_factors, G.item_factors), arrays[:2], strict=True):
        assert_allclose(parameter.grad, slopes(lambda: both()[1], array), atol=1e-8)


@pytest.mark.parametrize("b", [0.0, 0.3, 1.0])
def test_a_zero_weighs_what_it_weighs_on_average_over_what_is_hidden(b):
    X = np.array([[0.0, 1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 3.0, 0.0, 0.0]])
    p = 0.4
    G, D = networks(2, 5, 3, 2)
    batch = one_batch(X)
    seen = batch.dropped(p, rng(2))
    assert 0 < seen.kept.sum() < 4
    shown = seen.dense()
    residual = ((D.decode(D.encode(shown)) - batch.dense()) ** 2).detach()
    zeros = X == 0
    expected = 0.0
    # Every way to hide zeros, by its probability; the nonzeros that are hidden stay.
    for hidden in itertools.product([False, True], repeat=int(zeros.sum())):
        w = np.where(shown.numpy() == 0, 1.0, b)
        w[zeros] = np.where(hidden, 1.0, b)
        chance = math.prod(p if hide else 1 - p for hide in hidden)
        expected += chance * float((torch.from_numpy(w) * residual).sum())
    expected /= (p + b * (1 - p)) * X.size
    weights = LossWeights(0.0, 0.3, 0.0, 0.0, "features", p, b)
    for step in (DenseStep(G, D, weights), ExactStep(G, D, weights, 1)):
        assert_allclose(step.discriminator_step(batch, seen)["real_energy"], expected, rtol=1e-9)


def test_losses_computed_by_hand():
    # One user, two items, K = E = 1: F = [2, 4]; Enc(v) = v0 + v1; D(v) = [h/2, h/2 + 1].
    G, D = networks(1, 2, 1, 1)
    with torch.no_grad():
        G.user_factors[:] = torch.tensor([[2.0]])
        G.item_factors[:] = torch.tensor([[1.0], [2.0]])
        D.encoder[:] = 1.0
        D.encoder_bias[:] = 0.0
        D.decoder[:] = torch.tensor([[0.5, 0.0], [0.5, 1.0]])
    batch = one_batch(np.array([[1.0, 0.0]]))
    # E(x): D = [.5, 1.5], residual [-.5, 1.5] -> 1.25. E(F): D = [3, 4], residual [1, 0] -> .5.
    # l2(D) = (1 + 1 + 0 + .25 + .25 + 0 + 1) / 2 = 1.75; features (6 - 1)^2 = 25; l2(G) = 4.5.
    weights = LossWeights(2.0, 0.25, 0.1, 0.01)
    for step in (DenseStep(G, D, weights), ExactStep(G, D, weights, 1)):
        d = step.discriminator_step(batch)
        assert_allclose(d["real_energy"], 1.25)
        assert_allclose(d["generated_energy"], 0.5)
        assert_allclose(d["d_loss"], 1.25 + (2.5 - 0.5) + 0.175)
        g = step.generator_step(batch)
        assert_allclose(g["feature_loss"], 25.0)
        assert_allclose(g["g_loss"], 0.75 * 0.5 + 0.25 * 25 + 0.045)


# the exact step ----------------------------------------------------------------------------------


@st.composite
def problems(draw):
    users, items = draw(st.integers(1, 9)), draw(st.integers(1, 12))
    density = draw(st.sampled_from([0.1, 0.4, 1.0]))
    source = np.random.default_rng(draw(st.integers(0, 99)))
    X = (source.random((users, items)) < density).astype(np.float32)
    if draw(st.booleans()):
        X *= source.integers(1, 5, X.shape)
    if draw(st.booleans()):
        X[0] = 0  # a user without interactions
    X[-1, -1] = 1
    sizes = (draw(st.integers(1, 6)), draw(st.integers(1, 8)))
    # With a penalty solved factors are unique; of nearly singular systems single precision knows
    # little.
    solved = draw(st.booleans())
    weights = LossWeights(
        draw(st.sampled_from([0.0, 0.5, 3.0, 10.0])),
        draw(st.sampled_from([0.0, 0.3, 1.0])),
        draw(st.sampled_from([0.0, 0.01])),
        0.05 if solved else draw(st.sampled_from([0.0, 0.01])),
        draw(st.sampled_from(["features", "reconstruction", "decoder", "leave-one-out"])),
        draw(st.sampled_from([0.0, 0.5])),
        draw(st.sampled_from([0.0, 0.2, 1.0])),
        solved,
    )
    return X, sizes, draw(st.integers(1, users)), weights, draw(st.booleans())


@torch.no_grad()
def squares_of(D, batch, seen=None):
    """The largest mean square of what the losses of real profiles are made from."""
    real = batch.dense()
    encoded = D.encode(real if seen is None else seen.dense())
    return max(float((a**2).mean()) for a in (real, encoded, D.decode(encoded)))


@pytest.mark.parametrize("products", ["narrow", "wide", "auto"])
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float64, 1e-5), (torch.float32, 1e-4)])
@given(problem=problems())
@example(  # one gradient is nothing, as a difference of others of 3.4
    problem=(
        np.float32([[0], [0], [1], [0], [4], [0], [0], [1]]),
        (1, 2),
        2,
        LossWeights(0.0, 0.0, 0.0, 0.05, "features", 0.5, 0.0, True),
        False,
    )
)
@example(  # a loss of .002 is the difference of squares of 2
    problem=(
        np.float32([[0], [1], [1], [1]]),
        (6, 3),
        2,
        LossWeights(0.0, 1.0, 0.0, 0.05, "leave-one-out", 0.0, 0.0, True),
        False,
    )
)
@settings(max_examples=40, deadline=None)
def test_exact_losses_and_gradients_equal_the_dense_ones(problem, products, dtype, tol):
    X, (emb, factors), batch_size, weights, shrink = problem
    dropout = weights.d_dropout
    G, D = networks(*X.shape, emb, factors, dtype)
    if weights.solved:
        G = Generator(0, X.shape[1], factors, rng(), dtype)
    elif shrink:
        G.user_shrinkage, G.item_shrinkage = (
            torch.linspace(0.5, 2, n, dtype=dtype)[:, None] for n in X.shape
        )
    batches = Batches(as_csr(X), batch_size, torch.device("cpu"), dtype)
    order = np.random.default_rng(0).permutation(len(X))
    exact = ExactStep(G, D, weights, len(batches), products)
    exact_gradients = {p: p.grad for p in (*G.parameters(), *D.parameters())}
    dense = DenseStep(G, D, weights)
    for network, name in ((D, "discriminator_step"), (G, "generator_step")):
        exact.start_pass()
        for batch in batches.ordered(order):
            # What the discriminator sees of the batch, where that is not all.
            seen = [batch.dropped(dropout, rng())] if dropout and network is D else []
            expected = getattr(dense, name)(batch, *seen)
            wanted = {p: p.grad.clone() for p in network.parameters()}
            if "hinge_active" in expected:
                gap = weights.m * expected["real_energy"] - expected["generated_energy"]
                if abs(gap) < 1e-5:  # on the kink either side is right
                    continue
            for p in network.parameters():
                p.grad = exact_gradients[p]
            losses = getattr(exact, name)(batch, *seen)
            # |t - f|^2 is the difference of squares of t and f, with their rounding errors, and a
            # gradient that of larger ones.
            squares = squares_of(D, batch, *seen)
            rounding = 32 * torch.finfo(dtype).eps * squares
            for key, value in expected.items():
                atol = tol * 0.01 + rounding
                assert_allclose(losses[key], value, rtol=tol, atol=atol, err_msg=key)
            sizes = [float(g.abs().max()) for g in wanted.values() if g.numel()]
            rounding *= max(1, max(sizes) / squares)
            for p, gradient in wanted.items():
                scale = max(float(gradient.abs().max()), 0.01) if gradient.numel() else 1.0
                assert_allclose(p.grad, gradient, rtol=0, atol=tol * scale + rounding)


def test_a_discriminator_that_sees_less_is_judged_by_the_whole():
    X = (np.random.default_rng(1).random((3, 7)) < 0.6).astype(float)
    G, D = networks(3, 7, 3, 2)
    batch = one_batch(X)
    seen = batch.dropped(0.5, rng())
    kept = seen.dense().numpy()
    assert set(np.unique(kept)) <= {0.0, 2.0}
    assert not kept[X == 0].any()
    weights = LossWeights(0.0, 0.3, 0.0, 0.0)
    We, be, W = (p.detach().numpy() for p in (D.encoder, D.encoder_bias, D.decoder))
    made = (kept @ We + be) @ W[:, :-1].T + W[:, -1]
    for step in (DenseStep(G, D, weights), ExactStep(G, D, weights, 1)):
        assert_allclose(step.discriminator_step(batch, seen)["d_loss"], np.mean((made - X) ** 2))


def test_dropout_takes_the_asked_share_and_keeps_the_mean():
    batch = one_batch(np.full((50, 80), 3.0))
    seen = batch.dropped(0.3, rng())
    values = seen.dense().numpy()
    assert_allclose((values == 0).mean(), 0.3, atol=0.03)
    assert_allclose(values[values > 0], 3 / 0.7, rtol=1e-6)
    assert (values != batch.dropped(0.3, rng(1)).dense().numpy()).any()
    assert_array_equal(values, batch.dropped(0.3, rng()).dense())


def test_products_are_chosen_by_their_cost():
    many = d_costs(1024, 17632, 398, 67)
    assert many[0] < many[1]
    few = d_costs(64, 3706, 992, 250)
    assert few[1] < few[0]
    few = g_costs(64, 3706, 992, 250, 95)
    assert few[1] < few[0]


# pieces ------------------------------------------------------------------------------------------


def test_adam_puts_epsilon_where_tensorflow_puts_it():
    source = np.random.default_rng(0)
    p = source.normal(size=(4, 3))
    parameter = torch.nn.Parameter(torch.from_numpy(p.copy()))
    adam = TensorFlowAdam([parameter], lr=0.01)
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t in range(1, 8):
        # Tiny gradients: only there the place of epsilon shows.
        g = source.normal(size=p.shape) * 1e-7
        if t > 3:
            g[0] = 0  # dense moments: the row moves on
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        p -= 0.01 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
        parameter.grad = torch.from_numpy(g)
        adam.step()
        assert_allclose(parameter.detach(), p, rtol=1e-10)


def test_initial_weights_fill_glorots_interval():
    G, D = Generator(300, 200, 20, rng()), Discriminator(200, 50, rng())
    for matrix, shape in (
        (G.user_factors, (300, 20)),
        (G.item_factors, (200, 20)),
        (D.encoder, (200, 50)),
        (D.decoder[:, :-1], (200, 50)),
    ):
        assert matrix.shape == shape
        bound = math.sqrt(6 / sum(shape))
        assert 0.99 * bound < float(matrix.detach().abs().max()) <= bound
        assert abs(float(matrix.detach().mean())) < 0.05 * bound
    assert not D.encoder_bias.any()
    assert not D.decoder[:, -1].any()


def test_sparse_products_equal_dense_ones():
    X = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 1]], np.float32)
    batch = one_batch(X, [2, 1, 0])
    M = torch.arange(8, dtype=torch.float64).reshape(4, 2)
    Z = torch.arange(6, dtype=torch.float64).reshape(3, 2)
    assert_array_equal(batch.dense(), X[[2, 1, 0]])
    assert_allclose(batch.times(M), X[[2, 1, 0]] @ M.numpy())
    out = torch.ones(4, 2, dtype=torch.float64)
    batch.add_transposed(out, Z, -2.0)
    assert_allclose(out, 1 - 2 * X[[2, 1, 0]].T @ Z.numpy())
    assert batch.squares == 15
