"""Models against their dense definitions, written with numpy."""

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf


def test_top_popular_counts_users(toy_urm):
    ratings = toy_urm.copy()
    ratings.data = np.arange(1, ratings.nnz + 1, dtype=np.float32)
    scores = gf.TopPopular().fit(ratings).score_users([0, 59])
    assert np.array_equal(scores, np.tile((toy_urm.toarray() > 0).sum(axis=0), (2, 1)))


def test_pure_svd_is_the_best_approximation_of_its_rank(toy_urm):
    X = toy_urm.toarray().astype(np.float64)
    U, s, Vt = np.linalg.svd(X)
    best = U[:, :10] * s[:10] @ Vt[:10]
    model = gf.PureSVD(num_factors=10, seed=3).fit(toy_urm)
    ours = model.score_users(np.arange(60))
    # Randomized: within a percent of the smallest error there is.
    assert np.linalg.norm(X - ours) < 1.01 * np.linalg.norm(X - best)
    np.testing.assert_allclose(ours, model.user_factors_ @ model.item_factors_.T, atol=1e-6)
    np.testing.assert_allclose(model.user_factors_.T @ model.user_factors_, np.eye(10), atol=1e-5)


def test_pure_svd_depends_on_its_seed_alone(toy_urm):
    a = gf.PureSVD(5, seed=9).fit(toy_urm).item_factors_
    assert np.array_equal(a, gf.PureSVD(5, seed=9).fit(toy_urm).item_factors_)
    assert not np.array_equal(a, gf.PureSVD(5, seed=10).fit(toy_urm).item_factors_)


def dense_ease(X: np.ndarray, l2: float) -> np.ndarray:
    P = np.linalg.inv(X.T @ X + l2 * np.eye(X.shape[1]))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return B


@pytest.mark.parametrize("shape", [(50, 31), (31, 50), (40, 40)])
@pytest.mark.parametrize("ratings", [False, True])
def test_both_forms_of_ease_are_the_closed_form(shape, ratings):
    rng = np.random.default_rng(5)
    X = (rng.random(shape) < 0.2).astype(np.float64)
    if ratings:
        X *= rng.integers(1, 6, shape)
    X[0] = 0
    B = dense_ease(X, 3.0)
    model = gf.EASE(l2=3.0).fit(sp.csr_array(X))
    assert model.scorer_.kind == ("dual_ease" if shape[0] < shape[1] else "dense_weights")
    scores = model.score_users(np.arange(shape[0]))
    np.testing.assert_allclose(scores, X @ B, atol=2e-5)
    new = (rng.random((7, shape[1])) < 0.3).astype(np.float64)
    np.testing.assert_allclose(model.fold_in(new), new @ B, atol=2e-5)
    near = model.similar_items(4, n=shape[1])
    real = near.items >= 0
    np.testing.assert_allclose(near.scores[real], B[near.items[real], 4], atol=2e-5)


def test_ease_meets_its_optimality_condition():
    rng = np.random.default_rng(8)
    X = (rng.random((700, 600)) < 0.05).astype(np.float64)  # more than one block of pivots
    B = gf.EASE(l2=20.0).fit(X).item_weights_.astype(np.float64)
    gradient = X.T @ (X @ B - X) + 20.0 * B
    np.fill_diagonal(gradient, 0)
    assert np.abs(gradient).max() < 1e-4
    assert not np.diag(B).any()


def test_a_cold_item_has_no_part_in_any_model():
    X = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0]], float)
    for model in (gf.ItemKNN(3), gf.UserKNN(3), gf.P3alpha(3), gf.EASE(1.0), gf.PureSVD(2)):
        scores = model.fit(X).score_users(np.arange(4))
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(scores[:, 3], 0, atol=1e-6)
