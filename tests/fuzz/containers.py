"""Formats of files taken apart, changed in one place, and put together again with right checksums.

Damage that a checksum or a length would reveal is only the outer wall: what lies behind it is
reached by files that are whole, and wrong.
"""

import ast
import bz2
import contextlib
import gzip
import io
import json
import lzma
import struct
import zipfile
from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np
import zstandard
from tests.fuzz.values import FLOATS, INTS, TEXTS, bent_json, spoiled

__all__ = [
    "bent_npz",
    "bent_safetensors",
    "bent_tensors",
    "compressed",
    "npz_members",
    "packed_npz",
    "packed_safetensors",
    "unpacked_safetensors",
]

Tensors = dict[str, np.ndarray[Any, Any]]
_TYPES = ("BOOL", "U8", "I8", "I16", "F16", "BF16", "I32", "F32", "F64", "I64", "U64", "F8_E4M3")


# safetensors -------------------------------------------------------------------------------------


def unpacked_safetensors(content: bytes) -> tuple[dict[str, str], Tensors]:
    """Metadata and tensors of a whole file."""
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])["__metadata__"], load(content)


def packed_safetensors(metadata: Mapping[str, str], tensors: Tensors) -> bytes:
    """A whole file."""
    from safetensors.numpy import save

    # What has no place in the format is left out.
    kinds = "?iuf"
    given = {n: np.ascontiguousarray(t) for n, t in tensors.items() if t.dtype.kind in kinds + "b"}
    given = {n: t for n, t in given.items() if t.dtype.itemsize <= 8 and t.dtype.isnative}
    return save(given, dict(metadata))


def bent_safetensors(rng: Random, content: bytes) -> bytes:
    """A file whose header says something else, with its length right or wrong."""
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    names = [name for name in header if name != "__metadata__"]
    for _ in range(rng.choice((1, 1, 2))):
        match rng.randrange(5):
            case 0 if names:
                header[rng.choice(names)]["dtype"] = rng.choice(_TYPES)
            case 1 if names:
                entry = header[rng.choice(names)]
                entry["shape"] = rng.choice(
                    ([], [0], [2**32, 2**32], [rng.choice(INTS)], [*entry["shape"][::-1], 1])
                )
            case 2 if names:
                offsets = header[rng.choice(names)]["data_offsets"]
                offsets[rng.randrange(2)] = rng.choice((*INTS, len(data), len(data) + 1))
            case 3 if len(names) > 1:
                a, b = rng.choice(names), rng.choice(names)
                header[a], header[b] = header[b], header[a]
            case _:
                header = bent_json(rng, header)
                if not isinstance(header, dict):
                    header = {"a": header}
                names = [n for n in header if isinstance(header[n], dict) and len(header[n]) == 3]
                names = [n for n in names if isinstance(header[n].get("data_offsets"), list)]
                names = [n for n in names if len(header[n]["data_offsets"]) == 2]
                names = [n for n in names if isinstance(header[n].get("shape"), list)]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    length = len(text) if rng.random() < 0.9 else rng.choice(INTS) % 2**64
    return length.to_bytes(8, "little") + text + data


def bent_tensors(rng: Random, tensors: Tensors) -> Tensors:
    """Tensors of which one has another value, type, shape, name or nothing at all."""
    changed = dict(tensors)
    name = rng.choice(list(changed))
    array = changed[name].copy()
    match rng.randrange(9):
        case 0 | 1 | 2 if array.size:
            flat = array.reshape(-1)
            pool = FLOATS if array.dtype.kind == "f" else INTS
            with np.errstate(all="ignore"):
                value = rng.choice(pool)
                if array.dtype.kind != "f":
                    value = np.uint64(value % 2**64).astype(array.dtype)
                flat[rng.randrange(flat.size)] = value
            changed[name] = array
        case 3:
            changed[name] = array.reshape(-1)[: rng.randrange(array.size + 1)]
        case 4:
            changed[name] = np.concatenate([array, array])
        case 5:
            kind = rng.choice(("?", "u1", "i2", "i4", "i8", "f2", "f4", "f8", "u8"))
            with np.errstate(all="ignore"):
                changed[name] = array.astype(kind)
        case 6:
            changed[name] = rng.choice((array.reshape(1, -1), array.reshape(-1), array[:0]))
        case 7:
            del changed[name]
            if rng.random() < 0.5:
                changed[rng.choice((*TEXTS[:14], name + "s"))] = array
        case _:
            other = rng.choice(list(changed))
            changed[name], changed[other] = changed[other], changed[name]
    return changed


# npz ---------------------------------------------------------------------------------------------


def npz_members(content: bytes) -> dict[str, bytes]:
    """Members of a zip file, as far as they can be read."""
    members = {}
    with (
        contextlib.suppress(Exception),
        zipfile.ZipFile(io.BytesIO(content)) as packed,
    ):
        for info in packed.infolist():
            members[info.filename] = packed.read(info)
    return members


