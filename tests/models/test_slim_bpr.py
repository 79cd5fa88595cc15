"""SLIM-BPR against a dense float64 epoch with the same samples, and its quirks."""

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models import slim_bpr

RATE, LAMBDA_I, LAMBDA_J = 0.05, 0.02, 0.03


@pytest.fixture
def binary() -> sp.csr_array:
    rng = np.random.default_rng(5)
    X = (rng.random((25, 14)) < np.linspace(0.05, 0.7, 14)).astype(np.float32)
    X[2], X[3], X[:, 4] = 0, 1, 0  # a user with nothing, one with everything, a rare item
    return sp.csr_array(X)


def kernel(X, symmetric=True, sgd="adagrad", quirks=False, max_bytes=None):
    return _core.SlimBpr(as_csr(X), symmetric, sgd, LAMBDA_I, LAMBDA_J, RATE, quirks, 9, max_bytes)


def dense_epoch(X, draws, symmetric, sgd, quirks):
    """S after the samples, cell by cell as the formulas say, in float64."""
    n = X.shape[1]
    S = np.zeros((n, n))
    squares, first, second = np.zeros(n), np.zeros(n), np.zeros(n)
    for t, (user, i, j) in enumerate(zip(*draws, strict=True), start=1):
        profile = np.flatnonzero(X[user])
        x = (S[i, profile] - S[j, profile]).sum()
        g = 1 / (1 + np.exp(x))
        if sgd == "sgd":
            step = g
        elif sgd == "adagrad":
            squares[[i, j]] += g**2
            step = g / (np.sqrt(squares[i]) + 1e-8)
        else:
            first[[i, j]] = 0.9 * first[[i, j]] + 0.1 * g
            second[[i, j]] = 0.999 * second[[i, j]] + 0.001 * g**2
            step = (first[i] / (1 - 0.9**t)) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
        sign = -1 if quirks else 1
        for item in profile:
            if item != i:
                S[i, item] += RATE * (step - LAMBDA_I * S[i, item])
                if symmetric:
                    S[item, i] = S[i, item]
            if item != j:
                S[j, item] -= RATE * (step + sign * LAMBDA_J * S[j, item])
                if symmetric:
                    S[item, j] = S[j, item]
    return S


@pytest.mark.parametrize("max_bytes", [None, 10**6])
@pytest.mark.parametrize("quirks", [False, True])
@pytest.mark.parametrize("sgd", ["sgd", "adagrad", "adam"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_an_epoch_is_that_of_the_dense_definition(binary, symmetric, sgd, quirks, max_bytes):
    model = kernel(binary, symmetric, sgd, quirks, max_bytes)
    draws = model.draws(0, 600)
    model.run(600)
    weights = gf.models.base.to_scipy(model.weights(14)).toarray()
    S = dense_epoch(binary.toarray(), draws, symmetric, sgd, quirks)
    applied = S if symmetric or quirks else S.T
    np.testing.assert_allclose(weights, applied, atol=1e-4 * np.abs(S).max())


def test_samples_belong_to_the_seed_and_the_number(binary):
    a, b = kernel(binary), kernel(binary)
    b.run(50)
    for x, y in zip(a.draws(10, 40), b.draws(10, 40), strict=True):
        assert np.array_equal(x, y)
    users, seen, unseen = a.draws(0, 5000)
    X = binary.toarray()
    assert X[users, seen].all()
    assert not X[users, unseen].any()
    assert set(users) == set(np.flatnonzero((X.sum(1) > 0) & (X.sum(1) < 14)))


def test_an_epoch_has_as_many_samples_as_there_are_interactions(binary):
    one = gf.SLIMBPR(epochs=3, topk=14).fit(binary).item_weights_.toarray()
    same = gf.SLIMBPR(epochs=1, topk=14, samples_per_epoch=3 * binary.nnz).fit(binary)
    assert np.array_equal(one, same.item_weights_.toarray())
    quirky = gf.SLIMBPR(epochs=2, topk=14, published_quirks=True).fit(binary)
    same = gf.SLIMBPR(epochs=1, topk=14, samples_per_epoch=2 * (binary.nnz + 1)).fit(binary)
    assert np.array_equal(quirky.item_weights_.toarray(), same.item_weights_.toarray())


def test_early_stopping_returns_the_best_epoch_and_as_published_the_last(demo_splits):
    params = {"topk": 50, "epochs": 12, "freq": 1, "allow_worse": 1, "learning_rate": 0.3}
    train, held_out = demo_splits.train_small, demo_splits.early_stop
    ours = gf.SLIMBPR(**params).fit(train, validation=held_out)
    checked = [row["validation"] for row in ours.history_]
    assert ours.best_epoch_ == 1 + int(np.argmax(checked)) < len(checked)
    again = gf.SLIMBPR(**{**params, "epochs": ours.best_epoch_}).fit(train)
    assert (ours.item_weights_ != again.item_weights_).nnz == 0

    quirky = gf.SLIMBPR(**params, published_quirks=True).fit(train, validation=held_out)
    assert quirky.best_epoch_ < len(quirky.history_)
    last = gf.SLIMBPR(**{**params, "epochs": len(quirky.history_)}, published_quirks=True)
    assert (quirky.item_weights_ != last.fit(train).item_weights_).nnz == 0


def test_weights_that_would_not_fit_are_kept_in_a_table(binary, monkeypatch):
    dense = gf.SLIMBPR(epochs=5).fit(binary).item_weights_
    monkeypatch.setattr(slim_bpr, "available_memory", lambda: 600)
    with pytest.raises(ValueError, match="outgrew the memory"):
        gf.SLIMBPR(epochs=5).fit(np.eye(2000, dtype=np.float32))
    monkeypatch.setattr(_core.SlimBpr, "dense_bytes", lambda *_: 10**30, raising=False)
    monkeypatch.setattr(slim_bpr, "available_memory", lambda: 10**6)
    table = gf.SLIMBPR(epochs=5).fit(binary).item_weights_
    assert (dense != table).nnz == 0


def test_lists_that_would_not_fit_are_refused_before_they_are_made():
    X = sp.csr_array((np.ones(1), ([0], [0])), shape=(2, 2_000_000))
    with pytest.raises(MemoryError, match=r"SLIMBPR with topk=1000000 .* lower topk"):
        gf.SLIMBPR(topk=1_000_000).fit(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"topk": 0}, ValueError, "topk must be at least 1, not 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be greater than 0, not 0"),
        ({"lambda_i": -1e-9}, ValueError, "lambda_i must be at least 0"),
        ({"lambda_j": float("inf")}, ValueError, "lambda_j must be finite"),
        ({"sgd_mode": "adagard"}, ValueError, 'did you mean "adagrad"'),
        ({"symmetric": "yes"}, TypeError, "symmetric must be True or False"),
        ({"samples_per_epoch": 0}, ValueError, "samples_per_epoch must be"),
        ({"seed": -1}, ValueError, "seed must be between 0 and"),
    ],
)
def test_bad_parameters_are_named(binary, params, error, message):
    with pytest.raises(error, match=message):
        gf.SLIMBPR(**params).fit(binary)


def test_data_without_anything_to_rank_are_refused():
    with pytest.raises(ValueError, match="no user who has some items and lacks others"):
        gf.SLIMBPR().fit(np.ones((3, 2)))


def test_divergence_is_an_error(binary):
    model = gf.SLIMBPR(sgd_mode="sgd", learning_rate=1e30, lambda_i=1e30, epochs=50)
    with pytest.raises(ValueError, match=r"diverged at sample .*lower learning_rate"):
        model.fit(binary)
