"""Archives of arrays and matrices: what scipy and numpy write is read, all else is refused."""

import contextlib
import io
import struct
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from ganmf_fast.base import checks, unpacking
from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.base.npz import read_npz, read_sparse

DENSE = np.array([[0, 2, 0, 0], [1, 0, 0, 3], [0, 0, 0, 0], [4, 0, 5, 0]], np.float32)
KINDS = ["csr", "csc", "coo", "bsr", "dia"]


def parts_of(kind: str) -> dict:
    """The arrays that scipy stores of DENSE."""
    file = io.BytesIO()
    sp.save_npz(file, sp.coo_array(DENSE).asformat(kind))
    with np.load(io.BytesIO(file.getvalue())) as stored:
        return dict(stored)


def refused(path, words="is damaged", error=DataError):
    with pytest.raises(error, match=words) as caught:
        read_sparse(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", ["array", "matrix"])
@pytest.mark.parametrize("compressed", [True, False])
def test_every_format_that_scipy_writes_is_read(tmp_path, kind, container, compressed):
    path = tmp_path / "m.npz"
    sp.save_npz(path, getattr(sp, f"{kind}_{container}")(DENSE), compressed=compressed)
    found = read_sparse(path)
    assert found.format == kind
    assert_array_equal(found.toarray(), DENSE)


@pytest.mark.parametrize("stored", ["csr", b"csr", np.array("csr", ">U3")])
@pytest.mark.parametrize("dtype", ["?", "u1", ">i4", ">f8", "i8"])
def test_formats_and_values_of_any_age_and_machine_are_read(tmp_path, stored, dtype):
    parts = parts_of("csr") | {"format": stored}
    parts |= {"data": parts["data"].astype(dtype), "indptr": parts["indptr"].astype(">u8")}
    np.savez(tmp_path / "m.npz", **parts)
    found = read_sparse(tmp_path / "m.npz")
    assert_array_equal(found.toarray(), DENSE.astype(dtype))


@pytest.mark.parametrize(
    "array",
    [
        np.array(5),
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array([True, False]),
        np.array(["", "é", "日本"]),
        np.array([b"a", b""]),
        np.array(["2020-01-01", "NaT"], "M8[us]"),
        np.array([1, 2], ">m8[15m]"),
        np.arange(3, dtype=">u2"),
    ],
    ids=lambda a: f"{a.dtype.str}{a.shape}",
)
def test_arrays_come_back_as_they_were(array):
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, a=array, b=array)
        assert set(read_npz(file.getvalue())) == {"a", "b"}
        found = read_npz(file.getvalue(), ["b", "absent"])
        assert set(found) == {"b"}
        assert found["b"].dtype == array.dtype.newbyteorder("=")
        assert_array_equal(found["b"], array)
        assert found["b"].flags.writeable


