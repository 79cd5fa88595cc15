"""Splits by rule: what is held out, of whom, and what is said about it."""

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import split
from ganmf_fast.split import ColdSplit, Split


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """300 users with 1 to 40 interactions, string ids, times from 0 to 999."""
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user:03}", f"i{item:02}", int(rng.integers(1000)), float(rng.integers(1, 6)))
        for user in range(300)
        for item in rng.choice(60, size=1 + user % 40, replace=False)
    ]
    return pl.DataFrame(rows, schema=["user", "item", "time", "stars"], orient="row")


@pytest.fixture(scope="module")
def data(log) -> gf.Interactions:
    return gf.Interactions.from_frame(log, "user", "item", "stars", "time")


def made(X, **kwargs) -> dict[str, Split]:
    """One split by each rule that draws."""
    return {
        "holdout": split.holdout(X, **kwargs),
        "global": split.holdout(X, 0.3, per_user=False, **kwargs),
        "count": split.holdout(X, 2, **kwargs),
        "leave": split.leave_k_out(X, 3, **kwargs),
        "fold": split.k_fold(X, 4, **kwargs)[2],
        "global fold": split.k_fold(X, 4, per_user=False, **kwargs)[2],
        "cold": split.cold_users(X, 0.2, **kwargs),
    }


def timed(X) -> dict[str, Split]:
    return {
        "cut": split.temporal(X, 0.25),
        "at": split.temporal(X, cut=500),
        "count": split.temporal(X, 40),
        "user": split.temporal(X, 0.25, per_user=True),
        "last": split.temporal(X, 1, per_user=True),
    }


def pairs(s: Split) -> set[tuple[str, str]]:
    """Ids of what is held out."""
    coo = s.test.tocoo()
    held = s.test_data
    return set(zip(held.user_ids[coo.row], held.item_ids[coo.col], strict=True))


@pytest.mark.parametrize("rule", [*made(np.ones((9, 9))), "time cut", "time user"])
def test_the_sides_share_nothing_and_lose_nothing(data, rule):
    s = timed(data)[rule.removeprefix("time ")] if rule.startswith("time") else made(data)[rule]
    sides = [s.train, s.test] + ([s.profile] if isinstance(s, ColdSplit) else [])
    total = sum(side.toarray() for side in sides)
    np.testing.assert_array_equal(total, data.urm.toarray())
    assert sum(side.nnz for side in sides) == data.n_interactions
    assert s.test.nnz > 0
    assert s.train.nnz > 0
    np.testing.assert_array_equal(s.train_data.user_ids, data.user_ids)
    np.testing.assert_array_equal(s.test_data.item_ids, data.item_ids)


def test_the_order_of_lines_changes_nothing(log, data):
    mixed = gf.Interactions.from_frame(
        log.sample(fraction=1, shuffle=True, seed=5), "user", "item", "stars", "time"
    )
    for here, there in ((made, made), (timed, timed)):
        for (rule, a), b in zip(here(data).items(), there(mixed).values(), strict=True):
            assert pairs(a) == pairs(b), rule


@pytest.mark.usefixtures("threads_restored")
def test_thread_count_changes_nothing_and_the_seed_everything(data):
    gf.set_num_threads(1)
    one = {rule: pairs(s) for rule, s in made(data).items()}
    gf.set_num_threads(3)
    three = {rule: pairs(s) for rule, s in made(data).items()}
    assert one == three
    for rule, s in made(data, seed=1).items():
        assert pairs(s) != one[rule], rule


def test_a_user_is_on_both_sides_or_reported(data):
    lengths = np.diff(data.csr.indptr)
    for s in (split.holdout(data), split.holdout(data, 0.99), split.holdout(data, 7)):
        train, test = np.diff(s.train.indptr), np.diff(s.test.indptr)
        both = lengths >= 2
        assert (train[both] >= 1).all()
        assert (test[both] >= 1).all()
        np.testing.assert_array_equal(s.users_without_test, np.flatnonzero(lengths == 1))
        assert not len(s.users_without_train)
    s = split.holdout(data, 0.7, per_user=False)
    train, test = np.diff(s.train.indptr), np.diff(s.test.indptr)
    np.testing.assert_array_equal(s.users_without_train, np.flatnonzero(train == 0))
    np.testing.assert_array_equal(s.users_without_test, np.flatnonzero(test == 0))
    assert f"{len(s.users_without_train)} users have nothing in train" in repr(s)


