"""ItemKNN, UserKNN, P3alpha and RP3beta against their dense definitions, written with numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ganmf_fast as gf
from ganmf_fast.models.knn import SIMILARITIES

SLOW = settings(deadline=None, max_examples=40)


@st.composite
def matrices(draw, values=False):
    """Small matrices with at least one interaction; empty rows and columns, all ones, one item."""
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    cells = st.integers(0, 4 if values else 1)
    X = np.array(
        draw(st.lists(cells, min_size=rows * cols, max_size=rows * cols)), dtype=float
    ).reshape(rows, cols)
    X[draw(st.integers(0, rows - 1)), draw(st.integers(0, cols - 1))] = 1
    return X


@st.composite
def knn_params(draw):
    exponent = st.sampled_from([0.0, 0.3, 1.0, 1.7, 2.0])
    return {
        "topk": draw(st.integers(1, 12)),
        "shrink": draw(st.sampled_from([0, 1, 2.5, 300.0])),
        "similarity": draw(st.sampled_from(SIMILARITIES)),
        "normalize": draw(st.booleans()),
        "asymmetric_alpha": draw(exponent),
        "tversky_alpha": draw(exponent),
        "tversky_beta": draw(exponent),
        "feature_weighting": draw(st.sampled_from([None, "none", "TF-IDF", "BM25"])),
        "normalize_avg_row": draw(st.booleans()),
        "similarity_from_distance_mode": draw(st.sampled_from(["lin", "log", "exp"])),
    }


def weighted(X: np.ndarray, weighting: str | None) -> np.ndarray:
    if weighting in (None, "none"):
        return X
    with np.errstate(divide="ignore", invalid="ignore"):
        idf = np.log(X.shape[1] / (1 + (X > 0).sum(axis=1, keepdims=True)))
        if weighting == "TF-IDF":
            return np.sqrt(X) * idf
        length = X.sum(axis=0)
        norm = 0.25 + 0.75 * length / length.mean()
        return np.nan_to_num(X * 2.2 / (1.2 * norm + X)) * idf


def similarities(X: np.ndarray, p: dict) -> np.ndarray:
    """S[i, j] of every neighbour i and target j, zero where i is no neighbour of j."""
    name, h = p["similarity"], p["shrink"] + 1e-6
    binary = name in ("jaccard", "dice", "tversky")
    X = (X != 0).astype(float) if binary else weighted(X, p["feature_weighting"])
    co = X.T @ X
    n = np.diag(co)
    n_i, n_j = n[:, None], n[None, :]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if name in ("cosine", "asymmetric"):
            if not p["normalize"]:
                S = co / (p["shrink"] or 1)
            elif name == "cosine":
                S = co / (np.sqrt(n_i * n_j) + h)
            else:
                a = p["asymmetric_alpha"]
                S = np.where(co > 0, co / (n_j**a * n_i ** (1 - a) + h), 0)
        elif name == "jaccard":
            S = co / (n_i + n_j - co + h)
        elif name == "dice":
            S = co / (n_i + n_j + h)
        elif name == "tversky":
            a, b = p["tversky_alpha"], p["tversky_beta"]
            S = co / (co + a * (n_j - co) + b * (n_i - co) + h)
        else:
            d2 = np.maximum(n_i + n_j - 2 * co, 0)
            if p["normalize"]:
                d2 = d2 / np.sqrt(n_i * n_j)
            if p["normalize_avg_row"]:
                d2 = d2 / X.shape[0]
            d = np.sqrt(d2)
            mode = p["similarity_from_distance_mode"]
            f = {"lin": d, "log": np.log1p(d), "exp": np.exp(d)}[mode]
            S = np.nan_to_num(1 / (f + p["shrink"] + 1e-9), posinf=0)
            if p["normalize"]:
                S[(n_i == 0) | (n_j == 0)] = 0
    np.fill_diagonal(S, 0)
    return S


def check_cut(W: np.ndarray, S: np.ndarray, k: int, rtol: float = 1e-5) -> None:
    """Column by column W holds k largest entries of S; which of several equal ones is left open."""
    for j in range(S.shape[1]):
        kept = W[:, j] != 0
        np.testing.assert_allclose(W[kept, j], S[kept, j], rtol=rtol)
        best = np.sort(S[:, j])[::-1][:k]
        np.testing.assert_allclose(np.sort(W[kept, j])[::-1], best[best > 0], rtol=rtol)


def distance_tolerance(p: dict) -> float:
    # Between equal weighted columns the distance is rounding, on which a similarity of 1e9 hangs.
    weights = p["feature_weighting"] not in (None, "none")
    return 1e-2 if p["similarity"] == "euclidean" and weights and p["shrink"] == 0 else 1e-5


@SLOW
@given(X=st.one_of(matrices(), matrices(values=True)), p=knn_params())
def test_every_similarity_is_its_definition_cut_by_target(X, p):
    W = gf.ItemKNN(**p).fit(X).item_weights_.toarray()
    S = similarities(X, p)
    if distance_tolerance(p) > 1e-5:
        S[S > 1e3] = 0
        W[W > 1e3] = 0
        np.testing.assert_allclose(np.where(W != 0, S, 0), W, rtol=1e-2)
        return
    check_cut(W, S, p["topk"])


@SLOW
@given(X=st.one_of(matrices(), matrices(values=True)), p=knn_params())
def test_user_neighbours_are_item_neighbours_of_the_transpose(X, p):
    W = gf.ItemKNN(**p).fit(X.T.copy()).item_weights_.toarray()
    scores = gf.UserKNN(**p).fit(X).score_users(np.arange(len(X)))
    np.testing.assert_allclose(scores, W.T @ X, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_scores_are_the_profile_times_the_weights(toy_urm, similarity):
    model = gf.ItemKNN(topk=6, shrink=3, similarity=similarity).fit(toy_urm)
    W = model.item_weights_.toarray()
    assert (np.count_nonzero(W, axis=0) <= 6).all()
    assert (np.count_nonzero(W, axis=1) > 6).any()  # the cut is per column, not per row
    scores = model.score_users(np.arange(60))
    np.testing.assert_allclose(scores, toy_urm.toarray() @ W, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_of_equal_similarities_the_smaller_item_is_kept(similarity):
    X = np.ones((5, 7))
    W = gf.ItemKNN(topk=2, similarity=similarity, shrink=1).fit(X).item_weights_.toarray()
    kept = [np.flatnonzero(W[:, j]).tolist() for j in range(7)]
    assert kept == [[1, 2], [0, 2], *[[0, 1]] * 5]


def walks(X: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        user_item = np.nan_to_num(X / X.sum(axis=1, keepdims=True))
        item_user = np.nan_to_num(X.T / X.sum(axis=0)[:, None])
        S = np.where(X.T > 0, item_user**alpha, 0) @ np.where(X > 0, user_item**alpha, 0)
        S = np.nan_to_num(S / (X > 0).sum(axis=0) ** beta)
    np.fill_diagonal(S, 0)
    return S


@SLOW
@given(
    X=st.one_of(matrices(), matrices(values=True)),
    alpha=st.sampled_from([0.0, 0.7, 1.0, 1.9]),
    beta=st.sampled_from([0.0, 0.6, 1.3]),
    k=st.integers(1, 10),
)
def test_walks_are_the_product_of_transitions_cut_by_row(X, alpha, beta, k):
    params = {"topk": k, "alpha": alpha, "normalize_similarity": False, "prune_columns": False}
    model = gf.RP3beta(beta=beta, **params).fit(X)
    S = walks(X, alpha, beta)
    check_cut(model.item_weights_.toarray().T, S.T, k)
    if beta == 0:
        plain = gf.P3alpha(**params).fit(X)
        assert np.array_equal(model.item_weights_.toarray(), plain.item_weights_.toarray())


@SLOW
@given(
    X=st.one_of(matrices(), matrices(values=True)),
    k=st.integers(1, 10),
    normalize=st.booleans(),
    beta=st.sampled_from([0.0, 0.6]),
)
def test_walks_are_scaled_by_row_and_then_cut_by_column(X, k, normalize, beta):
    rows = gf.RP3beta(k, 1.0, beta, normalize_similarity=False, prune_columns=False).fit(X)
    S = rows.item_weights_.toarray().astype(float)
    total = S.sum(axis=1, keepdims=True)
    if normalize:
        S = np.divide(S, total, out=np.zeros_like(S), where=total > 0)
    uncut = gf.RP3beta(k, 1.0, beta, normalize, prune_columns=False).fit(X)
    np.testing.assert_allclose(uncut.item_weights_.toarray(), S, rtol=1e-5)
    both = gf.RP3beta(k, 1.0, beta, normalize, prune_columns=True).fit(X)
    check_cut(both.item_weights_.toarray(), S, k)


@SLOW
@given(X=st.one_of(matrices(), matrices(values=True)), p=knn_params())
def test_shared_counts_give_the_bits_of_a_fit_of_its_own(X, p):
    for model, of in ((gf.ItemKNN(**p), "items"), (gf.UserKNN(**p), "users")):
        alone = model.fit(X).scorer_.tensors()
        shared = model.fit(gf.Cooccurrence(X, of=of)).scorer_.tensors()
        assert alone.keys() == shared.keys()
        for name, array in alone.items():
            assert np.array_equal(array, shared[name]), name


def test_shared_counts_keep_the_ids_of_interactions():
    data = gf.Interactions.from_frame(
        {"u": ["a", "a", "b", "b", "c"], "i": [7, 8, 8, 9, 7]}, user="u", item="i"
    )
    counts = gf.Cooccurrence(data)
    model = gf.ItemKNN(topk=2).fit(counts)
    assert model.item_ids_.tolist() == data.item_ids.tolist()


def test_counts_that_do_not_fit_are_refused_before_they_are_made(toy_urm):
    with pytest.raises(MemoryError, match=r"co-occurrences of 40 items needs .* max_gib is 1e-06"):
        gf.Cooccurrence(toy_urm, max_gib=1e-6)
    with pytest.raises(ValueError, match='UserKNN needs of="users"'):
        gf.UserKNN().fit(gf.Cooccurrence(toy_urm))
    with pytest.raises(ValueError, match='did you mean "items"'):
        gf.Cooccurrence(toy_urm, of="item")


@pytest.mark.parametrize(("shrink", "value"), [(1e-157, 1.0), (0, 3e38)])
def test_weights_beyond_float32_are_refused(shrink, value):
    X = np.full((3, 2), value, dtype=np.float32)
    with pytest.raises(ValueError, match="the weight in row 0, column 1 is not finite"):
        gf.ItemKNN(topk=2, shrink=shrink, normalize=False).fit(X)


def test_powers_beyond_float32_are_refused():
    X = np.full((3, 2), 2.0, dtype=np.float32)
    with pytest.raises(ValueError, match=r"^X holds values up to 2, and alpha is 1e\+300, beyond"):
        gf.P3alpha(alpha=1e300).fit(X)


@pytest.mark.parametrize("alpha", [1.0, 2.0])
@pytest.mark.parametrize("beta", [0.0, 0.6])
def test_walks_do_not_depend_on_the_scale_of_users(alpha, beta):
    rng = np.random.default_rng(2)
    X = (rng.random((40, 20)) < 0.3) * (1 + rng.random((40, 20)))
    X[20:, :10], X[:20, 10:] = 0, 0  # two groups, so that items keep their own scale
    W = gf.RP3beta(5, alpha, beta).fit(X).item_weights_.toarray()
    for scale in (1e-12, 1e-20, 1e-36, 1e12, 1e36):
        scaled = np.vstack([X[:20], X[20:] * scale])
        same = gf.RP3beta(5, alpha, beta).fit(scaled).item_weights_.toarray()
        np.testing.assert_allclose(same, W, rtol=1e-5)


def test_walks_that_round_to_nothing_are_refused():
    X = np.array([[1.0, 1e-30, 0.0], [0.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match=r"and alpha is 2, .* weights of item 0 are too small"):
        gf.P3alpha(alpha=2.0).fit(X)
    # All pairs at once, and row by row.
    for X in (np.ones((9, 9)), np.kron(np.eye(200), np.ones((9, 2)))):
        with pytest.raises(ValueError, match=r"beta is 200, beyond what RP3beta .* another beta$"):
            gf.RP3beta(beta=200.0).fit(X)


@pytest.mark.parametrize("model", [gf.ItemKNN, gf.UserKNN])
def test_norms_beyond_single_precision_are_refused(model):
    X = np.random.default_rng(3).integers(0, 3, (30, 20)).astype(float)
    refused = rf"^X holds values up to .*, beyond what {model.__name__} .*: divide X by a constant$"
    for params, scale in [
        ({"similarity": "euclidean"}, 1e19),
        ({"similarity": "euclidean", "normalize": False}, 1e19),
        ({"similarity": "asymmetric", "asymmetric_alpha": 2.0}, 1e19),
        ({}, 1.7e38),
    ]:
        with pytest.raises(ValueError, match=refused):
            model(**params).fit(X * scale)
    scores = model(topk=3).fit(X).score_users(0)
    np.testing.assert_allclose(model(topk=3).fit(X * 1e30).score_users(0) / 1e30, scores, rtol=1e-4)


def test_normalised_distances_do_not_depend_on_the_scale_of_values():
    rng = np.random.default_rng(5)
    X = (rng.random((300, 120)) < 0.2) * (1 + rng.random((300, 120)))
    model = gf.ItemKNN(topk=5, similarity="euclidean")
    W = model.fit(X).item_weights_.toarray()
    for scale in (1e-30, 1e-23, 1e17):
        np.testing.assert_allclose(model.fit(X * scale).item_weights_.toarray(), W, rtol=1e-5)


def test_an_empty_profile_has_the_neighbours_of_a_fit_with_it():
    X = np.random.default_rng(4).integers(0, 2, (12, 9)).astype(float)
    X[0, 0] = 1
    params = {"topk": 4, "similarity": "euclidean", "normalize": False}
    with_it = gf.UserKNN(**params).fit(np.vstack([X, np.zeros(9)])).score_users(12)
    assert with_it.any()
    alone = gf.UserKNN(**params).fit(X).fold_in(np.zeros((1, 9)))
    np.testing.assert_array_equal(alone.ravel(), np.ravel(with_it))
