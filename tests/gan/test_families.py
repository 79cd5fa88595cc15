"""binGANMF, CFGAN and CAAE: losses and steps against their definitions, masks, quirks, controls."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

torch = pytest.importorskip("torch", reason="these models need torch, which is not installed")

from ganmf_fast._core import RankRequest
from ganmf_fast.base import threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.gan import matmul
from ganmf_fast.gan.batches import Batches
from ganmf_fast.gan.binganmf import BinGANMFModule
from ganmf_fast.gan.caae import CAAEModule, Triples
from ganmf_fast.gan.cfgan import CFGANModule
from ganmf_fast.gan.estimators import CAAE, CFGAN, BinGANMF
from ganmf_fast.gan.matmul import add_product, affine, product
from ganmf_fast.gan.networks import mean_cosine, mean_cosine_of_factors
from ganmf_fast.gan.sparse_ops import masked_squares, sampled, times, weighted
from ganmf_fast.models.load import load
from ganmf_fast.scorers.autoencoder import Autoencoder

BIN = {"num_factors": 4, "d_nodes": 5, "batch_size": 16, "epochs": 3, "device": "cpu"}
CF = {"g_nodes": 6, "d_nodes": 5, "d_batch_size": 16, "g_batch_size": 20, "epochs": 3}
CF |= {"device": "cpu"}
CA = {"num_factors": 4, "g_units": 6, "gpr_units": 5, "d_bsize": 100, "m_batch": 16, "epochs": 3}
CA |= {"d_steps": 2, "g_steps": 3, "gpr_steps": 2, "lr": 1e-2, "device": "cpu"}

FAMILIES = [(BinGANMF, BIN), (CFGAN, CF), (CAAE, CA)]
each_family = pytest.mark.parametrize(
    ("cls", "settings"), FAMILIES, ids=[cls.__name__ for cls, _ in FAMILIES]
)


# A user without interactions, an item without any, and one user with all others.
@pytest.fixture(name="X")
def small_matrix():
    X = (np.random.default_rng(1).random((9, 7)) < 0.4).astype(np.float32)
    X[2] = 0
    X[4] = 1
    X[:, 5] = 0
    return X


def as_doubles(module):
    """The module with parameters of double precision, and batches of it."""
    for network in module.networks.values():
        network.double()
    for name in module.optimisers:  # they have moments of single precision
        module.optimisers[name] = Still()
    batches = Batches(module.profiles, 4, torch.device("cpu"), torch.float64)
    return next(iter(batches.ordered(np.array([4, 0, 2, 7]))))


def arrays(network):
    return [p.detach().numpy().copy() for p in network.parameters()]


def l2(values):
    return sum((a**2).sum() for a in values) / 2


def slopes(loss, array):
    """Central differences of `loss`, which looks at `array`."""
    out = np.empty_like(array)
    for at in np.ndindex(array.shape):
        value = array[at]
        array[at] = value + 1e-5
        up = loss()
        array[at] = value - 1e-5
        out[at] = (up - loss()) / 2e-5
        array[at] = value
    return out


def bce(logits, label):
    return np.mean(np.logaddexp(0, -logits if label else logits))


ACT = {"linear": lambda x: x, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}
ACT["relu"] = lambda x: np.maximum(x, 0)
ACT["LeakyReLU"] = lambda x: np.where(x < 0, 0.2 * x, x)


def run_perceptron(params, n_inputs, layers, x, act):
    """Last hidden layer and output, from parameters in their order within the network."""
    output, bias = params[0], params[1]
    first = params[2 : 2 + n_inputs]
    inner = params[2 + n_inputs : 1 + n_inputs + layers]
    biases = params[1 + n_inputs + layers :]
    h = ACT[act](x @ np.concatenate(first) + biases[0])
    for kernel, b in zip(inner, biases[1:], strict=True):
        h = ACT[act](h @ kernel + b)
    return h, h @ output.T + bias


def named(network):
    """`arrays` in the order output, output_bias, first, inner, biases."""
    values = dict(network.named_parameters())
    names = ["output", "output_bias"]
    for prefix in ("first.", "inner.", "biases."):
        names += sorted(name for name in values if name.startswith(prefix))
    return names, [values[name] for name in names]


class Still:
    """An optimiser that leaves the network as it is."""

    def step(self):
        pass


def check_step(train, loss, params, tensors):
    """A step's reported loss and gradients are those of `loss`, a function of `params`."""
    expected = loss()
    wanted = [slopes(loss, array) for array in params]
    reported = train()
    assert_allclose(reported, expected, rtol=1e-9)
    for tensor, slope in zip(tensors, wanted, strict=True):
        assert_allclose(tensor.grad.numpy(), slope, atol=1e-7)


