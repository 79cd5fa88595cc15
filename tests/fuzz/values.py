"""Values that break things: numbers at limits, texts, arrays; and changes of bytes and JSON."""

import json
import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

import numpy as np
from tests.fuzz.cases import ODD, Odd, Shaped

__all__ = ["array", "bent_array", "bent_json", "bent_text", "either", "integer", "odd", "spoiled"]

T = TypeVar("T")

INTS = (
    *(-1, 0, 1, 2, 3, 7, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 2, 2**31 - 1, 2**31, -(2**31)),
    *(-(2**31) - 1, 2**32 - 1, 2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1),
    *(2**64 - 1, 2**64, 10**30),
)
FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 0.2, 1e-45, 1e-300, 1e38, 3.5e38, 1e300, 1.7e308, 2.0**53),
    *(0.1 + 0.2, 1 - 2**-53, math.nan, math.inf, -math.inf),
)
TEXTS = (
    *("", " ", "a", "0", "-1", "1.5", "nan", "inf", "1e999", "None", "train", "error", "skip"),
    *("\x00", "\x1b[31m", "\n", "\r", '"', "\\", "é", "\u202e", "\U0001f600", "\ud800", "x" * 999),
    *("../../etc/passwd", "/dev/zero", "%s%n", "{0}", "9" * 400, "<script>", "user", "item"),
)
DTYPES = (
    *("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", "c8", "c16"),
    *(">i4", ">i8", ">f4", "O", "S3", "U2", "M8[s]", "m8[D]", "V4"),
)


def either(
    rng: Random, usual: Callable[[], T], odd: Callable[[], Any], chance: float = 0.15
) -> Any:
    """What is usual, or with this chance what is odd."""
    return odd() if rng.random() < chance else usual()


def integer(rng: Random, size: int) -> int:
    """A whole number, most often below `size`."""
    return rng.randrange(size) if rng.random() < 0.7 else rng.choice(INTS)


