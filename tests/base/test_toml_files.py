import time

import pytest

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.toml_files import read


def test_a_file_is_read(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('a = 1\n[b.c]\nd = ["é", 0.5, 2020-01-01]\n')
    assert read(path)["b"]["c"]["d"][:2] == ["é", 0.5]


HOSTILE = {
    "arrays": b"a = " + b"[" * 100_000,
    "tables": b"a = " + b"{a=" * 20_000,
    "closed arrays": b"a = " + b"[" * 80 + b"]" * 80,
    "dotted": b"a." * 100_000 + b"a = 1",
    "header": b"[" + b"a." * 1000 + b"a]",
    "tables below": b"[" + b"a." * 150 + b"a]",
    "digits": b"a = " + b"9" * 5000,
    "hex": b"a = [{b = 0x" + b"f" * 17 + b"}]",
    "twice": b"a = 1\na = 2",
    "table twice": b"[a]\n[a]",
    "date": b"a = 2020-99-99",
    "surrogate": b'a = "\\ud800"',
    "latin-1": b"a = '\xe9'",
    "utf-16": "a = 1".encode("utf-16"),
    "nul": b"a = '\0'",
    "cut": b'a = """b',
    "escape": b'a = "\\U00110000"',
    "long": b"# " + b"a" * 2**18,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_tomllib_cannot_bear_is_refused_at_once(tmp_path, name):
    path = tmp_path / "a.toml"
    path.write_bytes(HOSTILE[name])
    started = time.process_time()
    with pytest.raises(DataError, match=r"a\.toml") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert time.process_time() - started < 2


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "gone.toml", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read(path)
