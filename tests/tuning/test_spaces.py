"""Search spaces: the packaged ranges are those of the paper; the user's tables are checked."""

import json
import math
from pathlib import Path

import pytest

from ganmf_fast import models, reference
from ganmf_fast.experiments.variants import VARIANTS
from ganmf_fast.gan.estimators import GANMF
from ganmf_fast.models.registry import model_class
from ganmf_fast.tuning import spaces
from ganmf_fast.tuning.spaces import (
    Choice,
    Int,
    Real,
    Space,
    packaged_space,
    read_spaces,
    table_for,
    without,
)
from ganmf_fast.tuning.trial import Trial

ML_1M = (6040, 3706)


def space_of(model: str, fixed: dict | None = None, shape: tuple[int, int] = ML_1M) -> Space:
    table = packaged_space(model)
    assert table is not None
    params = {**model_class(model)().get_params(), **(fixed or {})}
    return Space.resolve(without(table, fixed or {}), params, shape)


def test_packaged_spaces_are_those_that_journals_were_written_with() -> None:
    """The order of dimensions decides every suggestion, and a range a journal's header."""
    expected = json.loads((Path(__file__).parent / "packaged_spaces.json").read_text())
    found = {name: packaged_space(name) for name in models.NAMES}
    for name, table in expected.items():
        # As text: True is not 1 here, and entries have an order.
        assert json.dumps(list(found[name])) == json.dumps(list(table)), name
        for parameter, given in table.items():
            mine = json.dumps(found[name][parameter], sort_keys=True)
            assert mine == json.dumps(given, sort_keys=True), (name, parameter)


def test_declared_ranges_are_searched_in_the_packaged_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = {
        "topk": {"int": [5, 1000], "at_most": "items"},
        "shrink": 3,
        "epochs": {"int": [1, 9]},
    }
    further = {"choice": [1], "counts_as": "topk"}
    packaged = {"order": {"WRMF": ["epochs", "again", "topk"]}, "WRMF": {"again": further}}
    monkeypatch.setattr(spaces, "search_ranges", lambda _cls: declared)
    monkeypatch.setattr(spaces, "_packaged", lambda: packaged)
    found = packaged_space("WRMF")
    assert list(found.items()) == [
        ("epochs", {"int": [1, 9]}),
        ("again", further),
        ("topk", declared["topk"]),
    ]
    # A model that is not named has the order of declaration; the table is a copy.
    assert list(packaged_space("EASE").items()) == list(declared.items())
    packaged_space("EASE")["topk"]["int"] = None
    assert packaged_space("EASE") == declared


def test_every_model_with_something_to_search_has_ranges_of_its_own_parameters() -> None:
    for name in models.NAMES:
        if name in ("TopPopular", "Random"):
            assert packaged_space(name) is None
            continue
        space = space_of(name)
        known = model_class(name)().get_params()
        assert {*space.effective, *space.constants} <= set(known), name
        for dimension in space.dimensions.values():
            if isinstance(dimension, Int | Real):
                assert dimension.low < dimension.high


def test_every_value_of_a_range_is_one_that_the_model_takes() -> None:
    for row in VARIANTS:
        if packaged_space(row.model) is None:
            continue
        space = space_of(row.model, dict(row.fixed))
        for end in (0, -1):
            values = {
                name: dim.choices[end] if isinstance(dim, Choice) else (dim.low, dim.high)[end]
                for name, dim in space.dimensions.items()
            }
            params = {**row.fixed, **space.constants, **space.params(values)}
            model_class(row.model)(**params)._validate_params()


@pytest.mark.slow
def test_random_trials_of_the_papers_seed_contain_parameters_that_its_authors_published() -> None:
    """Only the same ranges in the same order give the same numbers, to the last digit."""
    pytest.importorskip("skopt", reason="the random trials are scikit-optimize's")
    from ganmf_fast.tuning.backends import Skopt

    found = set()
    for row in VARIANTS:
        if packaged_space(row.model) is None:
            continue
        space = space_of(row.model, dict(row.fixed))
        backend = Skopt(space.dimensions, n_initial=11, seed=1337)
        asked = []
        for number in range(10):
            asked.append({**row.fixed, **space.constants, **space.params(backend.ask())})
            backend.tell(Trial(number, asked[-1], "done", 0.0))
        for dataset in reference.dataset_names():
            published = reference.best_params(dataset, row.name) or {}
            if published and any(same(published, params) for params in asked):
                found.add((row.name, dataset))
    assert found >= {
        ("PureSVD", "lastfm"),
        ("ItemKNN-jaccard", "ml-1m"),
        ("ItemKNN-dice", "ml-1m"),
        ("ItemKNN-tversky", "ml-1m"),
        ("ItemKNN-euclidean", "hetrec2011"),
        ("P3alpha", "hetrec2011"),
        ("SLIM-BPR", "ml-1m"),
        ("SLIM-BPR", "hetrec2011"),
        ("WRMF", "ml-1m"),
        ("WRMF", "hetrec2011"),
        ("WRMF", "lastfm"),
        ("binGANMF-i", "ml-1m"),
        ("CFGAN-i", "ml-1m"),
        ("CAAE", "ml-1m"),
    }


def same(published: dict, params: dict) -> bool:
    """Equal but for the epochs, which early stopping finds."""
    return all(
        math.isclose(params[name], value, rel_tol=1e-12)
        if isinstance(value, float)
        else params[name] == value
        for name, value in published.items()
        if name != "epochs"
    )


