"""The steps that are captured as CUDA graphs; without a GPU, by Triton's interpreter."""

import os

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch", reason="GANMF needs torch, which is not installed")
GPU = torch.cuda.is_available()
if not GPU:  # read when Triton is loaded
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton", reason="this build of torch brings no Triton")

from ganmf_fast.base.urm import as_csr
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.batches import Batches
from ganmf_fast.gan.ema import Average
from ganmf_fast.gan.ganmf import cuda_graphs
from ganmf_fast.gan.ganmf.cuda_graphs import (
    CapturedAdam,
    CapturedSteps,
    fits_int32,
    triton_available,
)
from ganmf_fast.gan.ganmf.dense import DenseStep, LossWeights
from ganmf_fast.gan.networks import Discriminator, Generator

DEVICE = torch.device("cuda" if GPU else "cpu")
DTYPE = torch.float64
RATES = (3e-3, 1e-2)


def networks(users, items, emb, factors):
    source = torch.Generator().manual_seed(3)
    G = Generator(users, items, factors, source, DTYPE)
    D = Discriminator(items, emb, source, DTYPE)
    return G, D


def interactions(users, items, seed, valued):
    source = np.random.default_rng(seed)
    X = (source.random((users, items)) < 0.3).astype(float)
    X[0] = 0.0  # a user and an item without any
    X[:, -1] = 0.0
    X[-1, 0] = 1.0
    return as_csr(X * source.integers(1, 6, X.shape) if valued else X)


def by_definition(profiles, parts, weights, batch_size, average, orders):
    """Epochs by dense steps, one after the other: means of the losses, of each pass."""
    G, D = parts
    step = DenseStep(G, D, weights)
    move = {
        name: TensorFlowAdam(net.parameters(), rate)
        for name, net, rate in zip("dg", (D, G), RATES, strict=True)
    }
    batches = Batches(profiles, batch_size, torch.device("cpu"), DTYPE)
    rng = torch.Generator().manual_seed(9)
    found = []
    for order in orders:
        losses = []
        for batch in batches.ordered(order):
            seen = batch.dropped(weights.d_dropout, rng) if weights.d_dropout else None
            losses.append(step.discriminator_step(batch, seen))
            losses[-1]["d_gradient"] = norm(D)
            move["d"].step()
        found.append({k: np.mean([row[k] for row in losses]) for k in losses[0]})
        losses = []
        for batch in batches.ordered(order):
            losses.append(step.generator_step(batch))
            losses[-1]["g_gradient"] = norm(G)
            move["g"].step()
            if average is not None:
                average.add(G)
        found.append({k: np.mean([row[k] for row in losses]) for k in losses[0]})
    return found


def norm(network):
    return torch.stack([(p.grad**2).sum() for p in network.parameters()]).sum().sqrt().item()


CASES = {
    "as it comes": {},
    "one batch": {"batch_size": 9},
    "last batch smaller": {"batch_size": 4},
    "batch of one": {"batch_size": 1},
    "more factors than rows": {"factors": 11},
    "values": {"valued": True},
    "hinge closed": {"m": 0.0},
    "dropout": {"dropout": 0.4},
    "dropout of values": {"dropout": 0.4, "valued": True},
    "emphasis": {"dropout": 0.4, "emphasis": 0.1},
    "nothing for what is kept": {"dropout": 0.4, "emphasis": 0.0, "batch_size": 4},
    "emphasis of values": {"dropout": 0.4, "emphasis": 0.3, "valued": True},
    "emphasis, more than a block": {
        "dropout": 0.5,
        "emphasis": 0.1,
        "items": 120,
        "emb": 66,
        "batch_size": 9,
    },
    "reconstruction": {"matching": "reconstruction", "batch_size": 4},
    "decoder": {"matching": "decoder", "batch_size": 4},
    "penalties": {"d_reg": 0.05, "g_reg": 0.02},
    "penalties and norms": {"d_reg": 0.05, "g_reg": 0.02, "norms": True},
    "shrinkage": {"g_reg": 0.02, "shrinkage": True},
    "average and norms": {"ema": 0.7, "norms": True},
    "one item": {"items": 1, "factors": 1, "emb": 1},
    "wider than a block": {"items": 140, "emb": 150},
}


