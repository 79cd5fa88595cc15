"""What notebooks show: the figures of the object, and no markup of the data."""

from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.base.notebook import html_lines, html_table
from ganmf_fast.models.recommendations import Recommendations

HOSTILE = "<img src=x onerror=alert(1)>\x1b\"'&"
TAGS = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td", "pre", "br"}


class Page(HTMLParser):
    """Elements and text of what was shown; nothing but tables may be in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS
        assert set(dict(attrs)) <= {"style"}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        assert data.isprintable()
        self.texts.append(data)


def shown(thing) -> list[str]:
    return Page(thing._repr_html_()).texts


@pytest.fixture
def data() -> gf.Interactions:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(30, size=400), "item": rng.integers(20, size=400)})
    names = frame.select(
        user=HOSTILE + pl.col("user").cast(str), item="i" + pl.col("item").cast(str)
    )
    return gf.Interactions.from_frame(names, "user", "item")


def test_everything_that_is_shown_is_text(data):
    splits = gf.split.paper_protocol(data)
    model = gf.ItemKNN(topk=5).fit(splits.train)
    found = [gf.evaluate(model, splits.train, splits.test) for _ in range(2)]
    compared = gf.compare(found, labels=[HOSTILE, "other"])
    tuned = gf.tune("ItemKNN", splits, n_calls=2, n_initial=1, backend="random")
    things = (data, splits, gf.split.holdout(data), *found, compared, tuned)
    pages = [" ".join(shown(thing)) for thing in things]
    assert r"<img src=x onerror=alert(1)>\x1b" in pages[0]
    assert r"<img src=x onerror=alert(1)>\x1b" in pages[-2]
    assert f"{data.n_interactions:,}" in pages[0]
    assert f"{splits.test.nnz:,}" in pages[1]
    assert f"{found[0]['map', 5]:.4f}" in pages[3]
    assert f"{compared.models['low'][0]:.4f}" in pages[-2]
    assert f"{tuned.best_value:.4f}" in pages[-1]


def test_users_without_a_list_are_noted(data):
    train, test = np.zeros((3, 4)), np.zeros((3, 4))
    train[:2, :2], test[:, 2] = 1, 1
    found = gf.evaluate(gf.ItemKNN(topk=2).fit(train), train, test, cutoffs=(2,))
    assert "1 of the users have no list and count as zero" in shown(found)
    assert repr(found).count("count as zero") == 1


def test_lists_are_cut_where_there_are_many():
    items = np.arange(600, dtype=np.int32).reshape(30, 20)
    items[0, 1:] = -1
    lists = Recommendations(items, np.where(items < 0, -np.inf, items / 2).astype(np.float32))
    texts = shown(lists)
    assert "Recommendations: 30 lists of 20 items" in texts
    assert "20 (10)" in texts
    assert not any("inf" in text or "(300)" in text for text in texts)
    assert "not all of them are shown" in texts
    one = Recommendations(np.array([3], np.int32), np.array([0.5], np.float32))
    assert "3 (0.5)" in shown(one)


def test_a_table_aligns_numbers_and_keeps_a_note():
    page = html_table("t", ("a", "b"), [("x", 1234), (True, 0.5)], ["n<o>te"])
    assert page.count("text-align:right") == 3
    assert {"1,234", "0.5000", "True", "n<o>te"} <= set(Page(page).texts)
    assert Page(html_lines("a\n<b>")).texts == ["a", "<b>"]
