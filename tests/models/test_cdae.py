"""CDAE against a float64 epoch with the same draws, its laws, and interruption."""

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base import threads
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr

K, RATE, REG, BETA, DROPOUT, NEGATIVES, SEED = 4, 0.2, 0.03, 0.5, 0.4, 2, 9
ACT = {
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda z: z * (1 - z)),
    "tanh": (np.tanh, lambda z: 1 - z * z),
    "linear": (lambda x: x, np.ones_like),
}


@pytest.fixture
def binary():
    rng = np.random.default_rng(5)
    X = (rng.random((21, 16)) < np.linspace(0.05, 0.6, 16)).astype(np.float32)
    X[2], X[3], X[:, 4] = 0, 1, 0
    return X


def first(X, tied, user_factors):
    rng = np.random.default_rng(2)

    def table(rows):
        weights = rng.normal(0, 0.5, (rows, K + 1)).astype(np.float32)
        weights[:, -1] = 0
        return weights

    n_users, n_items = X.shape
    weights = [table(n_items), table(1)]
    if not tied:
        weights.append(table(n_items))
    if user_factors:
        weights.append(table(n_users))
    return weights


class Reference:
    """An epoch as the formulas say, in float64."""

    def __init__(self, X, weights, act, loss, scaled, tied, user_factors, batch):
        self.X, self.loss, self.tied, self.batch = X, loss, tied, batch
        self.act, self.slope = ACT[act]
        self.scale = 1 / (1 - DROPOUT) if scaled else 1
        tables = [w.astype(np.float64) for w in weights]
        self.all = tables
        self.out, self.bias, *others = tables
        self.inputs = self.out if tied else others.pop(0)
        self.users = others.pop(0) if user_factors else None
        self.squares = {id(t): np.full_like(t, 1e-4) for t in tables}
        self.pending = []

    def move(self, table, row, gradient):
        """A step, or in a batch one that is added up first."""
        if self.batch > 1:
            self.pending.append((table, row, gradient))
            return
        squares = self.squares[id(table)]
        squares[row] += gradient**2
        table[row] -= RATE * gradient / (BETA + np.sqrt(squares[row]))

    def flush(self):
        sums = {}
        for table, row, gradient in self.pending:
            key = (id(table), row)
            _, _, before = sums.get(key, (table, row, 0))
            sums[key] = (table, row, before + gradient)
        self.pending, batch, self.batch = [], self.batch, 1
        for table, row, gradient in sums.values():
            self.move(table, row, gradient)
        self.batch = batch

    def epoch(self, kept, negatives):
        losses = []
        for user, row in enumerate(self.X):
            if negatives[user]:
                losses += self.user(user, np.flatnonzero(row), kept[user], negatives[user])
            if (user + 1) % self.batch == 0:
                self.flush()
        self.flush()
        return np.mean(losses)

    def user(self, user, profile, kept, negatives):
        hidden = self.bias[0, :-1] + self.scale * self.inputs[kept, :-1].sum(0)
        if self.users is not None:
            hidden = hidden + self.users[user, :-1]
        z = np.append(self.act(hidden), 1)
        of_z, held, losses = np.zeros(K + 1), {i: np.zeros(K + 1) for i in kept}, []
        for item, label in [*((i, 1) for i in profile), *((i, 0) for i in negatives)]:
            y = z @ self.out[item]
            if self.loss == "logistic":
                g = 1 / (1 + np.exp(-y)) - label
                losses.append(np.log1p(np.exp(y)) - label * y)
            else:
                g = y - label
                losses.append(g**2 / 2)
            of_z += g * self.out[item]
            if self.tied and item in held:
                held[item] += g * z
            else:
                self.move(self.out, item, g * z + REG * self.out[item])
        delta = np.append(of_z[:-1] * self.slope(z[:-1]), 0)
        self.move(self.bias, 0, delta + REG * self.bias[0])
        if self.users is not None:
            self.move(self.users, user, delta + REG * self.users[user])
        for item in kept:
            gradient = self.scale * delta + REG * self.inputs[item]
            self.move(self.inputs, item, gradient + (held[item] if self.tied else 0))
        return losses