BAD = {
    "csr": [
        {"indptr": [0, 1, 3, 3, 6]}, {"indptr": [1, 1, 3, 3, 5]}, {"indptr": [0, 3, 1, 3, 5]},
        {"indptr": [0, 1, 3, 5]}, {"indptr": [0, -1, 3, 3, 5]}, {"indptr": [[0, 1, 3, 3, 5]]},
        {"indptr": [0.0, 1, 3, 3, 5]}, {"indices": [1, 0, 3, 0, 4]}, {"indices": [1, 0, 3, 0, -1]},
        {"indices": [1, 0, 3, 0]}, {"indices": []}, {"data": [1, 2, 3]},
        {"data": [[1, 2, 3, 4, 5]]},
        {"data": ["a"] * 5}, {"data": [1j] * 5}, {"shape": [4]}, {"shape": [4, 4, 4]},
        {"shape": [-4, 4]}, {"shape": [4, 2**31]}, {"shape": [2**40, 4]}, {"shape": 4},
        {"shape": [4.0, 4.0]}, {"format": "lil"}, {"format": ["csr"]}, {"format": 3},
        {"format": "csr\0_matrix"}, {"format": "_data"},
        {"indptr": np.array([0, 2**64 - 1, 3, 3, 5], np.uint64)},
    ],
    "csc": [
        {"indptr": [0, 2, 3, 4, 9]}, {"indptr": [0, 2, 1, 4, 5]}, {"indptr": [0, 2**40, 3, 4, 5]},
        {"indices": [1, 3, 0, 3, 1 << 30]}, {"indices": [1, 3, 0, 3, -5]}, {"shape": [3, 4]},
        {"shape": [4, 5]},
    ],
    "coo": [
        {"row": [0, 1, 1, 3, 4]}, {"row": [0, 1, 1, 3]}, {"col": [-1, 0, 3, 0, 2]},
        {"col": [0.5] * 5},
        {"coords": [[0, 1, 1, 3, 99], [1, 0, 3, 0, 2]]}, {"coords": [[0], [1], [2]]},
    ],
    "bsr": [
        {"indptr": [0, 1 << 30]}, {"indices": [77] * 9}, {"shape": [5, 4]},
        {"data": np.zeros((2, 0, 1))}, {"data": [1.0, 2.0]}, {"data": np.zeros((2, 3, 3))},
    ],
    "dia": [
        {"offsets": [0]}, {"offsets": [[0, 1]]}, {"offsets": np.full(5, 2)}, {"data": [1.0, 2.0]},
        {"offsets": [2**62, 1, 2, 3, 4]}, {"offsets": [0.5, 1, 2, 3, 4]},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change"), [(kind, change) for kind, changes in BAD.items() for change in changes]
)
def test_a_matrix_that_points_outside_itself_is_refused(tmp_path, kind, change):
    parts = parts_of(kind) | {name: np.asarray(value) for name, value in change.items()}
    np.savez(tmp_path / "m.npz", **parts)
    refused(tmp_path / "m.npz")


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [(kind, name) for kind in KINDS for name in parts_of(kind) if name[0] != "_"],
)
def test_a_matrix_without_a_part_is_refused(tmp_path, kind, lacking):
    parts = {name: array for name, array in parts_of(kind).items() if name != lacking}
    np.savez(tmp_path / "m.npz", **parts)
    refused(tmp_path / "m.npz", f"lacks '{lacking}'|lacks 'row'")


# headers and archives ----------------------------------------------------------------------------


