"""Lists for people who were not fitted, from their profiles: laws of every model."""

import importlib.util

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

import ganmf_fast as gf
from ganmf_fast.base import threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models import registry
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.profiles import read_profiles

GAN = {"epochs": 2, "device": "cpu"}
SMALL = {"num_factors": 4, "batch_size": 16, **GAN}
MODELS = {
    "TopPopular": ("TopPopular", {}),
    "Random": ("Random", {"seed": 3}),
    "PureSVD": ("PureSVD", {"num_factors": 6}),
    "ItemKNN": ("ItemKNN", {"topk": 7}),
    "UserKNN": ("UserKNN", {"topk": 7}),
    "UserKNN-BM25": ("UserKNN", {"topk": 7, "feature_weighting": "BM25"}),
    "P3alpha": ("P3alpha", {"topk": 7}),
    "RP3beta": ("RP3beta", {"topk": 7}),
    "SLIMBPR": ("SLIMBPR", {"topk": 9, "epochs": 5}),
    "SLIMElasticNet": ("SLIMElasticNet", {"topk": 7, "alpha": 0.005}),
    "EASE": ("EASE", {"l2": 5.0}),
    "EASE-dual": ("EASE", {"l2": 5.0}),
    "WRMF": ("WRMF", {"num_factors": 6, "epochs": 5}),
    "BPRMF": ("BPRMF", {"num_factors": 6, "epochs": 5}),
    "APR": ("APR", {"num_factors": 6, "epochs": 6, "warm_epochs": 3}),
    "IRGAN": ("IRGAN", {"num_factors": 4, "epochs": 2, "d_epochs": 2, "g_epochs": 2}),
    "CDAE": ("CDAE", {"num_factors": 6, "epochs": 4}),
    "CDAE-alone": ("CDAE", {"num_factors": 6, "epochs": 4, "user_factors": False}),
    "CoFiGAN": ("CoFiGAN", {"num_factors": 4, "epochs": 2, "d_epochs": 2, "g_epochs": 2}),
    "GraphGAN": ("GraphGAN", {"num_factors": 4, "epochs": 2, "pretrain_epochs": 5}),
    "GANMF": ("GANMF", {"emb_dim": 8, **SMALL}),
    "GANMF-decoder": ("GANMF", {"emb_dim": 8, "matching": "decoder", **SMALL}),
    "GANMF-solved": ("GANMF", {"emb_dim": 8, "user_factors": "solved", **SMALL}),
    "GANMF-item": ("GANMF", {"emb_dim": 8, "mode": "item", **SMALL}),
    "BinGANMF": ("BinGANMF", {"d_nodes": 8, "d_layers": 2, **SMALL}),
    "BinGANMF-item": ("BinGANMF", {"d_nodes": 8, "mode": "item", **SMALL}),
    "BinGANMF-published": ("BinGANMF", {"d_nodes": 8, "published_quirks": True, **SMALL}),
    "CFGAN": ("CFGAN", {"g_nodes": 8, "d_nodes": 4, "g_layers": 2, **GAN}),
    "CFGAN-item": ("CFGAN", {"g_nodes": 8, "d_nodes": 4, "mode": "item", **GAN}),
    "RAGAN": ("RAGAN", {"g_nodes": 8, "d_nodes": 4, **GAN}),
    "AugCF": ("AugCF", {"num_factors": 4, "adversarial_epochs": 1, **GAN}),
    "CAAE": ("CAAE", {"num_factors": 4, "g_units": 8, "g_layers": 2, "g_steps": 3, **GAN}),
}
# Scores are a function of the profile alone, the same for those who were fitted.
OF_PROFILES = (
    {"TopPopular", "Random", "ItemKNN", "P3alpha", "RP3beta", "SLIMBPR", "SLIMElasticNet"}
    | {"EASE", "CFGAN", "CAAE", "RAGAN"}
)  # fmt: skip


@pytest.fixture(scope="module")
def fits() -> dict[str, Recommender]:
    return {}


@pytest.fixture(params=MODELS)
def name(request) -> str:
    return request.param


@pytest.fixture
def fitted(name, toy_urm, fits):
    """Fitted once, on the first 50 of 60 users; the others are new."""
    if name not in fits:
        # EASE has another form where users are fewer than the 40 items.
        fits[name] = make(name).fit(toy_urm[: 30 if name == "EASE-dual" else 50])
    return fits[name]


