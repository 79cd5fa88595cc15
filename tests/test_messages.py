"""What stands in messages came from data: it is shown as text, and never as a whole book."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.base.checks import check_bool, check_choice, check_int, check_real
from ganmf_fast.base.errors import difference, suggestion, unknown
from ganmf_fast.results.store import Store
from ganmf_fast.tuning import read_journal
from ganmf_fast.tuning.journal import Journal
from ganmf_fast.tuning.spaces import Space, read_spaces

TEXTS = ["\x1b]0;title\x07\x9b31m\u202ea", "a\nb\rc\u2028d", "x" * 10**6, "\x1b" * 10**6]
MOST = 2500


def file(folder: Path, text: str, content: str | bytes, suffix: str = ".csv") -> Path:
    """A file of a hostile name."""
    path = folder / f"{text[:20]}{suffix}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def frame(**columns: list[object]) -> gf.Interactions:
    return gf.Interactions.from_frame(columns, *list(columns)[:2])


def lines(folder: Path, text: str, *records: object) -> Path:
    return file(folder, text, "".join(json.dumps(r) + "\n" for r in records), ".jsonl")


def csv(folder: Path, text: str, *rows: str, **options: object) -> gf.Interactions:
    path = file(folder, text, "".join(f"{row}\n" for row in rows))
    return gf.Interactions.from_csv(path, **options)


def model() -> gf.TopPopular:
    return gf.TopPopular().fit(frame(user=["a", "b"], item=["x", "y"]))


def other_journal(folder: Path, text: str) -> None:
    path = folder / f"{text[:20]}.jsonl"
    Journal(path, {"format": 1, "model": text}).close()
    Journal(path, {"format": 1, "model": "other"})


def frames_without(text: str) -> gf.Interactions:
    return gf.Interactions.from_frame({text: [1], f"{text}b": [2]}, "user", "item")


def unfitting_parquet(folder: Path, text: str) -> gf.Interactions:
    path = folder / "a.parquet"
    pl.DataFrame({text: [1.5], "item": [2]}).write_parquet(path)
    return gf.Interactions.scan(path, user=text, item="item")


SAID: dict[str, Callable[[Path, str], object]] = {
    # ids
    "unknown user": lambda _, t: model().recommend([t]),
    "unknown item": lambda _, t: model().recommend(["a"], candidates=[t]),
    "known ids are long": lambda _, t: gf.TopPopular().fit(frame(u=[t, "b"], i=[t, "c"]))
    .recommend(["a"]),
    "test with unknown ids": lambda _, t: gf.evaluate(
        model(), frame(user=["a", "b"], item=["x", "y"]), frame(user=["a"], item=[t])),
    "given twice": lambda _, t: gf.Interactions.from_frame(
        {"u": [t, t], "i": [t, t], "r": [1, 2]}, "u", "i", rating="r", duplicates="error"),
    "repeated": lambda _, t: gf.Interactions.from_matrix(np.eye(2), [t, t], [1, 2]),
    "mixed": lambda _, t: frame(user=[t, 1], item=["a", "b"]),
    "mixed lines": lambda f, t: gf.Interactions.from_csv(
        lines(f, t, {"user": t, "item": 1}, {"user": 2, "item": 1})),
    "no id": lambda f, t: gf.Interactions.from_csv(lines(f, t, {"user": [t], "item": 1})),
    "blank": lambda f, t: csv(f, t, "user,item", "1,2", " 2,3", "7,"),
    "rating": lambda f, t: csv(f, t, "user,item,rating", f"1,2,{t[:2000]}", user="user",
                               item="item", rating="rating"),
    "time": lambda f, t: csv(f, t, "user,item,timestamp", f"1,2,{t[:2000]}"),
    "weights": lambda _, t: gf.Interactions.from_frame(
        {"u": [1], "i": [2], "r": [t]}, "u", "i", rating="r", weights={"a": 1.0}),
    "weight": lambda _, t: gf.Interactions.from_frame(
        {"u": [1], "i": [2], "r": [t]}, "u", "i", rating="r", weights={t: -1.0}),
    # columns
    "no column": lambda _, t: frames_without(t),
    "column": lambda _, t: gf.Interactions.from_frame({"user": [1], "item": [2]}, t, "item"),
    "columns of one name": lambda _, t: gf.Interactions.from_frame(
        pl.DataFrame({t: [1], "b": [2]}).to_pandas().set_axis([t, t], axis=1), 0, 1),
    "column of dates": lambda _, t: gf.Interactions.from_frame(
        {t: [[1]], "item": [2]}, t, "item"),
    "no column of a file": lambda f, t: csv(f, t, f"{t[:3000]},b,c", "1,2,3"),
    "two candidates": lambda f, t: csv(f, t, "user,uid,item", "1,2,3"),
    "no such column": lambda f, t: csv(f, t, "user,item", "1,2", user=t),
    "columns of parquet": unfitting_parquet,
    "fields": lambda f, t: csv(f, t, "user,item", f"{t[:2000]},1,2,3"),
    "header or not": lambda f, t: csv(f, t, f"{t[:10].strip()!r},1", "1,2", "a,b"),
    # paths
    "no file": lambda f, t: gf.Interactions.from_csv(f / t[:200]),
    "no parquet": lambda f, t: gf.Interactions.from_parquet(file(f, t, "text", ".parquet")),
    "no gzip": lambda f, t: gf.Interactions.from_csv(file(f, t, b"\x1f\x8btext", ".gz")),
    "no splits": lambda f, t: gf.Splits.load(f / t[:200]),
    "no model": lambda f, t: gf.load(f / t[:200]),
    "damaged model": lambda f, t: gf.load(file(f, t, "text")),
    "no journal": lambda f, t: read_journal(file(f, t, "text")),
    "header of a journal": lambda f, t: read_journal(lines(f, t, {"format": t})),
    "another journal": other_journal,
    "a run": lambda f, t: Store(file(f, t, "text")),
    "space file": lambda f, t: read_spaces(file(f, t, "[[", ".toml")),
    "entry of a space file": lambda f, t: read_spaces(
        file(f, "a", f"{json.dumps(t[:9999])} = 1")),
    "write": lambda f, t: model().save(f / "gone" / t[:200]),
    "names": lambda f, t: gf.datasets.load(t),
    # arguments
    "choice": lambda _, t: check_choice("name", t, ["a"]),
    "int": lambda _, t: check_int("name", t, 0),
    "real": lambda _, t: check_real("name", t),
    "bool": lambda _, t: check_bool("name", t),
    "metric": lambda _, t: gf.evaluate(model(), np.eye(2), np.eye(2)[::-1], metrics=[t]),
    "space": lambda _, t: Space.resolve({t: {"int": [t, 2]}}, {}, (1, 1)),
    "parameter": lambda _, t: gf.ItemKNN(similarity=t).fit(np.eye(3)),
    "model name": lambda _, t: gf.tune(t, gf.split.paper_protocol(np.ones((4, 4)))),
    "experiment": lambda f, t: gf.reproduce(t, "demo", output=f / "out"),
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=["codes", "lines", "long", "long codes"])
@pytest.mark.parametrize("kind", SAID)
def test_messages_show_text_and_little_of_it(kind: str, text: str, tmp_path: Path) -> None:
    if kind == "entry of a space file" and text == TEXTS[1]:
        text = text.replace("\u2028", "")
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        SAID[kind](tmp_path, text)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < MOST


@pytest.mark.parametrize("text", TEXTS, ids=["codes", "lines", "long", "long codes"])
def test_wordings_show_text_and_little_of_it(text: str) -> None:
    said = [
        suggestion(text[:80], [text[:80]]),
        unknown("model", text, [text] * 100),
        difference({text: text}, {text: "a"}) or "",
    ]
    for message in said:
        assert message
        assert message.isprintable()
        assert len(message) < MOST
