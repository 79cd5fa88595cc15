"""What is written by csv, pandas and polars is read back exactly, or refused by name."""

import bz2
import csv
import gzip
import io
import lzma
import os
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganmf_fast.base.errors import DataError
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.readers import Options
from ganmf_fast.data.roles import Roles
from ganmf_fast.split.open_data import FileReading, open_data

TABLES = int(os.environ.get("GANMF_READER_TABLES", "300"))
TEXT = st.text(alphabet="abc019 ,;|:\"\t'é日._-", min_size=1, max_size=6)
IDS = st.one_of(
    TEXT,
    st.sampled_from(["007", "7", "::", '"', '""', "a::b", '12"', " x", "0", "user", "item"]),
    st.integers(0, 2**63 + 10).map(str),
)


def _zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("log", content)
    return out.getvalue()


COMPRESSIONS = {
    "": lambda content: content,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "zip": _zipped,
}


def written(rows, names, separator, writer, header) -> bytes:
    if writer == "csv":
        out = io.StringIO()
        lines = csv.writer(out, delimiter=separator, lineterminator="\n")
        if header:
            lines.writerow(names)
        lines.writerows(rows)
        return out.getvalue().encode()
    table = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    if writer == "pandas":
        frame = pd.DataFrame(table)
        return frame.to_csv(index=False, sep=separator, header=header).encode()
    return pl.DataFrame(table).write_csv(separator=separator, include_header=header).encode()


def pairs(data: Interactions) -> list[tuple[str, str]]:
    frame = data.to_frame("dict")
    return sorted(zip(map(str, frame["user"]), map(str, frame["item"]), strict=True))


def opened(path, user=None, item=None, header=None) -> Interactions:
    """As the command line reads a file."""
    return open_data(str(path), reading=FileReading(Roles(user, item), Options(header=header)))


@pytest.mark.slow
@settings(max_examples=TABLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(IDS, IDS, TEXT), min_size=1, max_size=12),
    order=st.permutations([0, 1, 2]),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    writer=st.sampled_from(["csv", "pandas", "polars"]),
    header=st.booleans(),
    compression=st.sampled_from(list(COMPRESSIONS)),
    named=st.booleans(),
)
def test_what_is_written_is_read_back_or_refused(
    tmp_path_factory, rows, order, separator, writer, header, compression, named
):
    names = ["user_id", "item_id", "title"]
    placed = [tuple(row[at] for at in order) for row in rows]
    shuffled = [names[at] for at in order]
    content = written(placed, shuffled, separator, writer, header)
    path = tmp_path_factory.mktemp("law") / f"log.{compression or 'csv'}"
    path.write_bytes(COMPRESSIONS[compression](content))
    options = {}
    if named and header:
        options = {"user": "user_id", "item": "item_id"}
    elif not header:
        options = {"user": order.index(0), "item": order.index(1)}
        if {"user", "item"} <= set(placed[0]):
            # A table with this line as its header has the same bytes: only the caller can tell.
            options["header"] = False
    expected = sorted({(row[0], row[1]) for row in rows})
    found = []
    for read in (Interactions.from_csv, Interactions.scan, opened):
        try:
            data = read(path, **options)
        except (TypeError, ValueError):
            found.append(None)
            continue
        assert pairs(data) == expected
        assert data.reading.records == len(rows)
        found.append(data)
    assert len({None if data is None else data.data_hash for data in found}) == 1


@pytest.mark.parametrize("suffix", [name for name in COMPRESSIONS if name])
@pytest.mark.parametrize("kept", [3, 30, -3, -1])
def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path, suffix, kept):
    lines = "".join(f"{at},{at % 7}\n" for at in range(9999))
    content = COMPRESSIONS[suffix](f"user,item\n{lines}".encode())
    path = tmp_path / "log"
    path.write_bytes(content[:kept])
    for read in (Interactions.from_csv, Interactions.scan):
        with pytest.raises(DataError, match="log"):
            read(path)


