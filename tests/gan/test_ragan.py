"""RAGAN: losses against their definition, what is generated, the base, and interruption."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="RAGAN needs torch, which is not installed")

import ganmf_fast as gf
from ganmf_fast.base import threads
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.gan.batches import Batches
from ganmf_fast.gan.ragan import RAGANModule

SMALL = {"g_nodes": 6, "d_nodes": 5, "d_batch_size": 16, "g_batch_size": 16, "epochs": 3}
SMALL |= {"device": "cpu", "share": 0.2, "low_share": 0.3}


@pytest.fixture(name="X")
def ratings():
    """Of 40 users; high ones are most frequent, one user has none, one all, one item has none."""
    rng = np.random.default_rng(3)
    X = rng.choice([2, 3, 4, 5], (40, 25), p=[0.05, 0.1, 0.4, 0.45]) * (rng.random((40, 25)) < 0.3)
    X[2], X[5], X[:, 7] = 0, 4, 0
    return X.astype(np.float32)


class Still:
    def step(self):
        pass


def perceptron(network, x, activation):
    first = torch.cat(list(network.first))
    return activation(x @ first + network.biases[0]) @ network.output.T + network.output_bias


@pytest.mark.parametrize("bt", [False, True])
def test_losses_and_gradients_are_those_of_the_formula(X, bt):
    model = gf.RAGAN(**SMALL, bt=bt, d_reg=0.03, g_reg=0.02)
    module = RAGANModule(model, as_csr(X))
    for name, network in module.networks.items():
        network.double()
        module.optimisers[name] = Still()
    batch = Batches(module.profiles, 9, torch.device("cpu"), torch.float64).whole(np.arange(9))
    r = torch.from_numpy(to_scipy(module.profiles).toarray()[:9].astype(np.float64))
    own = torch.from_numpy(X[:9] / X.max()).double()
    assert_allclose(r[X[:9] > 0], own[X[:9] > 0], rtol=1e-6)
    low = (r > 0).numpy() & (X[:9] == 0)
    assert bool(low.any()) == bt
    assert_allclose(r.numpy()[low], 0.2, rtol=1e-6)

    def judged(profile):
        return perceptron(module.discriminator, torch.cat([r, profile], dim=1), torch.sigmoid)

    def bce(logits, label):
        return torch.nn.functional.softplus(-logits if label else logits).mean()

    def l2(network):
        return sum((p**2).sum() for p in network.parameters()) / 2

    generated = perceptron(module.generator, r, lambda h: h) * (r > 0)
    losses = {
        "d": bce(judged(r), 1) + bce(judged(generated.detach()), 0)
        + 0.03 * l2(module.discriminator),
        "g": bce(judged(generated), 1) + 0.02 * l2(module.generator),
    }  # fmt: skip
    for name, loss in losses.items():
        parameters = list(module.networks[name].parameters())
        wanted = torch.autograd.grad(loss, parameters, retain_graph=True)
        assert module.step(name, batch)[f"{name}_loss"] == pytest.approx(loss.item())
        for parameter, gradient in zip(parameters, wanted, strict=True):
            assert_allclose(parameter.grad, gradient, atol=1e-9)


def test_given_ratings_stay_and_as_many_as_asked_for_are_added(X):
    found = gf.RAGAN(**SMALL).augment(X).toarray()
    assert np.array_equal(found[X > 0], X[X > 0])
    added = (found > 0) & (X == 0)
    missing = (X == 0).sum(axis=1)
    expected = np.floor(0.2 * missing)
    expected[2] = 0  # who rated nothing gets nothing
    assert np.array_equal(added.sum(axis=1), expected)
    assert found[added].min() >= 2
    assert found[added].max() <= 5
    frame = {"user": [1, 1, 9], "item": ["a", "b", "b"], "rating": [5, 1, 3]}
    data = gf.Interactions.from_frame(frame, user="user", item="item", rating="rating")
    more = gf.RAGAN(**{**SMALL, "share": 1.0}).augment(data)
    assert more.item_ids.tolist() == ["a", "b"]
    assert more.n_interactions == 4


@pytest.mark.parametrize("base", ["EASE", "ItemKNN", "WRMF", "BPRMF", "topPopular"])
def test_without_generated_ratings_it_is_the_base_bit_for_bit(X, base):
    model = gf.RAGAN(**{**SMALL, "share": 0.0}, base=base).fit(X)
    alone = gf.models.registry.model_class(base)().fit(X)
    users = np.arange(40)
    assert np.array_equal(model.score_users(users), alone.score_users(users))
    assert model.fold_in(X[:3]).shape == (3, 25)
    other = gf.RAGAN(**SMALL, base=base).fit(X)
    if base != "topPopular":
        assert not np.array_equal(other.score_users(users), alone.score_users(users))


def test_the_shape_of_the_matrix_does_not_decide_which_profile_is_scored(X, tmp_path):
    few = X[6:18]  # fewer than there are items
    model = gf.RAGAN(**SMALL).fit(few)
    Y = gf.RAGAN(**SMALL).augment(few).toarray().astype(np.float64)
    P = np.linalg.inv(Y.T @ Y + 500 * np.eye(25))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    scores = model.score_users(range(12))
    assert_allclose(scores, few @ B, atol=1e-6)
    assert np.array_equal(scores, model.fold_in(few))
    model.save(tmp_path / "m.safetensors")
    loaded = gf.load(tmp_path / "m.safetensors")
    assert np.array_equal(loaded.score_users(range(12)), scores)
    assert np.array_equal(loaded.fold_in(few), scores)


@pytest.mark.parametrize("base", ["UserKNN", "WRMF", "CDAE", "GANMF"])
def test_users_are_those_of_the_base_and_new_ones_too(X, base, tmp_path):
    model = gf.RAGAN(**SMALL, base=base).fit(X)
    alone = gf.models.registry.model_class(base)().fit(gf.RAGAN(**SMALL).augment(X))
    model.save(tmp_path / "m.safetensors")
    for ours in (model, gf.load(tmp_path / "m.safetensors")):
        assert np.array_equal(ours.score_users(range(40)), alone.score_users(range(40)))
        assert np.array_equal(ours.fold_in(X[:9, ::-1]), alone.fold_in(X[:9, ::-1]))


def test_a_file_of_before_is_read_and_says_what_it_lacks(X, tmp_path):
    for base, lacking in (("UserKNN", "fitted"), ("CDAE", "profile_map")):
        model = gf.RAGAN(**SMALL, base=base).fit(X)
        model.scorer_ = replace(model.scorer_, **{lacking: None})
        model.save(tmp_path / "m.safetensors")
        old = gf.load(tmp_path / "m.safetensors")
        assert np.array_equal(old.score_users([3]), model.score_users([3]))
        if base == "CDAE":
            by_squares = old.scorer_.by_least_squares(as_csr(X[:2])).scores(None, np.arange(2))
            assert np.array_equal(old.fold_in(X[:2]), by_squares)
        else:
            with pytest.raises(NotImplementedError, match=r"RAGAN has no fold_in: .*fit it again"):
                old.fold_in(X[:2])


@pytest.mark.slow
def test_virtual_low_ratings_raise_the_spread_of_generated_ones():
    rng = np.random.default_rng(0)
    X = (rng.random((80, 50)) < 0.3) * rng.choice([1, 4, 5], (80, 50), p=[0.05, 0.45, 0.5])
    params = {**SMALL, "epochs": 300, "g_lr": 5e-3, "d_lr": 5e-3, "d_nodes": 16}
    spreads = {}
    for bt in (False, True):
        # Of what is added to the ratings.
        found = gf.RAGAN(**params, bt=bt).augment(X.astype(np.float32)).toarray()
        spreads[bt] = found[(found > 0) & (X == 0)].std()
    assert spreads[True] > 1.05 * spreads[False]


class KilledError(Exception):
    pass


def kill(epoch, _values):
    if epoch == 3:
        raise KilledError


def test_a_killed_fit_goes_on_to_the_same_bits(X, tmp_path):
    params, held_out = {**SMALL, "epochs": 5, "freq": 2}, (X[:, ::-1] > 0) & (X == 0)
    held_out = held_out.astype(np.float32)
    quiet = gf.RAGAN(**params).fit(X, validation=held_out)
    path = tmp_path / "state"
    params |= {"checkpoint_every": 2, "checkpoint_path": str(path)}
    with pytest.raises(KilledError):
        gf.RAGAN(**params).fit(X, validation=held_out, callback=kill)
    again = gf.RAGAN(**params).fit(X, validation=held_out)
    assert not path.exists()
    assert np.array_equal(again.score_users(range(40)), quiet.score_users(range(40)))
    assert again.best_epoch_ == quiet.best_epoch_
    with pytest.raises(KilledError):
        gf.RAGAN(**params).fit(X, callback=kill)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="is damaged or cut short"):
        gf.RAGAN(**params).fit(X)


@pytest.mark.usefixtures("threads_restored")
def test_thread_count_changes_nothing(X):
    fits = []
    for n in (1, 2):
        threads.set_num_threads(n)
        fits.append(gf.RAGAN(**SMALL).fit(X).score_users(range(40)))
    assert np.array_equal(*fits)


def test_a_saved_model_gives_the_same_lists(X, tmp_path):
    model = gf.RAGAN(**SMALL).fit(X)
    model.save(tmp_path / "m.safetensors")
    loaded = gf.load(tmp_path / "m.safetensors")
    new = sp.csr_array(X[:6, ::-1])
    assert np.array_equal(loaded.fold_in(new), model.fold_in(new))
    assert loaded.history_ == model.history_


@pytest.mark.parametrize("X", [np.ones((1, 3)), np.ones((4, 1))], ids=["one user", "one item"])
def test_one_user_or_one_item_is_enough(X):
    lists = gf.RAGAN(**SMALL).fit(X.astype(np.float32)).recommend([0], n=2)
    assert (lists.items == -1).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"base": "EASY"}, r'base must be the name of another model, such as "EASE", not .EASY.'),
        ({"base": "RAGAN"}, "base must be the name of another model"),
        ({"base": 3}, "base must be the name of another model"),
        ({"share": 1.5}, "share must be between 0 and 1"),
        ({"low_rating": -0.1}, "low_rating must be between 0 and 1"),
    ],
)
def test_bad_parameters_are_named(X, params, message):
    with pytest.raises(ValueError, match=message):
        gf.RAGAN(**params).fit(X)


def test_a_base_that_does_not_fit_the_ratings_is_named(X):
    message = "base PureSVD, with its defaults, cannot be fitted .*num_factors must be at most 25"
    with pytest.raises(ValueError, match=message):
        gf.RAGAN(**SMALL, base="PureSVD").fit(X)
