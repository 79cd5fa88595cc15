"""Arrays in ``.npz`` files, and the sparse matrices that scipy keeps in them, from anyone.

An archive is taken apart here, so that neither numpy nor scipy sees what was not checked: number,
names, compression and declared sizes of its members, the header of each array, which has to fit
its size, and the indices of a matrix, which scipy's conversions would follow anywhere. Nothing is
allocated before. Cost: the arrays once, unpacked, and one pass over the indices.
"""

import math
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import one_line, shown
from ganmf_fast.base.unpacking import check_fits, check_unpacked

MAX_MEMBERS = 10_000
"""Arrays of an archive."""

_MAX_SIDE = 2**31 - 1
_MAX_HEADER = 4096
_MAGIC = b"\x93NUMPY"
_CHUNK = 2**20
_ENCRYPTED = 0x41
_SUFFIX = ".npy"
# As numpy writes it; what holds Python objects, fields or more than these types is no match.
_HEADER = re.compile(
    r"\{'descr': '([<>|=](?:b1|[iu][1248]|f[248]|[SU][1-9]\d{0,8}|[mM]8\[\d{0,9}[a-zA-Z]{1,7}\]))'"
    r", 'fortran_order': (True|False)"
    r", 'shape': \(((?:\d{1,16}L?(?:, \d{1,16}L?){0,7},?)?)\), \} *\n",
    re.ASCII,
)
# What zipfile and zlib raise on an altered or encrypted archive.
_DAMAGE = (
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    OverflowError,
    MemoryError,
)


def read_npz(
    source: Path | bytes,
    names: Collection[str] | None = None,
    name: str | None = None,
    limit_bytes: int | None = None,
) -> dict[str, NDArray[Any]]:
    """Arrays of an archive: numbers, text and dates.

    Parameters
    ----------
    source : Path or bytes
    names : collection of str, optional
        Those to read, as far as they are there; all by default.
    name : str, optional
        What messages call the archive; its path by default.
    limit_bytes : int, optional
        Most bytes of the arrays together, beside the bounds of `base.unpacking`.

    Returns
    -------
    dict of str to array
        Of native byte order, writable.

    Raises
    ------
    DataError
        If it cannot be read, is damaged, or holds anything but such arrays.
    TooLargeError
        (a ``DataError``) If the arrays would be larger than they may, or than memory.
    """
    label = str(source) if name is None and isinstance(source, Path) else name or "the archive"
    with _damage_refused(label), _opened(source) as file, zipfile.ZipFile(file) as archive:
        members = _members(archive, names)
        packed, size = file.seek(0, 2), sum(info.file_size for info in members.values())
        check_unpacked(size, packed, label)
        if limit_bytes is not None:
            check_unpacked(size, packed, label, limit_bytes)
        check_fits(2 * size, f"{label}, unpacked,", "use a machine with more")
        return {key: _array(archive, info) for key, info in members.items()}


def read_sparse(path: Path) -> Any:
    """A sparse matrix that `scipy.sparse.save_npz` wrote, in any of its formats.

    Returns
    -------
    scipy.sparse array of the stored format
        Its indices lie inside its shape; it need not be canonical.

    Raises
    ------
    DataError
        If it cannot be read, is damaged, or is no sparse matrix of real numbers.
    TooLargeError
        (a ``DataError``) If it would be larger than it may, or than memory.
    """
    with _damage_refused(str(path)):
        return _sparse(read_npz(path, _SPARSE), str(path))


@contextmanager
def _damage_refused(label: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{label} cannot be read: {error.strerror or error}") from None
    except KeyError as error:
        raise DataError(f"{label} is damaged: it lacks {error}") from None
    except _DAMAGE as error:
        raise DataError(f"{label} is damaged: {one_line(error, 200)}") from None


@contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes]]:
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as file:
        yield file


def _members(archive: zipfile.ZipFile, names: Collection[str] | None) -> dict[str, zipfile.ZipInfo]:
    """The members to read, by the names of their arrays."""
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS:
        raise ValueError(f"it has {len(entries):,} members, more than {MAX_MEMBERS:,}")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in entries:
        name = info.filename.removesuffix(_SUFFIX)
        if name == info.filename or (names is not None and name not in names):
            continue
        if name in found:
            raise ValueError(f"it holds {shown(name)} twice")
        if info.flag_bits & _ENCRYPTED:
            raise ValueError(f"its member {shown(name)} is encrypted")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError(f"its member {shown(name)} is compressed in a way that numpy is not")
        found[name] = info
    return found


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    name = info.filename
    with archive.open(info) as member:
        dtype, fortran, shape, header = _header(member, name)
        size = math.prod(shape) * dtype.itemsize
        if header + size != info.file_size:
            raise ValueError(
                f"{shown(name)} of shape {shape} has {info.file_size:,} bytes instead of "
                f"{header + size:,}"
            )
        raw: NDArray[np.uint8] = np.empty(size, np.uint8)
        view, at = raw.data, 0
        while at < size:
            piece = member.read(min(_CHUNK, size - at))
            if not piece:
                raise ValueError(f"{shown(name)} is cut short")
            view[at : at + len(piece)] = piece
            at += len(piece)
        member.read(1)  # At the end, where the checksum is compared.
    return _typed(raw, dtype, name).reshape(shape, order="F" if fortran else "C")