# sparse products ---------------------------------------------------------------------------------


def test_sparse_products_and_their_gradients_are_those_of_dense_ones(X):
    X = X * np.arange(1, 8, dtype=np.float32)
    batch = next(iter(Batches(as_csr(X), 6, torch.device("cpu"), torch.float64).ordered(
        np.array([4, 2, 0, 8, 1, 3])
    )))  # fmt: skip
    dense = batch.dense()
    where = dense != 0
    source = torch.Generator().manual_seed(0)

    def new(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=source, requires_grad=True)

    M, A, B, cells = new(7, 3), new(6, 4), new(7, 4), new(int(where.sum()))
    assert torch.autograd.gradcheck(lambda M: times(batch, M), (M,))
    assert torch.autograd.gradcheck(lambda c, M: weighted(batch, c, M), (cells, M))
    assert torch.autograd.gradcheck(lambda A, B: sampled(batch, A, B), (A, B))
    C = torch.zeros_like(dense)
    C[where] = cells.detach()
    assert_allclose(times(batch, M).detach(), (dense @ M).detach())
    assert_allclose(weighted(batch, cells, M).detach(), (C @ M).detach())
    assert_allclose(sampled(batch, A, B).detach(), (A @ B.T)[where].detach())
    made, mask = new(6, 7), (torch.rand(6, 7, generator=source) < 0.5).double()
    assert torch.autograd.gradcheck(lambda made: masked_squares(made, mask), (made,))
    assert_allclose(masked_squares(made, mask).detach(), ((made * mask) ** 2).sum().detach())


@pytest.fixture(params=["oneDNN", "torch"])
def library(request, monkeypatch):
    """Either library of dense products, whatever the processor would choose."""
    monkeypatch.setattr(matmul, "_OWN", request.param == "torch" or matmul._ONEDNN is None)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
@pytest.mark.parametrize("turned", [False, True], ids=["as it lies", "transposed"])
@pytest.mark.parametrize(("rows", "middle", "cols"), [(1, 1, 1), (5, 0, 3), (200, 70, 90)])
def test_affine_layers_and_their_gradients_are_those_of_torch(rows, middle, cols, turned, dtype):
    source = torch.Generator().manual_seed(0)
    shapes = ((rows, middle), (cols, middle), (cols,), (rows, cols))
    values = [torch.randn(*shape, dtype=dtype, generator=source) for shape in shapes]

    def results(layer):
        inputs, kernel, bias = (v.clone().requires_grad_() for v in values[:3])
        out = layer(inputs, kernel.T.contiguous().T if turned else kernel, bias)
        return out, *torch.autograd.grad(out, (inputs, kernel, bias), values[3])

    error = 1e-12 if dtype == torch.float64 else 1e-4
    for one, other in zip(results(affine), results(torch.nn.functional.linear), strict=True):
        assert_allclose(one.detach(), other.detach(), rtol=error, atol=error)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("turned", [False, True])
def test_products_with_long_sums_are_the_same_bits_for_any_number_of_threads(turned):
    # oneDNN alone splits sums of 60,000 terms between its threads.
    source = torch.Generator().manual_seed(0)
    left, right = (torch.randn(*shape, generator=source) for shape in ((33, 60_000), (60_000, 17)))
    if turned:
        left = left.T.contiguous().T
    before = torch.get_num_threads()
    found = []
    try:
        for n in (1, 2, 5):
            torch.set_num_threads(n)
            found.append(product(left, right))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found)
    exact = left.double() @ right.double()
    assert_allclose(found[0], exact, rtol=1e-4, atol=2e-3)
    out = torch.ones(33, 17)
    add_product(out, left, right, -0.5)
    assert_allclose(out, 1 - exact / 2, rtol=1e-4, atol=2e-3)


