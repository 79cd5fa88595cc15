"""Models are estimators of scikit-learn, as far as a recommender can be one."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.utils.estimator_checks import check_estimator

import ganmf_fast as gf
from ganmf_fast.base.urm import to_scipy

ms = gf.model_selection

# What scikit-learn expects and a recommender is not, with the reason.
EXPECTED_FAILURES = {
    "check_fit_score_takes_y": "scores on what was fitted, which is refused",
    "check_pipeline_consistency": "scores on what was fitted, which is refused",
    "check_n_features_in_after_fitting": "wants its own words for an X of another width",
    "check_positive_only_tag_during_fit": "wants its own words; ours name the value and its place",
    "check_complex_data": "wants a ValueError; a wrong type is a TypeError here",
    "check_dtype_object": "numbers within objects are refused, not converted",
    "check_estimators_empty_data_messages": "wants its own words for a matrix without columns",
    "check_estimators_nan_inf": "wants its own words; ours name the value and its place",
}


@pytest.mark.parametrize("model", [gf.ItemKNN(topk=3), gf.WRMF(num_factors=2, epochs=2)])
def test_the_checks_of_scikit_learn_fail_where_it_is_known_why(model):
    found = check_estimator(model, on_fail=None, on_skip=None)
    failed = {one["check_name"] for one in found if one["status"] == "failed"}
    assert failed == set(EXPECTED_FAILURES)
    assert sum(one["status"] == "passed" for one in found) > 30


@pytest.fixture
def samples(toy_urm) -> ms.InteractionSamples:
    return ms.InteractionSamples(toy_urm)


def test_folds_are_those_of_k_fold_and_hold_every_interaction_once(samples, toy_urm):
    cv = ms.InteractionKFold(4, seed=3)
    seen = np.zeros(len(samples), dtype=int)
    for (train, test), split in zip(
        cv.split(samples), gf.split.k_fold(toy_urm, 4, seed=3), strict=True
    ):
        seen[test] += 1
        assert len(train) + len(test) == toy_urm.nnz
        assert (samples[train] != split.train).nnz == 0
        assert (samples[test] != split.test).nnz == 0
    assert (seen == 1).all()
    assert cv.get_n_splits() == 4


def test_cross_validation_is_a_loop_over_the_folds(samples, toy_urm):
    found = cross_validate(
        gf.ItemKNN(topk=5),
        samples,
        cv=ms.InteractionKFold(3),
        scoring={"ndcg": ms.RankingScorer("ndcg", 10), "map": ms.RankingScorer()},
    )
    for fold, split in enumerate(gf.split.k_fold(toy_urm, 3)):
        model = gf.ItemKNN(topk=5).fit(split.train)
        ev = gf.evaluate(model, split.train, split.test, cutoffs=(5, 10))
        assert found["test_ndcg"][fold] == ev["ndcg", 10]
        assert found["test_map"][fold] == ev["map", 5] == model.score(split.test)


def test_a_grid_search_finds_the_best_parameters_and_fits_them_on_everything(toy_urm):
    data = gf.Interactions.from_matrix(
        toy_urm, [f"u{n}" for n in range(60)], [f"i{n}" for n in range(40)]
    )
    grid = GridSearchCV(
        gf.ItemKNN(), {"topk": [1, 5, 30]}, cv=ms.InteractionKFold(3), scoring=ms.RankingScorer()
    )
    grid.fit(ms.InteractionSamples(data))
    values = [
        np.mean([gf.ItemKNN(topk=k).fit(s.train).score(s.test) for s in gf.split.k_fold(data, 3)])
        for k in (1, 5, 30)
    ]
    np.testing.assert_allclose(grid.cv_results_["mean_test_score"], values, 1e-12)
    assert grid.best_params_ == {"topk": (1, 5, 30)[int(np.argmax(values))]}
    best = grid.best_estimator_
    assert (to_scipy(best.urm_) != data.urm).nnz == 0
    # Ids go along.
    assert best.recommend(["u3"], n=2)["user"].tolist() == ["u3", "u3"]


def test_values_and_times_stay_with_their_interactions():
    rng = np.random.default_rng(1)
    frame = {
        "u": rng.integers(9, size=40),
        "i": rng.integers(7, size=40),
        "r": rng.random(40) + 1,
        "t": np.arange(40),
    }
    data = gf.Interactions.from_frame(frame, "u", "i", "r", "t", duplicates="last")
    samples = ms.InteractionSamples(data)
    part = samples[np.array([0, 3, 5])]
    whole = data.to_frame()
    for name, column in part.to_frame().items():
        assert column.tolist() == whole[name][[0, 3, 5]].tolist()
    assert part.shape == data.shape


def test_folds_of_rows_are_refused_with_the_reason(toy_urm, samples):
    with pytest.raises(TypeError, match="folds of rows are folds of users"):
        next(ms.InteractionKFold().split(toy_urm))
    with pytest.raises(ValueError, match="X is 20 x 40 but the model knows 40 users"):
        cross_validate(gf.ItemKNN(), toy_urm, cv=KFold(3), error_score="raise")


@pytest.mark.parametrize("cv", [5, None, KFold(4)])
@pytest.mark.parametrize("scoring", [None, ms.RankingScorer("recall", 3)])
def test_folds_of_neighbours_which_are_users_are_refused_with_the_way_out(samples, cv, scoring):
    words = r"and \d+ of them had none .* by cv=gf.model_selection.InteractionKFold\(\)"
    with pytest.raises(ValueError, match=words):
        cross_validate(gf.ItemKNN(), samples, cv=cv, scoring=scoring, error_score="raise")
    # The same list for everybody needs no profile.
    assert cross_validate(gf.TopPopular(), samples, cv=cv)["test_score"].min() > 0


def test_score_counts_a_few_unknown_users_as_zero(toy_urm):
    split = gf.split.holdout(toy_urm)
    train = split.train.tolil()
    train[:20] = 0
    value = gf.ItemKNN().fit(train.tocsr()).score(split.test)
    assert 0 < value < gf.ItemKNN().fit(split.train).score(split.test)


def test_score_refuses_what_it_cannot_measure(toy_urm):
    split = gf.split.holdout(toy_urm)
    model = gf.ItemKNN().fit(split.train)
    assert 0 < model.score(split.test, metric="recall", k=10) < 1
    with pytest.raises(ValueError, match=r"that ItemKNN was fitted on, .*: fit on train alone"):
        model.score(toy_urm)
    with pytest.raises(ValueError, match="metrics has no 'mapp'"):
        model.score(split.test, metric="mapp")
    with pytest.raises(TypeError, match="y is ignored: pass held-out interactions as validation="):
        gf.WRMF().fit(split.train, split.test)


def test_what_is_no_metric_or_number_of_folds_is_refused_when_it_is_made():
    with pytest.raises(ValueError, match="metrics has no 'mapp'"):
        ms.RankingScorer("mapp")
    with pytest.raises(ValueError, match="n_splits must be between 2 and 255, not 1"):
        ms.InteractionKFold(1)