@pytest.mark.slow
@pytest.mark.parametrize("products", ["wide", "narrow"])
@pytest.mark.parametrize("case", CASES)
def test_captured_steps_are_those_of_the_definition(case, products):
    given = CASES[case]
    users, items = 9, given.get("items", 13)
    profiles = interactions(users, items, 5, given.get("valued", False))
    weights = LossWeights(
        given.get("m", 5.0),
        0.3,
        given.get("d_reg", 0.0),
        given.get("g_reg", 0.0),
        given.get("matching", "features"),
        given.get("dropout", 0.0),
        given.get("emphasis", 1.0),
    )
    sides = []
    for device in (torch.device("cpu"), DEVICE):
        G, D = networks(users, items, given.get("emb", 4), given.get("factors", 3))
        if given.get("shrinkage"):
            G.user_shrinkage = torch.linspace(0.5, 1.5, users, dtype=DTYPE)[:, None]
            G.item_shrinkage = torch.linspace(1.5, 0.5, items, dtype=DTYPE)[:, None]
        G, D = G.to(device), D.to(device)
        sides.append((G, D, Average(G, given["ema"]).to(device) if "ema" in given else None))
    batch_size = given.get("batch_size", 5)
    orders = [np.random.default_rng(seed).permutation(users) for seed in range(3)]

    G, D, average = sides[0]
    wanted = by_definition(profiles, (G, D), weights, batch_size, average, orders)

    captured_G, captured_D, captured_average = sides[1]
    captured = CapturedSteps(
        captured_G,
        captured_D,
        weights,
        profiles,
        batch_size,
        RATES,
        rng=torch.Generator().manual_seed(9),
        average=captured_average,
        gradient_norms=given.get("norms", False),
        products=products,
        capture=GPU,
    )
    found = []
    for order in orders:
        [batch] = captured.batches(order)
        found += [captured.train_d(batch), captured.train_g(batch)]

    for ours, theirs in zip(found, wanted, strict=True):
        for name in ours:
            assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-9, err_msg=name)
    assert ("d_gradient" in found[0]) == bool(given.get("norms"))
    for ours, theirs in ((captured_G, G), (captured_D, D), (captured_average, average)):
        if ours is not None:
            for name, tensor in ours.state_dict().items():
                assert_allclose(tensor.cpu(), theirs.state_dict()[name], rtol=1e-5, atol=1e-8)


def moved(adam, parameter, gradients):
    """The parameter after a pass of steps."""
    if isinstance(adam, CapturedAdam):
        at = torch.zeros(1, dtype=torch.int32, device=DEVICE)
        adam.start_pass()
        for gradient in gradients:
            adam.step([gradient.to(DEVICE)], at, 0.0)
            at += 1
    else:
        for gradient in gradients:
            parameter.grad = gradient.to(DEVICE)
            adam.step()
    return parameter.detach().cpu()


def test_moments_go_on_where_they_were():
    gradients = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(1))
    one = torch.nn.Parameter(torch.ones(4, 5, device=DEVICE))
    kept = CapturedAdam([one], 0.1, 2)
    for pair in gradients[:2]:
        moved(kept, one, pair)
    state = {name: tensor.clone() for name, tensor in kept.state_dict().items()}
    same, other = (torch.nn.Parameter(one.detach().clone()) for _ in range(2))
    again, torchs = CapturedAdam([same], 0.1, 2), TensorFlowAdam([other], 0.1)
    again.load_state_dict(state)
    torchs.load_state_dict(state)
    wanted = moved(kept, one, gradients[2])
    assert_array_equal(moved(again, same, gradients[2]), wanted)
    assert_allclose(moved(torchs, other, gradients[2]), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ["captured", "torch"])
def test_what_a_state_lacks_is_as_before_the_first_step(kind):
    parameter = torch.nn.Parameter(torch.ones(4, 5, device=DEVICE))
    ours = (
        CapturedAdam([parameter], 0.1, 2)
        if kind == "captured"
        else TensorFlowAdam([parameter], 0.1)
    )
    moved(ours, parameter, torch.ones(2, 4, 5))
    assert ours.state_dict()["0.step"] == 2
    ours.load_state_dict({})
    assert all(not tensor.any() for tensor in ours.state_dict().values())


def test_without_a_c_compiler_there_is_a_warning_and_no_graph(monkeypatch):
    assert triton_available(DEVICE)
    triton_available.cache_clear()

    def failing(*_):
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(cuda_graphs, "adam", failing)
    try:
        with pytest.warns(RuntimeWarning, match=r"cannot compile .*Failed to find C compiler"):
            assert not triton_available(DEVICE)
        assert not triton_available(DEVICE)  # said once
    finally:
        triton_available.cache_clear()


def test_lists_that_32_bits_cannot_number_are_not_captured():
    wide = sp.csr_array((np.ones(1), ([0], [0])), shape=(2**12, 2**20))
    assert fits_int32(as_csr(wide), 4)
    assert not fits_int32(as_csr(wide), 2)