def test_sizes_are_what_was_asked_for(data):
    lengths = np.diff(data.csr.indptr)
    test = np.diff(split.holdout(data, 0.2).test.indptr)
    wanted = np.floor(lengths * 0.2 + 0.5).clip(1, np.maximum(lengths - 1, 0))
    np.testing.assert_array_equal(test, np.where(lengths < 2, 0, wanted))
    assert split.holdout(data, 123, per_user=False).test.nnz == 123
    test = np.diff(split.leave_k_out(data, 3).test.indptr)
    np.testing.assert_array_equal(test, np.where(lengths > 3, 3, 0))


def test_folds_part_everything_and_are_balanced(data):
    folds = split.k_fold(data, 4)
    assert len(folds) == 4
    held = [s.test.toarray() for s in folds]
    np.testing.assert_array_equal(sum(held), data.urm.toarray())
    per_user = np.array([(h > 0).sum(axis=1) for h in held])
    assert np.ptp(per_user, axis=0).max() <= 1
    assert folds[-1].test.nnz == held[3].astype(bool).sum()
    with pytest.raises(IndexError):
        folds[4]


def test_a_user_of_two_is_in_the_training_set_of_every_fold(data):
    lengths = np.diff(data.csr.indptr)
    for s in split.k_fold(data, 5):
        alone = np.flatnonzero(lengths[s.users_without_train] >= 2)
        assert not len(alone)


def test_the_cut_parts_time_and_the_newcomers_are_reported(data):
    s = split.temporal(data, 0.25)
    train, test = s.train_data.timestamps, s.test_data.timestamps
    assert train.max() < test.min() == s.cut
    assert len(test) >= 0.25 * data.n_interactions
    assert len(test) - (test == s.cut).sum() < 0.25 * data.n_interactions
    assert s.warnings == ()
    newcomers = np.flatnonzero((np.diff(s.train.indptr) == 0) & (np.diff(s.test.indptr) > 0))
    np.testing.assert_array_equal(s.users_without_train, newcomers)
    fresh = set(s.test.indices) - set(s.train.indices)
    assert set(s.items_without_train) == fresh
    assert split.temporal(data, cut=500).cut >= 500


def test_the_latest_of_each_user_are_held_out(data):
    s = split.temporal(data, 2, per_user=True)
    train, test = s.train_data, s.test_data
    for user in range(data.n_users):
        old = train.timestamps[train.csr.indptr[user] : train.csr.indptr[user + 1]]
        new = test.timestamps[test.csr.indptr[user] : test.csr.indptr[user + 1]]
        if len(old) and len(new):
            assert old.max() <= new.min()
        assert len(new) == min(2, max(len(old) + len(new) - 1, 0))


@pytest.mark.parametrize(
    "convert",
    [
        lambda t: t,
        lambda t: t.cast(pl.Float64) - 500.5,
        lambda t: t.cast(pl.Int32),
        lambda t: (t * 86_400_000_000).cast(pl.Datetime("us")),
        lambda t: t.cast(pl.Date),
    ],
)
def test_times_of_every_kind_give_one_split(log, data, convert):
    other = log.with_columns(convert(pl.col("time")))
    again = gf.Interactions.from_frame(other, "user", "item", "stars", "time")
    assert pairs(split.temporal(again, 0.25)) == pairs(split.temporal(data, 0.25))
    assert pairs(split.temporal(again, 2, per_user=True)) == pairs(
        split.temporal(data, 2, per_user=True)
    )


