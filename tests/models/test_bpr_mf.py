"""BPR-MF and APR against a float64 epoch with the same draws, their laws, and interruption."""

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base import threads
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr

K, RATE, REG, SEED = 5, 0.1, 0.02, 9


@pytest.fixture
def binary() -> sp.csr_array:
    rng = np.random.default_rng(5)
    X = (rng.random((25, 14)) < np.linspace(0.05, 0.7, 14)).astype(np.float32)
    X[2], X[3], X[:, 4] = 0, 1, 0  # a user with nothing, one with everything, a cold item
    return sp.csr_array(X)


@pytest.fixture
def tables(binary):
    rng = np.random.default_rng(1)
    P, Q = (rng.normal(0, 0.3, (n, K + 1)).astype(np.float32) for n in binary.shape)
    P[:, -1] = 1
    return P, Q


def kernel(X, tables, rule="sgd", dns=3, batch=1, in_order=False, drop=False, adversary=None):
    how = _core.BprRule(rule, RATE, REG, dns, SEED, batch, in_order, drop, adversary)
    return _core.BprMf(as_csr(X), how, *tables)


def margin_gradient(P, Q, triples):
    """Sum over triples of the gradient of -ln sigma, by row, in float64."""
    of_p, of_q = np.zeros_like(P), np.zeros_like(Q)
    for u, i, j in triples:
        g = -1 / (1 + np.exp(P[u] @ (Q[i] - Q[j])))
        of_p[u] += g * (Q[i] - Q[j])
        of_q[i] += g * P[u]
        of_q[j] -= g * P[u]
    of_p[:, -1] = 0
    return of_p, of_q


def penalty_gradient(P, Q, triples):
    of_p, of_q = np.zeros_like(P), np.zeros_like(Q)
    for u, i, j in triples:
        of_p[u] += P[u]
        of_q[i] += Q[i]
        of_q[j] += Q[j]
    of_p[:, -1] = 0
    return REG * of_p, REG * of_q


def moved(tables, gradients, eps):
    """Each row eps along its gradient, biases left alone."""
    out = []
    for table, gradient in zip(tables, gradients, strict=True):
        of_factors = gradient[:, :-1]
        length = np.sqrt(np.maximum((of_factors**2).sum(1, keepdims=True), 1e-12))
        out.append(table + np.pad(eps * of_factors / length, ((0, 0), (0, 1))))
    return out


def dense_epoch(tables, draws, rule, batch, in_order, drop, adversary):
    """Tables after an epoch, and the mean loss, as the formulas say."""
    P, Q = (table.astype(np.float64) for table in tables)
    start = P.copy(), Q.copy()
    squares = [np.full_like(P, 0.1), np.full_like(Q, 0.1)]
    users, positive, candidates = draws
    candidates = candidates.reshape(len(users), -1)
    losses = []
    for first in range(0, len(users), batch):
        part = range(first, min(first + batch, len(users)))
        if drop and len(part) < batch:
            break
        triples = []
        for t in part:
            P_now, Q_now = start if in_order else (P, Q)
            best = candidates[t][np.argmax(Q_now[candidates[t]] @ P_now[users[t]])]
            triples.append((users[t], positive[t], best))
        losses += [np.log1p(np.exp(-P[u] @ (Q[i] - Q[j]))) for u, i, j in triples]
        plain = margin_gradient(P, Q, triples)
        step = [a + b for a, b in zip(plain, penalty_gradient(P, Q, triples), strict=True)]
        if adversary is not None:
            eps, weight = adversary
            of_moved = margin_gradient(*moved((P, Q), plain, eps), triples)
            step = [a + weight * b for a, b in zip(step, of_moved, strict=True)]
        for table, square, gradient in zip((P, Q), squares, step, strict=True):
            np.add(square, gradient**2, out=square)
            divisor = np.sqrt(square) if rule == "adagrad" else 1
            np.subtract(table, RATE * gradient / divisor, out=table)
    return P, Q, np.mean(losses)


