import io

import pytest

from ganmf_fast.base import checks, unpacking
from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.base.unpacking import GRACE, RATIO, Unpacked, check_fits, most_unpacked


@pytest.fixture(autouse=True)
def _default(monkeypatch):
    monkeypatch.delenv("GANMF_MAX_UNPACKED", raising=False)


@pytest.mark.parametrize(
    ("given", "size"),
    [("5", 5), ("20G", 20 << 30), ("3kb", 3 << 10), (" 1 ", 1), ("2MiB", 2 << 20), ("1T", 1 << 40)],
)
def test_the_environment_says_a_number_of_bytes(monkeypatch, given, size):
    monkeypatch.setenv("GANMF_MAX_UNPACKED", given)
    assert most_unpacked(10**12) == size


@pytest.mark.parametrize(
    "given", ["a", "-1", "1e9", "5X", "1.5G", "\N{FULLWIDTH DIGIT NINE}G", "9" * 30]
)
def test_what_is_no_number_of_bytes_is_refused(monkeypatch, given):
    monkeypatch.setenv("GANMF_MAX_UNPACKED", given)
    with pytest.raises(ValueError, match="GANMF_MAX_UNPACKED must be a number of bytes"):
        most_unpacked(1)


def test_the_bound_grows_with_the_file():
    assert most_unpacked(0) == most_unpacked(1000) == GRACE
    assert most_unpacked(10**7, RATIO) == 10**7 * RATIO
    assert most_unpacked(10**12) == 2**40


def test_bytes_are_counted_while_they_are_read(monkeypatch):
    monkeypatch.setattr(unpacking, "GRACE", 1000)
    content = bytes(range(250)) * 4
    file = Unpacked(io.BytesIO(content), 3, "log.gz", RATIO)
    assert b"".join(iter(lambda: file.read(300), b"")) == content[:1000]
    file = Unpacked(io.BytesIO(content * 4), 3, "log.gz", RATIO, step=7)
    assert file.read(10) == content[:10]
    with pytest.raises(TooLargeError, match=r"log\.gz has 3 bytes and unpacks to more than"):
        file.read(10_000)
    assert file._file.tell() <= 3000 + 7


def test_memory_is_looked_at_for_what_is_large(monkeypatch):
    monkeypatch.setattr(checks, "available_memory", lambda: 2**20)
    check_fits(2**20, "small", "")
    with pytest.raises(TooLargeError, match=r"it needs 1\.0 GiB of memory .*; take less") as caught:
        check_fits(2**30, "it", "take less")
    assert isinstance(caught.value, DataError)
    assert isinstance(caught.value, MemoryError)