def test_a_date_cuts_a_log_of_moments(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item,at\na,x,2024-01-01T10:00:00\na,y,2024-01-02T00:00:00\nb,x,2024-01-01T23:59:59\n"
        "b,z,2024-03-01T00:00:00\n"
    )
    data = gf.Interactions.from_csv(path, "user", "item", timestamp="at")
    for cut in ("2024-01-02", dt.date(2024, 1, 2), np.datetime64("2024-01-02T00")):
        assert pairs(split.temporal(data, cut=cut)) == {("a", "y"), ("b", "z")}
    assert pairs(split.temporal(data, cut="2024-01-02T00:00:01")) == {("b", "z")}
    frame = pd.read_csv(path, parse_dates=["at"])
    again = gf.Interactions.from_frame(frame, "user", "item", timestamp="at")
    assert pairs(split.temporal(again, cut="2024-01-02")) == {("a", "y"), ("b", "z")}


@pytest.mark.parametrize("zone", ["+05:00", "-0500", "Z", " z", "+00:00"])
def test_a_moment_with_a_time_zone_is_not_mixed_with_times_that_have_none(zone):
    days = np.array(["2024-01-01T00", "2024-01-02T12"], dtype="datetime64[us]")
    data = gf.Interactions.from_matrix(np.ones((1, 2)), timestamps=days)
    cuts = [f"2024-01-02T00:00{zone}", dt.datetime(2024, 1, 2, tzinfo=dt.UTC)]
    for cut in (*cuts, pd.Timestamp("2024-01-02", tz="Asia/Tokyo")):
        with pytest.raises(ValueError, match="cut must be without a time zone"):
            split.temporal(data, cut=cut)
    assert split.temporal(data, cut="2024-01-02T00:00").test.nnz == 1


@pytest.mark.parametrize("cut", ["2024-01-01\u202e", "\x1b[2J", "2024-01-02T00:00\u202eZ"])
def test_a_refused_moment_is_shown_without_what_a_terminal_obeys(cut):
    days = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")
    data = gf.Interactions.from_matrix(np.ones((1, 2)), timestamps=days)
    for size in (None, 1):
        with pytest.raises((TypeError, ValueError)) as caught:
            split.temporal(data, size, cut=cut)
        assert str(caught.value).isprintable()
        assert repr(cut) in str(caught.value)


def test_a_day_is_cut_at_midnight():
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]")
    data = gf.Interactions.from_matrix(np.ones((1, 3)), timestamps=days)
    assert split.temporal(data, cut="2024-01-02").test.nnz == 2
    assert split.temporal(data, cut="2024-01-02T12:00").test.nnz == 1


def test_cold_users_have_a_profile_and_a_target_and_no_training(data):
    s = split.cold_users(data, 0.2, target_size=0.5, seed=4)
    lengths = np.diff(data.csr.indptr)
    assert len(s.users) == round(0.2 * (lengths >= 2).sum())
    train, profile, test = (np.diff(m.indptr) for m in (s.train, s.profile, s.test))
    np.testing.assert_array_equal(np.flatnonzero(profile), s.users)
    np.testing.assert_array_equal(np.flatnonzero(test), s.users)
    assert not train[s.users].any()
    warm = np.setdiff1d(np.arange(300), s.users)
    np.testing.assert_array_equal(train[warm], lengths[warm])
    model = gf.ItemKNN(topk=10).fit(s.train)
    assert model.fold_in(s.profile[s.users]).shape == (len(s.users), 60)
    assert f"{len(s.users)} users held out" in repr(s)
    assert len(s.profile_data.timestamps) == s.profile.nnz


def test_a_core_holds_enough_of_everything_with_ids_and_times(log, data):
    core = split.k_core(data, 12, 70)
    assert np.diff(core.csr.indptr).min() >= 12
    assert np.bincount(core.csr.indices).min() >= 70
    assert core.n_interactions < data.n_interactions
    when = {(u, i): t for u, i, t, _ in log.iter_rows()}
    coo = core.urm.tocoo()
    expected = [
        when[u, i] for u, i in zip(core.user_ids[coo.row], core.item_ids[coo.col], strict=True)
    ]
    assert core.timestamps.tolist() == expected
    plain = split.k_core(data.urm, 12, 70)
    np.testing.assert_array_equal(data.user_ids[plain.user_ids], core.user_ids)
    again = split.k_core(core, 12, 70)
    assert again.data_hash == core.data_hash


