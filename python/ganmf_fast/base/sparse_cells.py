"""The stored entries of a scipy matrix of any format, found without scipy's conversions.

Those trust the index arrays and write beyond their memory where these lie. Here every index is
compared with the shape first; numpy then computes rows and columns, and `Csr` checks its own copy
of them, so that not even a matrix that another thread changes meanwhile does harm.
"""

from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base.checks import as_array
from ganmf_fast.base.text import shown


class Cells(NamedTuple):
    """Rows, columns and values of the stored entries, in any order."""

    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    values: NDArray[Any]


class Compressed(NamedTuple):
    """Index arrays of CSR or CSC, without what lies beyond the last pointer."""

    pointers: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[Any]

    def lines(self) -> NDArray[np.int32]:
        """The row (of CSR) or column (of CSC) of each entry."""
        return _repeated(self.pointers)


def cells(X: Any, shape: tuple[int, int], name: str) -> Cells:
    """Entries of a scipy matrix of any format.

    Parameters
    ----------
    X : scipy sparse matrix or array
    shape : (int, int)
        Its shape, each side below 2**31.
    name : str
        What messages call it.

    Raises
    ------
    TypeError
        If an index array does not hold whole numbers, or the format is unknown.
    ValueError
        If the arrays of the matrix do not fit together or an index is out of range.
    """
    kind = f"{name} is not a valid {str(X.format).upper()} matrix: "
    n_rows, n_cols = shape
    match X.format:
        case "csr":
            by_row = compressed(X, n_rows, n_cols, name)
            return Cells(by_row.lines(), by_row.indices, by_row.values)
        case "csc":
            by_col = compressed(X, n_cols, n_rows, name)
            return Cells(by_col.indices, by_col.lines(), by_col.values)
        case "coo":
            values = _flat(X.data, f"{kind}data")
            if len(X.coords) != 2:
                raise ValueError(f"{kind}coords must be two arrays, not {len(X.coords)}")
            rows, cols = X.coords
            return _triplets(rows, cols, values, shape, kind)
        case "bsr":
            return _of_blocks(X, shape, kind)
        case "dia":
            return _of_diagonals(X, shape, kind)
        case "lil":
            return _of_lists(X, shape, kind)
        case "dok":
            items = list(X.items())
            if not all(isinstance(key, tuple) and len(key) == 2 for key, _ in items):
                raise ValueError(f"{kind}its keys must be pairs of row and column")
            rows, cols = [row for (row, _), _ in items], [col for (_, col), _ in items]
            values = _flat([value for _, value in items], f"{kind}data")
            return _triplets(rows, cols, values, shape, kind)
    raise TypeError(f"{name} has the unknown format {X.format!r}")


def compressed(X: Any, n_lines: int, n_places: int, name: str) -> Compressed:
    """Arrays of a matrix in CSR, or in CSC with `n_lines` columns; see `cells`."""
    kind = f"{name} is not a valid {X.format.upper()} matrix: "
    values = _flat(X.data, f"{kind}data")
    pointers, indices = _pointers_and_indices(X, n_lines, n_places, len(values), kind)
    return Compressed(pointers, indices, values[: len(indices)])


def _triplets(
    rows: Any, cols: Any, values: NDArray[Any], shape: tuple[int, int], kind: str
) -> Cells:
    found = Cells(
        _indices(rows, f"{kind}row", shape[0]), _indices(cols, f"{kind}col", shape[1]), values
    )
    if len({len(part) for part in found}) != 1:
        lengths = ", ".join(str(len(part)) for part in found)
        raise ValueError(f"{kind}row, col and data must have one length, not {lengths}")
    return found


def _of_blocks(X: Any, shape: tuple[int, int], kind: str) -> Cells:
    blocks = _plain(X.data, f"{kind}data")
    if blocks.ndim != 3 or 0 in blocks.shape[1:]:
        raise ValueError(f"{kind}data must be blocks, not an array of shape {blocks.shape}")
    _, height, width = blocks.shape
    if shape[0] % height or shape[1] % width:
        raise ValueError(f"{kind}blocks of {height} x {width} do not fill {shape[0]} x {shape[1]}")
    pointers, indices = _pointers_and_indices(
        X, shape[0] // height, shape[1] // width, len(blocks), kind
    )
    blocks = blocks[: len(indices)]

    def of_entries(first: NDArray[Any], step: NDArray[Any]) -> NDArray[np.int32]:
        places = first[:, None, None] + step
        return np.broadcast_to(places, blocks.shape).astype(np.int32).reshape(-1)

    top, left = _repeated(pointers).astype(np.int64) * height, indices.astype(np.int64) * width
    return Cells(
        of_entries(top, np.arange(height)[:, None]),
        of_entries(left, np.arange(width)),
        blocks.reshape(-1),
    )


