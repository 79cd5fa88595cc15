"""Ids of every type are found by the values that Python, numpy, pandas and polars have for them."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ganmf_fast as gf

DAYS = [dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(1969, 12, 31)]
TIMES = np.array(
    ["2024-01-01T05", "2024-01-01", "1969-01-01T00:00:00.000001", "2024-01-01T06"], "M8[us]"
).tolist()
LATER = TIMES.pop()
SPANS = [dt.timedelta(days=1), dt.timedelta(microseconds=1), dt.timedelta(-1)]


def fitted(ids) -> gf.TopPopular:
    data = gf.Interactions.from_frame(pl.DataFrame({"user": ids, "item": ids}), "user", "item")
    return gf.TopPopular().fit(data)


@pytest.mark.parametrize("ids", [DAYS, TIMES, SPANS, [True, False]])
def test_ids_are_found_in_every_form(ids, tmp_path):
    model = fitted(ids)
    model.save(tmp_path / "m.safetensors")
    forms = [ids, pl.Series(ids), np.array(ids), pd.Series(ids), iter(ids)]
    for known in (model, gf.load(tmp_path / "m.safetensors")):
        for form in forms if known is model else [ids]:
            found = known.recommend(form, n=1, exclude_seen=False)["user"].to_list()
            assert found == ids
        assert known.recommend(known.user_ids_.tolist(), n=1, exclude_seen=False).height == len(ids)
        assert known.recommend(ids[0], n=1, exclude_seen=False)["user"].to_list() == ids[:1]
        left = known.recommend(ids[:1], exclude_seen=False, exclude_items=ids[:1])["item"]
        assert set(left) == set(ids[1:])


@pytest.mark.parametrize(
    ("ids", "others"),
    [
        (DAYS, [dt.date(2024, 1, 3), LATER, dt.timedelta(1), None, 19723]),
        (TIMES, [LATER, TIMES[0].replace(tzinfo=dt.UTC), pd.NaT, "2024"]),
        (TIMES, [pd.Timestamp(2024, 1, 1, 5) + pd.Timedelta(1, "ns"), np.datetime64("NaT")]),
        (SPANS, [dt.timedelta(2), dt.date(2024, 1, 1), 1, np.timedelta64("NaT")]),
        ([True, False], [1, 0, "true", None]),
    ],
)
def test_what_is_no_such_id_is_unknown(ids, others):
    model = fitted(ids)
    for other in others:
        with pytest.raises((ValueError, TypeError), match=r"is unknown; there are|numbers alone"):
            model.recommend([ids[0], other])


def test_nanoseconds_are_found_by_times_of_pandas():
    times = pd.to_datetime(["2024-01-01T05:00:00.000000001", "2024-01-01T00:00:00.000000000"])
    assert times.dtype == "datetime64[ns]"
    data = gf.Interactions.from_frame(pd.DataFrame({"user": times, "item": times}), "user", "item")
    model = gf.TopPopular().fit(data)
    assert len(model.recommend(list(times), n=1, exclude_seen=False)) == 2
    with pytest.raises(ValueError, match=r"with ids such as 2024-01-01T00:00:00\.000000000"):
        model.recommend([TIMES[0]])


def test_numbers_beyond_any_type_are_unknown(toy_urm):
    model = gf.ItemKNN().fit(gf.Interactions.from_matrix(toy_urm))
    with pytest.warns(UserWarning, match="exclude_items has no effect"):
        model.recommend([0], n=1, exclude_items=[10**400])
    assert set(model.recommend([0, -(10**400)], n=1, unknown="skip")["user"]) == {0}