def test_batches_without_any_interaction_are_products_with_zeros():
    urm = as_csr(np.array([[0, 0, 0], [0, 0, 0], [0, 1, 0]], np.float32))
    batch = Batches(urm, 2, torch.device("cpu")).whole(np.array([0, 1]))
    M = torch.ones(3, 2, requires_grad=True)
    (grad,) = torch.autograd.grad(times(batch, M).sum(), M)
    assert not grad.any()
    assert sampled(batch, torch.ones(2, 4), torch.ones(3, 4)).shape == (0,)


def test_mean_cosine_is_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    P, Q = torch.from_numpy(rng.normal(size=(6, 3))), torch.from_numpy(rng.normal(size=(9, 3)))
    P[2] = 0  # a profile of zeros has no direction
    made = (P @ Q.T).numpy()
    unit = made[[0, 1, 3, 4, 5]] / np.linalg.norm(made[[0, 1, 3, 4, 5]], axis=1, keepdims=True)
    expected = ((unit @ unit.T).sum() - 5) / 20
    assert mean_cosine(P @ Q.T)["generated_cosine"] == pytest.approx(expected)
    assert mean_cosine_of_factors(P, Q, np.arange(6))["generated_cosine"] == pytest.approx(expected)
    alike = torch.ones(4, 3)
    assert mean_cosine(alike)["generated_cosine"] == pytest.approx(1)
    assert mean_cosine(alike[:1]) == {}


# binGANMF ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("quirks", [False, True], ids=["corrected", "published"])
@pytest.mark.parametrize(("layers", "act"), [(1, "linear"), (2, "tanh"), (3, "sigmoid")])
def test_bin_losses_and_gradients_are_those_of_the_formula(X, quirks, layers, act):
    model = BinGANMF(**BIN, d_layers=layers, d_hidden_act=act, published_quirks=quirks)
    model.set_params(d_reg=0.03, g_reg=0.02, recon_coefficient=0.4)
    module = BinGANMFModule(model, as_csr(X))
    batch = as_doubles(module)
    _, tensors = named(module.discriminator)
    D = [t.detach().numpy().copy() for t in tensors]
    G = module.generator
    P, Q = (t.detach().numpy().copy() for t in (G.user_factors, G.item_factors))
    users = batch.numbers
    x = X[users].astype(np.float64)

    def outputs(profiles):
        seen = np.column_stack([users, profiles]) if quirks else profiles
        return run_perceptron(D, 2 if quirks else 1, layers, seen, act)

    def d_loss():
        real, made = outputs(x)[1], outputs(P[users] @ Q.T)[1]
        return bce(real, 1) + bce(made, 0) + 0.03 * l2(D)

    def g_loss():
        (h_real, _), (h_made, made) = outputs(x), outputs(P[users] @ Q.T)
        features = np.mean((h_real - h_made) ** 2)
        return bce(made, 0 if quirks else 1) + 0.4 * features + 0.02 * l2([P, Q])

    check_step(lambda: module.train_d(batch)["d_loss"], d_loss, D, tensors)
    factors = [G.user_factors, G.item_factors]
    check_step(lambda: module.train_g(batch)["g_loss"], g_loss, [P, Q], factors)


def test_bin_as_published_trains_the_generator_to_be_recognised(toy_urm):
    settings = {**BIN, "epochs": 30, "g_lr": 1e-2, "d_lr": 1e-3, "recon_coefficient": 0.0}
    scores = {
        quirks: BinGANMF(**settings, published_quirks=quirks).fit(toy_urm).history_[-1]
        for quirks in (False, True)
    }
    assert scores[False]["generated_score"] > 0.3
    assert scores[True]["generated_score"] < scores[False]["generated_score"] / 2


# CFGAN -------------------------------------------------------------------------------------------


def cfgan_masks(module, batch):
    """The sets of the batch, as the module make them."""
    shape = (batch.size, module.profiles.n_cols)
    zr = pm = np.zeros(shape)
    if module._zr_ratio:
        zr = module._mask("zr", batch, module._zr_ratio).numpy().astype(np.float64)
    if module._pm_ratio:
        pm = module._mask("pm", batch, module._pm_ratio).numpy().astype(np.float64)
    return zr, pm


