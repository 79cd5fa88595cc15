"""Factors of users who were not fitted: the minimum of the generator's loss."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch", reason="GANs need torch, which is not installed")

from ganmf_fast.base.urm import as_csr
from ganmf_fast.gan.batches import Batches
from ganmf_fast.gan.binganmf import BinGANMFModule
from ganmf_fast.gan.estimators import GANMF, BinGANMF
from ganmf_fast.gan.ganmf.closed_form import Grams, best_factors, profile_inputs
from ganmf_fast.gan.ganmf.dense import DenseStep, LossWeights
from ganmf_fast.gan.networks import Discriminator, Generator, glorot
from ganmf_fast.models.load import load

BEFORE = Path(__file__).parent / "written_before"


def random_networks(users, items, emb, factors, seed):
    source = torch.Generator().manual_seed(seed)
    G = Generator(users, items, factors, source, torch.float64)
    D = Discriminator(items, emb, source, torch.float64)
    with torch.no_grad():  # biases of zero would hide their terms
        D.encoder_bias += glorot(1, emb, source, torch.float64)[0]
        D.decoder[:, -1] += glorot(items, 1, source, torch.float64)[:, 0]
    return G, D


@settings(max_examples=40, deadline=None)
@given(
    users=st.integers(1, 9),
    items=st.integers(4, 20),
    emb=st.integers(1, 6),
    factors=st.integers(1, 4),
    a=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    matching=st.sampled_from(["features", "reconstruction", "decoder", "leave-one-out"]),
    g_reg=st.sampled_from([0.0, 1e-3, 0.5]),
    seed=st.integers(0, 99),
)
def test_the_closed_form_is_where_automatic_differentiation_finds_the_minimum(
    users, items, emb, factors, a, matching, g_reg, seed
):
    G, D = random_networks(users, items, emb, factors, seed)
    X = np.random.default_rng(seed).integers(0, 3, (users, items)).astype(np.float64)
    X[:, 0] += 1
    with torch.no_grad():
        grams = Grams.in_double(G.item_factors, D.encoder, D.decoder)
        found = best_factors(grams, D.encoder_bias, items, a, users * g_reg / 2, matching)
        inputs = profile_inputs(G.item_factors, D.encoder, D.decoder, matching)
        best = found.of(torch.from_numpy(X) @ matrix for matrix in inputs).numpy()
    batches = Batches(as_csr(X), users, torch.device("cpu"), torch.float64)
    batch = next(iter(batches.ordered(np.arange(users))))
    step = DenseStep(G, D, LossWeights(3.0, a, 0.0, g_reg, matching))

    def loss_at(P):
        with torch.no_grad():
            G.user_factors.copy_(torch.from_numpy(P))
        return step.generator_step(batch)["g_loss"]

    lowest = loss_at(best)
    slope = G.user_factors.grad.abs().max().item()
    assert slope < 1e-10 * max(1.0, np.abs(best).max())
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1.0):
        assert loss_at(best + size * rng.normal(size=best.shape)) >= lowest * (1 - 1e-12)
    # The loss has one minimum, which a search for it finds too, unless some direction is free.
    if factors <= emb or g_reg or a < 1:
        found = minimised(G, step, batch)
        assert_allclose(found, best, atol=1e-6 * max(1.0, np.abs(best).max()))


def minimised(G, step, batch):
    """Newton's method by differences of the gradient, which are exact for a square."""

    def slope(P):
        with torch.no_grad():
            G.user_factors.copy_(P)
        step.generator_step(batch)
        return G.user_factors.grad.clone()

    P = torch.zeros_like(G.user_factors)
    users, factors = P.shape
    at_zero = slope(P)
    found = np.empty(P.shape)
    for user in range(users):
        columns = []
        for k in range(factors):
            moved = P.clone()
            moved[user, k] = 1.0
            columns.append((slope(moved) - at_zero)[user])
        found[user] = torch.linalg.solve(torch.stack(columns), -at_zero[user]).numpy()
    return found


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_a_click_adds_its_vector_and_a_withdrawn_one_takes_it_away(toy_urm, exponent):
    """The bias is that of a profile of this length."""
    options = {"num_factors": 4, "emb_dim": 8, "epochs": 3, "batch_size": 16, "device": "cpu"}
    model = GANMF(**options, norm_exponent=exponent).fit(toy_urm)
    form = model.scorer_.profile_map
    profile = np.zeros((1, 40), np.float32)
    profile[0, [3, 8]] = 1
    more = profile.copy()
    more[0, 20] = 1
    few, many = (form.factors(as_csr(x)) for x in (profile, more))
    nobody = form.factors(as_csr(np.zeros((1, 40)), allow_empty=True))[0]
    scale = form.norms.scale if exponent else 1
    assert_allclose(nobody, scale * form.bias, rtol=1e-6)
    longer = (3 ** (exponent / 2) - 2 ** (exponent / 2)) * nobody
    assert_allclose(many, few + form.weights[20] + longer, atol=1e-6)


