"""Headers of safetensors files: as the library writes them, or refused."""

import io
import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import save, save_file

from ganmf_fast.base import checks, files
from ganmf_fast.base.errors import TooLargeError
from ganmf_fast.base.files import read_tensors, write_tensors
from ganmf_fast.base.tensor_headers import read_header

DTYPES = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
ARRAYS = {dtype: (np.arange(6).reshape(2, 3) % 2).astype(dtype) for dtype in DTYPES}
ARRAYS |= {"empty": np.zeros((0, 4)), "number": np.array(5.0)}


def header_of(content: bytes):
    return read_header(io.BytesIO(content), len(content))


def made(entries: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def test_what_is_written_is_read_back(tmp_path):
    write_tensors(tmp_path / "a", "kind", "text", ARRAYS)
    text, found, sound = read_tensors(tmp_path / "a", "kind")
    assert (text, sound) == ("text", True)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert_array_equal(found[name], array)
    assert read_tensors(tmp_path / "a", "another kind") == (None, {}, False)
    save_file(ARRAYS, tmp_path / "b")
    assert read_tensors(tmp_path / "b", "kind") == (None, {}, False)


ONE = {"a": entry()}
HOSTILE = [
    b"", b"abc", bytes(8), made(ONE), made(ONE, bytes(7)), made(ONE, bytes(9)),
    made(ONE, bytes(8), length=2**63), made(ONE, bytes(8), length=2**40),
    made(ONE, bytes(8), length=1),
    made(b"[]"), made(b"5"), made(b"{}", b"a"), made(b'{"a": '), made(b"\xff\xfe{}"),
    made(b"[" * 10**5),
    made(b'{"a":' * 1000 + b"1" + b"}" * 1000), made(b'{"a": ' + b"9" * 5000 + b"}"),
    made(b'{"__metadata__": {"a": "1", "a": "2"}}'), made({"__metadata__": {"a": 5}}),
    made({"__metadata__": []}), made({"__metadata__": {"a": {"b": "c"}}}), made({"a": 5}),
    made(b'{"__metadata__": {"a": "\\ud800"}}'),
    made({"a": {}}), made({"a": entry(more=1)}, bytes(8)),
    made({"a": entry("BF16", (4,))}, bytes(8)),
    made({"a": entry("O")}, bytes(8)), made({"a": entry(None)}, bytes(8)),
    made({"a": entry(shape=(-2,))}, bytes(8)), made({"a": entry(shape=(2.0,))}, bytes(8)),
    made({"a": entry(shape=(True, 2))}, bytes(8)), made({"a": entry(shape=(3,))}, bytes(8)),
    made({"a": entry(shape=(2**40, 2**40))}, bytes(8)),
    made({"a": entry(shape=(2**63,))}, bytes(8)),
    made({"a": entry(shape=(1,) * 9)}, bytes(4)), made({"a": entry(offsets=(0, -8))}, bytes(8)),
    made({"a": entry(offsets=(8, 0))}, bytes(8)), made({"a": entry(offsets=(0, 2**62))}, bytes(8)),
    made({"a": entry(offsets=(1, 9))}, bytes(9)), made({"a": entry(offsets=(0, 8, 9))}, bytes(8)),
    made({"a": entry(), "b": entry()}, bytes(8)),
    made({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    made({"a": entry(), "b": entry(offsets=(9, 17))}, bytes(17)),
    made({"a": entry(offsets=(0.5, 8))}, bytes(8)),
    made({"a": entry(shape=(float("nan"),))}, bytes(8)),
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_header_that_lies_is_refused_in_a_phrase(content):
    with pytest.raises(ValueError, match=r"^(it|its|'.+') ") as caught:
        header_of(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_bytes_of_truth_values_are_truth_values(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(
        made({"__metadata__": {"kind": ""}, "a": entry("BOOL", (2,), (0, 2))}, b"\2\0")
    )
    _, found, _ = read_tensors(path, "kind")
    assert found["a"].view(np.uint8).tolist() == [1, 0]


def test_damage_anywhere_is_refused_or_harmless(tmp_path):
    path, rng = tmp_path / "a", np.random.default_rng(0)
    text = "text"
    whole = save(ARRAYS, {"kind": text, files.CHECKSUM: files.checksum(text, ARRAYS)})
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), rng.integers(1, 5)):
            content[at] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            text, found, sound = read_tensors(path, "kind")
        except ValueError:
            continue
        if text is not None and sound:
            assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_what_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    write_tensors(tmp_path / "a", "kind", "", {"a": np.zeros(2**22)})
    monkeypatch.setattr(checks, "available_memory", lambda: 2**20)
    with pytest.raises(TooLargeError, match=r"a needs 0\.0 GiB"):
        read_tensors(tmp_path / "a", "kind")