def test_a_random_split_of_timed_data_warns_and_others_do_not(data):
    for rule, s in made(data).items():
        if rule == "cold":
            continue
        assert len(s.warnings) == 1, rule
        assert "ignored the timestamps" in repr(s)
    s = split.holdout(data, 1)
    newest = {
        u: t.max() for u, t in enumerate(np.split(s.train_data.timestamps, ends(s.train))) if len(t)
    }
    older = sum(
        t < newest.get(u, -1)
        for u, ts in enumerate(np.split(s.test_data.timestamps, ends(s.test)))
        for t in ts
    )
    assert f"{older:,} of {s.test.nnz:,} held-out interactions are older" in s.warnings[0]
    assert all(s.warnings == () for s in timed(data).values())
    assert split.holdout(data.urm).warnings == ()


def ends(matrix):
    return matrix.indptr[1:-1]


def test_the_papers_sets_warn_too_and_remember_it(data, tmp_path):
    s = split.paper_protocol(data)
    assert len(s.warnings) == 2  # the other is about users with one interaction
    assert f"of {s.test.nnz:,} held-out interactions are older" in s.warnings[0]
    s.save(tmp_path)
    assert gf.Splits.load(tmp_path).warnings == s.warnings
    assert len(split.paper_protocol(data.urm).warnings) == 1


def test_a_side_can_be_split_again(data):
    outer = split.temporal(data, 0.2)
    inner = split.temporal(outer.train_data, 0.2)
    assert inner.test_data.timestamps.max() < outer.cut
    assert inner.train.shape == outer.train.shape


def test_a_plain_matrix_needs_no_ids():
    s = split.holdout(sp.csr_array(np.ones((4, 5))), 2)
    assert s.test.nnz == 8
    assert s.test_data.user_ids.tolist() == [0, 1, 2, 3]
    assert s.test.dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: split.holdout(d, 0.0), ValueError, "test_size must lie between 0 and 1"),
        (lambda d: split.holdout(d, 2.0), ValueError, "not 2.0; write 2 for a count"),
        (lambda d: split.holdout(d, 0), ValueError, "test_size must be at least 1, not 0"),
        (lambda d: split.holdout(d, "all"), TypeError, "test_size must be a fraction"),
        (lambda d: split.holdout(d, True), TypeError, "test_size must be a fraction"),
        (lambda d: split.holdout(d, 10**9, per_user=False), ValueError, "test_size is 1000000000"),
        (lambda d: split.holdout(d, seed=-1), ValueError, "seed must be between"),
        (lambda d: split.holdout(d, seed=1.0), TypeError, "seed must be an integer"),
        (lambda d: split.leave_k_out(d, 0), ValueError, "k must be at least 1, not 0"),
        (lambda d: split.leave_k_out(d, 1.5), TypeError, "k must be an integer"),
        (lambda d: split.k_fold(d, 1), ValueError, "n_splits must be between 2 and 255"),
        (lambda d: split.cold_users(d, 10**6), ValueError, "n_users asks for 1000000 of the"),
        (lambda d: split.cold_users(d, 0.1, 1.5), ValueError, "target_size must lie between"),
        (lambda d: split.k_core(d, 10**6), ValueError, "no user with 1000000 interactions"),
        (lambda d: split.k_core(d, 0), ValueError, "user_min must be at least 1"),
        (lambda d: split.temporal(d.urm), ValueError, "temporal needs Interactions with timest"),
        (lambda d: split.temporal(d, cut=-1), ValueError, "cut leaves no interaction before it"),
        (lambda d: split.temporal(d, cut=9999), ValueError, "no interaction at or after it"),
        (lambda d: split.temporal(d, cut="noon"), TypeError, "cut must be a number"),
        (lambda d: split.temporal(d, cut=5, per_user=True), ValueError, "cut is one moment"),
        (lambda d: split.temporal(d, cut=float("inf")), TypeError, "cut must be a number"),
        (lambda d: split.holdout(d, float("inf")), ValueError, "test_size must lie between"),
        (lambda d: split.temporal(d, cut=True), TypeError, "cut must be a number, .* not True"),
        (lambda d: split.temporal(d, 0.5, cut=5), ValueError, "test_size and cut both say where"),
        (lambda d: split.leave_k_out(d, 10**6), ValueError, r"k is 1000000, but no user .* lower"),
        (lambda d: split.holdout(np.eye(3)), ValueError, "X has no user with two .* pass per_user"),
    ],
)
def test_a_bad_argument_is_named(data, call, error, words):
    with pytest.raises(error, match=words):
        call(data)


