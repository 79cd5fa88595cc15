"""Profiles that are divided by powers of their norms."""

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.profile_maps import LinearMap
from ganmf_fast.scorers.profile_norms import ProfileNorms

AS_EASE = {
    "d_init": "ease",
    "init": "discriminator",
    "matching": "leave-one-out",
    "recon_coefficient": 1.0,
    "device": "cpu",
}
SMALL = {"num_factors": 6, "emb_dim": 10, "batch_size": 16, "g_lr": 1e-2, "d_lr": 1e-3}


def interactions(users, values=(1.0,)):
    """No user is empty but the first."""
    rng = np.random.default_rng(users)
    X = (rng.random((users, 20)) < 0.3) * rng.choice(values, (users, 20))
    X[1:, 0], X[0] = values[0], 0
    return sp.csr_array(X.astype(np.float32))


def divided(X, exponent):
    """By its definition."""
    X = X.toarray().astype(np.float64)
    norms = np.sqrt((X**2).sum(axis=1, keepdims=True))
    made = X / np.where(norms > 0, norms, 1) ** exponent
    return made * np.linalg.norm(X) / np.linalg.norm(made)


def of_ease(X, l2, dropout=0.0):
    gram = X.T @ X
    P = np.linalg.inv(gram + np.diag(l2 + dropout / (1 - dropout) * np.diag(gram)))
    return np.eye(len(P)) - P / np.diag(P)


@pytest.mark.parametrize("values", [(1.0,), (0.5, 2.0)], ids=["ones", "values"])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_divided_profiles(values, exponent):
    X = interactions(30, values)
    norms = ProfileNorms.of(as_csr(X), exponent)
    found, divisors = norms.divided(as_csr(X))
    np.testing.assert_allclose(to_scipy(found).toarray(), divided(X, exponent), rtol=1e-6)
    np.testing.assert_allclose(
        to_scipy(found).toarray() * divisors[:, None], X.toarray(), rtol=1e-6
    )


def test_norms_that_are_none_are_refused():
    for exponent, scale in ((-1.0, 1.0), (9.0, 1.0), (np.nan, 1.0), (1.0, 0.0), (1.0, np.inf)):
        with pytest.raises(ValueError, match="norms of profiles"):
            ProfileNorms(exponent, scale)


@pytest.mark.parametrize("users", [8, 20])
def test_norms_that_are_too_far_apart_are_refused(users):
    X = interactions(users).toarray()
    X[1], X[2] = X[1] * 1e18, X[2] * 1e-18
    for model in (gf.EASE(), gf.GANMF(**AS_EASE, epochs=0)):
        with pytest.raises(
            ValueError, match=r"norm_exponent is 0\.5, but the norms .* set it to 0"
        ):
            model.set_params(norm_exponent=0.5).fit(sp.csr_array(X))


@pytest.mark.parametrize("users", [40, 12], ids=["primal", "dual"])
@pytest.mark.parametrize(("exponent", "dropout"), [(0.5, 0.0), (1.0, 0.3)])
def test_ease_of_divided_profiles(users, exponent, dropout, tmp_path):
    X, new = interactions(users, (1.0, 0.5)), interactions(7)
    model = gf.EASE(l2=2.0, dropout=dropout, norm_exponent=exponent).fit(X)
    B = of_ease(divided(X, exponent), 2.0, dropout)
    model.save(tmp_path / "model")
    for one in (model, gf.load(tmp_path / "model")):
        # Scores of whole profiles, whoever they are of.
        np.testing.assert_allclose(one.score_users(range(users)), X @ B, atol=2e-5)
        np.testing.assert_allclose(one.fold_in(new), new @ B, atol=2e-5)
        off = np.where(np.arange(20) == 3, -np.inf, B[:, 3])
        found = one.similar_items(3, n=5).scores
        np.testing.assert_allclose(found, -np.sort(-off)[:5], atol=2e-5)


@pytest.mark.parametrize("factors", ["solved", "learned"])
def test_ganmf_starts_as_ease_of_divided_profiles(factors, tmp_path):
    X, new, l2 = interactions(40), interactions(7), 5.0
    options = {"num_factors": 20, "emb_dim": 20, "d_reg": 2 * l2 / (40 * 20), "epochs": 0}
    model = gf.GANMF(**AS_EASE, **options, norm_exponent=0.7, user_factors=factors).fit(X)
    B = of_ease(divided(X, 0.7), l2)
    model.save(tmp_path / "model")
    for one in (model, gf.load(tmp_path / "model")):
        np.testing.assert_allclose(one.score_users(range(40)), X @ B, atol=1e-5)
        np.testing.assert_allclose(one.fold_in(new), new @ B, atol=1e-5)


@pytest.mark.parametrize("mode", ["user", "item"])
@pytest.mark.parametrize("losses", [{}, {"d_dropout": 0.3, "d_emphasis": 0.0}], ids=str)
def test_ganmf_is_trained_on_divided_profiles(mode, losses):
    """As if these were the interactions; scores are those of whole profiles again."""
    X = interactions(40)
    rows = X if mode == "user" else sp.csr_array(X.T)
    made = divided(rows, 0.5).astype(np.float32)
    options = {**SMALL, "epochs": 3, "recon_coefficient": 0.2, "device": "cpu", **losses}
    model = gf.GANMF(**options, mode=mode, norm_exponent=0.5).fit(X)
    plain = gf.GANMF(**options).fit(sp.csr_array(made))
    scores = model.score_users(range(40))
    scores = scores if mode == "user" else scores.T
    filled = np.flatnonzero(made.any(axis=1))
    factor = rows.toarray()[filled].max(axis=1) / made[filled].max(axis=1)
    expected = plain.score_users(filled) * factor[:, None]
    np.testing.assert_allclose(scores[filled], expected, atol=1e-6)


def test_new_users_are_treated_as_those_who_were_fitted():
    X = interactions(40)
    options = {**SMALL, "epochs": 3, "recon_coefficient": 0.2, "device": "cpu"}
    options |= {"norm_exponent": 1.0, "user_factors": "solved", "g_reg": 1e-4}
    model = gf.GANMF(**options).fit(X)
    fitted = model.score_users(range(1, 40))
    np.testing.assert_allclose(model.fold_in(X[1:]), fitted, atol=1e-6)
    # What the items of a profile contribute adds up, apart from the bias of the map.
    parts = [model.scorer_.contributions(model.urm_, 5, item).sum() for item in range(20)]
    mapped = model.scorer_.profile_map
    bias = mapped.norms.divisors(as_csr(X[[5]]))[0] * mapped.bias @ model.item_factors_.T
    np.testing.assert_allclose(parts + bias, fitted[4], atol=1e-6)


def test_a_map_of_other_items_or_factors_is_refused():
    for shape in ((4, 2), (5, 3)):
        other = LinearMap(np.ones(shape, np.float32), np.ones(shape[1], np.float32))
        with pytest.raises(ValueError, match="profile_map is of"):
            Factors(np.ones((3, 2), np.float32), np.ones((5, 2), np.float32), other)