@pytest.mark.parametrize("batch", [1, 6])
@pytest.mark.parametrize(
    ("act", "loss", "scaled", "tied", "user_factors"),
    [
        ("sigmoid", "logistic", True, False, True),
        ("sigmoid", "square", True, False, False),
        ("tanh", "logistic", False, False, True),
        ("linear", "square", True, True, True),
        ("sigmoid", "logistic", True, True, False),
    ],
)
def test_an_epoch_is_that_of_the_dense_definition(
    binary, act, loss, scaled, tied, user_factors, batch
):
    weights = first(binary, tied, user_factors)
    model = _core.Cdae(
        as_csr(binary), act, loss, DROPOUT, scaled, NEGATIVES, REG, RATE, BETA, tied, user_factors,
        batch, SEED, weights, None, 0,
    )  # fmt: skip
    reference = Reference(binary, weights, act, loss, scaled, tied, user_factors, batch)
    for _ in range(2):
        kept, negatives = model.draws()
        expected = reference.epoch(kept, negatives)
        np.testing.assert_allclose(model.run(), expected, rtol=1e-5)
    for found, table in zip(model.state()[0], reference.all, strict=True):
        np.testing.assert_allclose(found, table, atol=2e-5)


def test_draws_are_as_they_are_said_to_be(binary):
    urm = sp.csr_array(np.tile(binary, (60, 1)))
    weights = first(urm, tied=True, user_factors=False)
    model = _core.Cdae(
        as_csr(urm), "tanh", "square", DROPOUT, True, 3, REG, RATE, BETA, True, False, 1, SEED,
        weights, None, 0,
    )  # fmt: skip
    kept, negatives = model.draws()
    dense = urm.toarray()
    trained = (dense.sum(1) > 0) & (dense.sum(1) < 16)
    for user, row in enumerate(dense):
        assert set(kept[user]) <= set(np.flatnonzero(row))
        assert not row[negatives[user]].any()
        assert len(negatives[user]) == (3 * int(row.sum()) if trained[user] else 0)
    share = sum(map(len, kept)) / dense[trained].sum()
    assert abs(share - (1 - DROPOUT)) < 0.02


def test_scores_are_those_of_the_network(binary):
    model = gf.CDAE(num_factors=3, epochs=4).fit(binary)
    assert (model.user_factors_[:, -1] == 1).all()
    np.testing.assert_allclose(
        model.score_users(range(21)), model.user_factors_ @ model.item_factors_.T, atol=1e-6
    )
    alone = gf.CDAE(num_factors=3, epochs=4, user_factors=False).fit(binary)
    np.testing.assert_allclose(alone.fold_in(binary), alone.score_users(range(21)), atol=1e-5)
    # Values are interactions, whatever they are.
    weighted = gf.CDAE(num_factors=3, epochs=4, user_factors=False).fit(4 * binary)
    assert np.array_equal(weighted.item_factors_, alone.item_factors_)
    assert np.array_equal(weighted.fold_in(3 * binary), alone.fold_in(binary))


@pytest.mark.slow
def test_it_learns_more_than_popularity_by_user_and_by_batch(demo_splits):
    train, test = demo_splits.train, demo_splits.test
    popular = gf.evaluate(gf.TopPopular().fit(train), train, test)["map", 5]
    for params in ({}, {"batch_size": 16}, {"tied": True}, {"user_factors": False}):
        model = gf.CDAE(**params).fit(train)
        assert gf.evaluate(model, train, test)["map", 5] > 1.2 * popular
        assert model.history_[-1]["loss"] < model.history_[0]["loss"]


@pytest.mark.slow
def test_new_users_are_ranked_as_well_as_fitted_ones(demo_splits):
    train, test = demo_splits.train, demo_splits.test
    model = gf.CDAE().fit(train)
    fitted = gf.evaluate(model, train, test)["ndcg", 20]
    lists = model.recommend(profiles=train, n=20).items
    assert gf.evaluate_lists(lists, test, cutoffs=(20,))["ndcg", 20] > 0.9 * fitted


class KilledError(Exception):
    pass


def kill(epoch, _values):
    if epoch == 5:
        raise KilledError