def test_times_that_are_all_equal_cannot_be_cut():
    data = gf.Interactions.from_matrix(np.ones((2, 3)), timestamps=np.zeros(6))
    with pytest.raises(ValueError, match="too many are equal"):
        split.temporal(data)
    assert split.temporal(data, 1, per_user=True).test.indices.tolist() == [2, 2]


def test_timestamps_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"timestamps must have shape \(6,\), not \(5,\)"):
        gf.Interactions.from_matrix(np.ones((2, 3)), timestamps=np.zeros(5))


def windows_of(log, cuts, train_span=None):
    """Pairs of each window's train and test, from the rows themselves."""
    for start, end in itertools.pairwise(cuts):
        past = log.filter(pl.col("time") < start)
        if train_span is not None:
            past = past.filter(pl.col("time") >= start - train_span)
        test = log.filter(pl.col("time").is_between(start, end, closed="left"))
        yield tuple(set(part["user", "item"].iter_rows()) for part in (past, test))


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"windows": 1, "test_size": 0.3},
        {"windows": 3, "test_size": 700},
        {"windows": 4, "span": 120},
        {"windows": 4, "span": 120, "train_span": 250},
    ],
)
def test_a_window_is_predicted_from_what_lies_before_it(log, data, kwargs):
    windows = split.rolling(data, **kwargs)
    # Times are from 0 to 999, and the last one is there: the end lies right after it.
    assert windows.cuts[-1] == 1000
    assert len(windows) == kwargs.get("windows", 5)
    parts = zip(windows, windows_of(log, windows.cuts, kwargs.get("train_span")), strict=True)
    for s, (train, test) in parts:
        assert {tuple(pair) for pair in pairs(s)} == test
        coo = s.train.tocoo()
        ids = s.train_data.user_ids[coo.row], s.train_data.item_ids[coo.col]
        assert set(zip(*ids, strict=True)) == train
        assert s.train_data.timestamps.max() < s.test_data.timestamps.min() == s.cut
    if "span" in kwargs:
        assert np.diff(windows.cuts).tolist() == [kwargs["span"]] * kwargs["windows"]
    else:
        size = kwargs.get("test_size", 1 / 6)
        count = size if size >= 1 else int(size * len(data))
        # Equal but for interactions of one moment, which are never separated.
        alike = int(log["time"].value_counts()["count"].max())
        assert all(abs(s.test.nnz - count) <= alike for s in windows)


def test_interactions_of_one_moment_are_in_one_window():
    times = [0, 1, 1, 1, 1, 1, 2, 3]
    data = gf.Interactions.from_frame(
        {"u": list("abcdefgh"), "i": [1, 2] * 4, "t": times}, "u", "i", timestamp="t"
    )
    assert [s.test_data.timestamps.tolist() for s in split.rolling(data, 2, test_size=2)] == [
        [1] * 5,
        [2, 3],
    ]
    with pytest.raises(ValueError, match="window 0, from 1 on and before 1, holds no interaction"):
        split.rolling(data, 3, test_size=2)


@pytest.mark.parametrize("unit", ["time", "dates"])
def test_a_span_of_dates_is_in_days(log, unit):
    dates = log.with_columns(dates=pl.datetime(2024, 1, 1) + pl.duration(hours=pl.col("time") * 24))
    data = gf.Interactions.from_frame(dates, "user", "item", timestamp=unit)
    spans = [7, dt.timedelta(days=7), np.timedelta64(7, "D")] if unit == "dates" else [7]
    seven = [[s.test.nnz for s in split.rolling(data, 3, span=span)] for span in spans]
    assert seven == [
        [log.filter(pl.col("time").is_between(low, low + 6)).height for low in (979, 986, 993)]
    ] * len(spans)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"windows": 0}, "windows must be between 1 and 254"),
        ({"windows": 300}, "windows must be between 1 and 254"),
        ({"test_size": 0.2}, "one must remain before them"),
        ({"test_size": 1.0}, "test_size must lie between"),
        ({"test_size": 5, "span": 9}, "give one of them"),
        ({"span": 0}, "span must be greater than 0"),
        ({"span": 0.5}, "span must be positive and whole"),
        ({"span": 500}, "no interaction before the first"),
        ({"train_span": -1}, "train_span must be greater than 0"),
    ],
)
def test_windows_that_cannot_be_are_refused(data, kwargs, words):
    with pytest.raises(ValueError, match=words):
        split.rolling(data, **kwargs)
    with pytest.raises(ValueError, match="rolling needs Interactions with timestamps"):
        split.rolling(data.urm)


