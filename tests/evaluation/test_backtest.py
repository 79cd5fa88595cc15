"""A backtest is what one would compute window by window."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

import ganmf_fast as gf

CUTOFFS, METRICS = (3, 10), ("precision", "ndcg", "coverage_item")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    pairs = [(u, i) for u in range(60) for i in rng.choice(30, size=12, replace=False)]
    users, items = zip(*pairs, strict=True)
    times = rng.integers(0, 500, len(pairs))
    frame = {"u": [f"u{user:02}" for user in users], "i": items, "t": times}
    return gf.Interactions.from_frame(frame, "u", "i", timestamp="t")


@pytest.fixture(scope="module")
def windows(data):
    return gf.split.rolling(data, 4)


@pytest.fixture(scope="module")
def found(windows):
    models = [gf.ItemKNN(topk=5), gf.TopPopular()]
    return gf.backtest(models, windows, CUTOFFS, METRICS, confidence=0.9)


def test_each_figure_is_that_of_its_window(windows, found):
    for model in (gf.ItemKNN(topk=5), gf.TopPopular()):
        name = type(model).__name__
        for number, split in enumerate(windows):
            expected = gf.evaluate(model.fit(split.train), split.train, split.test, CUTOFFS)
            rows = found.figures.filter(model=name, window=number)
            assert len(rows) == len(CUTOFFS) * len(METRICS)
            for row in rows.iter_rows(named=True):
                assert row["value"] == expected[row["metric"], row["k"]]
                assert found.evaluations[name, number][row["metric"], row["k"]] == row["value"]


def test_the_mean_is_over_windows_and_so_is_its_interval(found):
    mine = found.figures.filter(model="ItemKNN", k=3)
    for metric in METRICS:
        values = mine.filter(pl.col("window").is_not_null(), metric=metric)["value"]
        row = mine.filter(pl.col("window").is_null(), metric=metric).row(0, named=True)
        low, high = stats.t.interval(0.9, 3, values.mean(), stats.sem(values))
        assert (row["value"], row["low"], row["high"]) == pytest.approx((values.mean(), low, high))
        assert found.mean("ItemKNN", metric, 3) == row["value"]
    with pytest.raises(KeyError, match="map@3"):
        found.mean("ItemKNN", "map", 3)


def test_intervals_of_windows_are_those_of_a_comparison(windows, found):
    both = [found.evaluations[name, 2] for name in ("ItemKNN", "TopPopular")]
    expected = gf.compare(both, "ndcg", 10, confidence=0.9).models
    rows = found.figures.filter(window=2, metric="ndcg", k=10)
    assert rows["low"].to_list() == expected["low"].to_list()
    assert rows["high"].to_list() == expected["high"].to_list()
    joint = found.figures.filter(pl.col("window").is_not_null(), metric="coverage_item")
    assert joint["low"].null_count() == len(joint)


def test_windows_say_where_they_lie_and_who_is_new(windows, found):
    described = found.windows
    assert described["from"].to_list() == [str(cut) for cut in windows.cuts[:-1]]
    assert described["until"].to_list() == [str(cut) for cut in windows.cuts[1:]]
    for number, split in enumerate(windows):
        row = described.row(number, named=True)
        assert (row["train"], row["test"]) == (split.train.nnz, split.test.nnz)
        assert row["users"] == np.count_nonzero(np.diff(split.test.indptr))
        assert row["new_users"] == len(split.users_without_train)
    assert "4 windows" in repr(found)


class Own:
    def __init__(self, topk=5):
        self.topk = topk

    def fit(self, X):
        self.model = gf.ItemKNN(topk=self.topk).fit(X)

    def recommend(self, users, n):
        return self.model.recommend(users, n=n).items


def test_models_are_estimators_classes_and_functions(windows, found):
    models = {"class": Own, "function": lambda: Own(topk=5), "estimator": gf.ItemKNN(topk=5)}
    same = gf.backtest(models, windows, CUTOFFS, METRICS)
    for name in models:
        for metric in METRICS:
            assert same.mean(name, metric, 10) == found.mean("ItemKNN", metric, 10)
    folds = gf.backtest([gf.TopPopular()], gf.split.k_fold(windows[3].train, 2), 5, ["map"])
    assert folds.windows["from"].null_count() == 2
    one = gf.backtest([gf.TopPopular()], [windows[0]], 5, ["map"])
    assert one.figures.filter(pl.col("window").is_null())["low"].null_count() == 1


@pytest.mark.parametrize(
    ("models", "kwargs", "error", "words"),
    [
        ([], {}, ValueError, "models is empty"),
        ("EASE", {}, TypeError, "models must be a sequence of models"),
        ([gf.EASE(), gf.EASE(l2=3)], {}, ValueError, "two called EASE"),
        ([object()], {}, TypeError, "neither a class, a function nor an estimator"),
        ([gf.EASE()], {"confidence": 1}, ValueError, "confidence must lie between"),
        ([gf.EASE()], {"metrics": ["ndgc"]}, ValueError, "did you mean 'ndcg'"),
        ([gf.ItemKNN(topk=0)], {}, ValueError, "window 0: topk"),
    ],
)
def test_what_cannot_be_backtested_is_refused(windows, models, kwargs, error, words):
    with pytest.raises(error, match=words):
        gf.backtest(models, windows, **kwargs)
    with pytest.raises(ValueError, match="windows is empty"):
        gf.backtest([gf.EASE()], [])