def _header(member: IO[bytes], name: str) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Type, order, shape and the length of the header, which says them."""
    start = member.read(8)
    wide = start[6:7] in {b"\2", b"\3"}
    if start[:6] != _MAGIC or not (wide or start[6:7] == b"\1"):
        raise ValueError(f"{shown(name)} is no array")
    field = member.read(4 if wide else 2)
    length = int.from_bytes(field, "little")
    content = member.read(min(length, _MAX_HEADER))
    found = _HEADER.fullmatch(content.decode("latin-1")) if length <= _MAX_HEADER else None
    if found is None:
        raise ValueError(f"{shown(name)} holds neither numbers nor text nor dates")
    try:
        dtype = np.dtype(found[1])
    except TypeError:
        raise ValueError(f"{shown(name)} is of an unknown type {found[1]!r}") from None
    shape = tuple(int(side) for side in re.findall(r"\d+", found[3]))
    return dtype, found[2] == "True", shape, len(start) + len(field) + length


def _typed(raw: NDArray[np.uint8], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Bytes as an array of one dimension, whose values are values of its type."""
    if dtype.kind == "b":
        return np.not_equal(raw, 0)
    array: NDArray[Any] = raw.view(dtype)
    if not array.dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    if dtype.kind == "U":
        points = array.view(np.uint32)
        if bool(((points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))).any()):
            raise ValueError(f"{shown(name)} holds what is no Unicode text")
    return array


# matrices ----------------------------------------------------------------------------------------

_SPARSE = frozenset(
    {"format", "shape", "data", "indices", "indptr", "offsets", "row", "col", "coords"}
)


def _sparse(parts: Mapping[str, NDArray[Any]], label: str) -> Any:
    kind = _format(parts["format"])
    shape = _indices(parts["shape"], "shape")
    if shape.shape != (2,) or shape.min() < 0 or shape.max() > _MAX_SIDE:
        raise ValueError(f"its shape is {shape[:5].tolist()}, not two sides of at most 2^31 - 1")
    rows, cols = shape.tolist()
    data = parts["data"]
    if data.dtype.kind not in "biuf":
        raise ValueError(f"its values are {data.dtype}, not real numbers")
    # Pointers of the rows, and what a model or a metric holds of each item.
    needed = 16 * (rows + cols) + (0 if kind == "csr" else 24 * data.size)
    check_fits(needed, f"{label}, of shape ({rows}, {cols}),", "leave out empty rows and columns")
    if kind == "coo":
        row, col = parts["coords"] if "coords" in parts else (parts["row"], parts["col"])
        places = _within(row, rows, "row"), _within(col, cols, "col")
        if not data.shape == places[0].shape == places[1].shape:
            raise ValueError("its values and places differ in number")
        return sp.coo_array((data, places), shape=(rows, cols))
    if kind == "dia":
        offsets = _indices(parts["offsets"], "offsets")
        if data.ndim != 2 or data.shape[:1] != offsets.shape:
            raise ValueError("its diagonals and offsets differ in number")
        if len(np.unique(offsets)) < len(offsets) or (abs(offsets) > _MAX_SIDE).any():
            raise ValueError("its offsets are not distinct, or too large")
        return sp.dia_array((data, offsets), shape=(rows, cols))
    block = (1, 1)
    if kind == "bsr":
        if data.ndim != 3 or 0 in data.shape[1:] or rows % data.shape[1] or cols % data.shape[2]:
            raise ValueError(f"its blocks of shape {data.shape[1:]} do not fit its shape")
        block = data.shape[1:]
    elif data.ndim != 1:
        raise ValueError(f"its values have {data.ndim} dimensions")
    sides = rows // block[0], cols // block[1]
    major, minor = sides[::-1] if kind == "csc" else sides
    indptr = _within(parts["indptr"], len(data) + 1, "indptr")
    indices = _within(parts["indices"], minor, "indices")
    if len(indptr) != major + 1 or indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise ValueError("its indptr does not go from 0 upwards, once for each row or column")
    if len(indices) != len(data):
        raise ValueError("its values and indices differ in number")
    made = {"csr": sp.csr_array, "csc": sp.csc_array, "bsr": sp.bsr_array}[kind]
    return made((data, indices, indptr), shape=(rows, cols))


def _format(stored: NDArray[Any]) -> str:
    """The name of a format, which old versions of scipy store as bytes."""
    value = stored.item() if stored.ndim == 0 else None
    kind = value.decode("latin-1") if isinstance(value, bytes) else value
    if kind not in {"csr", "csc", "coo", "bsr", "dia"}:
        raise ValueError(f"its format is {shown(kind, 20)}, none of csr, csc, coo, bsr and dia")
    return str(kind)


def _indices(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"its {name} are {array.dtype} of shape {array.shape}, not whole numbers")
    if array.dtype == np.uint64 and len(array) and array.max() > 2**63 - 1:
        raise ValueError(f"its {name} hold {array.max()}")
    return array.astype(np.int64) if array.dtype.kind == "u" else array


def _within(array: NDArray[Any], end: int, name: str) -> NDArray[Any]:
    """Whole numbers from 0 to `end` - 1."""
    array = _indices(array, name)
    if len(array) and (array.min() < 0 or array.max() >= end):
        raise ValueError(f"its {name} go from {array.min()} to {array.max()}, outside 0..{end}")
    return array