@pytest.mark.parametrize("rule", ["holdout", "fold", "leave", "cold", "time cut", "time user"])
def test_any_split_becomes_five_sets(data, tmp_path, rule):
    by_time = rule.startswith("time ")
    s = timed(data)[rule.removeprefix("time ")] if by_time else made(data)[rule]
    five = gf.Splits.from_split(s)
    assert (five.train != s.train).nnz == (five.test != s.test).nnz == 0
    inner = five.train_small + five.validation + five.early_stop
    assert (inner != five.train).nnz == 0
    assert five.validation.nnz == pytest.approx(five.train.nnz / 4, rel=0.05)
    assert five.early_stop.nnz == pytest.approx(five.train.nnz * 0.75 * 0.15, rel=0.15)
    assert five.user_ids.tolist() == data.user_ids.tolist()
    assert five.rule == s.rule

    folder = tmp_path / "s"
    five.save(folder)
    again = gf.Splits.load(folder)
    assert again.data_hash == five.data_hash
    assert (again.rule, again.warnings) == (five.rule, five.warnings)
    model = gf.TopPopular().fit(again.train)
    assert model.user_ids_.tolist() == data.user_ids.tolist()
    if rule == "cold":
        assert (again.profile != s.profile).nnz == 0
        assert (again.known != s.train + s.profile).nnz == 0
        (folder / "profile.npz").rename(tmp_path / "profile.npz")
        with pytest.raises(ValueError, match=r"profile\.npz is missing"):
            gf.Splits.load(folder)
        gf.Splits.from_split(made(data)["fold"]).save(folder)
        assert gf.Splits.load(folder).profile is None
        (tmp_path / "profile.npz").rename(folder / "profile.npz")
        with pytest.raises(ValueError, match=r"profile\.npz is not what was saved"):
            gf.Splits.load(folder)


def test_validation_is_later_than_what_is_fitted_where_the_split_is_by_time(log, data):
    five = gf.Splits.from_split(split.temporal(data, 0.25))
    time = {(user, item): at for user, item, at, _ in log.iter_rows()}

    def times(part):
        coo = part.tocoo()
        ids = zip(five.user_ids[coo.row], five.item_ids[coo.col], strict=True)
        return [time[pair] for pair in ids]

    parts = [five.train_small, five.early_stop, five.validation, five.test]
    ends = [(min(t), max(t)) for t in map(times, parts)]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ends))


def test_the_papers_sets_say_whom_they_leave_out():
    data = gf.Interactions.from_frame({"u": [*"aabbc"], "i": [1, 2, 2, 1, 9]}, "u", "i")
    [said] = split.paper_protocol(data).warnings
    assert "1 of 3 users" in said
    assert "1 of 3 items" in said
    assert said in repr(split.paper_protocol(data.urm))


def test_folds_and_windows_are_sequences() -> None:
    X = gf.Interactions.from_matrix(np.ones((3, 4)), timestamps=np.arange(12))
    for folds in (split.k_fold(X, 3), split.rolling(X, 3)):
        assert [s.rule for s in folds[1:]] == [folds[1].rule, folds[2].rule]
        assert [s.rule for s in folds[::-1]] == [s.rule for s in reversed([*folds])]
        assert folds[-1].rule == folds[2].rule
        with pytest.raises(IndexError, match="fold 3 of 3"):
            folds[3]
        with pytest.raises(TypeError, match="fold must be an integer or a slice, not 'a'"):
            folds["a"]
