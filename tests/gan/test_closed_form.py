"""Factors of a profile in closed form: against minimisation, and in training."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch", reason="GANMF needs torch, which is not installed")

from ganmf_fast.base.urm import as_csr
from ganmf_fast.gan.batches import Batches
from ganmf_fast.gan.estimators import GANMF
from ganmf_fast.gan.ganmf.closed_form import Grams, best_factors, profile_inputs
from ganmf_fast.gan.ganmf.dense import DenseStep, LossWeights
from ganmf_fast.gan.ganmf.module import GANMFModule
from ganmf_fast.gan.networks import Generator

ITEMS, HIDDEN = 13, 5
SMALL = {"emb_dim": 8, "num_factors": 5, "batch_size": 16, "epochs": 3, "device": "cpu"}
SMALL["recon_coefficient"] = 0.1


def least_squares(X, Q, We, be, W, a, g, matching):
    """Both terms as squares of one linear function, for each profile."""
    Wd, bd = W[:, :-1].T, W[:, -1]
    B = We.T @ Q
    found = []
    for x in X:
        h = x @ We
        rows = [np.sqrt((1 - a) / ITEMS) * (Wd.T @ B - Q)]
        right = [-np.sqrt((1 - a) / ITEMS) * (Wd.T @ be + bd)]
        matched, target, n = {
            "features": (B, h, HIDDEN),
            "reconstruction": (Q, Wd.T @ (h + be) + bd, ITEMS),
            "decoder": (Wd.T @ B, Wd.T @ h, ITEMS),
            "leave-one-out": (Q, Wd.T @ (h + be) + bd - np.diag(We @ Wd) * x, ITEMS),
        }[matching]
        rows += [np.sqrt(a / n) * matched, np.sqrt(g) * np.eye(Q.shape[1])]
        right += [np.sqrt(a / n) * target, np.zeros(Q.shape[1])]
        found.append(np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0])
    return np.array(found)


@pytest.mark.parametrize("matching", ["features", "reconstruction", "decoder", "leave-one-out"])
@pytest.mark.parametrize("a", [0.0, 0.3, 1.0])
# More factors than hidden units, without the energy: many are best, and the shortest is taken.
@pytest.mark.parametrize(("factors", "g"), [(4, 0.0), (4, 0.05), (7, 0.0)])
def test_the_factors_are_those_of_least_loss(matching, a, factors, g):
    source = np.random.default_rng(3)
    Q, We, W = (source.normal(size=(ITEMS, n)) for n in (factors, HIDDEN, HIDDEN + 1))
    be = source.normal(size=HIDDEN)
    X = (source.random((6, ITEMS)) < 0.4) * source.integers(1, 4, (6, ITEMS)).astype(float)
    tensors = [torch.from_numpy(array) for array in (Q, We, W)]
    best = best_factors(Grams.of(*tensors), torch.from_numpy(be), ITEMS, a, g, matching)
    inputs = profile_inputs(*tensors, matching)
    factors_of = best.of(torch.from_numpy(X) @ matrix for matrix in inputs)
    assert_allclose(factors_of, least_squares(X, Q, We, be, W, a, g, matching), atol=1e-6)


def trained(urm, **options):
    module = GANMFModule(GANMF(**{**SMALL, "user_factors": "solved", **options}), as_csr(urm))
    for network, batches in module.epoch(1):
        for batch in batches:
            module.step(network, batch)
    return module


@pytest.mark.parametrize("matching", ["features", "reconstruction", "decoder", "leave-one-out"])
def test_the_loss_has_no_slope_at_the_factors_of_the_scorer(toy_urm, matching):
    module = trained(toy_urm, matching=matching, recon_coefficient=0.3)
    scorer, D = module.scorer(), module.discriminator.double()
    G = Generator(60, 40, 5, module.rng, torch.float64)
    with torch.no_grad():
        G.user_factors[:] = torch.tensor(scorer.user_factors)
        G.item_factors[:] = torch.tensor(scorer.item_factors)
    step = DenseStep(G, D, LossWeights(1.0, 0.3, 0.0, 0.0, matching))
    batches = Batches(as_csr(toy_urm), 60, torch.device("cpu"), torch.float64)
    everyone = batches.whole(np.arange(60))
    step.generator_step(everyone)
    slope = G.user_factors.grad.norm()
    with torch.no_grad():
        G.user_factors *= 1.01
    step.generator_step(everyone)
    assert slope < 1e-3 * G.user_factors.grad.norm()


def test_neither_parameters_nor_moments_grow_with_the_users(toy_urm):
    twice = sp.vstack([toy_urm, toy_urm], format="csr")
    sizes = []
    for X in (toy_urm, twice):
        module = trained(X, g_ema=0.5)
        sizes.append(sum(t.numel() for name, t in module.state().items() if name != "rng"))
        n = GANMF(**SMALL, user_factors="solved").n_parameters(*X.shape)
        assert module.n_parameters() == n + SMALL["emb_dim"]
    assert sizes[0] == sizes[1]
    fitted = GANMF(**SMALL, user_factors="solved").fit(twice)
    assert fitted.user_factors_.shape == (120, 5)
    # The same profile has the same factors.
    assert_allclose(fitted.user_factors_[:60], fitted.user_factors_[60:], atol=1e-6)


def test_item_mode_solves_the_factors_of_items(toy_urm):
    by_item = GANMF(**SMALL, user_factors="solved", mode="item").fit(toy_urm)
    by_user = GANMF(**SMALL, user_factors="solved").fit(sp.csr_array(toy_urm.T))
    assert_array_equal(by_item.item_factors_, by_user.user_factors_)
    assert_array_equal(by_item.user_factors_, by_user.item_factors_)


def test_a_penalty_of_its_own_for_each_user_is_refused(toy_urm):
    with pytest.raises(ValueError, match=r"g_reg_exponent is 0.5, but solved .* leave it at 0"):
        GANMF(**SMALL, user_factors="solved", g_reg_exponent=0.5).fit(toy_urm)