def make(name):
    model, params = MODELS[name]
    module = registry.NAMES[model]
    if module.startswith("ganmf_fast.gan") and importlib.util.find_spec("torch") is None:
        pytest.skip(f"{model} is fitted with torch, which is not installed")
    return registry.model_class(model)(**params)


@pytest.fixture
def new(toy_urm) -> sp.csr_array:
    return toy_urm[45:]


def same(a, b) -> bool:
    return a.items.tobytes() == b.items.tobytes() and a.scores.tobytes() == b.scores.tobytes()


def test_every_model_is_here():
    assert {model for model, _ in MODELS.values()} == set(registry.NAMES)


def test_lists_are_the_folded_scores_in_order_without_the_profile(fitted, new):
    scores = fitted.fold_in(new)
    assert scores.shape == new.shape
    rec = fitted.recommend(profiles=new, n=40)
    every = fitted.recommend(profiles=new, n=40, exclude_seen=False)
    for row in range(new.shape[0]):
        seen = set(new.indices[new.indptr[row] : new.indptr[row + 1]].tolist())
        listed = [i for i in rec.items[row].tolist() if i >= 0]
        assert set(listed) == set(range(40)) - seen
        assert set(every.items[row].tolist()) == set(range(40))
        np.testing.assert_allclose(
            rec.scores[row, : len(listed)], scores[row, listed], rtol=1e-4, atol=1e-5
        )
    assert (np.diff(every.scores, axis=1) <= 0).all()


def test_the_profile_of_a_fitted_user_has_the_users_list(name, fitted, toy_urm):
    users = range(fitted.n_users_)
    mine = fitted.recommend(profiles=toy_urm[users], n=9)
    theirs = fitted.recommend(users, n=9)
    if name in OF_PROFILES:
        assert same(mine, theirs)
    elif name == "EASE-dual":
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-6)
    else:
        pytest.skip("scores of fitted users are not made from their profiles")


@pytest.mark.parametrize("similarity", ["cosine", "asymmetric", "tversky", "euclidean"])
@pytest.mark.parametrize("values", [False, True])
def test_a_new_user_has_the_list_of_a_fit_with_one_user_more(similarity, values, toy_urm):
    X = toy_urm.copy()
    if values:
        X.data = np.random.default_rng(0).integers(1, 6, X.nnz).astype(np.float32)
    model = gf.UserKNN(topk=5, shrink=1.0, similarity=similarity, asymmetric_alpha=0.3)
    rows = model.fit(X[:50]).recommend(profiles=X[50:55], n=8)
    for nth in range(5):
        with_one = gf.UserKNN(**model.get_params()).fit(X[[*range(50), 50 + nth]])
        assert np.array_equal(rows.items[nth], with_one.recommend(50, n=8).items[0])
        assert np.array_equal(rows.scores[nth], with_one.recommend(50, n=8).scores[0])


def test_a_model_that_is_fitted_again_forgets_whom_it_knew(toy_urm):
    model = gf.UserKNN(topk=5).fit(toy_urm[:20])
    model.recommend(profiles=toy_urm[50:], n=5)
    again = model.fit(toy_urm[20:50]).recommend(profiles=toy_urm[50:], n=5)
    fresh = gf.UserKNN(topk=5).fit(toy_urm[20:50]).recommend(profiles=toy_urm[50:], n=5)
    assert same(again, fresh)


@pytest.mark.parametrize("least_squares", ["PureSVD", "GANMF-item", "CFGAN-item", "AugCF"])
def test_factors_by_least_squares_are_the_minimum(least_squares, toy_urm, new):
    model = make(least_squares).fit(toy_urm[:50])
    Q = model.item_factors_.astype(np.float64)
    best = np.linalg.lstsq(Q, new.toarray().T, rcond=1e-6)[0]
    np.testing.assert_allclose(model.fold_in(new), (Q @ best).T, atol=1e-4)


