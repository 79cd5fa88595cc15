"""What compressed data may become: honest logs are read, bombs are refused while they unpack."""

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile

import numpy as np
import polars as pl
import pytest
import zstandard

from ganmf_fast.base import checks, unpacking
from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.data import json_lines, parquet, readers
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.sources import _Streams, _zstandard

READS = [Interactions.from_csv, Interactions.scan]


def zipped(method):
    def pack(content: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("log.csv", content)
        return file.getvalue()

    return pack


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "zip": zipped(zipfile.ZIP_DEFLATED),
    "bzip2 in zip": zipped(zipfile.ZIP_BZIP2),
    "lzma in zip": zipped(zipfile.ZIP_LZMA),
}
each_packer = pytest.mark.parametrize("kind", PACKERS)


def clicks(n: int) -> bytes:
    """A log of one user after another on a regular catalogue, of long names."""
    names = "customer-account-number-{:09d},catalogue-article-{:05d}\n"
    return "".join(names.format(at // 9, at * 7 % 100) for at in range(n)).encode()


@each_packer
@pytest.mark.parametrize("read", READS)
def test_honest_logs_are_read_and_bombs_refused_unless_allowed(tmp_path, monkeypatch, kind, read):
    path = tmp_path / "log"
    monkeypatch.setattr(unpacking, "GRACE", 10_000)
    path.write_bytes(PACKERS[kind](clicks(20_000)))
    assert read(path).n_interactions == 20_000
    path.write_bytes(PACKERS[kind](b"1,2\n" * 1_000_000))
    with pytest.raises(TooLargeError, match=r"log has [\d,]+ bytes .*GANMF_MAX_UNPACKED") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("GANMF_MAX_UNPACKED", "4M")
    assert read(path).reading.records == 1_000_000


@each_packer
def test_a_small_file_may_become_much_larger(tmp_path, kind):
    (tmp_path / "log").write_bytes(PACKERS[kind](b"1,2\n" * 500_000))
    assert Interactions.from_csv(tmp_path / "log").reading.records == 500_000


def test_one_piece_of_zstandard_stays_small():
    """Blocks of four bytes that become 128 KiB each."""
    blocks = [struct.pack("<I", 131_072 << 3 | 2 | (at == 4999))[:3] + b"1" for at in range(5000)]
    frame = b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(blocks)
    reader = _Streams(io.BytesIO(frame), _zstandard)
    assert reader.read(1) == b"1"
    assert len(reader._ready) < 2**27


def test_rows_beyond_memory_are_refused_while_they_are_read(tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    path.write_bytes(b"1,2\n" * 3_000_000)
    monkeypatch.setattr(readers, "MEMORY_STEP", 2**22)
    monkeypatch.setattr(checks, "available_memory", lambda: 2**24)
    with pytest.raises(TooLargeError, match=r"records so far, needs .*Interactions\.scan"):
        Interactions.from_csv(path)
    assert Interactions.scan(path).reading.records == 3_000_000
    lines = path.with_suffix(".jsonl")
    lines.write_bytes(b'{"user": 1, "item": 2, "rating": 3}\n' * 300_000)
    monkeypatch.setattr(json_lines, "MEMORY_STEP", 2**24)
    monkeypatch.setattr(checks, "available_memory", lambda: 2**20)
    with pytest.raises(TooLargeError, match="262,144 records so far, needs"):
        Interactions.from_csv(lines)


@pytest.mark.parametrize("read", [Interactions.from_parquet, Interactions.scan])
def test_parquet_of_too_many_rows_is_refused(tmp_path, monkeypatch, read):
    path = tmp_path / "log.parquet"
    ones = np.ones(3_000_000, np.int64)
    pl.DataFrame({"user": ones, "item": ones}).write_parquet(path)
    assert read(path).n_interactions == 1
    monkeypatch.setattr(checks, "available_memory", lambda: 2**22)
    with pytest.raises(TooLargeError, match=r"log\.parquet, of 3,000,000 rows, needs"):
        read(path)
    monkeypatch.setattr(unpacking, "GRACE", 1000)
    monkeypatch.setattr(parquet, "RATIO", 100)
    with pytest.raises(TooLargeError, match="GANMF_MAX_UNPACKED"):
        read(path)


LINES = {
    "deep": '{"user": 1, "item": ' + "[" * 10**5,
    "digits": '{"user": ' + "9" * 5000 + ', "item": 1}',
    "twice": '{"user": 1, "user": 2, "item": 3}',
    "surrogate": '{"user": "\\ud800", "item": 1}',
    "nan": '{"user": NaN, "item": 1}',
    "list": '{"user": 1, "item": 2, "rating": [1]}',
    "huge rating": '{"user": 1, "item": 2, "rating": ' + "9" * 400 + "}",
    "infinite rating": '{"user": 1, "item": 2, "rating": Infinity}',
    "huge time": '{"user": 1, "item": 2, "timestamp": ' + "9" * 30 + "}",
    "time of two lines": '{"user": 1, "item": 2, "timestamp": "2020\\n2021"}',
    "time of a table": '{"user": 1, "item": 2, "timestamp": {"a": 1}}',
    "mixed ratings": '{"user": 1, "item": 2, "rating": 1}\n{"user": 1, "item": 3, "rating": "a"}',
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("read", READS)
def test_hostile_json_lines_are_refused_by_the_name_of_the_file(tmp_path, name, read):
    path = tmp_path / "log.jsonl"
    path.write_text(LINES[name])
    with pytest.raises(DataError, match=r"log\.jsonl"):
        read(path)


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_field_of_any_length_is_read(tmp_path, quote):
    """Python's csv module takes 131,072 characters."""
    path, name = tmp_path / "log.csv", "x" * 200_000
    path.write_text(f"{quote}{name}{quote},1\n2,3\n")
    assert Interactions.from_csv(path, header=False).user_ids.tolist() == ["2", name]


def test_a_first_line_without_end_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"1" * 2**21)
    with pytest.raises(DataError, match="line 1: longer than 1 MiB"):
        Interactions.from_csv(path)


ALTERED = {
    "encrypted": (6, 8, 1),
    "patched": (6, 8, 0x20),
    "strong": (6, 8, 0x41),
    "method": (8, 10, 99),
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_archive_that_cannot_be_unpacked_is_refused(tmp_path, how):
    content = bytearray(PACKERS["zip"](b"user,item\n1,2\n"))
    local, central, value = ALTERED[how]
    content[local] = content[content.index(b"PK\1\2") + central] = value
    (tmp_path / "log.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"log\.zip (is encrypted|cannot be read)"):
        Interactions.from_csv(tmp_path / "log.zip")


@pytest.mark.parametrize("kind", [*PACKERS, "plain", "lines", "parquet"])
def test_damage_anywhere_is_refused_or_read(tmp_path, kind):
    path, rng = tmp_path / "log", np.random.default_rng(0)
    users, items = np.arange(300) // 5, np.arange(300) * 7 % 40
    text = "user,item\n" + "".join(f"u{u},{i}\n" for u, i in zip(users, items, strict=True))
    match kind:
        case "parquet":
            pl.DataFrame({"user": users, "item": items}).write_parquet(path)
            whole = path.read_bytes()
        case "lines":
            pairs = zip(users.tolist(), items.tolist(), strict=True)
            whole = "".join(json.dumps({"user": u, "item": i}) + "\n" for u, i in pairs).encode()
        case _:
            whole = PACKERS.get(kind, bytes)(text.encode())
    reads = [Interactions.from_parquet] if kind == "parquet" else READS
    for _ in range(40):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), rng.integers(1, 6)):
            content[at] ^= 1 << rng.integers(8)
        path.write_bytes(content[: None if rng.random() < 0.8 else rng.integers(len(content))])
        for read in reads:
            try:
                read(path)
            except (ValueError, TypeError) as error:
                message = str(error)
            else:
                continue
            assert "\n" not in message
