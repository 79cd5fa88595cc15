"""Parquet files that claim more than they hold."""

import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.data.parquet_claims import check_claims


def written(path, rows=3, **options):
    users = [f"u{row}" for row in range(rows)]
    log = pl.DataFrame({"user": users, "item": users, "when": [1.5] * rows, "flag": [True] * rows})
    log.write_parquet(path, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"row_group_size": 2, "statistics": "full"}])
def test_files_as_they_are_written_pass(options, tmp_path):
    for rows in (1, 3, 500):
        check_claims([written(tmp_path / f"{rows}.parquet", rows, **options)])
    check_claims([tmp_path])


def footers():
    """What a footer may not be."""
    long = b"\xff\xff\xff\xff\x7f"
    yield "a list", b"\x19\xfc" + long + b"\x00"
    yield "a string", b"\x18" + long + b"\x00"
    yield "a map", b"\x1b" + long + b"\x88\x00"
    yield "a number without an end", b"\x15" + b"\xff" * 30
    yield "an unknown type", b"\x1f\x00"
    yield "levels without an end", b"\x1c" * 5000
    yield "nothing", b""


@pytest.mark.parametrize(("kind", "footer"), list(footers()))
def test_footers_that_claim_more_than_they_hold_are_refused(kind, footer, tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    sentence = "log.parquet is not a readable parquet file: its footer or a page is damaged"
    for read in (gf.Interactions.from_parquet, gf.Interactions.scan):
        with pytest.raises(DataError, match=sentence):
            read(path)


def test_a_file_cut_short_and_one_of_another_kind_are_refused(tmp_path):
    whole = written(tmp_path / "log.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], b"user,item\n1,2\n"):
        (tmp_path / "log.parquet").write_bytes(content)
        with pytest.raises(DataError, match="its footer or a page is damaged"):
            gf.Interactions.from_parquet(tmp_path / "log.parquet")


DATA_PAGE = b"\x2c\x15"  # field 5, a struct, whose field 1 is a number
DICTIONARY_PAGE = b"\x4c\x15"


@pytest.mark.parametrize(
    ("before", "true", "claimed"),
    [
        (DATA_PAGE, b"\x06", b"\x07"),  # -4 values instead of 3
        (DATA_PAGE, b"\x06", b"\x08"),  # 4, of a column of 3
        (DICTIONARY_PAGE, b"\x06", b"\x7e"),  # 63 entries in 18 bytes
        (DICTIONARY_PAGE, b"\x06", b"\x05"),
    ],
)
def test_pages_that_claim_more_than_they_hold_are_refused(before, true, claimed, tmp_path):
    path = written(tmp_path / "log.parquet", compression="uncompressed")
    content = path.read_bytes()
    assert before + true in content
    path.write_bytes(content.replace(before + true, before + claimed, 1))
    for read in (gf.Interactions.from_parquet, gf.Interactions.scan):
        with pytest.raises(DataError, match="its footer or a page is damaged"):
            read(path)


def test_what_pages_unpack_to_is_bounded(tmp_path, monkeypatch):
    path = written(tmp_path / "log.parquet", 30_000)
    check_claims([path])
    monkeypatch.setenv("GANMF_MAX_UNPACKED", "100K")
    with pytest.raises(TooLargeError, match=r"log\.parquet has [\d,]+ bytes and unpacks to more"):
        check_claims([path])