@pytest.mark.parametrize("scheme", ["ZR", "PM", "ZP"])
@pytest.mark.parametrize("adversarial", [True, False], ids=["gan", "control"])
@pytest.mark.parametrize(("layers", "act"), [(1, "linear"), (2, "tanh"), (2, "sigmoid")])
def test_cfgan_losses_and_gradients_are_those_of_the_formula(X, scheme, adversarial, layers, act):
    model = CFGAN(
        **CF, scheme=scheme, d_layers=layers, g_layers=layers, d_hidden_act=act, g_hidden_act=act
    )
    model.set_params(zr_ratio=0.6, zp_ratio=0.3, zr_coefficient=0.7, d_reg=0.03, g_reg=0.02)
    model.set_params(adversarial=adversarial)
    module = CFGANModule(model, as_csr(X))
    batch = as_doubles(module)
    # The masks are float32 ones and zeros: exact in any precision.
    mask_of = module._mask
    module._mask = lambda *args: mask_of(*args).double()
    module._epoch = 5
    (_, d_tensors), (_, g_tensors) = named(module.discriminator), named(module.generator)
    D, G = ([t.detach().numpy().copy() for t in ts] for ts in (d_tensors, g_tensors))
    x = X[batch.numbers].astype(np.float64)
    zr, pm = cfgan_masks(module, batch)
    e = x if scheme == "ZR" else np.maximum(x, pm)

    def judged(profile):
        return run_perceptron(D, 2, layers, np.column_stack([x, profile]), act)[1]

    def made():
        return run_perceptron(G, 1, layers, x, act)[1]

    def d_loss():
        return bce(judged(x), 1) + bce(judged(made() * e), 0) + 0.03 * l2(D)

    def g_loss():
        if adversarial:
            opinion = bce(judged(made() * e), 1)
        else:
            opinion = ((made() - x) ** 2 * (x > 0)).sum(1).mean()
        zeros = 0 if scheme == "PM" else 0.7 * (made() ** 2 * zr).sum(1).mean()
        return opinion + zeros + 0.02 * l2(G)

    if adversarial:
        train = lambda: module.train_d(batch)["d_loss"]
        check_step(train, d_loss, D, d_tensors)
    train = lambda: module.train_g(batch)["g_loss"]
    check_step(train, g_loss, G, g_tensors)


def test_cfgan_sets_are_drawn_anew_each_epoch_but_not_within_one(X):
    module = CFGANModule(CFGAN(**CF, zr_ratio=0.7, zp_ratio=0.5), as_csr(X))
    batch = module._batches[0].whole(np.arange(9))
    sets = []
    for epoch in (1, 1, 2):
        module._epoch = epoch
        sets.append([m.copy() for m in cfgan_masks(module, batch)])
    assert_array_equal(sets[0], sets[1])
    assert (sets[0][0] != sets[2][0]).any()
    zr, pm = sets[0]
    assert (zr != pm * (X == 0)).any()
    unobserved = (X == 0).sum(axis=1)
    assert_array_equal(zr.sum(axis=1), np.floor(0.7 * unobserved))
    assert not zr[X > 0].any()
    assert_array_equal(pm.sum(axis=1) - (X > 0).sum(axis=1), np.floor(0.5 * unobserved))
    # A row's sets do not depend on the rest of its batch.
    alone = module._batches[0].whole(np.array([7]))
    assert_array_equal(
        cfgan_masks(module, alone)[0][0], zr[7] if module._epoch == 1 else sets[2][0][7]
    )


def test_cfgan_as_published_never_shuffles_and_has_one_ratio(X):
    for quirks in (True, False):
        model = CFGAN(**CF, scheme="PM", zr_ratio=0.9, zp_ratio=0.4, published_quirks=quirks)
        module = CFGANModule(model, as_csr(X))
        first = next(iter(module.epoch(1)))
        order = np.concatenate([batch.numbers for batch in first[1]])
        assert sorted(order) == list(range(9))
        assert (list(order) == list(range(9))) == quirks
        pm = module._mask("pm", module._batches[0].whole(np.arange(9)), module._pm_ratio)
        extra = pm.numpy().sum(axis=1) - (X > 0).sum(axis=1)
        ratio = 0.9 if quirks else 0.4
        assert_array_equal(extra, np.floor(ratio * (X == 0).sum(axis=1)))