def test_frames_of_zstandard_follow_each_other(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(zstandard.compress(b"user,item\n1,2\n") + zstandard.compress(b"2,3\n"))
    assert len(Interactions.from_csv(path)) == 2


@pytest.mark.parametrize("suffix", list(COMPRESSIONS))
def test_compression_is_known_by_content(tmp_path, suffix):
    path = tmp_path / "log.csv"
    path.write_bytes(COMPRESSIONS[suffix](b"user,item\n1,10\n2,11\n"))
    assert Interactions.from_csv(path).shape == (2, 2)


def test_json_lines_are_read(tmp_path):
    path = tmp_path / "log"
    path.write_text(
        '{"user_id": "u1", "item_id": 5, "n": [1]}\n\n{"item_id": 7, "user_id": "u2"}\n'
    )
    data = Interactions.from_csv(path)
    assert pairs(data) == [("u1", "5"), ("u2", "7")]
    assert data.reading.format == "json lines"
    assert data.reading.left_out == {"blank": 1}
    for text, words in (
        ('{"user_id": 1, "item_id": 2}\n{"user_id": "1", "item_id": 2}\n', "line 2: user '1'"),
        ('{"user_id": 1, "item_id": true}\n', "line 1: item True is neither"),
        ('{"user_id": 1, "item_id": 2}\n[1]\n', "line 2: not a JSON object"),
        ('{"user_id": 1}\n', "no column is named like an item"),
        (f'{{"user_id": {10**30}, "item_id": 2}}\n', "line 1: user 1000.* is beyond 64 bits"),
        (
            '{"user_id": -1, "item_id": 2}\n{"user_id": 9223372036854775808, "item_id": 2}\n',
            "no type",
        ),
        ('{"user_id": "\\ud800", "item_id": 2}\n', "line 1: user .* is not Unicode text"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            Interactions.from_csv(path)


def test_a_log_is_read_the_same_by_scan(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "log.csv"
    stamps = rng.integers(0, 10**9, 500)
    pl.DataFrame(
        {
            "time": pl.Series(stamps).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "user": [f"u{i}" for i in rng.integers(0, 40, 500)],
            "rating": rng.integers(1, 6, 500) / 2,
            "item": rng.integers(0, 30, 500),
        }
    ).write_csv(path)
    for duplicates in ("sum", "first", "last", "max", "mean"):
        read = Interactions.from_csv(path, duplicates=duplicates)
        scanned = Interactions.scan(path, duplicates=duplicates)
        assert read.data_hash == scanned.data_hash
        np.testing.assert_array_equal(read.timestamps, scanned.timestamps)
        np.testing.assert_array_equal(read.user_ids, scanned.user_ids)
        assert read.reading == scanned.reading
    assert read.reading.columns == {
        "user": "user",
        "item": "item",
        "rating": "rating",
        "timestamp": "time",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user,item,customer\n1,2,3\n", "'user', 'customer' may each be the user column"),
        ("item,user\n1,2\n", "user=0 is the column 'item'"),
        ("when,what,who,x\n1,2,3,4\n5,6,7,8\n", "may be a header or an interaction"),
        ("2026-01-01,view,u1\n2026-01-02,buy,u2\n", "column 0 holds dates"),
        ("u1,std::map\nu2,std::set\n", "each cut every line into as many fields"),
        ("\xff\xfeu", "byte order mark of utf-16"),
        ("user,user,item\n1,2,3\n", "'user', 'user' may each be the user column: .* user=0"),
    ],
)
def test_what_is_not_certain_is_refused(tmp_path, text, words):
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode("latin-1"))
    options = {"user": 0} if text.startswith("item") else {}
    options |= {"header": False} if text.startswith("2026") else {}
    with pytest.raises(ValueError, match=words):
        Interactions.from_csv(path, **options)


@pytest.mark.parametrize("separator", ["|", "\t"])
def test_quotes_that_are_off_make_two_separators_possible(tmp_path, separator):
    # Two fields a line between "::"; three, with quotes, between what it was written with.
    path = tmp_path / "log"
    path.write_text(f'0{separator}::{separator}0\n0{separator}::{separator}"{separator}"\n')
    for read in (Interactions.from_csv, Interactions.scan, opened):
        with pytest.raises(DataError, match="each cut every line into as many fields"):
            read(path, user=1, item=0)
    data = Interactions.from_csv(path, user=1, item=0, separator=separator, quote='"', header=False)
    assert pairs(data) == [("::", "0")]