@pytest.mark.parametrize("tied", [False, True])
def test_a_killed_fit_goes_on_to_the_same_bits(tied, demo_splits, tmp_path):
    data = demo_splits.train_small, demo_splits.early_stop
    params = {"num_factors": 5, "epochs": 8, "freq": 2, "tied": tied, "user_factors": not tied}
    quiet = gf.CDAE(**params).fit(data[0], validation=data[1])
    path = tmp_path / "state"
    params |= {"checkpoint_every": 3, "checkpoint_path": str(path)}
    with pytest.raises(KilledError):
        gf.CDAE(**params).fit(data[0], validation=data[1], callback=kill)
    again = gf.CDAE(**params).fit(data[0], validation=data[1])
    assert not path.exists()
    assert np.array_equal(again.user_factors_, quiet.user_factors_)
    assert np.array_equal(again.item_factors_, quiet.item_factors_)
    new = sp.csr_array(np.eye(3, again.n_items_, dtype=np.float32))
    assert np.array_equal(again.fold_in(new), quiet.fold_in(new))
    with pytest.raises(KilledError):
        gf.CDAE(**params).fit(data[0], validation=data[1], callback=kill)
    with pytest.raises(DataError, match="belongs to a run with num_factors = 5, not 6"):
        gf.CDAE(**{**params, "num_factors": 6}).fit(data[0], validation=data[1])


def test_early_stopping_keeps_the_best_epoch(demo_splits):
    params = {"epochs": 40, "freq": 1, "allow_worse": 1, "learning_rate": 0.5}
    train, held_out = demo_splits.train_small, demo_splits.early_stop
    model = gf.CDAE(**params).fit(train, validation=held_out)
    values = [row["validation"] for row in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmax(values)) < len(values)
    again = gf.CDAE(**{**params, "epochs": model.best_epoch_}).fit(train)
    assert np.array_equal(again.item_factors_, model.item_factors_)


def test_saving_and_loading_keeps_the_encoder(binary, tmp_path):
    model = gf.CDAE(num_factors=3, epochs=2, hidden_act="tanh").fit(binary)
    model.save(tmp_path / "m.safetensors")
    new = binary[:5, ::-1].copy()
    assert np.array_equal(gf.load(tmp_path / "m.safetensors").fold_in(new), model.fold_in(new))


@pytest.mark.usefixtures("threads_restored")
def test_thread_count_changes_nothing(demo_splits):
    fits = []
    for n in (1, 2):
        threads.set_num_threads(n)
        model = gf.CDAE(epochs=3).fit(demo_splits.train)
        fits.append((model.item_factors_, model.user_factors_))
    for one, two in zip(*fits, strict=True):
        assert np.array_equal(one, two)


def test_one_user_is_enough_and_nothing_to_rank_is_said():
    assert gf.CDAE(epochs=2).fit(np.array([[1.0, 0, 1]])).recommend(0, n=1).items.tolist() == [[1]]
    for X in (np.ones((3, 2)), np.ones((3, 1))):
        with pytest.raises(ValueError, match="no user who has some items and lacks others"):
            gf.CDAE().fit(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"dropout": 1.0}, ValueError, "dropout must be less than 1"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be greater than 0"),
        ({"hidden_act": "relu"}, ValueError, "hidden_act must be one of"),
        ({"loss": "logistics"}, ValueError, 'did you mean "logistic"'),
        ({"tied": 1}, TypeError, "tied must be True or False"),
        ({"negatives": -1}, ValueError, "negatives must be at least 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ],
)
def test_bad_parameters_are_named(binary, params, error, message):
    with pytest.raises(error, match=message):
        gf.CDAE(**params).fit(binary)


def test_divergence_is_an_error(binary):
    with pytest.raises(ValueError, match=r"lower (the )?learning"):
        gf.CDAE(hidden_act="linear", learning_rate=1e30, loss="square", epochs=30).fit(binary)


def test_weights_out_of_reach_are_refused_before_they_are_made():
    X = sp.csr_array((np.ones(1), ([0], [0])), shape=(2_000_000, 2_000_000))
    with pytest.raises(MemoryError, match=r"CDAE needs .* GiB .* lower num_factors"):
        gf.CDAE(num_factors=100_000).fit(X)