def test_cfgan_without_its_adversary_trains_no_discriminator(toy_urm):
    model = CFGAN(**CF, adversarial=False).fit(toy_urm)
    assert "d_loss" not in model.history_[0]
    losses = [row["g_loss"] for row in CFGAN(**{**CF, "epochs": 30}, adversarial=False)
              .fit(toy_urm).history_]  # fmt: skip
    assert losses[-1] < losses[0] / 2


def test_cfgan_in_user_mode_scores_new_profiles(toy_urm):
    model = CFGAN(**CF, g_layers=2).fit(toy_urm)
    assert isinstance(model.scorer_, Autoencoder)
    assert_allclose(model.fold_in(toy_urm), model.score_users(range(60)), atol=1e-6)


def test_cfgan_item_mode_is_user_mode_on_the_transpose(toy_urm):
    by_item = CFGAN(**CF, mode="item", g_layers=2).fit(toy_urm)
    by_user = CFGAN(**CF, g_layers=2).fit(sp.csr_array(toy_urm.T))
    assert_allclose(by_item.score_users(range(60)), by_user.score_users(range(40)).T, atol=1e-5)


# CAAE --------------------------------------------------------------------------------------------


def caae(X, **extra):
    module = CAAEModule(CAAE(**CA, **extra).set_params(beta=0.05, lr=0.1), as_csr(X))
    batch = as_doubles(module)
    module._rows = Batches(module.profiles, 4, torch.device("cpu"), torch.float64)
    weights = module._draw_weights
    module._draw_weights = lambda *args: weights(*args).astype(np.float32)
    return module, batch


def test_caae_discriminator_step_is_gradient_descent_on_its_formula(X):
    module, _ = caae(X)
    D = module.ranker
    P, Q, b = arrays(D)
    users, items, drawn = np.array([4, 4, 0, 7]), np.array([1, 2, 3, 3]), np.array([2, 2, 1, 3])

    def loss():
        logits = (P[users] * (Q[items] - Q[drawn])).sum(1) + b[items] - b[drawn]
        looked_up = [P[users], Q[items], Q[drawn], b[items], b[drawn]]
        return np.mean(np.logaddexp(0, -logits)) + 0.05 * l2(looked_up)

    expected = loss()
    wanted = [value - 0.1 * slopes(loss, value) for value in (P, Q, b)]
    triples = Triples(*(torch.from_numpy(a) for a in (users, items, drawn)))
    assert module.train_d(triples)["d_loss"] == pytest.approx(expected)
    for parameter, value in zip(D.parameters(), wanted, strict=True):
        assert_allclose(parameter.detach().numpy(), value, atol=1e-8)


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize("name", ["g", "gpr"])
def test_caae_generator_steps_are_gradient_descent_on_their_formulas(
    X, name, baseline, monkeypatch
):
    module, batch = caae(X, g_layers=2, gpr_layers=2, lmbda=0.3, S=0.5, reward_baseline=baseline)
    network = module.networks[name]
    drawn = []
    from ganmf_fast.gan import caae as caae_module

    real_draw, real_mask = caae_module.draw_items, caae_module.mask_unobserved

    def draw(chances, *args):
        drawn.append(real_draw(chances.astype(np.float32), *args))
        return drawn[-1]

    masks = []

    def mask(urm, rows, ratio, seed, stream, out, **kwargs):
        real_mask(urm, rows, ratio, seed, stream, out, **kwargs)
        masks.append(out.astype(np.float64))

    monkeypatch.setattr(caae_module, "draw_items", draw)
    monkeypatch.setattr(caae_module, "mask_unobserved", mask)
    _, tensors = named(network)
    before = [t.detach().numpy().copy() for t in tensors]
    P, Q, b = arrays(module.ranker)
    x = X[batch.numbers].astype(np.float64)
    train = {"g": module.train_g, "gpr": module.train_gpr}[name]
    reported = train(batch)[f"{name}_loss"]
    after = [t.detach().numpy() for t in tensors]
    items = drawn[0].reshape(4, -1)
    assert items.shape[1] == 2 * int(np.median((X > 0).sum(1)))
    params = [a.copy() for a in before]

    def loss():
        made = ACT["sigmoid"](run_perceptron(params, 1, 2, x, "sigmoid")[1])
        p = np.exp(made) / np.exp(made).sum(1, keepdims=True)
        scores = (P[batch.numbers][:, None] * Q[items]).sum(2) + b[items]
        sign = 1 if name == "g" else -1
        reward = -np.logaddexp(0, -sign * (scores - 1))
        if baseline:
            reward = reward - reward.mean()
        sought = -np.mean(np.log(np.take_along_axis(p, items.astype(int), 1)) * reward)
        if name == "gpr":
            return sought + 0.05 * l2(params)
        error = (((made - x) * masks[0]) ** 2).sum()
        return 0.3 * sought + 0.7 * error + 0.05 * l2(params)

    assert reported == pytest.approx(loss(), rel=1e-9)
    for value, array, start in zip(after, params, before, strict=True):
        assert_allclose(value, start - 0.1 * slopes(loss, array), atol=1e-7)
    if name == "g":
        unobserved = (x == 0).sum(1)
        assert_array_equal(masks[0].sum(1), (x > 0).sum(1) + np.floor(0.5 * unobserved))
        assert (masks[0][x > 0] == 1).all()


