"""The header of a safetensors file, checked before any array is made.

A file is eight bytes with the length of its header, the header (JSON: type, shape and place of each
array, and texts under ``__metadata__``), and the bytes of all arrays, without gaps.
Source: https://github.com/huggingface/safetensors#format.
"""

import math
from typing import IO, Annotated, Any, NamedTuple

import msgspec
import numpy as np

from ganmf_fast.base import json_files
from ganmf_fast.base.text import shown

_DTYPES = {
    "BOOL": "?",
    **{f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IU" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
_TEXTS = "__metadata__"
_Whole = Annotated[int, msgspec.Meta(ge=0, le=2**48)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """An array as the header describes it."""

    dtype: str
    shape: Annotated[list[_Whole], msgspec.Meta(max_length=8)]
    data_offsets: tuple[_Whole, _Whole]


class Place(NamedTuple):
    """An array, whose bytes follow those of the one before."""

    name: str
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]
    size: int
    """Bytes."""


def read_header(file: IO[bytes], size: int) -> tuple[dict[str, str], list[Place]]:
    """Texts and arrays of a file of `size` bytes, which is then read up to the first array.

    Raises
    ------
    ValueError
        If it is no safetensors file, is cut short, or its arrays do not fill it exactly; the
        message is a phrase.
    """
    field = file.read(8)
    length = int.from_bytes(field, "little")
    if len(field) < 8 or not 2 <= length <= size - 8:
        raise ValueError("it is cut short, or no safetensors file")
    try:
        header = json_files.typed(json_files.parse(file.read(length)), dict[str, Any])
        texts = json_files.typed(header.pop(_TEXTS, {}), dict[str, str])
        entries = json_files.typed(header, dict[str, _Entry])
    except ValueError as error:
        raise ValueError(f"its header is damaged: {error}") from None
    return texts, _places(entries, size - 8 - length)


def _places(entries: dict[str, _Entry], size: int) -> list[Place]:
    """The arrays in order, which fill `size` bytes."""
    places, at = [], 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype not in _DTYPES:
            raise ValueError(f"{shown(name)} is of an unknown type {shown(entry.dtype, 20)}")
        dtype, (start, end) = np.dtype(_DTYPES[entry.dtype]), entry.data_offsets
        if start != at or end - start != math.prod(entry.shape) * dtype.itemsize:
            raise ValueError(
                f"{shown(name)} of shape {entry.shape} cannot be at bytes {start} to {end}"
            )
        places.append(Place(name, dtype, tuple(entry.shape), end - start))
        at = end
    if at != size:
        raise ValueError(f"its arrays have {at:,} bytes, but {size:,} follow its header")
    return places
