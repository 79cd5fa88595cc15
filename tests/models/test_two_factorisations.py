"""IRGAN and CoFiGAN against float64 rounds whose draws are made again here, and their laws."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from splitmix import Rng, bits

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base import threads
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr

K, SEED = 4, 5
# As in the kernel: streams of random numbers, by the name of what is drawn.
ROUND, D_EPOCH, G_EPOCH, ORDER, DRAW = (0xAD0000 + n for n in range(1, 6))
SMALL = {"num_factors": 4, "epochs": 3, "pretrain_epochs": 6, "d_epochs": 3, "g_epochs": 2}
BOTH = pytest.mark.parametrize("cls", [gf.IRGAN, gf.CoFiGAN], ids=lambda c: c.__name__)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def drawn(p, uniforms):
    """The items that ascending numbers fall on."""
    return np.searchsorted(np.cumsum(p), np.sort(uniforms) * p.sum(), side="right")


def alias_draws(p, rng_pairs):
    """Items of (place, uniform) by Vose's table of p."""
    n = len(p)
    excess, keep, other = p * n, np.ones(n), np.arange(n)
    small = [i for i in range(n) if excess[i] < 1]
    large = [i for i in range(n) if excess[i] >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        keep[less], other[less] = excess[less], more
        excess[more] -= 1 - excess[less]
        if excess[more] < 1:
            small.append(large.pop())
    return [place if u < keep[place] else other[place] for place, u in rng_pairs]


class Reference:
    """Rounds as the formulas say, in float64."""

    def __init__(self, X, tables, d, g, in_order):
        self.X, self.in_order = X, in_order
        self.d_settings, self.g_settings = d, g
        self.G, self.D = [[t.astype(np.float64) for t in tables[n : n + 2]] for n in (0, 2)]
        self.rows = [np.flatnonzero(row) for row in X]
        self.users = [u for u, row in enumerate(self.rows) if 0 < len(row) < X.shape[1]]
        self.starts = np.cumsum([0, *map(len, self.rows)])
        self.negatives = None

    def round(self, number):
        key = bits(SEED, ROUND, number)
        epochs, rate, reg, batch, temperature, outside, frozen, _ = self.d_settings
        for epoch in range(epochs):
            of_epoch = bits(key, D_EPOCH, epoch)
            if self.negatives is None or (epoch % 5 == 0 and not frozen):
                self.negatives = self.draw_negatives(of_epoch, temperature, outside)
            self.d_epoch(of_epoch, rate, reg, batch)
        for epoch in range(self.g_settings[0]):
            of_epoch = bits(key, G_EPOCH, epoch)
            order = self.users
            if not self.in_order:
                order = Rng(of_epoch, ORDER, 0).shuffled(order)
            for user in order:
                step = self.pairs if self.g_settings[3] is None else self.policy
                step(user, Rng(of_epoch, DRAW, user))

    def draw_negatives(self, key, temperature, outside):
        negatives = {}
        for user in self.users:
            rng = Rng(key, DRAW, user)
            uniforms = [rng.unit() for _ in self.rows[user]]
            p = softmax(self.G[1] @ self.G[0][user] / temperature)
            if outside:
                p[self.rows[user]] = 0
            for place, item in enumerate(drawn(p, uniforms)):
                negatives[self.starts[user] + place] = item
        return negatives

    def d_epoch(self, key, rate, reg, batch):
        P, Q = self.D
        cells = [(self.starts[u] + n, u, i) for u in self.users for n, i in enumerate(self.rows[u])]
        if not self.in_order:
            cells = Rng(key, ORDER, 0).shuffled(cells)
        for first in range(0, len(cells), batch):
            part = cells[first : first + batch]
            penalty = reg * len(part) / batch if self.in_order else reg
            of_p, of_q = np.zeros_like(P), np.zeros_like(Q)
            for cell, user, item in part:
                for i, label in ((item, 1), (self.negatives[cell], 0)):
                    g = sigmoid(P[user] @ Q[i]) - label
                    of_p[user] += g * Q[i] + penalty * P[user]
                    of_q[i] += g * P[user] + penalty * Q[i]
            P[:, :-1] -= rate * of_p[:, :-1]
            Q -= rate * of_q

    def policy(self, user, rng):
        P, Q = self.G
        _, rate, reg, share = self.g_settings
        p, profile = softmax(Q @ P[user]), self.rows[user]
        n = 2 * len(profile)
        items, uniforms = [], []
        for _ in range(n):
            if rng.unit() < share:
                items.append(profile[rng.below(len(profile))])
            else:
                uniforms.append(rng.unit())
        items = np.array([*items, *drawn(p, uniforms)], int)
        mixed = (1 - share) * p
        mixed[profile] += share / len(profile)
        reward = 2 * (sigmoid(self.D[1][items] @ self.D[0][user]) - 0.5) * (p / mixed)[items]
        # -(1 / n) sum of reward times ln p, by the logits.
        of_logits = reward.sum() / n * p
        np.subtract.at(of_logits, items, reward / n)
        of_q = np.outer(of_logits, P[user])
        np.add.at(of_q, items, reg * Q[items])
        of_p = of_logits @ Q + n * reg * P[user]
        P[user, :-1] -= rate * of_p[:-1]
        Q -= rate * of_q

    def pairs(self, user, rng):
        P, Q = self.G
        _, rate, reg, _ = self.g_settings
        scores, n_items = self.D[1] @ self.D[0][user], len(Q)
        n = len(self.rows[user])
        raw = [(rng.below(n_items), rng.unit()) for _ in range(2 * n)]
        better = alias_draws(softmax(scores), raw[::2])
        worse = alias_draws(softmax(-scores), raw[1::2])
        of_p, of_q = np.zeros(P.shape[1]), np.zeros_like(Q)
        for i, j in zip(better, worse, strict=True):
            g = -sigmoid(-P[user] @ (Q[i] - Q[j]))
            of_p += g * (Q[i] - Q[j]) + reg * P[user]
            of_q[i] += g * P[user] + reg * Q[i]
            of_q[j] += -g * P[user] + reg * Q[j]
        P[user, :-1] -= rate / n * of_p[:-1]
        Q -= rate / n * of_q


@pytest.fixture
def binary():
    rng = np.random.default_rng(3)
    X = (rng.random((23, 90)) < np.linspace(0.02, 0.4, 90)).astype(np.float32)
    X[4], X[7] = 0, 1
    return X


@pytest.fixture
def tables(binary):
    rng = np.random.default_rng(1)
    made = [rng.normal(0, 0.6, (n, K + 1)).astype(np.float32) for n in binary.shape * 2]
    made[0][:, -1] = made[2][:, -1] = 1
    return tuple(made)


# Of the discriminator: epochs, rate, penalty, batch, temperature, outside, frozen, uniform; of the
# generator: epochs, rate, penalty, share of draws from the profile.
IRGAN_ROUND = ((7, 0.02, 0.05, 16, 0.7, False, False, False), (2, 0.05, 0.01, 0.2))
COFIGAN_ROUND = ((7, 0.02, 0.05, 16, 1.0, True, False, False), (3, 0.05, 0.01, None))


@pytest.mark.parametrize(
    ("d", "g", "in_order"),
    [
        (*IRGAN_ROUND, False),
        (*IRGAN_ROUND, True),
        ((*IRGAN_ROUND[0][:6], True, False), IRGAN_ROUND[1], True),
        (*COFIGAN_ROUND, False),
    ],
    ids=["irgan", "in_order", "frozen", "cofigan"],
)
def test_rounds_are_those_of_the_dense_definition(binary, tables, d, g, in_order):
    urm = as_csr(binary)
    model = _core.AdversarialMf(urm, d, g, in_order, SEED, tables, np.zeros(0, np.int32), 0)
    reference = Reference(binary, tables, d, g, in_order)
    for number in range(2):
        model.run()
        reference.round(number)
    found, negatives = model.state()
    expected = [*reference.G, *reference.D]
    for a, b, before in zip(found, expected, tables, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
        assert np.abs(a - before).max() > 0.01
    assert all(negatives[cell] == item for cell, item in reference.negatives.items())


def test_a_reward_that_is_the_same_for_all_items_moves_nothing_on_average(binary, tables):
    # Without a mixture and with an indifferent discriminator, all rewards are zero.
    d = (0, 0.1, 0.0, 16, 1.0, False, False, False)
    even = (*tables[:2], np.zeros_like(tables[2]), np.zeros_like(tables[3]))
    even[2][:, -1] = 1
    model = _core.AdversarialMf(
        as_csr(binary), d, (3, 0.5, 0.0, 0.0), False, SEED, even, np.zeros(0, np.int32), 0
    )
    model.run()
    for a, b in zip(model.state()[0], even, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.fixture
def start(binary, tmp_path):
    path = tmp_path / "start.safetensors"
    gf.BPRMF(num_factors=4, epochs=3).fit(binary).save(path)
    return str(path)


@BOTH
def test_the_generator_starts_from_pre_training_or_from_a_file(cls, binary, start):
    nothing = {**SMALL, "epochs": 1, "d_epochs": 0, "g_epochs": 0}
    given = cls(**nothing, start_path=start).fit(binary)
    assert np.array_equal(given.item_factors_, gf.load(start).item_factors_)
    assert given.pretraining_ == []
    trained = cls(**nothing).fit(binary)
    assert [row["epoch"] for row in trained.pretraining_] == [1, 2, 3, 4, 5, 6]
    random = cls(**{**nothing, "pretrain_epochs": 0}).fit(binary)
    assert np.abs(random.item_factors_).max() <= 0.05
    with pytest.raises(ValueError, match=r"start_path names .* num_factors = 5 and item biases"):
        cls(**{**nothing, "num_factors": 5}, start_path=start).fit(binary)


def test_the_teacher_may_come_from_a_file(binary, start):
    nothing = {**SMALL, "epochs": 1, "d_epochs": 0, "g_epochs": 2}
    a = gf.CoFiGAN(**nothing, start_path=start, d_start_path=start).fit(binary)
    b = gf.CoFiGAN(**nothing, start_path=start).fit(binary)
    assert not np.array_equal(a.item_factors_, b.item_factors_)
    with pytest.raises(ValueError, match="d_start_path names"):
        gf.CoFiGAN(**{**nothing, "num_factors": 5}, d_start_path=start).fit(binary)


@BOTH
def test_early_stopping_keeps_the_best_epoch(cls, demo_splits):
    train, held_out = demo_splits.train_small, demo_splits.early_stop
    params = {**SMALL, "epochs": 8, "freq": 1, "allow_worse": 2, "g_lr": 0.05}
    model = cls(**params).fit(train, validation=held_out)
    values = [row["validation"] for row in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmax(values))
    kept = gf.evaluate(model, train, held_out, cutoffs=(5,))["map", 5]
    assert kept == pytest.approx(max(values), rel=1e-6)


class KilledError(Exception):
    pass


def kill(epoch, _values):
    if epoch == 3:
        raise KilledError


@pytest.mark.parametrize(
    ("cls", "quirks"),
    [(gf.IRGAN, {}), (gf.IRGAN, {"published_quirks": True}), (gf.CoFiGAN, {})],
    ids=["IRGAN", "IRGAN-published", "CoFiGAN"],
)
def test_a_killed_fit_goes_on_to_the_same_bits(cls, quirks, demo_splits, tmp_path):
    data = demo_splits.train_small, demo_splits.early_stop
    params = {**SMALL, "epochs": 5, "freq": 2, **quirks}
    quiet = cls(**params).fit(data[0], validation=data[1])
    path = tmp_path / "state"
    params |= {"checkpoint_every": 2, "checkpoint_path": str(path)}
    with pytest.raises(KilledError):
        cls(**params).fit(data[0], validation=data[1], callback=kill)
    again = cls(**params).fit(data[0], validation=data[1])
    assert not path.exists()
    assert np.array_equal(again.user_factors_, quiet.user_factors_)
    assert np.array_equal(again.item_factors_, quiet.item_factors_)
    assert [r["loss"] for r in again.pretraining_] == [r["loss"] for r in quiet.pretraining_]
    assert again.best_epoch_ == quiet.best_epoch_
    with pytest.raises(KilledError):
        cls(**params).fit(data[0], validation=data[1], callback=kill)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="is damaged or cut short"):
        cls(**params).fit(data[0], validation=data[1])


@BOTH
@pytest.mark.usefixtures("threads_restored")
def test_thread_count_changes_nothing(cls, demo_splits):
    fits = []
    for n in (1, 2):
        threads.set_num_threads(n)
        fits.append(cls(**SMALL).fit(demo_splits.train).item_factors_)
    assert np.array_equal(*fits)


@BOTH
def test_a_saved_model_gives_the_same_lists_to_new_users(cls, binary, tmp_path):
    model = cls(**SMALL).fit(binary)
    model.save(tmp_path / "m.safetensors")
    loaded = gf.load(tmp_path / "m.safetensors")
    assert loaded.pretraining_ == model.pretraining_
    new = sp.csr_array(binary[:6, ::-1])
    assert np.array_equal(loaded.fold_in(new), model.fold_in(new))


@BOTH
def test_one_user_is_enough_and_nothing_to_rank_is_said(cls):
    assert cls(**SMALL).fit(np.array([[1.0, 0, 1]])).recommend(0, n=1).items.tolist() == [[1]]
    for X in (np.ones((3, 2)), np.ones((3, 1))):
        with pytest.raises(ValueError, match="no user who has some items and lacks others"):
            cls(**SMALL).fit(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"mix": 1.0}, ValueError, "mix must be less than 1"),
        ({"temperature": 0}, ValueError, "temperature must be greater than 0"),
        ({"d_lr": 0}, ValueError, "d_lr must be greater than 0"),
        ({"g_reg": -1}, ValueError, "g_reg must be at least 0"),
        ({"d_batch": 0}, ValueError, "d_batch must be at least 1"),
        ({"pretrain_epochs": -1}, ValueError, "pretrain_epochs must be at least 0"),
        ({"start_path": 3}, TypeError, "start_path must be a string"),
    ],
)
def test_bad_parameters_are_named(binary, params, error, message):
    with pytest.raises(error, match=message):
        gf.IRGAN(**params).fit(binary)


