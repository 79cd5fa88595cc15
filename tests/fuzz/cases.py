"""Cases as plain data: what they hold, how it is kept in a file, and how it is made real.

Odd objects, broken sparse matrices and arrays of unusual layout are described instead of held, so
that a kept case says what it is and is made again exactly, without pickle.
"""

import base64
import datetime as dt
import decimal
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["ODD", "Odd", "Shaped", "Sparse", "UnbuildableError", "from_json", "real", "to_json"]


class UnbuildableError(Exception):
    """scipy or numpy refuse to make such an object at all: there is nothing to test."""


class _Hostile:
    """Fails at whatever is asked of it."""

    def __array__(self, *_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("no array")

    def __len__(self) -> int:
        raise ValueError("no length")


class _Index:
    def __index__(self) -> int:
        return 1


class _Endless:
    """As long as it says, and longer."""

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, _at: int) -> int:
        raise IndexError


ODD: dict[str, Callable[[], Any]] = {
    "object": object,
    "hostile": _Hostile,
    "index": _Index,
    "endless": _Endless,
    "function": lambda: len,
    "class": lambda: int,
    "ellipsis": lambda: Ellipsis,
    "iterator": lambda: iter([0, 1]),
    "generator": lambda: (value for value in (2, 0)),
    "range": lambda: range(3),
    "slice": lambda: slice(0, 2),
    "complex": lambda: 1j,
    "decimal": lambda: decimal.Decimal("1.5"),
    "fraction": lambda: Fraction(1, 3),
    "date": lambda: dt.date(2020, 1, 1),
    "bytearray": lambda: bytearray(b"\x00\x01"),
    "memoryview": lambda: memoryview(b"\x00\x01"),
    "masked": lambda: np.ma.masked_array([0, 1, 2], mask=[0, 1, 0]),
    "matrix": lambda: np.asmatrix([[0, 1]]),
    "frozenset": lambda: frozenset({1, 2}),
    "keys": {0: "a", 1: "b"}.keys,
    "values": {0: 1}.values,
    "path": lambda: Path("nowhere"),
    "polars": lambda: __import__("polars").Series([0, 1, 2]),
    "pandas": lambda: __import__("pandas").Series([0, 1, 2]),
    "frame": lambda: __import__("pandas").DataFrame({"a": [0, 1]}),
}
"""Objects that no argument is meant to be, or is meant to be only sometimes."""


@dataclass
class Odd:
    """One of `ODD`."""

    name: str


@dataclass
class Shaped:
    """An array of another layout: "strided", "reversed", "frozen" or "fortran"."""

    layout: str
    array: np.ndarray[Any, Any]


@dataclass
class Sparse:
    """A scipy matrix of some class, with attributes replaced after it was made."""

    cls: str
    dense: np.ndarray[Any, Any]
    changes: dict[str, Any] = field(default_factory=dict)

    def make(self) -> Any:
        """The matrix."""
        try:
            matrix = getattr(sp, self.cls)(self.dense)
            for name, value in self.changes.items():
                try:
                    setattr(matrix, name, real(value))
                except AttributeError:
                    vars(matrix)[name] = real(value)
        except Exception as error:
            raise UnbuildableError from error
        return matrix


def real(value: Any) -> Any:
    """What a case describes."""
    match value:
        case Odd():
            return ODD[value.name]()
        case Sparse():
            return value.make()
        case Shaped(layout="strided"):
            wide = np.empty((*value.array.shape, 2), dtype=value.array.dtype)
            wide[..., 0] = value.array
            return wide[..., 0]
        case Shaped(layout="reversed"):
            return value.array[::-1].copy()[::-1]
        case Shaped(layout="frozen"):
            array = value.array.copy()
            array.flags.writeable = False
            return array
        case Shaped():
            return np.asfortranarray(value.array)
        case list():
            return [real(part) for part in value]
        case tuple():
            return tuple(real(part) for part in value)
        case dict():
            return {key: real(part) for key, part in value.items()}
        case np.ndarray() if value.dtype == object:
            made = np.empty(value.shape, dtype=object)
            for at, part in np.ndenumerate(value):
                made[at] = real(part)
            return made
        case np.ndarray():
            return value.copy()
    return value


def to_json(value: Any) -> Any:
    """A case as JSON: what JSON has no word for is a list that begins with its kind."""
    match value:
        case np.generic() | np.ndarray():
            return _array_to_json(np.asarray(value), isinstance(value, np.generic))
        case None | bool() | str():
            return value
        case int():
            return ["int", str(value)]
        case float():
            return ["float", value.hex()]
        case bytes():
            return ["bytes", base64.b64encode(value).decode()]
        case Odd():
            return ["odd", value.name]
        case Shaped():
            return ["shaped", value.layout, to_json(value.array)]
        case Sparse():
            return ["sparse", value.cls, to_json(value.dense), to_json(value.changes)]
        case list() | tuple() | set():
            return [type(value).__name__, *map(to_json, value)]
        case dict():
            return ["dict", *([to_json(key), to_json(part)] for key, part in value.items())]
    raise TypeError(f"a case cannot hold {value!r}")


def _array_to_json(array: Any, scalar: bool) -> Any:
    kind = "scalar" if scalar else "array"
    shape = list(array.shape)
    if array.dtype == object:
        return [kind, "O", shape, [to_json(part) for part in array.ravel().tolist()]]
    content = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return [kind, np.lib.format.dtype_to_descr(array.dtype), shape, content]


def from_json(content: Any) -> Any:
    """The case that `to_json` wrote."""
    if not isinstance(content, list):
        return content
    kind, *parts = content
    match kind:
        case "int":
            return int(parts[0])
        case "float":
            return float.fromhex(parts[0])
        case "bytes":
            return base64.b64decode(parts[0])
        case "odd":
            return Odd(parts[0])
        case "shaped":
            return Shaped(parts[0], from_json(parts[1]))
        case "sparse":
            return Sparse(parts[0], from_json(parts[1]), from_json(parts[2]))
        case "array" | "scalar":
            array = _array_from_json(*parts)
            return array[()] if kind == "scalar" else array
        case "dict":
            return {from_json(key): from_json(part) for key, part in parts}
    return {"list": list, "tuple": tuple, "set": set}[kind](map(from_json, parts))


def _array_from_json(descr: Any, shape: list[int], content: Any) -> Any:
    if descr == "O":
        array = np.empty(len(content), dtype=object)
        array[:] = [from_json(part) for part in content]
        return array.reshape(shape)
    dtype = np.lib.format.descr_to_dtype(_tuples(descr))
    return np.frombuffer(base64.b64decode(content), dtype=dtype).reshape(shape).copy()


def _tuples(descr: Any) -> Any:
    """The fields of a structured type, which JSON makes lists of."""
    return descr if isinstance(descr, str) else [tuple(part) for part in descr]


def files_in(case: Any) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files that a case holds."""
    if isinstance(case, dict):
        for name, content in case.get("files", {}).items():
            if isinstance(content, bytes):
                yield name, content


def keep(case: Any, about: dict[str, Any], path: Path) -> None:
    """Write a case to a file, and the files that it holds beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**about, "case": to_json(case)}, indent=1)
    path.write_text(text + "\n", encoding="utf-8", errors="surrogatepass")
    for name, content in files_in(case):
        beside = path.with_suffix("") / name
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
