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
