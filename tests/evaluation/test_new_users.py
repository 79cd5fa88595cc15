"""Evaluations of people who were not fitted, by their profiles."""

import warnings

import numpy as np
import pytest

import ganmf_fast as gf

MODELS = [
    gf.EASE(l2=5.0),
    gf.ItemKNN(topk=6),
    gf.UserKNN(topk=6),
    gf.PureSVD(5),
    gf.WRMF(num_factors=4, epochs=3),
    gf.TopPopular(),
]


@pytest.fixture(scope="module")
def data() -> gf.Interactions:
    rng = np.random.default_rng(4)
    users = [f"u{u:02}" for u in np.repeat(np.arange(40), 8)]
    items = np.concatenate([rng.choice(27, 8, replace=False) for _ in range(40)])
    return gf.Interactions.from_frame({"u": users, "i": items}, "u", "i")


@pytest.fixture(scope="module")
def cold(data):
    return gf.split.cold_users(data, 0.3, seed=1)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("with_ids", [False, True])
def test_a_cold_split_is_measured_by_the_lists_of_its_profiles(model, with_ids, cold):
    model.fit(cold.train_data if with_ids else cold.train)
    ev = gf.evaluate(model, cold, cutoffs=[3, 6])
    assert ev.users.tolist() == cold.users.tolist()
    plain = type(model)(**model.get_params()).fit(cold.train)
    lists = plain.recommend(profiles=cold.profile[cold.users], n=6).items
    by_hand = gf.evaluate_lists(lists, cold.test, [3, 6], cold.train, cold.users)
    assert ev.to_dict() == by_hand.to_dict()
    if model.scorer_.needs_history:
        # The rows are known to be the same people, whose profiles may be given in place of train.
        other = gf.evaluate(model, cold.profile, cold.test, [3, 6])
        assert other["map", 6] == ev["map", 6]


@pytest.mark.parametrize("ties", ["index", "published"])
def test_blocks_workers_and_a_choice_of_users_change_nothing(cold, ties):
    model = gf.UserKNN(topk=6).fit(cold.train)
    whole = gf.evaluate(model, cold, cutoffs=[5], ties=ties)
    for options in ({"block_size": 3}, {"n_workers": 2}, {"n_threads": 1}):
        assert gf.evaluate(model, cold, cutoffs=[5], ties=ties, **options).to_dict() == (
            whole.to_dict()
        )
    some = gf.evaluate(model, cold, cutoffs=[5], ties=ties, users=cold.users[2:5])
    assert np.array_equal(some.per_user("map", 5), whole.per_user("map", 5)[2:5])


def test_profiles_need_not_be_rows_of_what_was_fitted(cold):
    model = gf.EASE(l2=5.0).fit(cold.train)
    rows = cold.users
    ev = gf.evaluate(model, None, cold.test[rows], [5], profiles=cold.profile[rows])
    whole = gf.evaluate(model, cold, cutoffs=[5])
    assert np.array_equal(ev.per_user("ndcg", 5), whole.per_user("ndcg", 5))
    assert ev["novelty", 5] == whole["novelty", 5]
    other = gf.evaluate(model, cold.profile, cold.test[rows], [5], profiles=cold.profile[rows])
    assert other["ndcg", 5] == ev["ndcg", 5]
    assert other["novelty", 5] != ev["novelty", 5]


def test_profiles_and_test_are_matched_by_the_ids_of_the_people(cold):
    model = gf.ItemKNN(topk=6).fit(cold.train_data)
    whole = gf.evaluate(model, cold, cutoffs=[5])
    rng = np.random.default_rng(0)

    def shuffled(interactions):
        frame = interactions.to_frame("dict")
        order = rng.permutation(len(frame["user"]))
        columns = {"u": frame["user"][order], "i": frame["item"][order]}
        return gf.Interactions.from_frame(columns, "u", "i")

    profiles, test = shuffled(cold.profile_data), shuffled(cold.test_data)
    ev = gf.evaluate(model, None, test, [5], profiles=profiles)
    assert ev["map", 5] == whole["map", 5]
    one = gf.evaluate(model, None, test, [5], profiles=profiles, users=[profiles.user_ids[3]])
    assert one.users.tolist() == [3]
    more = {"u": [*test.to_frame()["user"], "nobody"], "i": [*test.to_frame()["item"], 99]}
    more = gf.Interactions.from_frame(more, "u", "i")
    with pytest.raises(ValueError, match="unknown"):
        gf.evaluate(model, None, more, [5], profiles=profiles)
    ev = gf.evaluate(model, None, more, [5], profiles=profiles, unknown="skip")
    assert ev.skipped == (1, 1, 1)
    assert ev["map", 5] == whole["map", 5]
    halves = [
        gf.evaluate(model, None, more, [5], profiles=profiles, unknown="skip", users=users)
        for users in np.array_split(profiles.user_ids, 2)
    ]
    assert type(ev).merge(halves).skipped == (1, 1, 1)


def test_people_without_a_profile_have_no_list_and_count_as_zero(cold):
    model = gf.ItemKNN(topk=6).fit(cold.train)
    rows = cold.users
    profiles = cold.profile[rows].tolil()
    profiles[0] = 0
    ev = gf.evaluate(model, None, cold.test[rows], [5], profiles=profiles.tocsr())
    assert ev.without_list.tolist() == [0]
    assert ev.per_user("map", 5)[0] == 0


def test_what_leaks_or_does_not_fit_is_refused(cold, data):
    model = gf.ItemKNN(topk=6).fit(cold.train)
    for call, error, message in (
        (lambda: gf.evaluate(model, cold, cold.test), TypeError, "brings its own test"),
        (lambda: gf.evaluate(model, cold, profiles=cold.profile), TypeError, "brings its own"),
        (lambda: gf.evaluate(model, cold.train), TypeError, "test is missing"),
        (
            lambda: gf.evaluate(model, None, cold.test, profiles=cold.profile[:7]),
            ValueError,
            "test is 40 x 27 but profiles 7 x 27",
        ),
        (
            lambda: gf.evaluate(model, None, cold.test, profiles=np.ones((40, 26))),
            ValueError,
            "profiles has 26 columns but the model knows 27",
        ),
        (
            lambda: gf.evaluate(model, None, cold.test, profiles=cold.profile + cold.test),
            ValueError,
            "that profiles hold as well, such as user",
        ),
        (
            lambda: gf.evaluate(model.fit(data.csr), cold),
            ValueError,
            "that ItemKNN was fitted on, such as user",
        ),
        (
            lambda: gf.evaluate(model.fit(data), None, cold.test_data, profiles=cold.profile_data),
            ValueError,
            "that ItemKNN was fitted on, such as user 'u",
        ),
    ):
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    insisted = gf.evaluate(model.fit(data.csr), cold, allow_overlap=True)
    assert insisted["map", 5] > 0