def test_the_discriminator_is_that_of_the_weights_kept(toy_urm, toy_held_out):
    params = {"num_factors": 4, "emb_dim": 8, "batch_size": 16, "d_lr": 0.05, "device": "cpu"}
    model = GANMF(**params, epochs=6, freq=1, allow_worse=1).fit(toy_urm, validation=toy_held_out)
    assert model.best_epoch_ < len(model.history_)
    short = GANMF(**params, epochs=model.best_epoch_).fit(toy_urm)
    assert_array_equal(model.item_factors_, short.item_factors_)
    for name in ("weights", "bias"):
        one, two = (getattr(m.scorer_.profile_map, name) for m in (model, short))
        assert_array_equal(one, two)


@pytest.mark.parametrize("activation", ["linear", "tanh", "sigmoid"])
@pytest.mark.parametrize("published_quirks", [False, True])
def test_binganmf_descends_to_where_the_loss_is_flat(activation, published_quirks, toy_urm):
    params = {"num_factors": 4, "d_nodes": 8, "d_layers": 2, "d_hidden_act": activation}
    params |= {"recon_coefficient": 5.0, "g_reg": 1e-3, "device": "cpu", "epochs": 4}
    settings = BinGANMF(**params, batch_size=16, published_quirks=published_quirks)
    form = settings.fit(toy_urm).scorer_.profile_map
    module = BinGANMFModule(replace_batch(settings), as_csr(toy_urm[:1]))
    # The networks of the fit, with the number of the next row in the place of its own.
    users = toy_urm.shape[0]
    D, G = module.discriminator, module.generator
    with torch.no_grad():
        D.first[-1].copy_(torch.tensor(form.first))
        for layer, bias in zip(D.biases, form.biases, strict=True):
            layer.copy_(torch.tensor(bias))
        if published_quirks:
            D.first[0].zero_()
        for kernel, inner in zip(D.inner, form.inner, strict=True):
            kernel.copy_(torch.tensor(inner))
        D.output.copy_(torch.tensor(form.output)[None])
        D.output_bias.fill_(form.output_bias)
        G.item_factors.copy_(torch.tensor(settings.item_factors_))
    for user in range(5):
        row = as_csr(toy_urm[[user]])
        module = with_profiles(module, row)
        with torch.no_grad():
            G.user_factors.copy_(torch.tensor(form.factors(row)))
        _, generated, real, made = module.outputs(next(iter(module._batches.ordered(np.arange(1)))))
        label = torch.full_like(generated, 0.0 if published_quirks else 1.0)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(generated, label)
        loss = loss + 5.0 * torch.nn.functional.mse_loss(made, real.detach())
        loss = loss + users * 1e-3 / 2 * (G.user_factors**2).sum()
        (slope,) = torch.autograd.grad(loss, [G.user_factors])
        assert slope.abs().max().item() < 1e-4


def test_factors_behind_units_that_are_all_off_stay_and_harm_nobody():
    X = (np.random.default_rng(0).random((30, 8)) < 0.4).astype(np.float32)
    params = {"num_factors": 3, "d_nodes": 4, "epochs": 2, "seed": 0, "device": "cpu"}
    form = BinGANMF(**params, d_hidden_act="relu").fit(X).scorer_.profile_map
    alone = [form.factors(as_csr(X[[user]], allow_empty=True))[0] for user in range(30)]
    assert_array_equal(form.factors(as_csr(X)), alone)
    off = replace(form, biases=(np.full(4, -9, np.float32),))
    assert_array_equal(off.factors(as_csr(X)), np.tile(form.start, (30, 1)))


def replace_batch(settings):
    copy = BinGANMF(**settings.get_params())
    return copy.set_params(batch_size=1)


def with_profiles(module, row):
    module._batches = Batches(row, 1, torch.device("cpu"))
    return module


def test_a_model_of_before_says_that_it_knows_no_new_users(tmp_path):
    old = load(BEFORE / "ganmf.safetensors")
    with pytest.raises(NotImplementedError, match=r"GANMF has no fold_in: .* fit it again") as e:
        old.recommend(profiles=[3])
    assert "\n" not in str(e.value)
    assert old.recommend([3]).items.shape == (1, 20)
    path = shutil.copy(BEFORE / "ganmf.checkpoint", tmp_path)
    params = {"num_factors": 2, "emb_dim": 3, "batch_size": 5, "epochs": 4, "freq": 1}
    params |= {"allow_worse": 9, "g_ema": 0.5, "device": "cpu", "checkpoint_every": 1}
    params |= {"recon_coefficient": 0.1}
    X, V = np.eye(12) + np.eye(12)[::-1], np.roll(np.eye(12), 1, axis=1)
    continued = GANMF(**params, checkpoint_path=path).fit(X, validation=V)
    assert (continued.scorer_.profile_map is None) == (continued.best_epoch_ == old.best_epoch_)