def _of_diagonals(X: Any, shape: tuple[int, int], kind: str) -> Cells:
    data = _plain(X.data, f"{kind}data")
    offsets = _whole(X.offsets, f"{kind}offsets").astype(np.int64)
    if data.ndim != 2 or len(data) != len(offsets):
        raise ValueError(
            f"{kind}data has shape {data.shape}, not a row for each of {len(offsets)} offsets"
        )
    data = data[:, : shape[1]]
    rows = np.arange(data.shape[1]) - offsets[:, None]
    inside = (rows >= 0) & (rows < shape[0])
    cols = np.nonzero(inside)[1].astype(np.int32)
    return Cells(rows[inside].astype(np.int32), cols, data[inside])


def _of_lists(X: Any, shape: tuple[int, int], kind: str) -> Cells:
    for part in (X.rows, X.data):
        if not isinstance(part, np.ndarray | list) or not all(isinstance(p, list) for p in part):
            raise ValueError(f"{kind}rows and data must hold lists")
    cols, values = list(X.rows), list(X.data)
    lengths = [len(line) for line in cols]
    if len(cols) != shape[0] or lengths != [len(line) for line in values]:
        raise ValueError(f"{kind}rows and data must hold lists of one length for each row")
    rows = np.repeat(np.arange(shape[0], dtype=np.int32), lengths)
    flat = _flat(list(chain.from_iterable(values)), f"{kind}data")
    return _triplets(rows, list(chain.from_iterable(cols)), flat, shape, kind)


def _pointers_and_indices(
    X: Any, n_lines: int, n_places: int, n_values: int, kind: str
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    pointers = _whole(X.indptr, f"{kind}indptr").astype(np.int64)
    indices = _whole(X.indices, f"{kind}indices")
    if len(pointers) != n_lines + 1:
        raise ValueError(
            f"{kind}indptr has {len(pointers)} entries, but {n_lines} lines need {n_lines + 1}"
        )
    if pointers[0] != 0 or (pointers[1:] < pointers[:-1]).any():
        raise ValueError(f"{kind}indptr must begin with 0 and never fall")
    if pointers[-1] > min(len(indices), n_values):
        raise ValueError(
            f"{kind}indptr ends at {pointers[-1]}, but there are {len(indices)} indices and "
            f"{n_values} values"
        )
    return pointers, _indices(indices[: int(pointers[-1])], f"{kind}indices", n_places)


def _repeated(pointers: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.repeat(np.arange(len(pointers) - 1, dtype=np.int32), np.diff(pointers))


def _plain(given: Any, what: str) -> NDArray[Any]:
    """An array, no subclass, of an array or a list of numbers; others may have no end."""
    if not isinstance(given, np.ndarray | list):
        raise TypeError(f"{what} must be an array, not {shown(given)}")
    for value in given if isinstance(given, list) else ():
        if not isinstance(value, int | float | complex | np.generic):
            raise TypeError(f"{what} must hold numbers, not {shown(value)}")
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"{what} must not be a masked array")
    return as_array(what, given)


def _flat(given: Any, what: str) -> NDArray[Any]:
    """A one-dimensional array."""
    array = _plain(given, what)
    if array.ndim != 1:
        raise ValueError(f"{what} must have one dimension, not {array.ndim}")
    return array


def _whole(given: Any, what: str) -> NDArray[Any]:
    """A one-dimensional array of whole numbers; an empty one may have any type."""
    array = _flat(given, what)
    if not len(array):
        return np.empty(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must hold whole numbers, not {array.dtype}")
    return array


def _indices(given: Any, what: str, stop: int) -> NDArray[np.int32]:
    """Whole numbers in ``0..stop``, which is below 2**31."""
    array = _whole(given, what)
    if len(array):
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= stop:
            raise ValueError(f"{what} holds {low if low < 0 else high}, outside 0..{stop}")
    return np.ascontiguousarray(array, dtype=np.int32)