def odd(rng: Random, depth: int = 2) -> Any:
    """Any value at all."""
    kind = rng.randrange(14)
    match kind:
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2 | 3:
            return rng.choice(INTS)
        case 4 | 5:
            return rng.choice(FLOATS)
        case 6:
            return rng.choice(TEXTS)
        case 7:
            return Odd(rng.choice(list(ODD)))
        case 8:
            return rng.choice((b"", b"\x00", b"user"))
        case 9:
            return _numpy_scalar(rng)
        case 10 | 11:
            return array(rng)
    if depth == 0:
        return rng.choice(((), [], {}))
    parts = [odd(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 12:
        return {rng.choice(TEXTS): part for part in parts}
    return parts if rng.random() < 0.7 else tuple(parts)


def _numpy_scalar(rng: Random) -> Any:
    return array(rng, ()).reshape(())[()] if rng.random() < 0.9 else np.float64("nan")


def array(rng: Random, shape: tuple[int, ...] | None = None) -> Any:
    """An array of any type and shape."""
    if shape is None:
        shape = rng.choice(((), (0,), (1,), (3,), (7,), (2, 0), (0, 2), (2, 3), (1, 1, 2)))
    dtype = rng.choice(DTYPES)
    values = [rng.choice(INTS[:12]) for _ in range(math.prod(shape))]
    if dtype == "O":
        made = np.empty(len(values), dtype=object)
        made[:] = [rng.choice((value, None, "a", 1.5)) for value in values]
    elif dtype[0] in "MmVUS":
        made = np.array([str(value % 100) for value in values], dtype="S3").astype("S3")
        if dtype[0] in "Mm":
            made = np.array([value % 100 for value in values], dtype="i8").view(dtype)
        elif dtype != "S3":
            made = made.astype("U2" if dtype == "U2" else "V4")
    else:
        with np.errstate(all="ignore"):
            made = np.array(values, dtype="i8").astype(dtype)
            if made.dtype.kind in "fc" and made.size and rng.random() < 0.3:
                made[rng.randrange(made.size)] = rng.choice(FLOATS)
    return made.reshape(shape)


def bent_array(rng: Random, usual: Any) -> Any:
    """An array that was right, with something about it changed."""
    given = np.atleast_1d(np.array(usual))
    match rng.randrange(9):
        case 0 | 1 | 2 if given.size and given.dtype.kind in "iuf":
            at = rng.randrange(given.size)
            kind = given.dtype
            with np.errstate(all="ignore"):
                value = rng.choice(FLOATS) if kind.kind == "f" else rng.choice(INTS) % 2**64
                new = np.uint64(value).astype(kind) if kind.kind in "iu" else kind.type(value)
            given.reshape(-1)[at] = new
            return given
        case 3 if given.size:
            return np.delete(given.reshape(-1), rng.randrange(given.size))
        case 4:
            return np.append(given, given[-1:] if given.ndim == 1 else given.reshape(-1)[:1])
        case 5 if given.size > 1:
            flat = given.reshape(-1)
            i, j = rng.randrange(given.size), rng.randrange(given.size)
            flat[[i, j]] = flat[[j, i]]
            return given
        case 6 if given.dtype.kind in "iufb":
            with np.errstate(all="ignore"):
                return given.astype(
                    rng.choice(("?", "i2", "i4", "i8", "u8", "f4", "f8", ">i4", "O"))
                )
        case 7:
            return Shaped(rng.choice(("strided", "reversed", "frozen", "fortran")), given)
    return rng.choice((given[:0], given.reshape(1, -1), array(rng), odd(rng)))


# Text and bytes ---------------------------------------------------------------------------------


def spoiled(rng: Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Some bytes with a few changes, as damage or an attacker makes them."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 9))):
        content = _spoiled_once(rng, content, others)
    return content


def _spoiled_once(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    if not content:
        return rng.randbytes(rng.randrange(20))
    at = rng.randrange(len(content))
    end = min(len(content), at + rng.choice((1, 2, 4, 8, 16, 64)))
    match rng.randrange(10):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        case 2:
            return content[:at] + rng.randbytes(end - at) + content[end:]
        case 3:
            return content[:at] + content[end:]
        case 4:
            return content[:end] + content[at:end] * rng.choice((1, 2, 50)) + content[end:]
        case 5:
            size = rng.choice((1, 2, 4, 8))
            number = (rng.choice(INTS) % 256**size).to_bytes(size, rng.choice(("little", "big")))
            return content[:at] + number + content[at + size :]
        case 6:
            return content[:at] + rng.choice(TEXTS).encode(errors="replace") + content[at:]
        case 7 if others:
            other = rng.choice(others)
            return content[:at] + other[rng.randrange(len(other) + 1) :]
        case 8:
            return content[:at] + bytes(end - at) + content[end:]
    return bent_text(rng, content)


def bent_text(rng: Random, content: bytes) -> bytes:
    """A number, a mark or a line of a text changed."""
    parts = content.split(b"\n")
    at = rng.randrange(len(parts))
    line = parts[at]
    match rng.randrange(6):
        case 0:
            parts.insert(at, rng.choice(parts))
        case 1:
            del parts[at]
        case 2 if digits := [i for i, byte in enumerate(line) if 48 <= byte <= 57]:
            where = rng.choice(digits)
            new = rng.choice(("-", "1e999", "9" * 400, "nan", "0x1", "1_0", "\u0661", str(2**64)))
            parts[at] = line[:where] + new.encode() + line[where + 1 :]
        case 3 if marks := [i for i, byte in enumerate(line) if byte in b"\"'[]{},:;=\t| "]:
            where = rng.choice(marks)
            parts[at] = (
                line[:where]
                + rng.choice((b"", b'"', b"[", b"{", b",,", b"\x00"))
                + line[where + 1 :]
            )
        case 4:
            parts[at] = (
                rng.choice(
                    (b"[" * 5000, b"{" * 300, b'"', b"a" * 70_000, b"\xff\xfe", b"\xef\xbb\xbf")
                )
                + line
            )
        case _:
            parts[at] = line + b"\r"
    return b"\n".join(parts)


def bent_json(rng: Random, value: Any) -> Any:
    """JSON with one value somewhere in it changed: another type, missing, twice as deep."""
    if isinstance(value, dict | list) and value and rng.random() < 0.8:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        at = rng.choice(keys)
        changed: Any = dict(value) if isinstance(value, dict) else list(value)
        if rng.random() < 0.1:
            del changed[at]
        else:
            changed[at] = bent_json(rng, value[at])
        return changed
    return _new_json(rng, value)


def _new_json(rng: Random, value: Any) -> Any:
    match rng.randrange(13):
        case 0:
            return rng.choice(INTS)
        case 1:
            return rng.choice(FLOATS)
        case 2:
            return rng.choice(TEXTS)
        case 3:
            return rng.choice((None, True, False))
        case 4:
            return [value] * rng.choice((0, 1, 3))
        case 5:
            return {rng.choice(TEXTS): value}
        case 6:
            return _nested(value, rng.choice((10, 70, 300)), list)
        case 7:
            return _nested(value, rng.choice((10, 70, 300)), dict)
        case 8 if isinstance(value, dict):
            return {**value, rng.choice(TEXTS): rng.choice(INTS)}
        case 9 if isinstance(value, list):
            return [*value, *value]
        case 10 if isinstance(value, str):
            return value + rng.choice(TEXTS)
        case 11 if isinstance(value, int | float):
            return rng.choice(
                (-value, str(value), [value], value + 1, float(value) if abs(value) < 1e300 else 0)
            )
    return rng.choice(({}, [], "", 0, 1, 2, 0.5, None))


def _nested(value: Any, depth: int, kind: type) -> Any:
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def written_json(rng: Random, value: Any) -> bytes:
    """JSON as text, now and then with a detail that Python would not write."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.9)
    content = text.encode(errors="surrogatepass")
    return spoiled(rng, content) if rng.random() < 0.1 else content