def test_blocks_threads_and_files_change_no_bit(name, fitted, new, tmp_path, threads_restored):
    whole = fitted.recommend(profiles=new, n=9)
    fitted.save(tmp_path / "m.safetensors")
    loaded = gf.load(tmp_path / "m.safetensors")
    assert same(loaded.recommend(profiles=new, n=9), whole)
    for n in (1, 2):
        threads.set_num_threads(n)
        assert same(loaded.recommend(profiles=new, n=9), whole)
    if name == "Random":  # by row number
        return
    for size in (1, 4):
        for start in range(0, new.shape[0], size):
            part = loaded.recommend(profiles=new[start : start + size], n=9)
            assert part.items.tobytes() == whole.items[start : start + size].tobytes()
            assert part.scores.tobytes() == whole.scores[start : start + size].tobytes()


def test_every_form_of_a_profile_is_the_same(fitted, new):
    whole = fitted.recommend(profiles=new[[0]], n=6)
    items = new.indices[: new.indptr[1]]
    for form in (new[[0]].toarray(), as_csr(new[[0]]), items, items.tolist(), tuple(items)):
        assert same(fitted.recommend(profiles=form, n=6), whole)
    few = fitted.recommend(profiles=new[[0, 1]], n=[2, 6], candidates=[1, 7, 30], exclude_items=[7])
    assert set(few.items.ravel().tolist()) <= {1, 30, -1}
    assert (few.items[0, 2:] == -1).all()


def test_without_items_a_profile_has_no_list_or_the_popular_one(name, fitted):
    for profiles in (sp.csr_array((2, 40)), [], np.zeros((1, 40))):
        rec = fitted.recommend(profiles=profiles, n=5)
        assert (rec.items == -1).all() == (name not in {"TopPopular", "Random"})
    popular = fitted.recommend(profiles=[], n=5, fallback="popular")
    if name != "Random":
        top = gf.TopPopular().fit(fitted.urm_).recommend(0, n=5, exclude_seen=False)
        assert same(popular, top)
    none = fitted.recommend(profiles=np.zeros((0, 40)), n=5)
    assert none.items.shape == (0, 5)


# Ids ---------------------------------------------------------------------------------------------


@pytest.fixture
def by_id(name, toy_urm):
    users, items = [f"u{u}" for u in range(50)], [f"i{i:02}" for i in range(40)]
    return make(name).fit(gf.Interactions.from_matrix(toy_urm[:50], users, items))


@pytest.fixture
def people(new) -> gf.Interactions:
    """New users with ids of their own; items in another order, one of them unknown."""
    coo = new[:3].tocoo()
    df = {"who": coo.row + 7, "what": [f"i{i:02}" for i in coo.col]}
    df["who"] = np.append(df["who"], 9)
    return gf.Interactions.from_frame({**df, "what": [*df["what"], "else"]}, "who", "what")


def test_ids_are_matched_and_unknown_items_refused_or_skipped(by_id, name, people, new):
    with pytest.raises(ValueError, match="item 'else' is unknown"):
        by_id.recommend(profiles=people)
    frame = by_id.recommend(profiles=people, n=4, unknown="skip")
    plain = by_id.recommend(profiles=new[:3], n=4)
    assert np.array_equal(frame["user"], plain["user"] + 7)
    for column in ("item", "score", "rank"):
        assert np.array_equal(frame[column], plain[column])
    known = [f"i{i:02}" for i in new.indices[: new.indptr[1]]]
    alone = by_id.recommend(profiles=[*known, "else"], n=4, unknown="skip")
    assert alone["item"].tolist() == plain["item"][:4].tolist()
    assert set(alone["user"].tolist()) == {0}
    nothing = by_id.recommend(profiles=["else"], n=4, unknown="skip")
    assert len(nothing["item"]) == (4 if name in {"TopPopular", "Random"} else 0)
    filled = by_id.recommend(profiles=["else"], n=4, unknown="skip", fallback="popular")
    assert len(filled["item"]) == 4
    assert np.array_equal(by_id.fold_in(people, unknown="skip"), by_id.fold_in(new[:3]))


def test_skipped_items_are_counted_and_frames_are_the_callers(toy_urm):
    model = gf.ItemKNN(topk=5).fit(toy_urm)
    rec = model.recommend(profiles=[3, 99, -1, 5], n=3, unknown="skip")
    assert rec.skipped == 2
    assert same(rec, model.recommend(profiles=[3, 5], n=3))
    df = pl.DataFrame({"u": ["a", "a", "b"], "i": ["x", "y", "x"]})
    named = gf.ItemKNN(topk=2).fit(gf.Interactions.from_frame(df, "u", "i"))
    assert isinstance(named.recommend(profiles=["x"], n=2), pl.DataFrame)
    assert named.recommend(profiles="x", n=2)["item"].to_list() == ["y"]


