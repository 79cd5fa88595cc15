import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf

COLUMNS = ["model", "fit_seconds", "fit_mib", "lists_per_second", "user_ms", "profile_ms"]


class Slow(gf.TopPopular):
    """The popular items, from fits and requests whose number is known."""

    fits: list[int] = []  # noqa: RUF012
    requests: list[int] = []  # noqa: RUF012

    def fit(self, X, y=None, **kwargs):
        self.fits.append(len(self.fits))
        return super().fit(X, y, **kwargs)

    def recommend(self, users=None, n=20, **kwargs):
        self.requests.append(1 if users is None else len(users))
        assert n == 7
        return super().recommend(users, n, **kwargs)


def test_rounds_and_requests_are_as_many_as_said(toy_urm):
    Slow.fits.clear(), Slow.requests.clear()
    model = Slow()
    [row] = gf.benchmark([model], toy_urm, n=7, rounds=2).rows(named=True)
    assert len(Slow.fits) == 2
    assert Slow.requests == [60] * 2 + [1] * 60 + [1] * 60
    assert row["model"] == "Slow"
    assert not hasattr(model, "scorer_")


def test_figures_are_positive_and_named(toy_urm):
    found = gf.benchmark({"small": gf.EASE(l2=10), "large": gf.EASE(l2=1000)}, toy_urm, rounds=1)
    assert found.columns == COLUMNS
    assert found["model"].to_list() == ["small", "large"]
    for name in COLUMNS[3:]:
        assert (found[name] > 0).all()
    assert (found["fit_mib"].fill_null(0.0) >= 0).all()


@pytest.mark.parametrize(
    "ids", [pl.all().cast(pl.String), pl.all().cast(pl.Datetime("ns"))], ids=["text", "times"]
)
def test_ids_are_those_of_the_interactions(toy_urm, ids):
    user, item = toy_urm.nonzero()
    frame = pl.DataFrame({"user": user, "item": item}).select(ids)
    log = gf.Interactions.from_frame(frame, "user", "item")
    found = gf.benchmark([gf.ItemKNN(topk=5)], log, n=3, rounds=1)
    assert found["profile_ms"][0] > 0


def test_of_many_users_some_are_asked(monkeypatch, toy_urm):
    monkeypatch.setattr("ganmf_fast.experiments.benchmark._REQUESTS", 10)
    monkeypatch.setattr("ganmf_fast.experiments.benchmark._USERS", 30)
    Slow.fits.clear(), Slow.requests.clear()
    gf.benchmark([Slow()], toy_urm, n=7, rounds=1)
    assert Slow.requests == [30] + [1] * 10 + [1] * 10


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ([], "models holds none"),
        ("EASE", "models must be a list of models"),
        (gf.EASE, "models must be a list of models"),
        (["EASE"], "models must be models, such as EASE"),
        ([gf.EASE], "models must be models, such as EASE"),
        ([gf.EASE(), gf.EASE(l2=3)], "models holds EASE twice: give a mapping"),
    ],
)
def test_what_are_no_models_is_refused(toy_urm, models, words):
    with pytest.raises((TypeError, ValueError), match=words):
        gf.benchmark(models, toy_urm)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"rounds": 0}, {"n": 2.5}, {"rounds": True}])
def test_numbers_out_of_range_are_refused(toy_urm, arguments):
    with pytest.raises((TypeError, ValueError), match=next(iter(arguments))):
        gf.benchmark([gf.EASE()], toy_urm, **arguments)


def test_an_empty_matrix_is_refused_by_name():
    with pytest.raises(ValueError, match="interaction"):
        gf.benchmark([gf.EASE()], np.zeros((3, 4)))
