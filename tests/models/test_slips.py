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