@BOTH
def test_divergence_is_an_error(cls, binary):
    with pytest.raises(ValueError, match=r"lower (d_lr or g_lr|the learning rate)"):
        cls(**{**SMALL, "epochs": 30}, d_lr=1e30, d_reg=1e10).fit(binary)


@pytest.mark.parametrize("cls", [gf.IRGAN, gf.CoFiGAN, gf.GraphGAN])
def test_pre_training_stops_by_the_validation_that_is_given(cls, toy_urm, toy_held_out):
    short = {"num_factors": 4, "epochs": 1, "d_epochs": 1, "g_epochs": 1, "freq": 1}
    model = cls(**short, allow_worse=0, pretrain_epochs=200)
    model.fit(toy_urm, validation=toy_held_out)
    assert all("validation" in row for row in model.pretraining_)
    assert len(model.pretraining_) < 200
    values = [row["validation"] for row in model.pretraining_]
    best = model.best_pretrain_epoch_
    assert values[best - 1] == max(values) > max(values[: best - 1], default=-1)
    # Where both networks begin is told by that number alone.
    again = cls(**short, pretrain_epochs=best).fit(toy_urm)
    assert again.best_pretrain_epoch_ is None
    assert np.array_equal(again.item_factors_, model.item_factors_)


@BOTH
def test_a_start_that_has_seen_other_interactions_is_said(cls, binary, start):
    other = binary.copy()
    other[0, np.flatnonzero(other[0] == 0)[0]] = 1
    nothing = {**SMALL, "epochs": 1, "d_epochs": 0, "g_epochs": 0}
    with pytest.warns(UserWarning, match="start_path names .* other interactions than X"):
        cls(**nothing, start_path=start).fit(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cls(**nothing, start_path=start).fit(binary)