@pytest.mark.parametrize("rule", ["sgd", "adagrad"])
@pytest.mark.parametrize(
    ("batch", "in_order", "drop", "adversary"),
    [
        (1, False, False, None),
        (1, True, False, None),
        (7, False, False, None),
        (7, False, True, None),
        (1, False, False, (0.5, 2.0)),
        (7, False, False, (0.5, 2.0)),
    ],
)
def test_an_epoch_is_that_of_the_dense_definition(
    binary, tables, rule, batch, in_order, drop, adversary
):
    model = kernel(binary, tables, rule, 3, batch, in_order, drop, adversary)
    draws = model.draws()
    loss = model.run()
    P, Q, expected = dense_epoch(tables, draws, rule, batch, in_order, drop, adversary)
    found = model.state()
    np.testing.assert_allclose(found[0], P, atol=2e-5)
    np.testing.assert_allclose(found[1], Q, atol=2e-5)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_every_interaction_meets_an_item_outside_the_profile(binary, tables):
    users, seen, unseen = kernel(binary, tables).draws()
    X = binary.toarray()
    unseen = unseen.reshape(len(users), -1)
    has_both = (X.sum(1) > 0) & (X.sum(1) < 14)
    pairs = {(u, i) for u, i in np.argwhere(X) if has_both[u]}
    assert len(users) == len(pairs)
    assert set(zip(users, seen, strict=True)) == pairs
    assert not X[users[:, None], unseen].any()
    model = kernel(binary, tables)
    model.run()
    assert not np.array_equal(model.draws()[0], users)


def test_dynamic_negatives_and_biases_are_what_they_say(binary):
    plain = gf.BPRMF(num_factors=3, epochs=5, item_bias=False).fit(binary)
    assert not plain.user_factors_[:, -1].any()
    assert not plain.item_factors_[:, -1].any()
    assert gf.BPRMF(num_factors=3, epochs=5).fit(binary).item_factors_[:, -1].any()


def test_an_adversary_of_length_zero_doubles_the_loss(binary):
    params = {"num_factors": 3, "epochs": 4, "sgd_mode": "sgd", "warm_epochs": 0, "batch_size": 8}
    doubled = gf.APR(**params, eps=0.0, learning_rate=0.05).fit(binary)
    twice = gf.APR(**params, reg_adv=0.0, learning_rate=0.1).fit(binary)
    np.testing.assert_allclose(doubled.item_factors_, twice.item_factors_, atol=1e-5)


def test_warm_epochs_are_those_of_bpr(binary):
    shared = {"num_factors": 3, "sgd_mode": "adagrad", "batch_size": 8, "reg": 0.0}
    apr = gf.APR(**shared, epochs=6, warm_epochs=6).fit(binary)
    bpr = gf.BPRMF(**shared, epochs=6, item_bias=False).fit(binary)
    assert np.array_equal(apr.item_factors_, bpr.item_factors_)
    later = gf.APR(**shared, epochs=7, warm_epochs=6).fit(binary)
    assert not np.array_equal(later.item_factors_, bpr.item_factors_)


@pytest.mark.slow
def test_it_learns_more_than_popularity(demo_splits):
    train, test = demo_splits.train, demo_splits.test
    popular = gf.evaluate(gf.TopPopular().fit(train), train, test)["map", 5]
    for model in (gf.BPRMF(), gf.BPRMF(dns=5, epochs=30), gf.APR(epochs=60, warm_epochs=30)):
        assert gf.evaluate(model.fit(train), train, test)["map", 5] > 1.2 * popular


def test_new_users_are_ranked_as_well_as_fitted_ones(demo_splits):
    train, test = demo_splits.train, demo_splits.test
    model = gf.BPRMF(epochs=60).fit(train)
    fitted = gf.evaluate(model, train, test)["ndcg", 20]
    lists = model.recommend(profiles=train, n=20).items
    assert gf.evaluate_lists(lists, test, cutoffs=(20,))["ndcg", 20] > 0.9 * fitted


def test_early_stopping_keeps_the_best_epoch(demo_splits):
    params = {"epochs": 12, "freq": 1, "allow_worse": 1, "learning_rate": 0.2}
    train, held_out = demo_splits.train_small, demo_splits.early_stop
    model = gf.BPRMF(**params).fit(train, validation=held_out)
    values = [row["validation"] for row in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmax(values)) < len(values)
    again = gf.BPRMF(**{**params, "epochs": model.best_epoch_}).fit(train)
    assert np.array_equal(again.item_factors_, model.item_factors_)


class KilledError(Exception):
    pass