def test_ranges_are_clipped_to_the_matrix() -> None:
    small = (30, 20)
    assert space_of("PureSVD", shape=small).dimensions["num_factors"] == Int(1, 20)
    assert space_of("ItemKNN", shape=small).dimensions["topk"] == Int(5, 20)
    assert space_of("UserKNN", shape=small).dimensions["topk"] == Int(5, 30)
    assert space_of("GANMF", shape=small).dimensions["emb_dim"] == Int(4, 15)
    assert space_of("GANMF", shape=(30, 1024)).dimensions["emb_dim"] == Int(4, 768)
    assert space_of("GANMF", shape=(30, 1025)).dimensions["emb_dim"] == Int(4, 1024)
    # What is left of a range is a constant where it is a single number.
    assert space_of("ItemKNN", shape=(30, 4)).constants["topk"] == 4


def test_a_range_can_depend_on_another_parameter() -> None:
    assert "tversky_alpha" in space_of("ItemKNN", {"similarity": "tversky"}).dimensions
    cosine = space_of("ItemKNN", {"similarity": "cosine"}).dimensions
    assert "tversky_alpha" not in cosine
    assert cosine["similarity"] == Choice(("cosine",))
    assert cosine["normalize"] == Choice((True, False))


def test_losses_of_ganmf_are_searched_where_there_is_dropout_after_all_that_is_published() -> None:
    published = list(space_of("GANMF").dimensions)
    assert published[-1] == "emb_dim"
    added = ["d_dropout", "d_emphasis", "matching"]
    tuned = GANMF(d_dropout=0.1).get_params()
    found = Space.resolve(packaged_space("GANMF"), tuned, ML_1M)
    assert list(found.dimensions) == published + added
    assert list(space_of("GANMF", {"d_dropout": 0.1}).dimensions) == published + added[1:]
    with pytest.raises(ValueError, match="when of topk must be values or"):
        Space.resolve({"topk": {"int": [1, 9], "when": {"shrink": {"below": 1}}}}, {}, (9, 9))


def test_a_parameter_with_two_dimensions_has_the_value_of_the_second() -> None:
    space = space_of("ItemKNN", {"similarity": "asymmetric"})
    assert list(space.dimensions)[2:] == [
        "normalize", "similarity", "asymmetric_alpha", "normalize_again"
    ]  # fmt: skip
    assert space.dimensions["normalize"] == Choice((True, False))
    assert space.effective["normalize"] == Choice((True,))
    assert "normalize_again" not in space.effective
    asked = {"topk": 9, "normalize": False, "normalize_again": True}
    assert space.params(asked) == {"topk": 9, "normalize": True}
    # A header of a journal holds the table, and gives the same space again.
    assert Space.resolve(space.to_dict(), {}, (0, 0)) == space
    fixed = space_of("ItemKNN", {"similarity": "asymmetric", "normalize": True})
    assert "normalize" not in fixed.effective
    assert fixed.constants["normalize"] is True


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"topk": {"int": [5]}}, "topk"),
        ({"topk": {"int": [5, 9], "counts_as": "shrink"}}, "counts_as of topk .*, not 'shrink'"),
        ({"topk": {"int": [5, 9], "counts_as": "topk"}}, "counts_as of topk .*, not 'topk'"),
        ({"topk": {"int": [5, 5]}}, r"low < high, not \[5, 5\]"),
        ({"topk": {"int": [5, 9.5]}}, "whole number, not 9.5"),
        ({"topk": {"int": [5, 9], "choice": [1]}}, "topk"),
        ({"topk": {"integer": [5, 9]}}, "integer"),
        ({"alpha": {"real": [0.0, 1.0], "log": True}}, "0 < low < high"),
        ({"alpha": {"real": [0.0, float("inf")]}}, "inf"),
        ({"alpha": {"choice": []}}, "at least one value"),
        ({"alpha": {"choice": [[1]]}}, "alpha"),
        ({"alpha": [3]}, "alpha"),
        ({"topk": {"int": [1, 9], "at_most": "item"}}, "'item'"),
        ({"topk": {"int": [1, 9], "when": 3}}, "when of topk"),
    ],
)
def test_a_table_of_another_form_is_refused_in_one_sentence(table: dict, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said) as caught:
        Space.resolve(table, {}, ML_1M)
    assert "\n" not in str(caught.value)


def test_a_toml_file_takes_the_place_of_the_packaged_table(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[ItemKNN]\ntopk = { int = [3, 9] }\nshrink = 4\n")
    assert table_for("ItemKNN", path) == ({"topk": {"int": [3, 9]}, "shrink": 4}, False)
    assert table_for("P3alpha", path) == (packaged_space("P3alpha"), True)
    path.write_text("[ItemKN]\ntopk = 3\n")
    with pytest.raises(ValueError, match="did you mean 'ItemKNN'"):
        table_for("ItemKNN", path)
    path.write_text("topk = 3\n")
    with pytest.raises(ValueError, match="topk is 3"):
        read_spaces(path)
    path.write_text("topk = \n")
    with pytest.raises(ValueError, match=r"mine\.toml is not valid TOML"):
        read_spaces(path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_spaces(tmp_path / "absent.toml")


def test_a_model_without_ranges_needs_a_space() -> None:
    with pytest.raises(ValueError, match="space must be given for Mine"):
        table_for("Mine", None)
    with pytest.raises(TypeError, match="space must be a dict or the path"):
        table_for("ItemKNN", 3)
