"""What is easily passed or typed in the place of another thing is answered with the way out."""

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.models.recommendations import Recommendations


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (pl.DataFrame({"user": [1], "item": [2]}), r"not DataFrame: .* Interactions\.from_frame"),
        ("clicks.csv", r"not str: .* Interactions\.from_csv"),
        ([[1, 0]], r"not list$"),
    ],
)
def test_what_is_no_matrix_is_answered_with_what_makes_one(given, words):
    with pytest.raises(TypeError, match=words):
        gf.TopPopular().fit(given)


def test_splits_are_answered_with_their_training_part(toy_urm):
    for splits in (gf.split.paper_protocol(toy_urm), gf.split.holdout(toy_urm)):
        with pytest.raises(TypeError, match=r"not Splits?: pass its train$"):
            gf.TopPopular().fit(splits)


@pytest.mark.parametrize(
    ("model", "given", "meant"),
    [("ItemKNN", "top_k", "topk"), ("GANMF", "n_factors", "num_factors"), ("EASE", "L2", "l2")],
)
def test_an_unknown_parameter_is_answered_with_the_one_meant(model, given, meant):
    with pytest.raises(TypeError, match=f"^{model} has no parameter '{given}'; .* '{meant}'"):
        getattr(gf, model)(**{given: 3})
    with pytest.raises(AttributeError, match="has no attribute 'itemknn'; did you mean 'ItemKNN'"):
        _ = gf.itemknn


def test_lists_become_a_frame():
    items = np.array([[3, 1], [2, -1]], np.int32)
    scores = np.array([[2, 1], [5, -np.inf]], np.float32)
    lists = Recommendations(items, scores)
    expected = {"user": [0, 0, 1], "rank": [1, 2, 1], "item": [3, 1, 2], "score": [2.0, 1.0, 5.0]}
    assert lists.to_frame().to_dict(as_series=False) == expected
    assert lists.to_frame(["a", "b"])["user"].to_list() == ["a", "a", "b"]
    with pytest.raises(ValueError, match="one for each of 2 lists"):
        lists.to_frame(["a"])


MASKED = np.ma.array([0, 2], mask=[False, True])


@pytest.mark.parametrize(
    "call",
    [
        lambda m, X: m.recommend(MASKED),
        lambda m, X: m.recommend(np.ma.array(2, mask=True)),
        lambda m, X: m.recommend([0, 1], n=MASKED + 1),
        lambda m, X: m.recommend(0, candidates=MASKED),
        lambda m, X: m.recommend(0, candidates={0: MASKED}),
        lambda m, X: m.recommend(0, exclude_items=MASKED),
        lambda m, X: m.recommend(profiles=MASKED),
        lambda m, X: m.similar_items(MASKED),
        lambda m, X: m.score_users(MASKED),
        lambda m, X: gf.evaluate_lists(MASKED[:, None], X, 1, users=[0, 2]),
        lambda m, X: gf.evaluate_lists([[0], [2]], X, 1, users=MASKED),
        lambda m, X: gf.evaluate(m, X, 1 - X.toarray(), 1, users=MASKED),
        lambda m, X: gf.evaluate(
            m, X, 1 - X.toarray(), 1, "ild", item_features=np.ma.array(np.eye(X.shape[1]))
        ),
    ],
)
def test_no_array_is_read_through_its_mask(toy_urm, call):
    named = gf.Interactions.from_matrix(toy_urm)
    for X in (toy_urm, named):
        with pytest.raises(TypeError, match=r"must not be a masked array: pass its compressed\(\)"):
            call(gf.ItemKNN().fit(X), toy_urm)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, s: gf.evaluate(m, s, n_threads=1.0), TypeError, "n_threads must be an integer"),
        (lambda m, s: gf.evaluate(m, s, n_threads=0), ValueError, "n_threads must be between 1 an"),
        (lambda m, s: gf.evaluate(m, s, users=[]), ValueError, "users is empty"),
        (
            lambda m, s: gf.evaluate(m, gf.split.paper_protocol(s.train)),
            TypeError,
            r"pass splits\.train, splits\.test$",
        ),
        (
            lambda m, s: gf.evaluate(m, s.train, gf.split.paper_protocol(s.train)),
            TypeError,
            "test must .* not Splits: pass its test$",
        ),
        (
            lambda m, s: gf.tune("ItemKNN", s, n_calls=1, trackers=3),
            TypeError,
            r"trackers must be a list, such as \['mlflow'\], not 3",
        ),
        (
            lambda m, s: gf.tune("ItemKNN", s, n_calls=1, trackers="tensorbord"),
            ValueError,
            "no tracker 'tensorbord'",
        ),
        *(
            (
                lambda m, s, given=given: gf.evaluation.backtest([m], given(s)),
                TypeError,
                r"windows must hold splits, such as those of split\.rolling\(data, 5\), not",
            )
            for given in (lambda s: s.train_data, lambda s: s, lambda s: [s.train], lambda s: 3)
        ),
        (lambda m, s: m.recommend_all(None), TypeError, "path must be the name of a file"),
        (lambda m, s: m.save(3), TypeError, "path must be the name of a file or folder, not 3"),
        (lambda m, s: gf.load(None), TypeError, "path must be the name of a file or folder, not N"),
        (
            lambda m, s: gf.PureSVD(3).fit(s.train * np.float32(1e38)),
            ValueError,
            r"X holds values up to 1e\+38, beyond what PureSVD .*: divide X by a constant$",
        ),
        (
            lambda m, s: gf.WRMF(num_factors=3).fit(s.train * np.float32(1e18)),
            ValueError,
            r"up to 1e\+18, and alpha is 1, .* divide X by a constant or choose another alpha$",
        ),
        (
            lambda m, s: gf.EASE(l2=1e300).fit(s.train),
            ValueError,
            r"up to 1, and l2 is 1e\+300, beyond what EASE .* or choose another l2$",
        ),
    ],
)
def test_what_was_answered_by_a_library_below_names_the_argument(toy_urm, call, error, words):
    split = gf.split.holdout(toy_urm)
    with pytest.raises(error, match=words):
        call(gf.ItemKNN().fit(split.train), split)


def test_one_number_or_name_in_the_place_of_a_list_is_taken(toy_urm):
    split = gf.split.holdout(toy_urm)
    model = gf.ItemKNN().fit(split.train)
    assert gf.evaluate(model, split, cutoffs=np.array(3)).cutoffs == (3,)


def test_a_split_as_validation_is_told_its_held_out_parts(toy_urm):
    splits = gf.split.paper_protocol(toy_urm, seed=1)
    with pytest.raises(TypeError, match=r"validation must .* pass its validation or early_stop$"):
        gf.BPRMF(epochs=1).fit(splits.train_small, validation=splits)


def test_held_out_interactions_in_the_place_of_y_are_refused(toy_urm, toy_held_out):
    for held_out in (toy_held_out, gf.Interactions.from_matrix(toy_held_out).csr):
        with pytest.raises(TypeError, match="y is ignored: pass held-out interactions as validat"):
            gf.ItemKNN().fit(toy_urm, held_out)
