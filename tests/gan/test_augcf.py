"""AugCF: losses against their definition, the estimator of gradients, the control, and laws."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="AugCF needs torch, which is not installed")

import ganmf_fast as gf
from ganmf_fast.base import threads
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr, csr_from_sparse, to_scipy
from ganmf_fast.gan import device
from ganmf_fast.gan.adam import TensorFlowAdam
from ganmf_fast.gan.augcf import AugCFModule, Conditions, Pairs, straight_through
from ganmf_fast.gan.batches import Batch

SMALL = {"num_factors": 4, "epochs": 4, "adversarial_epochs": 2, "batch_size": 64}
SMALL |= {"g_batch_size": 16, "d_lr": 1e-2, "g_lr": 1e-2, "share": 0.3, "device": "cpu"}
RATED = {**SMALL, "threshold": 4.0}
PLAIN = {**SMALL, "share": 0.0}


@pytest.fixture(name="X")
def ratings():
    """Of 40 users; one has none, one rated all, one likes nothing; an item has one rating."""
    rng = np.random.default_rng(3)
    X = rng.integers(1, 6, (40, 25)) * (rng.random((40, 25)) < 0.3)
    X[2], X[:, 7], X[5] = 0, 0, 4
    X[9] = np.minimum(X[9], 2)
    X[9, 3] = 1
    return X.astype(np.float32)


@pytest.fixture(name="features")
def fixture_features():
    rng = np.random.default_rng(4)
    return (rng.random((25, 6)) < 0.4) * rng.normal(size=(25, 6))


def scaled(features):
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


class Still:
    def step(self):
        pass


def module_of(X, features=None, **params):
    """In double precision, with parameters that no start leaves at zero or one, never moved."""
    side = None
    if features is not None:
        side = csr_from_sparse(sp.csr_array(scaled(features)), "item_features")
    module = AugCFModule(gf.AugCF(**{**RATED, **params}), as_csr(X), side)
    rng = torch.Generator().manual_seed(1)
    for name, network in module.networks.items():
        network.double()
        if side is not None and hasattr(network, "features"):
            rows = to_scipy(side).astype(np.float64)
            network.features = Batch(np.arange(25), rows, False, module.device, torch.float64)
        module.optimisers[name] = Still()
        for parameter in network.parameters():
            parameter.data.copy_(torch.randn(parameter.shape, generator=rng).double())
    return module


# Objectives --------------------------------------------------------------------------------------


def softplus(x):
    return np.logaddexp(0, x)


def values_of(module, name):
    return {key: p.detach().numpy().copy() for key, p in module.networks[name].named_parameters()}


def item_vectors(part, features):
    projected = 0 if features is None else scaled(features).astype(np.float32) @ part["projection"]
    return part["item_factors"] + projected


def d_loss(d, source, features, batch, reg):
    """Of a batch in numpy; `source` None is the second phase."""
    users, items, conditions, n, _ = (np.asarray(x) for x in batch)
    Q = item_vectors(d, features)
    products = d["user_factors"][users] * Q[items]
    like = products.sum(1) + d["item_bias"][items]
    loss = softplus(np.where(conditions == 1, -like, like)).sum()
    squares = [d]
    if source is not None:
        real = (products * source["gates"][conditions]).sum(1)
        real += source["item_biases"][conditions, items]
        loss += softplus(np.where(np.arange(len(users)) < n, -real, real)).sum()
        squares.append(source)
    loss /= n
    # The loss that is reported has the penalty of D.
    return loss + reg / 2 * sum((p**2).sum() for part in squares for p in part.values())


def difference(loss, parts, name, key, h=1e-5):
    """Central differences of ``loss(parts)`` in one array."""
    array = parts[name][key]
    found = np.empty_like(array)
    for place in np.ndindex(array.shape):
        kept = array[place]
        array[place] = kept + h
        above = loss(parts)
        array[place] = kept - h
        found[place] = (above - loss(parts)) / (2 * h)
        array[place] = kept
    return found


@pytest.mark.parametrize("judged", [True, False], ids=["first phase", "second phase"])
@pytest.mark.parametrize("with_features", [True, False])
def test_loss_and_gradient_of_d_are_those_of_the_formula(X, features, judged, with_features):
    side = features if with_features else None
    module = module_of(X, side, d_reg=0.03)
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 40, 12), rng.integers(0, 25, 12), rng.integers(0, 2, 12)
    batch = Pairs(*map(torch.from_numpy, columns), 9, judged)
    names = ("d", "source") if judged else ("d",)
    parts = {name: values_of(module, name) for name in names}

    def loss(parts):
        return d_loss(parts["d"], parts.get("source"), side, batch, 0.03)

    penalty = 0.03 / 2 * sum((p**2).sum() for p in parts.get("source", {}).values())
    found = module.step("d", batch)
    assert found["d_loss"] == pytest.approx(loss(parts) - penalty, rel=1e-9)
    assert ("real_score" in found) == judged
    for name in names:
        for key, parameter in module.networks[name].named_parameters():
            wanted = difference(loss, parts, name, key)
            assert_allclose(parameter.grad.numpy(), wanted, atol=1e-7)


def test_gradient_of_g_is_that_of_the_softmax_at_what_d_says_of_the_drawn_item(X, features):
    temperature = 0.7
    module = module_of(X, features, g_reg=0.02, temperature=temperature)
    users, conditions = np.array([0, 3, 3, 11]), np.array([1, 0, 1, 0])
    noise = np.random.default_rng(2).gumbel(size=(4, 25))
    batch = Conditions(*map(torch.from_numpy, (users, conditions, noise)))
    d, source, g = (values_of(module, name) for name in ("d", "source", "g"))
    Q = item_vectors(d, features)
    like = d["user_factors"][users] @ Q.T + d["item_bias"]
    real = (d["user_factors"][users] * source["gates"][conditions]) @ Q.T
    real += source["item_biases"][conditions]

    def soft(parts):
        one = parts["g"]
        rows = one["user_factors"][users] * one["condition.gates"][conditions]
        logits = rows @ item_vectors(one, features).T + one["condition.item_biases"][conditions]
        powers = np.exp((logits + noise) / temperature)
        return powers / powers.sum(1, keepdims=True)

    drawn = soft({"g": g}).argmax(1)
    at = np.arange(4), drawn
    sign = 2 * conditions - 1
    penalty = 0.01 * sum((p**2).sum() for p in g.values())
    wanted = (softplus(-sign * like[at]) + softplus(-real[at])).mean() + penalty
    # D's opinion of the drawn item, to first order in its one-hot vector.
    slopes = -sign / (1 + np.exp(sign * like[at])), -1 / (1 + np.exp(real[at]))
    direction = slopes[0][:, None] * like + slopes[1][:, None] * real

    def linear(parts):
        squares = sum((p**2).sum() for p in parts["g"].values())
        return (soft(parts) * direction).sum(1).mean() + 0.01 * squares

    assert module.step("g", batch)["g_loss"] == pytest.approx(wanted, rel=1e-9)
    for key, parameter in module.networks["g"].named_parameters():
        numeric = difference(linear, {"g": g}, "g", key)
        assert_allclose(parameter.grad.numpy(), numeric, atol=1e-6)


def test_the_estimator_is_one_hot_and_its_gradient_that_of_the_softmax():
    rng = torch.Generator().manual_seed(0)
    logits, noise, weights = torch.randn(3, 5, 8, generator=rng, dtype=torch.float64)
    logits.requires_grad_()
    chosen = straight_through(logits, noise, 0.5)
    assert chosen.unique().tolist() == [0, 1]
    assert torch.equal(chosen.argmax(1), (logits + noise).argmax(1))
    assert torch.equal(chosen.sum(1), torch.ones(5).double())
    (found,) = torch.autograd.grad((chosen * weights).sum(), logits)
    soft = ((logits + noise) / 0.5).softmax(1)
    (wanted,) = torch.autograd.grad((soft * weights).sum(), logits)
    assert_allclose(found, wanted, atol=1e-15)
    assert found.abs().max() > 1e-3


# What is drawn -----------------------------------------------------------------------------------


def test_dislikes_are_given_ones_and_uniform_items_outside_the_profile(X):
    module = AugCFModule(gf.AugCF(**{**RATED, "negatives": 3}), as_csr(X))
    counts = np.zeros_like(X)
    for _ in range(400):
        users, items, likes = module._real()
        n = int((X > 0).sum())
        assert np.array_equal(likes[:n], X[users[:n], items[:n]] >= 4)
        assert not likes[n:].any()
        assert (X[users[n:], items[n:]] == 0).all()
        np.add.at(counts, (users[n:], items[n:]), 1)
    # Three for each like; none for who rated all or likes nothing.
    assert np.array_equal(counts.sum(1), 400 * 3 * (X >= 4).sum(1) * ((X == 0).sum(1) > 0))
    user = int(counts.sum(1).argmax())
    seen = counts[user][X[user] == 0]
    assert seen.min() > 0
    mean = seen.mean()
    # Within five standard deviations of a binomial count.
    assert np.abs(seen - mean).max() < 5 * np.sqrt(mean)


def test_generated_items_follow_the_softmax_and_later_are_outside_the_profile(X):
    module = AugCFModule(gf.AugCF(**RATED), as_csr(X))
    rng = torch.Generator().manual_seed(5)
    for parameter in module.generator.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=rng))
    users, likes = np.full(30_000, 4, np.int32), np.ones(30_000, bool)
    with torch.no_grad():
        logits = module.generator(torch.tensor([4]), torch.tensor([1]))[0].numpy()
    for masked in (False, True):
        weights = np.exp(logits - logits.max()) * ((X[4] == 0) | (not masked))
        items = module._drawn(users, likes, number=1 + masked, masked=masked)
        found = np.bincount(items, minlength=25) / 30_000
        assert_allclose(found, weights / weights.sum(), atol=0.015)
    # Who has seen everything gets nothing.
    assert (module._drawn(np.array([5, 5], np.int32), np.ones(2, bool), 1, True) == -1).all()


def test_every_batch_has_as_many_generated_interactions_as_asked_for(X):
    module = AugCFModule(gf.AugCF(**RATED), as_csr(X))
    for number, judged in ((1, True), (2, True), (3, False)):
        passes = dict(module.epoch(number))
        assert ("g" in passes) == judged
        for batch in passes["d"]:
            generated = len(batch.users) - batch.n_real
            assert batch.judged == judged
            whole = int(np.ceil(0.3 * batch.n_real))
            assert generated == whole if judged else whole >= generated > 0
            # Users and conditions are those of real interactions of the batch.
            pairs = torch.stack([batch.users, batch.conditions], 1).tolist()
            assert all(pair in pairs[: batch.n_real] for pair in pairs[batch.n_real :])
            if not judged:
                made = batch.users[batch.n_real :], batch.items[batch.n_real :]
                assert (X[made] == 0).all()


# The control -------------------------------------------------------------------------------------


def test_without_generated_interactions_it_is_the_plain_factorisation_bit_for_bit(X):
    """One of logistic losses on likes and dislikes, written down here once more."""
    model = gf.AugCF(**{**PLAIN, "threshold": 4.0, "negatives": 2, "d_reg": 1e-3}).fit(X)
    rng = torch.Generator().manual_seed(0)
    P, Q = (
        torch.empty(n, 4).uniform_(-((6 / (n + 4)) ** 0.5), (6 / (n + 4)) ** 0.5, generator=rng)
        for n in X.shape
    )
    tables = [torch.nn.Parameter(table) for table in (P, Q, torch.zeros(25))]
    adam = TensorFlowAdam(tables, 1e-2)
    users, items = (a.astype(np.int64) for a in np.nonzero(X))
    likes = X[users, items] >= 4
    anchors = users[likes & ((X == 0).sum(1)[users] > 0)]
    missing = [np.flatnonzero(row == 0) for row in X]
    for _ in range(4):
        drawn = []
        for _ in range(2):
            u = torch.rand(len(anchors), generator=rng, dtype=torch.float64).tolist()
            where = [int(x * len(missing[a])) for x, a in zip(u, anchors, strict=True)]
            drawn += [missing[a][k] for a, k in zip(anchors, where, strict=True)]
        all_users = torch.from_numpy(np.concatenate([users, anchors, anchors]))
        all_items = torch.from_numpy(np.concatenate([items, drawn]))
        signs = torch.from_numpy(np.concatenate([2 * likes - 1, -np.ones(len(drawn), int)]))
        for part in torch.randperm(len(signs), generator=rng).split(64):
            u, i = all_users[part], all_items[part]
            logits = (tables[0][u] * tables[1][i]).sum(1) + tables[2][i]
            loss = -torch.nn.functional.logsigmoid(logits * signs[part]).sum() / len(part)
            for table, gradient in zip(tables, torch.autograd.grad(loss, tables), strict=True):
                table.grad = gradient.add_(table.detach(), alpha=1e-3)
            adam.step()
    P, Q, b = (table.detach().numpy() for table in tables)
    assert np.array_equal(model.user_factors_, np.column_stack([P, np.ones(40)]))
    assert np.array_equal(model.item_factors_, np.column_stack([Q, b]))
    # And nothing of the generator matters.
    other = {"g_lr": 1.0, "temperature": 9.0, "adversarial_epochs": 0, "g_reg": 1.0, "g_steps": 3}
    same = gf.AugCF(**{**model.get_params(), **other}).fit(X)
    assert np.array_equal(same.item_factors_, model.item_factors_)
    assert set(same.history_[0]) == {"epoch", "d_loss", "d_seconds", "seconds"}


def test_a_generator_changes_the_model_and_temperature_and_phases_matter(X):
    scores = gf.AugCF(**RATED).fit(X).score_users([0])
    assert np.array_equal(scores, gf.AugCF(**RATED).fit(X).score_users([0]))
    for other in ({"share": 0.0}, {"temperature": 0.3}, {"adversarial_epochs": 4}, {"seed": 1}):
        assert not np.array_equal(scores, gf.AugCF(**{**RATED, **other}).fit(X).score_users([0]))
    history = gf.AugCF(**RATED).fit(X).history_
    assert ["g_loss" in row for row in history] == [True, True, False, False]
    assert all("generated_cosine" in row for row in history)


@pytest.mark.slow
def test_the_generator_learns_what_the_discriminator_takes_for_real():
    """Two kinds of users who like the items of their half."""
    rng = np.random.default_rng(0)
    kind = np.arange(60) % 2
    near = kind[:, None] == np.arange(30) // 15
    X = ((rng.random((60, 30)) < 0.6) & near).astype(np.float32)
    params = {**SMALL, "batch_size": 512, "g_batch_size": 60, "negatives": 1, "d_lr": 2e-2}
    params |= {"adversarial_epochs": 120, "g_lr": 2e-2, "g_steps": 2}
    module = AugCFModule(gf.AugCF(**params), as_csr(X))
    for number in range(1, 121):
        for network, batches in module.epoch(number):
            for batch in batches:
                module.step(network, batch)
    users = np.arange(60, dtype=np.int64)
    with torch.no_grad():
        weights = module._weights(users, 1, False), module._weights(users, 0, False)
    mine = [(w * near).sum(1).mean() for w in weights]
    assert mine[0] > 0.8
    assert mine[1] < 0.5


# Features ----------------------------------------------------------------------------------------


def test_features_change_scores_and_stay_with_the_model(X, features, tmp_path):
    without = gf.AugCF(**RATED).fit(X)
    model = gf.AugCF(**RATED).fit(X, item_features=features)
    assert not np.array_equal(model.score_users([0]), without.score_users([0]))
    # Lengths of rows do not matter, forms neither.
    sparse = gf.AugCF(**RATED).fit(X, item_features=sp.csr_array(features * 8))
    assert np.array_equal(model.score_users(range(40)), sparse.score_users(range(40)))
    model.save(tmp_path / "m.safetensors")
    loaded = gf.load(tmp_path / "m.safetensors")
    assert np.array_equal(loaded.score_users(range(40)), model.score_users(range(40)))
    # A fit without them forgets them.
    assert np.array_equal(model.fit(X).score_users([0]), without.score_users([0]))


def test_an_item_that_nobody_rated_is_scored_by_its_features():
    rng = np.random.default_rng(1)
    genre = np.repeat([0, 1], 12)
    X = (rng.random((80, 24)) < np.where(np.arange(80)[:, None] % 2 == genre, 0.6, 0.05)) * 1.0
    X[:, [0, 12]] = 0
    model = gf.AugCF(num_factors=4, epochs=60, d_lr=1e-2, share=0.0, device="cpu")
    model.fit(X.astype(np.float32), item_features=np.eye(2)[genre])
    difference = model.score_users(range(80))[:, 0] - model.score_users(range(80))[:, 12]
    even = np.arange(80) % 2 == 0
    assert difference[even].mean() > 0.1 > -0.1 > difference[~even].mean()


def test_labels_are_matched_by_id():
    users, items = [1, 1, 2, 2, 3], ["a", "b", "b", "c", "a"]
    data = gf.Interactions.from_frame({"user": users, "item": items}, user="user", item="item")
    kinds = {"c": ["x"], "a": "y", "b": ["x", "y"], "unknown": "z"}
    model = gf.AugCF(**SMALL).fit(data, item_features=kinds)
    matrix = np.array([[0, 1], [1, 1], [1, 0]])[:, ::1]
    assert data.item_ids.tolist() == ["a", "b", "c"]
    other = gf.AugCF(**SMALL).fit(data.urm, item_features=matrix)
    assert_allclose(model.item_factors_, other.item_factors_, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.ones((24, 2)), ValueError, "item_features has 24 rows but there are 25 items"),
        (np.zeros((25, 2)), ValueError, "item_features says nothing about any of the items"),
        (np.full((25, 1), np.nan), ValueError, "item_features holds NaN or infinity"),
        ("genres", TypeError, "item_features must be a matrix"),
    ],
)
def test_bad_features_are_named(X, given, error, message):
    with pytest.raises(error, match=message):
        gf.AugCF(**RATED).fit(X, item_features=given)


# Interruption, threads, files --------------------------------------------------------------------


class KilledError(Exception):
    pass


@pytest.mark.parametrize("last", [2, 4], ids=["first phase", "second phase"])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_killed_fit_goes_on_to_the_same_bits(X, features, share, last, tmp_path):
    params = {**RATED, "share": share, "epochs": 6, "adversarial_epochs": 3, "freq": 2}
    held_out = ((X[:, ::-1] > 0) & (X == 0)).astype(np.float32)
    more = {"validation": held_out, "item_features": features}
    quiet = gf.AugCF(**params).fit(X, **more)
    path = tmp_path / "state"
    params |= {"checkpoint_every": 2, "checkpoint_path": str(path)}

    def kill(epoch, _values):
        if epoch == last:
            raise KilledError

    with pytest.raises(KilledError):
        gf.AugCF(**params).fit(X, **more, callback=kill)
    again = gf.AugCF(**params).fit(X, **more)
    assert not path.exists()
    assert np.array_equal(again.user_factors_, quiet.user_factors_)
    assert np.array_equal(again.item_factors_, quiet.item_factors_)
    assert again.best_epoch_ == quiet.best_epoch_
    with pytest.raises(KilledError):
        gf.AugCF(**params).fit(X, **more, callback=kill)
    with pytest.raises(DataError, match="belongs to a run with item_features"):
        gf.AugCF(**params).fit(X, validation=held_out, item_features=features[:, :3])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="is damaged or cut short"):
        gf.AugCF(**params).fit(X, **more)


@pytest.mark.slow
@pytest.mark.usefixtures("threads_restored")
def test_thread_count_changes_nothing(monkeypatch):
    monkeypatch.setattr(device, "_WORTH_THREADS", 0)
    rng = np.random.default_rng(0)
    X = (rng.random((500, 300)) < 0.2) * rng.integers(1, 6, (500, 300))
    X = X.astype(np.float32)
    features = rng.random((300, 5))
    # Batches beyond what one thread does of a vector.
    params = {**RATED, "batch_size": 60_000, "g_batch_size": 400, "num_factors": 16}
    fits = []
    for n in (1, 2):
        threads.set_num_threads(n)
        model = gf.AugCF(**params).fit(X, item_features=features)
        losses = [(row["d_loss"], row.get("g_loss")) for row in model.history_]
        fits.append((model.user_factors_, model.item_factors_, losses))
    assert np.array_equal(fits[0][0], fits[1][0])
    assert np.array_equal(fits[0][1], fits[1][1])
    assert fits[0][2] == fits[1][2]


def test_the_global_generator_is_left_alone(X):
    state = torch.get_rng_state()
    gf.AugCF(**RATED).fit(X)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_saved_model_gives_the_same_lists_and_a_damaged_file_is_refused(X, tmp_path):
    model = gf.AugCF(**RATED).fit(X)
    path = tmp_path / "m.safetensors"
    model.save(path)
    loaded = gf.load(path)
    new = sp.csr_array(X[:6, ::-1])
    assert np.array_equal(loaded.fold_in(new), model.fold_in(new))
    assert loaded.history_ == model.history_
    assert loaded.get_params() == model.get_params()
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:2000] + b"\0\1\2\3" + whole[2004:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged or cut short"):
            gf.load(path)


@pytest.mark.parametrize("rate", ["d_lr", "g_lr"])
def test_training_that_diverges_says_so(X, rate):
    with pytest.raises(ArithmeticError, match=r"training diverged in epoch .* lower the"):
        gf.AugCF(**{**RATED, "adversarial_epochs": 4, rate: 1e30}).fit(X)


# Small and odd data ------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [np.ones((1, 3)), np.ones((4, 1))], ids=["one user", "one item"])
def test_one_user_or_one_item_is_enough(X):
    lists = gf.AugCF(**SMALL).fit(X.astype(np.float32)).recommend([0], n=2)
    assert (lists.items == -1).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_ratings_ones_and_empty_profiles_are_fitted(X, share):
    ones = (X >= 4).astype(np.float32)
    for given, threshold in ((X, 4.0), (X, 1), (ones, None), (ones, 1.0)):
        params = {**SMALL, "share": share, "threshold": threshold}
        model = gf.AugCF(**params).fit(given)
        assert np.isfinite(model.score_users(range(40))).all()
        assert (model.recommend([2], n=3).items == -1).all()
    every = gf.AugCF(**{**params, "negatives": 0, "threshold": 4.0}).fit(X)
    assert np.isfinite(every.score_users(range(40))).all()


def test_ones_with_a_threshold_and_without_one_are_the_same_model(X):
    ones = (X > 0).astype(np.float32)
    assert np.array_equal(
        gf.AugCF(**SMALL).fit(ones).item_factors_,
        gf.AugCF(**SMALL, threshold=0.5).fit(ones).item_factors_,
    )
    assert np.array_equal(
        gf.AugCF(**SMALL).fit(ones).item_factors_,
        gf.AugCF(**SMALL, threshold=1.0).fit(X).item_factors_,
    )


def test_new_users_have_the_factors_of_least_squared_error_of_their_likes(X):
    model = gf.AugCF(**RATED).fit(X)
    Q = model.item_factors_.astype(np.float64)
    new = X[:8, ::-1]
    best = np.linalg.lstsq(Q, (new >= 4).T.astype(float), rcond=1e-9)[0]
    assert_allclose(model.fold_in(new), (Q @ best).T, atol=1e-4)
    plain = gf.AugCF(**SMALL).fit((X > 0).astype(np.float32))
    with pytest.raises(ValueError, match="threshold is None but profiles holds values from"):
        plain.fold_in(new)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "threshold is None but X holds values from 1 to 5: give the lowest one that is a"),
        ({"threshold": 6}, "threshold is 6 but no value of X is above 5: lower it"),
        ({"threshold": 1, "negatives": 0}, "negatives is 0 and X holds no dislike"),
        ({"threshold": 0}, "threshold must be greater than 0, not 0"),
        ({"threshold": float("nan")}, "threshold must be"),
        ({"negatives": -1}, "negatives must be at least 0"),
        ({"share": 1.5}, "share must be between 0 and 1"),
        ({"temperature": 0.0}, "temperature must be greater than 0"),
    ],
)
def test_ambiguous_input_and_bad_parameters_are_named(X, params, message):
    with pytest.raises(ValueError, match=message) as caught:
        gf.AugCF(**params).fit(X)
    assert "\n" not in str(caught.value)
