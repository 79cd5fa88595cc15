"""SLIM-ElasticNet against scikit-learn's coordinate descent, and its path of penalties."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

import ganmf_fast as gf


def toy(seed: int, shape: tuple[int, int] = (50, 24), ratings: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = (rng.random(shape) < 0.25).astype(np.float64)
    if ratings:
        X *= rng.integers(1, 6, shape)
    X[3] = 0
    X[:, 7] = 0
    return X


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("ratings", [True, False])
def test_weights_are_those_of_scikit_learn(positive, ratings):
    X = toy(1, ratings=ratings)
    alpha, l1_ratio = 0.02, 0.3
    model = gf.SLIMElasticNet(24, alpha, l1_ratio, positive, tol=1e-5, max_iter=10_000).fit(X)
    ours = model.item_weights_.toarray()
    expected = np.zeros((24, 24))
    referee = ElasticNet(
        alpha, l1_ratio=l1_ratio, fit_intercept=False, positive=positive, tol=1e-10, max_iter=10**5
    )
    for j in range(24):
        without = X.copy()
        without[:, j] = 0
        expected[:, j] = referee.fit(without, X[:, j]).coef_
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    assert (ours < 0).any() != positive


def test_a_path_gives_the_models_of_single_fits_in_the_order_asked():
    X = sp.csr_array(toy(2))
    penalties = [(0.001, 0.5), (0.05, 0.5), (0.01, 0.1)]
    base = gf.SLIMElasticNet(topk=24, tol=1e-5, max_iter=10_000)
    for (alpha, l1_ratio), model in zip(penalties, base.fit_path(X, penalties), strict=True):
        assert (model.alpha, model.l1_ratio) == (alpha, l1_ratio)
        single = gf.SLIMElasticNet(24, alpha, l1_ratio, tol=1e-5, max_iter=10_000).fit(X)
        np.testing.assert_allclose(
            model.item_weights_.toarray(), single.item_weights_.toarray(), atol=2e-3
        )
    assert not base.__sklearn_is_fitted__()
    with pytest.raises(ValueError, match="penalties is empty"):
        base.fit_path(X, [])


def test_an_unfinished_descent_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        gf.SLIMElasticNet(alpha=1e-6, tol=1e-6, max_iter=1).fit(toy(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gf.SLIMElasticNet().fit(toy(3))


def test_weights_do_not_depend_on_the_scale_of_values_or_are_refused():
    X = toy(1, ratings=True)
    W = gf.SLIMElasticNet(tol=1e-6, alpha=0.0).fit(X).item_weights_.toarray()
    for scale in (1e-15, 1e15):
        same = gf.SLIMElasticNet(tol=1e-6, alpha=0.0).fit(X * scale).item_weights_.toarray()
        np.testing.assert_allclose(same, W, atol=1e-4)
    for scale in (1e-25, 1e19):
        with pytest.raises(ValueError, match=r"^X holds values up to .* SLIMElasticNet .*: divide"):
            gf.SLIMElasticNet(alpha=0.0).fit(X * scale)
    assert gf.SLIMElasticNet().fit(X * 1e-25).item_weights_.nnz == 0  # the penalty wins
