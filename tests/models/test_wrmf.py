"""WRMF: normal equations, the objective, solvers, quirks, early stopping and new users."""

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base import threads
from ganmf_fast.base.urm import as_csr


@pytest.fixture
def ratings() -> sp.csr_array:
    rng = np.random.default_rng(3)
    X = np.where(rng.random((50, 35)) < 0.2, rng.integers(1, 6, (50, 35)), 0).astype(np.float32)
    X[7], X[:, 9] = 0, 0  # a cold user and a cold item
    return sp.csr_array(X)


def confidences(X: np.ndarray, model: gf.WRMF) -> np.ndarray:
    if model.confidence_scaling == "linear":
        return 1 + model.alpha * X
    return 1 + model.alpha * np.log1p(X / model.epsilon)


def penalties(C: np.ndarray, model: gf.WRMF) -> np.ndarray:
    return model.reg * C.sum(axis=1) ** model.reg_exponent


def exact_rows(X: np.ndarray, Y: np.ndarray, model: gf.WRMF) -> np.ndarray:
    """The normal equations as the paper writes them, solved densely in float64."""
    C, Y = confidences(X.astype(np.float64), model), Y.astype(np.float64)
    regs = penalties(C, model)
    rows = np.zeros((len(X), Y.shape[1]))
    for u in np.flatnonzero(X.any(axis=1)):
        A = Y.T @ (C[u][:, None] * Y) + regs[u] * np.eye(Y.shape[1])
        rows[u] = np.linalg.solve(A, Y.T @ (C[u] * (X[u] > 0)))
    return rows


VARIANTS = [
    {},
    {"confidence_scaling": "log", "alpha": 10.0, "epsilon": 0.5},
    {"reg_exponent": 1.0, "reg": 1e-3},
    {"num_factors": 60, "reg": 0.05},
]


@pytest.mark.parametrize("params", VARIANTS)
def test_an_epoch_solves_the_normal_equations_of_users_then_items(ratings, params):
    model = gf.WRMF(**{"num_factors": 6, "reg": 0.1, "alpha": 2.0, "epochs": 1, **params})
    model.set_params(solver="cholesky").fit(ratings)
    X = ratings.toarray()
    # Items solve their equations given the users; users, given items, are checked by folding in.
    items = exact_rows(X.T, model.user_factors_, model)
    np.testing.assert_allclose(model.item_factors_, items, atol=2e-4 * np.abs(items).max())
    users = exact_rows(X, model.item_factors_, model)
    scores = users @ model.item_factors_.T.astype(np.float64)
    np.testing.assert_allclose(model.fold_in(ratings), scores, atol=1e-3)


# Fewer cells than factors and more.
@pytest.mark.parametrize("num_factors", [8, 60])
@pytest.mark.parametrize("counts", [1e2, 1e5, 1e7])
def test_large_confidences_lose_no_digits(num_factors, counts):
    rng = np.random.default_rng(1)
    X = (rng.random((80, 60)) < 0.3) * np.ceil(counts * rng.lognormal(0, 2, (80, 60)))
    X[:, 30] = X[:, 31]  # equal factors
    model = gf.WRMF(num_factors, alpha=40.0, reg=0.1, epochs=2, solver="cholesky").fit(X)
    users = _least_squares(X, model.item_factors_.astype(np.float64), model)
    scores = users @ model.item_factors_.T.astype(np.float64)
    np.testing.assert_allclose(model.fold_in(sp.csr_array(X)), scores, atol=1e-4)