@pytest.mark.parametrize(
    ("profiles", "error", "message"),
    [
        (np.ones((1, 39)), ValueError, "profiles has 39 columns but the model knows 40 items"),
        (np.full((1, 40), np.nan), ValueError, "profiles: .* row 0, column 0 is not a finite"),
        (-np.eye(40), ValueError, "profiles: .*row 0, column 0"),
        (np.ones((1, 40), complex), TypeError, "profiles must hold real numbers"),
        (sp.csr_array(np.ones(40)), ValueError, "profiles must have two dimensions, not 1"),
        ([40], ValueError, "item 40 does not exist"),
        ([-1], ValueError, "item -1 does not exist"),
        ([1.5], TypeError, "items must be integer numbers"),
        ("i3", TypeError, "items must be integer numbers"),
        (np.ones(40), TypeError, "items must be integer numbers"),
        (np.ones(40, int), ValueError, r"40 numbers, some of them repeatedly: .* X\[\[row\]\]"),
        (np.ones(40, bool), TypeError, "not a boolean mask"),
        ({3, 4}, TypeError, "must have an order"),
        ({3: 1.0}, TypeError, "profiles must be a matrix, Interactions, or .* not a dict"),
        ([[1, 2], [3]], TypeError, "the items of one person, not a list of several"),
        (pl.DataFrame({"i": [1, 2]}), (TypeError, ValueError), "item"),
    ],
)
def test_what_is_no_profile_is_refused_in_one_sentence(toy_urm, profiles, error, message):
    model = gf.EASE(l2=5.0).fit(toy_urm)
    for call in (model.fold_in, lambda p: model.recommend(profiles=p)):
        with pytest.raises(error, match=message) as caught:
            call(profiles)
        assert "\n" not in str(caught.value)


def test_requests_that_contradict_themselves_are_refused(toy_urm):
    model = gf.ItemKNN(topk=5).fit(toy_urm)
    for call, error, message in (
        (lambda: model.recommend([1], profiles=[2]), TypeError, "users and profiles are both"),
        (model.recommend, TypeError, "users must be integer numbers, not None"),
        (lambda: model.recommend(profiles=[2], unknown="drop"), ValueError, "unknown must be one"),
        (lambda: model.recommend(profiles=[2], fallback="pop"), ValueError, "fallback must be"),
        (lambda: model.recommend(profiles=[2], n=0), ValueError, "n must be at least 1"),
        (lambda: model.recommend(profiles=[2], n=[1, 2]), TypeError, "1 integers, one for each"),
        (lambda: model.recommend(profiles=[2], candidates=[]), ValueError, "candidates is empty"),
        (lambda: gf.ItemKNN().recommend(profiles=[2]), NotFittedError, "not fitted"),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize(
    "items",
    [[], [3], [7, 2, 7, 2, 5], list(range(12)), [2**31 - 1], [4, 2**70], [-1], [True], [1.0]],
)
def test_a_short_list_is_what_an_array_of_it_is(items):
    def read(given):
        try:
            rows, names, n_skipped = read_profiles(given, 13, None)
        except (TypeError, ValueError) as error:
            return type(error)
        return rows.indptr.tolist(), rows.indices.tolist(), rows.n_cols, names.tolist(), n_skipped

    # A tuple is read by numpy.
    assert read(items) == read(tuple(items))


def test_ids_say_nothing_to_a_model_without_ids(toy_urm):
    model = gf.ItemKNN(topk=5).fit(toy_urm)

    def people(items):
        return gf.Interactions.from_frame({"u": ["a"] * len(items), "i": items}, "u", "i")

    assert same(
        model.recommend(profiles=people([7, 3]), n=5), model.recommend(profiles=[3, 7], n=5)
    )
    with pytest.raises(ValueError, match=r"profiles holds items such as 'x', but the model was"):
        model.recommend(profiles=people(["x", "y"]))
    with pytest.raises(ValueError, match=r"item 40 does not exist: numbers go from 0 to 39"):
        model.recommend(profiles=people([3, 40]))
    left = model.recommend(profiles=people([3, 40]), n=5, unknown="skip")
    assert same(left, model.recommend(profiles=[3], n=5))