def test_caae_weighs_errors_at_interactions_by_their_squared_values():
    X = np.zeros((3, 4))
    X[range(3), range(3)] = [1, 2, 3]
    model = CAAE(**{**CA, "S": 0.0, "lr": 1e-12, "epochs": 1}).fit(X)
    made = ACT["sigmoid"](model.score_users(range(3)).astype(float))
    error = (((made - X) * X) ** 2).sum()
    assert model.history_[0]["reconstruction_loss"] == pytest.approx(error, rel=1e-5)


def test_caae_draws_belong_to_their_users(X, monkeypatch):
    module, _ = caae(X)
    # Each user can only be given the item of his own number.
    from ganmf_fast.gan import caae as caae_module

    monkeypatch.setattr(caae_module, "_BLOCK", 4)
    chances = np.zeros((9, 7), np.float32)
    chances[np.arange(9), np.arange(9) % 7] = 1
    module._draw_weights = lambda _, batch: chances[batch.numbers]
    seen = list(module._triples())
    n_batches = -(-module.profiles.nnz // CA["d_bsize"])
    assert len(seen) == CA["d_steps"] * n_batches * 2
    for triples in seen:
        assert_array_equal(triples.drawn.numpy(), triples.users.numpy() % 7)
    pairs = {(int(u), int(i)) for t in seen for u, i in zip(t.users, t.items, strict=True)}
    assert pairs == set(zip(*map(np.ndarray.tolist, np.nonzero(X)), strict=True))


def test_caae_as_published_gives_both_generators_one_shape_and_reads_other_users(toy_urm):
    published = CAAE(**CA, published_quirks=True)
    shapes = [
        [p.shape for p in CAAEModule(model, as_csr(toy_urm)).negative.parameters()]
        for model in (published, CAAE(**CA))
    ]
    assert shapes[0][0] == (40, CA["g_units"])
    assert shapes[1][0] == (40, CA["gpr_units"])
    scorer = published.fit(toy_urm).scorer_
    assert scorer.block == 1000
    small = Autoencoder(
        scorer.first, scorer.inner, scorer.biases, scorer.output, scorer.output_bias, "sigmoid", 25
    )
    urm = as_csr(toy_urm)
    wrong, right = small.scores(urm, np.array([3, 28, 53])), scorer.scores(urm, np.array([3]))
    assert_allclose(wrong, np.repeat(right, 3, axis=0), atol=1e-6)
    lists, _ = small.rank(urm, RankRequest(np.array([28]), 40, urm))
    seen = set(toy_urm.indices[toy_urm.indptr[28] : toy_urm.indptr[29]].tolist())
    assert not seen & set(lists[0].tolist())


# all families ------------------------------------------------------------------------------------


@each_family
def test_seed_decides_everything_and_the_global_generators_are_left_alone(cls, settings, toy_urm):
    state = torch.get_rng_state()
    first, again = (cls(**settings, seed=1).fit(toy_urm).scorer_.tensors() for _ in range(2))
    other = cls(**settings, seed=2).fit(toy_urm).scorer_.tensors()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any((first[name] != other[name]).any() for name in first)
    assert torch.equal(torch.get_rng_state(), state)


@each_family
@pytest.mark.usefixtures("threads_restored")
def test_threads_do_not_change_the_weights(cls, settings, monkeypatch):
    monkeypatch.setattr("ganmf_fast.gan.device._WORTH_THREADS", 0)
    source = np.random.default_rng(0)
    X = sp.csr_array((source.random((200, 700)) < 0.05).astype(np.float32))
    wide = {"BinGANMF": {"num_factors": 40, "d_nodes": 90, "batch_size": 150}}
    wide["CFGAN"] = {"g_nodes": 350, "d_batch_size": 100, "g_batch_size": 150, "d_nodes": 40}
    wide["CAAE"] = {"g_units": 200, "gpr_units": 300, "m_batch": 150, "num_factors": 40}
    fitted = []
    for n in (1, 3):
        threads.set_num_threads(n)
        model = cls(**{**settings, **wide[cls.__name__], "epochs": 1}).fit(X)
        fitted.append((model.scorer_.tensors(), model.history_))
    for name, array in fitted[0][0].items():
        assert_array_equal(array, fitted[1][0][name], err_msg=name)
    for one, two in zip(fitted[0][1], fitted[1][1], strict=True):
        for name in one:
            if not name.endswith("seconds"):
                assert one[name] == two[name], name


@each_family
@pytest.mark.parametrize("mode", ["user", "item"])
def test_users_and_items_without_interactions_are_fine(cls, settings, mode, X):
    modes = {} if cls is CAAE else {"mode": mode}
    for quirks in (False, True):
        model = cls(**settings, **modes, published_quirks=quirks).fit(X)
        assert np.isfinite(model.score_users(range(9))).all()
    one = cls(**settings, **modes).fit(np.ones((1, 1), np.float32))
    assert np.isfinite(one.score_users([0])).all()


@each_family
def test_early_stopping_keeps_the_best_epoch(cls, settings, toy_urm):
    dense = toy_urm.toarray()
    held_out = np.zeros_like(dense)
    for user, row in enumerate(dense):
        held_out[user, np.flatnonzero(row)[-2:]] = 1
    run = {**settings, "epochs": 30, "freq": 2, "allow_worse": 3}
    model = cls(**run).fit(dense - held_out, validation=held_out)
    checked = {row["epoch"]: row["validation"] for row in model.history_ if "validation" in row}
    assert model.best_epoch_ == max(checked, key=checked.get)
    assert all("generated_cosine" in row for row in model.history_)


@each_family
def test_divergence_is_named(cls, settings, toy_urm):
    rates = {"lr": 1e30} if cls is CAAE else {"d_lr": 1e30, "g_lr": 1e30}
    with pytest.raises(ArithmeticError, match="diverged in epoch"):
        cls(**{**settings, **rates, "epochs": 20}).fit(toy_urm)


@each_family
def test_divergence_after_a_check_keeps_the_best_weights_and_the_history(
    cls, settings, toy_urm, monkeypatch
):
    dense = toy_urm.toarray()
    held_out = np.zeros_like(dense)
    held_out[np.arange(60), dense.argmax(axis=1)] = 1
    data = (dense - held_out, held_out)
    whole = cls(**{**settings, "epochs": 4, "freq": 2}).fit(data[0], validation=data[1])
    module = {"BinGANMF": BinGANMFModule, "CFGAN": CFGANModule, "CAAE": CAAEModule}[cls.__name__]
    epoch = module.epoch

    def poisoned(self, number):
        if number == 5:
            for parameter in self.generator.parameters():
                parameter.data.fill_(torch.nan)
        return epoch(self, number)

    monkeypatch.setattr(module, "epoch", poisoned)
    model = cls(**{**settings, "epochs": 9, "freq": 2})
    kept = rf"diverged in epoch 5 \(.* = nan.*the weights of epoch {whole.best_epoch_} are kept"
    with pytest.warns(ConvergenceWarning, match=kept):
        model.fit(data[0], validation=data[1])
    assert [row["epoch"] for row in model.history_] == [1, 2, 3, 4]
    for name, array in whole.scorer_.tensors().items():
        assert_array_equal(model.scorer_.tensors()[name], array, err_msg=name)


@each_family
def test_a_truncated_or_damaged_model_file_is_refused(cls, settings, toy_urm, tmp_path):
    path = tmp_path / "m.safetensors"
    cls(**settings).fit(toy_urm).save(path)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-3] ^= 4
    for damaged in (b"", content[:100], content[: len(content) // 2], content[:-1], flipped):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"m\.safetensors (is damaged|cannot be read)"):
            load(path)


def test_a_new_user_without_interactions_gets_finite_scores(toy_urm):
    for model in (CFGAN(**CF), CAAE(**CA)):
        scores = model.fit(toy_urm).fold_in(np.zeros((2, 40), np.float32))
        assert np.isfinite(scores).all()
        assert_array_equal(scores[0], scores[1])


@each_family
def test_saved_models_keep_their_scores_and_a_damaged_form_is_refused(
    cls, settings, toy_urm, tmp_path
):
    model = cls(**settings).fit(toy_urm)
    model.save(tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    assert_array_equal(loaded.score_users([0, 9]), model.score_users([0, 9]))
    assert loaded.history_ == model.history_
    tensors = model.scorer_.tensors() if isinstance(model.scorer_, Autoencoder) else {}
    for name in tensors:
        broken = {**tensors, name: tensors[name][:0]}
        with pytest.raises(ValueError, match=r"."):
            type(model.scorer_).from_tensors(broken)


@pytest.mark.parametrize(
    ("cls", "name", "value", "error"),
    [
        (BinGANMF, "d_hidden_act", "selu", ValueError),
        (BinGANMF, "d_nodes", 0, ValueError),
        (BinGANMF, "recon_coefficient", -1, ValueError),
        (BinGANMF, "mode", "users", ValueError),
        (CFGAN, "scheme", "RZ", ValueError),
        (CFGAN, "zr_ratio", 1.5, ValueError),
        (CFGAN, "g_layers", 1.0, TypeError),
        (CFGAN, "adversarial", 1, TypeError),
        (CFGAN, "d_batch_size", 0, ValueError),
        (CAAE, "S", -0.1, ValueError),
        (CAAE, "lmbda", 2, ValueError),
        (CAAE, "lr", 0, ValueError),
        (CAAE, "reward_baseline", "yes", TypeError),
        (CAAE, "device", "gpu", ValueError),
    ],
)
def test_a_bad_parameter_is_named(cls, name, value, error, toy_urm):
    with pytest.raises(error, match=name):
        cls(**{name: value}).fit(toy_urm)


@each_family
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_cuda_without_a_gpu_says_so(cls, settings, toy_urm):
    with pytest.raises(ValueError, match="torch finds no CUDA GPU"):
        cls(**{**settings, "device": "cuda"}).fit(toy_urm)


@each_family
@pytest.mark.gpu
def test_cuda_trains_the_model_of_the_cpu(cls, settings, toy_urm):
    on_cpu, on_gpu = (cls(**{**settings, "device": name}).fit(toy_urm) for name in ("cpu", "cuda"))
    users = range(toy_urm.shape[0])
    assert_allclose(on_gpu.score_users(users), on_cpu.score_users(users), atol=1e-3)


@pytest.mark.usefixtures("threads_restored")
def test_a_limit_of_torch_holds_while_a_gan_is_trained(toy_urm, monkeypatch):
    monkeypatch.setattr("ganmf_fast.gan.device._WORTH_THREADS", 0)
    seen = []

    def look(*_):
        seen.append(torch.get_num_threads())

    threads.set_num_threads(2)
    for limit in (2, 1):
        torch.set_num_threads(limit)
        CFGAN(g_nodes=2, d_nodes=2, epochs=1, device="cpu").fit(toy_urm, callback=look)
    assert seen == [2, 1]