def npy(header: str, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content


def archive(members: dict[str, bytes], **changed: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    content = bytearray(file.getvalue())
    at = content.index(b"PK\1\2")
    for place, value in changed.items():  # in the local header, and in the directory
        local, central = {"flags": (6, 8), "method": (8, 10)}[place]
        content[local] = content[at + central] = value
    return bytes(content)


WHOLE = "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }"
HEADERS = [
    "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<V8', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (999999999999,), }",
    "{'descr': '<M8[5000000000s]', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<M8[parsec]', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (-2,), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000, 0), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 2,), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (" + "1" * 4000 + "), }",
    "{'descr': '<i8', 'fortran_order': False}",
    "{'descr': __import__('os'), 'fortran_order': False, 'shape': (2,), }",
    "(" * 3000,
    "'",
    "[2" + "L" * 50,
    "x" * 20_000,
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_a_header_that_numpy_would_not_write_is_refused(header):
    assert_array_equal(read_npz(archive({"a.npy": npy(WHOLE, bytes(16))}))["a"], [0, 0])
    with pytest.raises(DataError, match="is damaged"):
        read_npz(archive({"a.npy": npy(header, bytes(16))}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (archive({"a.npy": npy(WHOLE, bytes(16))}, flags=1), "is encrypted"),
        (archive({"a.npy": npy(WHOLE, bytes(16))}, flags=0x40), "is encrypted"),
        (archive({"a.npy": npy(WHOLE, bytes(16))}, flags=0x20), "patched"),
        (archive({"a.npy": npy(WHOLE, bytes(16))}, method=12), "compressed in a way"),
        (archive({"a.npy": npy(WHOLE, bytes(16))}, method=99), "compressed in a way"),
        (archive({"a.npy": npy(WHOLE, bytes(15))}), "instead of"),
        (archive({"a.npy": npy(WHOLE, bytes(17))}), "instead of"),
        (archive({"a.npy": npy(WHOLE, bytes(16), b"\7\0")}), "no array"),
        (archive({"a.npy": b""}), "no array"),
        (archive({"a.npy": b"\x93NUMPY\1\0"}), "holds neither"),
        (archive({f"{n}.npy": b"" for n in range(10_001)}), "10,001 members"),
        (archive({"a.npy": npy(WHOLE.replace("i8", "U2"), b"\xff" * 16)}), "no Unicode"),
        (archive({"a.npy": npy(WHOLE.replace("i8", "U2"), b"\0\xd8\0\0" * 4)}), "no Unicode"),
        (b"", "not a zip"),
        (b"PK\5\6" + bytes(10), "not a zip"),
    ],
)
def test_an_archive_that_numpy_would_not_write_is_refused(content, words):
    with pytest.raises(DataError, match=words):
        read_npz(content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_a_name_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.npy", npy(WHOLE, bytes(16)))
        made.writestr("a.npy", npy(WHOLE, bytes(16)))
    with pytest.raises(DataError, match="'a' twice"):
        read_npz(file.getvalue())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_is_refused_or_harmless(tmp_path, kind, seed):
    path, rng = tmp_path / "m.npz", np.random.default_rng(seed)
    sp.save_npz(path, sp.coo_array(DENSE).asformat(kind), compressed=seed % 2 == 0)
    whole = path.read_bytes()
    for _ in range(40):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), rng.integers(1, 9)):
            content[at] ^= 1 << rng.integers(8)
        path.write_bytes(content[: None if rng.random() < 0.8 else rng.integers(len(content))])
        with contextlib.suppress(DataError):
            assert_array_equal(read_sparse(path).toarray(), DENSE)


# size ---------------------------------------------------------------------------------------------


def test_a_bomb_is_refused_unless_it_is_allowed(tmp_path, monkeypatch):
    path = tmp_path / "m.npz"
    sp.save_npz(path, sp.csr_array((np.ones(10**6), np.zeros(10**6, int), [0, 10**6])))
    assert read_sparse(path).nnz == 10**6
    monkeypatch.setattr(unpacking, "GRACE", 1000)
    refused(path, r"unpacks to more than the [\d,]+ .*GANMF_MAX_UNPACKED", TooLargeError)
    monkeypatch.setenv("GANMF_MAX_UNPACKED", "20M")
    assert read_sparse(path).nnz == 10**6
    monkeypatch.setenv("GANMF_MAX_UNPACKED", "10M")
    refused(path, "more than the 10,485,760 that are allowed", TooLargeError)


@pytest.mark.parametrize("shape", [(2**31 - 1, 3), (3, 2**31 - 1), (2**31 - 1, 2**31 - 1)])
def test_a_shape_beyond_memory_is_refused_by_name(tmp_path, monkeypatch, shape):
    sp.save_npz(tmp_path / "m.npz", sp.coo_array(([1.0], ([2], [2])), shape=shape))
    monkeypatch.setattr(checks, "available_memory", lambda: 2**34)
    refused(tmp_path / "m.npz", rf"of shape \({shape[0]}, {shape[1]}\), needs", TooLargeError)


def test_arrays_beyond_memory_are_refused_before_they_are_made(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "m.npz", a=np.zeros(2**22))
    monkeypatch.setattr(checks, "available_memory", lambda: 2**25)
    monkeypatch.setattr(np, "empty", None)
    with pytest.raises(TooLargeError, match=r"m\.npz, unpacked, needs"):
        read_npz(tmp_path / "m.npz")