def kill_at(epoch):
    def callback(done, _values):
        if done == epoch:
            raise KilledError

    return callback


@pytest.mark.parametrize(
    "model",
    [
        gf.BPRMF(num_factors=3, epochs=9, sgd_mode="adagrad", dns=2),
        gf.APR(num_factors=3, epochs=9, warm_epochs=5, batch_size=8),
    ],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize("epoch", [3, 5, 7])
def test_a_killed_fit_goes_on_to_the_same_bits(model, epoch, demo_splits, tmp_path):
    data = demo_splits.train_small, demo_splits.early_stop
    quiet = type(model)(**{**model.get_params(), "freq": 2}).fit(data[0], validation=data[1])
    path = tmp_path / "state"
    params = {**quiet.get_params(), "checkpoint_every": 2, "checkpoint_path": str(path)}
    with pytest.raises(KilledError):
        type(model)(**params).fit(data[0], validation=data[1], callback=kill_at(epoch))
    assert path.exists()
    again = type(model)(**params).fit(data[0], validation=data[1])
    assert not path.exists()
    assert np.array_equal(again.user_factors_, quiet.user_factors_)
    assert np.array_equal(again.item_factors_, quiet.item_factors_)
    without_time = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in m.history_]
        for m in (again, quiet)
    ]
    assert without_time[0] == without_time[1]


def test_a_damaged_checkpoint_or_that_of_another_run_is_refused(binary, tmp_path):
    path = tmp_path / "state"
    params = {"num_factors": 3, "checkpoint_every": 1, "checkpoint_path": str(path)}
    with pytest.raises(KilledError):
        gf.BPRMF(**params, epochs=3).fit(binary, callback=kill_at(2))
    with pytest.raises(DataError, match=r"belongs to a run with reg = 0\.01, not 0\.5"):
        gf.BPRMF(**params, epochs=3, reg=0.5).fit(binary)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(DataError, match="is damaged or cut short"):
        gf.BPRMF(**params, epochs=3).fit(binary)
    with pytest.raises(ValueError, match="checkpoint_path names no file"):
        gf.BPRMF(checkpoint_every=1).fit(binary)
    with pytest.warns(UserWarning, match="checkpoint_path is 'x', but checkpoint_every is 0"):
        gf.BPRMF(epochs=1, checkpoint_path="x").fit(binary)


@pytest.mark.usefixtures("threads_restored")
def test_thread_count_changes_nothing(demo_splits):
    fits = []
    for n in (1, 2):
        threads.set_num_threads(n)
        model = gf.BPRMF(epochs=3, dns=3).fit(demo_splits.train)
        fits.append((model.item_factors_, model.fold_in(demo_splits.train)))
    for one, two in zip(*fits, strict=True):
        assert np.array_equal(one, two)


def test_one_user_or_one_item_too_few_is_said_and_one_is_enough():
    assert gf.BPRMF(epochs=2).fit(np.array([[1.0, 0, 1]])).recommend(0, n=1).items.tolist() == [[1]]
    for X in (np.ones((3, 2)), np.ones((3, 1))):
        with pytest.raises(ValueError, match="no user who has some items and lacks others"):
            gf.BPRMF().fit(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"num_factors": 0}, ValueError, "num_factors must be at least 1, not 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be greater than 0, not 0"),
        ({"reg": -1e-9}, ValueError, "reg must be at least 0"),
        ({"dns": 0}, ValueError, "dns must be at least 1, not 0"),
        ({"sgd_mode": "adagard"}, ValueError, 'did you mean "adagrad"'),
        ({"item_bias": "yes"}, TypeError, "item_bias must be True or False"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ],
)
def test_bad_parameters_are_named(binary, params, error, message):
    with pytest.raises(error, match=message):
        gf.BPRMF(**params).fit(binary)


def test_divergence_is_an_error(binary):
    with pytest.raises(ValueError, match=r"lower (the )?learning"):
        gf.BPRMF(learning_rate=1e30, reg=1e10, epochs=20).fit(binary)


def test_factors_out_of_reach_are_refused_before_they_are_made():
    X = sp.csr_array((np.ones(1), ([0], [0])), shape=(2_000_000, 2_000_000))
    with pytest.raises(MemoryError, match=r"BPRMF needs .* GiB .* lower num_factors"):
        gf.BPRMF(num_factors=100_000).fit(X)
