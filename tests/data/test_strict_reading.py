"""What could be read wrongly without a word is read rightly or refused, with the way out."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
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


# Inch marks in an unread column, as of a log that was written without quotes.
INCHES = 'user,item,title\nu1,m1,"7\nu2,m2,x\nu3,m1,12"\nu4,m1,z\n'


@pytest.mark.parametrize("call", [Interactions.from_csv, Interactions.scan])
@pytest.mark.parametrize("separator", [",", ";"])
def test_quotes_around_lines_that_are_records_are_not_certain(tmp_path, call, separator):
    path = tmp_path / "q.csv"
    path.write_text(INCHES.replace(",", separator))
    said = r"line 2: a field in quotes goes on to line 4, .* say quote=\"off\" or quote='\"'"
    with pytest.raises(DataError, match=said):
        call(path)
    for off in ("off", None, ""):
        assert call(path, quote=off).n_interactions == 4
    assert call(path, quote='"').n_interactions == 2
    path.write_text('user,item,title\nu1,m1,"Seven\nsamurai, the"\nu2,m1,"a\n\nb"\n')
    assert call(path).n_interactions == 2


@pytest.mark.parametrize("call", [Interactions.from_csv, Interactions.scan])
def test_zeros_that_a_crash_left_are_no_part_of_ids(tmp_path, call):
    path = tmp_path / "n.csv"
    for lines in (1, 300_000):
        path.write_text("user,item,title\n" + "a,b,x\n" * lines + "\0" * 4096 + "c,d,y\n")
        with pytest.raises(DataError, match=rf"n\.csv, line {lines + 2}: a NUL byte"):
            call(path)
    for text in ("user,item,title\na,b,x\0\n", '{"user": 1, "item": 2}\n\0\0{"user": 1}\n'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"line 2: a NUL byte"):
            call(path)


@pytest.mark.parametrize("form", ['{{"user": 1, "item": 2, "timestamp": "{}"}}', "1,2,{}"])
def test_several_files_name_a_time_zone_or_none_does(tmp_path, form):
    paths = [tmp_path / name for name in "abc"]
    head = "" if form.startswith("{") else "user,item,timestamp\n"
    for path, zone in zip(paths, ("Z", "+09:00", ""), strict=True):
        path.write_text(f"{head}{form.format(f'2020-01-01T00:00:00{zone}')}\n")
    with pytest.raises(DataError, match=r"time zone in one file .*a, line .* none .*c, line"):
        Interactions.scan(paths)
    found = Interactions.scan(paths[:2], duplicates="last").timestamps
    assert found.tolist() == [np.datetime64("2020-01-01T00:00:00", "us").item()]


def test_a_position_that_names_another_column_is_refused(tmp_path):
    table = pl.DataFrame({"": [0, 1], "0": ["ann", "bob"], "1": ["tea", "jam"]})
    table.write_csv(tmp_path / "n.csv")
    table.write_parquet(tmp_path / "n.parquet")
    said = "=0 is the position of the column '', but column 1 is named so: give a name as text"
    for call, options in (
        (Interactions.from_csv, {"path": tmp_path / "n.csv", "header": True}),
        (Interactions.from_parquet, {"path": tmp_path / "n.parquet"}),
        (Interactions.from_frame, {"df": table}),
    ):
        with pytest.raises(ValueError, match=said):
            call(user=0, item=1, **options)
        assert call(user="0", item="1", **options).user_ids.tolist() == ["ann", "bob"]
    path = tmp_path / "own.csv"
    path.write_text("0,1\n5,7\n6,8\n")
    assert Interactions.from_csv(path, user=0, item=1, header=True).user_ids.tolist() == [5, 6]
    assert Interactions.from_csv(path, user=0, item=1, header=False).n_users == 3


def test_a_number_of_numpy_is_a_position(read):
    assert read("7,5\n8,6\n", user=np.int64(1), item=np.int32(0)).user_ids.tolist() == [5, 6]


@pytest.mark.parametrize(
    "text",
    [
        "1600000000,7,8\n1600000005,7,9\n1600000009,6,9\n",
        "1600000000.25,7,8\n1600000005.5,7,9\n",
        "1600000000123,7,8\n1600000005456,7,9\n",
        "1600000000,7,8\n1600000000,6,9\n1600000000,5,9\n1600000001,6,9\n",
    ],
    ids=["seconds", "fractions", "milliseconds", "many a second"],
)
def test_times_without_a_header_are_no_users(read, text):
    with pytest.raises(DataError, match=r"column 0 holds times since 1970, .* say user= and item="):
        read(text)
    assert read(text, user=1, item=2).user_ids.tolist() in ([6, 7], [7], [5, 6, 7])
    swapped = "".join(f"7,{line.split(',')[0]},9\n" for line in text.splitlines())
    if len(set(swapped.splitlines())) > 2:
        with pytest.raises(DataError, match="column 1 holds times since 1970"):
            read(swapped)


def test_ids_of_ten_digits_are_users(read):
    network = [1749127163, 2003301701, 1197161814, 1642591402] * 3
    texts = (
        "".join(f"{user},{at},5\n" for at, user in enumerate(users))
        for users in (network, sorted(network))
    )
    for text in (*texts, "1600000000,7\n1600000005,8\n", "7600000000,7,1\n1600000005,8,1\n"):
        assert read(text).user_ids.min() > 10**9


def test_a_number_with_blanks_is_one_whatever_its_form(read):
    for number in ("-5", "5.5", "+5"):
        with pytest.raises(DataError, match="is a number with blanks around it: say strip=True"):
            read(f"user,item\n {number},1\n{number},2\n")
        assert read(f"user,item\n {number},1\n{number},2\n", strip=True).n_users == 1


def test_single_quotes_around_every_id_are_no_part_of_them(read):
    text = "'user','item'\n'u1','i1'\n'u2','i1'\n"
    with pytest.raises(DataError, match=r"line 2: every user is in single quotes: say quote=\"'\""):
        read(text)
    assert read(text, quote="'").user_ids.tolist() == ["u1", "u2"]
    assert read(text, quote='"').user_ids.tolist() == ["'u1'", "'u2'"]
    assert read("user,item\n'tis,'a'\nb,c\n").item_ids.tolist() == ["'a'", "c"]


def test_comments_and_sums_are_no_users(read):
    rows = "user,item,rating\n1,2,3\n5,7,3\n"
    many = "user,item,rating\n" + "".join(f"{at},{at + 1},3\n" for at in range(200))
    for text, line in (
        (f"{rows}#2,2,3\n6,2,1\n", 4),
        (f"{rows}Total,all,6\n", 4),
        (f"{many}Summe,alle,600\n", 202),
    ):
        with pytest.raises(DataError, match=f"line {line}: user .* is text where all others are"):
            read(text)
    kept = many + "user_x,5,1\n"
    assert read(kept).n_users == read(many + "5,B00X,1\n").n_users + 1 == 201
    assert read("# exported,2024\n1,10\n2,11\n", header=False).n_users == 3


def test_whole_times_beyond_64_bits_are_not_rounded(read):
    with pytest.raises(DataError, match=r"line 2: timestamp '160\d+' is beyond 64 bits"):
        read("user,item,timestamp\n1,2,16000000000000000001\n1,3,16000000000000000002\n")


def test_times_of_json_are_there_and_may_have_fractions(read):
    line = '{{"user": 1, "item": {}, "timestamp": {}}}\n'.format
    with pytest.raises(DataError, match="line 2: timestamp is missing"):
        read(line(1, '"2020-01-01"') + line(2, '""'))
    assert read(line(1, 1) + line(2, 1.5)).timestamps.tolist() == [1.0, 1.5]
    with pytest.raises(DataError, match="line 1: timestamp 9007199254740993 would be rounded"):
        read(line(1, 2**53 + 1) + line(2, 1.5))


def test_json_is_told_in_every_encoding_and_from_braces(read):
    text = '{"user": 1, "item": 2}\n'
    with pytest.raises(DataError, match='use encoding="utf-16"'):
        read(text.encode("utf-16"))
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        data = read(text.encode(encoding), encoding=encoding)
        assert (data.reading.format, data.n_interactions) == ("json lines", 1)
    guids = "{3F2504E0-4F89-11D3-9A0C-0305E82C3301},5\n{00000000-4F89-11D3-9A0C-0305E82C3301},6\n"
    assert read(guids, header=False).user_ids[0].startswith("{0000")
    with pytest.raises(DataError, match=r"log: user ids from -1 to 18446744073709551615 have no"):
        read("".join(f'{{"user": {user}, "item": 2}}\n' for user in (-1, 2**64 - 1)))


def _packed(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


def _saved(save, value) -> bytes:
    file = io.BytesIO()
    save(file, value)
    return file.getvalue()


X = sp.csr_array(np.eye(2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            _saved(sp.save_npz, X),
            r"Splits\.load, .* scipy\.sparse\.load_npz and Interactions\.from_m",
        ),
        (_saved(np.save, np.eye(2)), r"array of numpy.* by numpy\.load"),
        (_saved(np.savez, np.eye(2)), "array of numpy|archive of numpy"),
        (b"%%MatrixMarket matrix coordinate\n2 2 1\n1 1 1\n", r"scipy\.io\.mmread"),
        (_saved(lambda f, x: x.write_ipc(f), pl.DataFrame({"a": [1]})), "Arrow or feather"),
        (lzma.compress(b"a,b\n", lzma.FORMAT_ALONE), "compressed by lzma.* unpack it"),
        (_packed("log.csv"), "a tar archive.* unpack it"),
        (gzip.compress(_packed("log.csv")), "a tar archive"),
        (pickle.dumps({"a": 1}, 4), "a pickle"),
        (b'\x40\0\0\0\0\0\0\0{"a":{}}', r"a safetensors file.* gf\.load"),
    ],
)
@pytest.mark.parametrize("call", [Interactions.from_csv, Interactions.scan])
def test_files_of_other_kinds_are_named(tmp_path, call, content, message):
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        call(path)


def test_a_workbook_is_named(read):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("[Content_Types].xml", "xl/workbook.xml"):
            archive.writestr(name, "<a/>")
    with pytest.raises(DataError, match="Excel: export the sheet as CSV"):
        read(file.getvalue())


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"separator": ";"}, DataError, r"separator ';' stands in none .* say separator=','"),
        ({"separator": "tab"}, DataError, "separator 'tab' stands in none"),
        ({"strip": "yes"}, TypeError, "strip must be True or False, not 'yes'"),
        ({"encoding": "a\0b"}, ValueError, r"encoding 'a\\x00b' is unknown"),
        ({"quote": "\ud800"}, ValueError, "quote must be"),
    ],
)
def test_an_argument_that_cannot_be_is_named(read, options, kind, message):
    with pytest.raises(kind, match=message):
        read("user,item\n1,2\n", **options)


def test_lines_that_end_in_carriage_returns_alone_are_refused(read):
    with pytest.raises(DataError, match="carriage returns alone"):
        read("user,item\r1,2\r1,3\r")
