"""What could be read wrongly without a word is read rightly or refused, with the way out."""

import bz2
import gzip
import lzma
import os

import numpy as np
import polars as pl
import pytest
import zstandard

from ganmf_fast.base.errors import DataError
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split.open_data import open_data

COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}


@pytest.fixture
def read(tmp_path):
    def call(text: str | bytes, **options) -> Interactions:
        path = tmp_path / "log"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Interactions.from_csv(path, **options)

    return call


UNNAMED = {
    "text": "a,b\n1,2\n",
    "JSON": '{"article_no": "x", "buyer_no": 1}\n',
}


@pytest.mark.parametrize("text", UNNAMED.values(), ids=UNNAMED)
def test_columns_with_other_names_are_not_taken_by_position(read, text):
    header = None if text.startswith("{") else True
    with pytest.raises(ValueError, match=r"no column is named like a user or an item .*give user="):
        read(text, header=header)


@pytest.mark.parametrize("call", [Interactions.from_parquet, Interactions.scan])
def test_columns_of_parquet_with_other_names_are_not_taken_by_position(call, tmp_path):
    pl.DataFrame({"product_name": ["tea"], "buyer_name": ["ann"]}).write_parquet(
        tmp_path / "a.parquet"
    )
    with pytest.raises(ValueError, match="no column is named like a user"):
        call(tmp_path / "a.parquet")


@pytest.mark.parametrize("call", [Interactions.from_parquet, Interactions.scan])
def test_a_path_of_parquet_is_no_pattern(call, tmp_path):
    for name, user in (("log1.parquet", 1), ("log[1].parquet", 99)):
        pl.DataFrame({"user": [user], "item": [1]}).write_parquet(tmp_path / name)
    assert call(tmp_path / "log[1].parquet").user_ids.tolist() == [99]
    with pytest.raises(DataError, match="No such file"):
        call(tmp_path / "log*.parquet")


@pytest.mark.parametrize("call", [Interactions.from_parquet, Interactions.scan])
def test_names_of_folders_are_no_columns_and_temporary_files_are_left_out(call, tmp_path):
    for name, user in (("user=5/a", 1), ("_temporary/0/b", 7), (".hidden", 8)):
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"user": [user], "item": [1]}).write_parquet(path)
    (tmp_path / "user=5" / ".a.parquet.crc").write_bytes(b"x")
    (tmp_path / "_SUCCESS").write_bytes(b"")
    assert call(tmp_path).user_ids.tolist() == [1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.parquet file"):
        call(tmp_path / "empty")


@pytest.mark.parametrize(
    "text",
    ["id,0\n1,10\n2,11\n", "# exported,2024\n1,10\n2,11\n", "0,1\n5,7\n6,8\n"],
    ids=["one name and a number", "a comment", "numbers of columns"],
)
def test_a_first_line_that_may_be_a_header_is_refused(read, text):
    with pytest.raises(DataError, match="may be a header or an interaction: say header=False"):
        read(text)
    assert read(text, header=False).n_interactions == 3


def test_a_type_after_a_colon_is_one_of_recbole_or_part_of_an_id(read):
    assert read("user_id:token,item_id:token\n1,2\n").user_ids.tolist() == [1]
    assert read("user:1,item:10\nuser:2,item:11\n").user_ids.tolist() == ["user:1", "user:2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(1,10)\n(2,11)\n", r"every line is in \(\)"),
        ("[1, 10]\n[2, 11]\n", r"every line is in \[\]"),
        ("- {user: 1, item: 10}\n- {user: 2, item: 10}\n", r"every line is in \{\}"),
        ("1 10 3,5\n2 10 2,5\n", "may be a decimal comma: say separator="),
        ("1 1 10:00:00,123\n2 1 10:00:00,124\n", "may be a decimal comma"),
        ("|user|item|\n|---|---|\n|1|2|\n", "record 2 is a rule"),
    ],
)
def test_marks_around_fields_are_no_part_of_ids(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_a_column_that_only_later_lines_of_json_have_is_not_dropped(read):
    late = '{"user": 1, "item": 2}\n{"user": 1, "item": 3, "rating": 5}\n'
    with pytest.raises(DataError, match="line 2: 'rating' is named like a rating, which the first"):
        read(late)
    assert read(late, rating=False).reading.unread == ("rating",)
    with pytest.raises(ValueError, match="may each be the user column"):
        read(late.replace("rating", "user_id"))


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda first, second: (first + second)[:-3],
        lambda first, second: first + second + b"more than a magic word",
        lambda first, second: first + b"X" + second[1:],
    ],
    ids=["cut short", "followed by other bytes", "damaged between two parts"],
)
def test_a_compressed_file_is_read_whole_or_refused(read, kind, damage):
    parts = [COMPRESS[kind](text) for text in (b"user,item\n1,10\n", b"2,11\n")]
    assert read(b"".join(parts)).n_interactions == 2
    with pytest.raises(DataError, match="cannot be read"):
        read(damage(*parts))