def packed_npz(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as packed:
        for name, data in members.items():
            packed.writestr(zipfile.ZipInfo(name), data, method)
    return content.getvalue()


def bent_npz(rng: Random, content: bytes) -> bytes:
    """An npz file with another member, another array in a member, or other fields of the zip."""
    if rng.random() < 0.2:
        return _bent_zip(rng, content)
    members = npz_members(content)
    for _ in range(rng.choice((1, 1, 2))):
        if not members:
            break
        name = rng.choice(list(members))
        match rng.randrange(10):
            case 0:
                del members[name]
            case 1:
                members[rng.choice((*TEXTS[:14], "x.npy", "user_ids.npy"))] = members[name]
            case 2:
                other = rng.choice(list(members))
                members[name], members[other] = members[other], members[name]
            case 3:
                members[name] = spoiled(rng, members[name])
            case 4 if rng.random() < 0.02:
                # Much from little: what fits the length of a file may not fit the memory.
                members[name] = members[name][:128] + bytes(2**28)
            case _:
                members[name] = _bent_npy(rng, members[name])
    try:
        method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
        return packed_npz(members, method)
    except (ValueError, UnicodeError):
        return content[:-1]


def _bent_npy(rng: Random, content: bytes) -> bytes:
    """An npy file with another header, or another number in its array."""
    try:
        size = struct.unpack("<H", content[8:10])[0]
        header = ast.literal_eval(content[10 : 10 + size].decode("latin1"))
        data = content[10 + size :]
        descr, shape = header["descr"], header["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError, struct.error, MemoryError):
        return spoiled(rng, content)
    match rng.randrange(8):
        case 0:
            shape = rng.choice(
                ((), (0,), (2**40,), (2**28,), (-1,), (1, *shape), (2**62, 4), (True,), (1.5,))
            )
        case 1:
            descr = rng.choice(
                (
                    *("<i4", ">i4", "<i8", "<u8", "<f4", "<f8", "|b1", "|O", "<U3", "<U9999999"),
                    *("<M8[s]", "<c8", "|S1", "|V0", [("a", "<i4")], "x", "", 3),
                )
            )
        case 2:
            shape = tuple(n + rng.choice((-1, 1)) if isinstance(n, int) else n for n in shape)
        case 3:
            data = spoiled(rng, data)
        case 4:
            data = data[: rng.randrange(len(data) + 1)]
        case 5 | 6 if len(data) >= 8 and isinstance(descr, str) and descr[1:] in ("i4", "i8"):
            width = int(descr[2:])
            at = rng.randrange(len(data) // width) * width
            number = (rng.choice(INTS) % 256**width).to_bytes(width, "little")
            data = data[:at] + number + data[at + width :]
        case _:
            header = {"fortran_order": rng.choice((True, False, None, 3))}
    text = repr(
        {"descr": descr, "fortran_order": header.get("fortran_order", False), "shape": shape}
    )
    if rng.random() < 0.05:
        text = spoiled(rng, text.encode()).decode("latin1")
    line = (text + "\n").encode("latin1", errors="replace")[: 2**16 - 1]
    version = rng.choice((b"\x01\x00",) * 9 + (b"\x02\x00", b"\x09\x00"))
    return b"\x93NUMPY" + version + struct.pack("<H", len(line)) + line + data


# Places of numbers in records of a zip file, with their sizes: flags, method, checksum, sizes, ...
_FIELDS = {
    b"PK\x01\x02": ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)),
    b"PK\x03\x04": ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x05\x06": ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}


def _bent_zip(rng: Random, content: bytes) -> bytes:
    mark = rng.choice(list(_FIELDS))
    starts = [at for at in range(len(content)) if content.startswith(mark, at)]
    if not starts:
        return spoiled(rng, content)
    offset, width = rng.choice(_FIELDS[mark])
    at = rng.choice(starts) + offset
    number = rng.choice((0, 1, 9, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 2**28, len(content)))
    return content[:at] + (number % 256**width).to_bytes(width, "little") + content[at + width :]


# Compression -------------------------------------------------------------------------------------


def compressed(rng: Random, content: bytes) -> bytes:
    """The same content as some program has compressed it."""
    return rng.choice(
        (
            lambda: gzip.compress(content, 1),
            lambda: gzip.compress(content[:9], 1) + gzip.compress(content[9:], 1),
            lambda: bz2.compress(content, 1),
            lambda: lzma.compress(content, preset=0),
            lambda: zstandard.compress(content, 1),
            lambda: packed_npz({"log.csv": content}),
            lambda: packed_npz({"log.csv": content, "b.csv": content}),
            lambda: packed_npz({}),
        )
    )()
