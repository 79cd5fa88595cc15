import json
from typing import Any

import msgspec
import pytest

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.json_files import MAX_DEPTH, decode, parse, read, typed


class Point(msgspec.Struct):
    x: int
    label: str = "none"


def test_a_file_is_read_as_its_type(tmp_path):
    path = tmp_path / "point.json"
    path.write_text('{"x": 3, "of": ["a", "later", "version"]}')
    assert read(path, Point) == Point(3)
    assert read(path, dict) == {"x": 3, "of": ["a", "later", "version"]}


def test_numbers_and_text_are_what_they_were():
    value = {"int": 2**70, "float": 0.1, "whole": 1.0, "text": "é\u2028", "none": [None, True]}
    assert decode(json.dumps(value).encode(), "text", dict) == value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged: Input data was truncated"),
        (b'{"x": 3', "is damaged"),
        (b'{"x": NaN}', "is damaged"),
        (b'{"x": "3"}', r"Expected `int`, got `str` - at `\$\.x`"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"label": "a"}', "missing required field `x`"),
        (b'{"x": 3, "label": "\xff"}', "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"x": 3}' + b" " * 100, "point.json is larger than 100 bytes"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "point.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read(path, Point, limit_bytes=100_000 if content.startswith(b"[[") else 100)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json cannot be read: No such file"):
        read(tmp_path / "gone.json", dict)


@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded(pair):
    def nested(depth):
        return pair[0] * depth + b"1" + pair[1] * depth

    decode(nested(MAX_DEPTH), "text", Any)
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(DataError, match=r"text is damaged: .*(nested deeper|recursion)"):
            decode(nested(depth), "text", Any)


def test_plain_values_may_be_what_python_writes():
    value = {"a": [1, 0.5, None, True, "é\ud83d\ude00"], "b": float("inf")}
    assert parse(json.dumps(value).encode()) == {**value, "a": [*value["a"][:-1], "é\U0001f600"]}
    assert parse("[NaN]")[0] != parse("[NaN]")[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b'"\xff"', "is not JSON"),
        ('{"a": 1}'.encode("utf-16"), "is not JSON"),
        (b'"\\ud800"', "is not JSON"),
        (b'{"\\udcff": 1}', "is not JSON"),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "'b' stands twice"),
        (b"9" * 5000, "is not JSON"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 10**5, "deeper than 64"),
        (b'{"a":' * 10**5, "deeper than 64"),
        (b" " * 101 + b"1", "larger than 100 bytes"),
    ],
)
def test_other_plain_values_are_refused_in_a_phrase(content, words):
    with pytest.raises(ValueError, match=words):
        parse(content, 100 if words.startswith("larger") else 2**20)


def test_plain_values_become_types():
    assert typed({"x": 3, "label": "a"}, Point) == Point(3, "a")
    with pytest.raises(ValueError, match=r"Expected `int`, got `str` - at `\$\.x`"):
        typed({"x": "3"}, Point)