def test_zeros_may_follow_a_file_of_xz(read):
    assert read(lzma.compress(b"user,item\n1,10\n") + bytes(8192)).n_interactions == 1


def test_files_one_after_another_are_told_by_header_and_byte_order_mark(read):
    with pytest.raises(DataError, match="line 3: the header stands there again"):
        read("user,item\n1,10\nuser,item\n2,11\n")
    with pytest.raises(DataError, match="line 2: a byte order mark stands within the text"):
        read("1,10\n\ufeff2,11\n")
    assert read("user,item\n1,item\nuser,10\n").n_interactions == 2


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_wide_text_without_a_mark_is_refused(read, encoding):
    wide = "user,item\n1,10\n".encode(encoding)
    with pytest.raises(DataError, match=f'use encoding="{encoding}"'):
        read(wide)
    assert read(wide, encoding=encoding).user_ids.tolist() == [1]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (("t\n1,2,2024-01-01\n", "t\n1,3,5\n"), "some files are dates, and of others numbers"),
        (("t\n1,2,9007199254740993\n", "t\n1,3,1.5\n"), "whole numbers that would be rounded"),
    ],
)
def test_columns_of_several_files_are_of_one_type(tmp_path, contents, message):
    paths = [tmp_path / name for name in "ab"]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(f"user,item,{content}")
    with pytest.raises(DataError, match=message):
        Interactions.scan(paths, timestamp="t")


def test_a_number_and_a_text_of_json_are_two_ids(tmp_path):
    paths = [tmp_path / name for name in "ab"]
    for path, user in zip(paths, ("1", '"1"'), strict=True):
        path.write_text(f'{{"user": {user}, "item": 2}}\n')
    with pytest.raises(DataError, match="the users of some files are text, and of others numbers"):
        Interactions.scan(paths)


def test_two_roles_of_a_frame_have_two_columns():
    with pytest.raises(ValueError, match="two of user, item are read from one column"):
        Interactions.from_frame({"u": [1], "i": [2]}, "u", "u")
    with pytest.raises(ValueError, match="two of user, item, rating are read from one column"):
        Interactions.from_frame({"u": [1], "i": [2]}, "u", "i", rating="i")


def test_times_keep_their_unit_or_are_refused():
    near = np.array(["2024-01-01T00:00:00.000000001", "2024-01-01T00:00:00.000000002"], "M8[ns]")
    assert Interactions.from_frame({"u": near, "i": [1, 2]}, "u", "i").n_users == 2
    far = np.array(["400000-01-01"], "M8[D]")
    with pytest.raises(TypeError, match="times that microseconds cannot hold"):
        Interactions.from_frame({"u": far, "i": [1]}, "u", "i")


@pytest.mark.parametrize(
    ("column", "message"), [([1.5, np.inf], "u inf is not finite"), (["a", ""], "u is missing")]
)
def test_an_id_is_finite_and_not_empty(column, message):
    with pytest.raises(DataError, match=f"row 1: {message}"):
        Interactions.from_frame({"u": column, "i": [1, 2]}, "u", "i")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
@pytest.mark.parametrize("read", [Interactions.from_csv, Interactions.scan, open_data])
def test_a_pipe_is_refused_before_it_is_opened(tmp_path, read):
    """It was opened for the separator, and again for the lines after those it had given then."""
    path = tmp_path / "events.csv"
    os.mkfifo(path)
    with pytest.raises(DataError, match="is a pipe or a device, which can be read only once"):
        read(str(path))


def test_parquet_is_named_in_messages(tmp_path):
    path = tmp_path / "events.parquet"
    pl.DataFrame({"user": [], "item": []}).write_parquet(path)
    with pytest.raises(DataError, match=r"events\.parquet holds no interactions"):
        Interactions.from_parquet(path)
    pl.DataFrame({"user": ["a", None], "item": [1, 2]}).write_parquet(path)
    with pytest.raises(DataError, match=r"events\.parquet, row 1: user is missing"):
        Interactions.from_parquet(path)