def _least_squares(X: np.ndarray, Y: np.ndarray, model: gf.WRMF) -> np.ndarray:
    """As `exact_rows`, from roots of the weights: products of these cost half the digits."""
    rows = []
    for x in X:
        (seen,), C = np.nonzero(x), confidences(x, model)
        # c (p - s)^2 + c' s^2 of the cells that are one and zero.
        w = np.sqrt(C[seen] - 1)
        left = np.vstack([w[:, None] * Y[seen], Y, np.sqrt(model.reg) * np.eye(Y.shape[1])])
        right = np.concatenate([w, x > 0, np.zeros(Y.shape[1])])
        rows.append(np.linalg.lstsq(left, right, rcond=None)[0])
    return np.array(rows)


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("params", VARIANTS)
def test_more_epochs_lower_the_objective(ratings, solver, params):
    losses = [
        gf.WRMF(**{"num_factors": 6, "epochs": n, "solver": solver, **params}).fit(ratings).loss()
        for n in (1, 2, 4, 8)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_the_objective_is_the_sum_over_all_cells(ratings):
    model = gf.WRMF(num_factors=5, reg=0.3, reg_exponent=0.5, epochs=2).fit(ratings)
    X = ratings.toarray()
    C = confidences(X, model)
    P, Q = (f.astype(np.float64) for f in (model.user_factors_, model.item_factors_))
    value = (C * ((X > 0) - P @ Q.T) ** 2).sum()
    value += (penalties(C, model) * (P**2).sum(axis=1)).sum()
    value += (penalties(C.T, model) * (Q**2).sum(axis=1)).sum()
    assert model.loss() == pytest.approx(value, rel=1e-6)


def test_conjugate_gradient_converges_to_the_exact_factors(ratings):
    rng = np.random.default_rng(0)
    items = rng.standard_normal((35, 12)).astype(np.float32)
    csr = as_csr(ratings)
    exact = _core.ials_half_step(csr, items, None, 5.0, None, 0.1, 0.0, None)
    apart = [
        np.abs(_core.ials_half_step(csr, items, None, 5.0, None, 0.1, 0.0, n) - exact).max()
        for n in (1, 3, 6, 20)
    ]
    assert apart[0] > apart[1] > apart[2]
    assert apart[3] < 1e-4


def test_cold_users_and_items_have_zeros(ratings):
    model = gf.WRMF(num_factors=4).fit(ratings)
    assert not model.user_factors_[7].any()
    assert not model.item_factors_[9].any()
    assert model.user_factors_[6].any()


def test_the_published_start_keeps_cold_items_positive(ratings):
    model = gf.WRMF(num_factors=4, published_quirks=True).fit(ratings)
    cold = model.item_factors_[9]
    assert ((cold > 0) & (cold < 0.5)).all()
    # They were there when the users were solved for.
    one = gf.WRMF(num_factors=4, published_quirks=True, epochs=1).fit(ratings)
    assert np.array_equal(one.item_factors_[9], cold)


def test_early_stopping_keeps_the_best_epoch(demo_splits):
    model = gf.WRMF(num_factors=40, alpha=10.0, epochs=60, freq=2, allow_worse=2)
    model.fit(demo_splits.train_small, validation=demo_splits.early_stop)
    checked = {row["epoch"]: row["validation"] for row in model.history_ if "validation" in row}
    assert model.best_epoch_ == max(checked, key=checked.get)
    assert len(model.history_) == model.best_epoch_ + 2 * 3 < 60
    again = gf.WRMF(num_factors=40, alpha=10.0, epochs=model.best_epoch_).fit(
        demo_splits.train_small
    )
    assert np.array_equal(again.item_factors_, model.item_factors_)


@pytest.mark.usefixtures("threads_restored")
def test_thread_count_does_not_change_the_factors(demo_splits):
    fits = []
    for n in (1, 2):
        threads.set_num_threads(n)
        fits += [gf.WRMF(epochs=2, solver=s).fit(demo_splits.train) for s in ("cg", "cholesky")]
    for one, two in zip(fits[:2], fits[2:], strict=True):
        assert np.array_equal(one.user_factors_, two.user_factors_)
        assert np.array_equal(one.item_factors_, two.item_factors_)


def test_seeds_differ_and_one_user_or_one_item_is_enough():
    X = np.ones((1, 3))
    assert gf.WRMF(num_factors=2).fit(X).recommend(0, exclude_seen=False).items.shape == (1, 20)
    assert gf.WRMF(num_factors=2).fit(X.T).score_users(0) > 0
    many = np.eye(8) + np.ones((8, 8)).cumsum(axis=1) % 2
    a, b = (gf.WRMF(num_factors=2, seed=s, epochs=1).fit(many).item_factors_ for s in (0, 1))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"num_factors": 0}, ValueError, "num_factors must be at least 1, not 0"),
        ({"alpha": -1.0}, ValueError, "alpha must be at least 0, not -1"),
        ({"reg": 0.0}, ValueError, "reg must be greater than 0, not 0"),
        ({"epsilon": 0}, ValueError, "epsilon must be greater than 0, not 0"),
        ({"reg_exponent": float("nan")}, ValueError, "reg_exponent must be finite"),
        ({"confidence_scaling": "lin"}, ValueError, 'did you mean "linear"'),
        ({"solver": "CG"}, ValueError, "solver must be one of"),
        ({"cg_steps": 0}, ValueError, "cg_steps must be at least 1"),
        ({"published_quirks": 1}, TypeError, "published_quirks must be True or False"),
    ],
)
def test_bad_parameters_are_named(ratings, params, error, message):
    with pytest.raises(error, match=message):
        gf.WRMF(**params).fit(ratings)


def test_factors_out_of_reach_are_refused_before_they_are_made():
    X = sp.csr_array((np.ones(1), ([0], [0])), shape=(2_000_000, 2_000_000))
    with pytest.raises(MemoryError, match=r"WRMF needs .* GiB .* lower num_factors"):
        gf.WRMF(num_factors=100_000).fit(X)


def test_profiles_beyond_single_precision_are_named(ratings):
    model = gf.WRMF(num_factors=3).fit(ratings)
    for factor in (1e30, 1e38):
        with pytest.raises(
            ValueError, match=r"^profiles holds values up to .*: divide profiles by"
        ):
            model.fold_in(np.minimum(ratings.toarray().astype(np.float64) * factor, 3e38))
