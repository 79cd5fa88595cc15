"""The interaction matrix (URM): any matrix that a user passes becomes one validated `Csr`.

Rows are users, columns are items. Values are float32, or absent if every interaction is one.
Cost: O(nonzeros). A `Csr` holds a copy of the arrays of a matrix, so that what its owner does to
it afterwards, or meanwhile, changes nothing here; a `CsrView` gives its `Csr` back.
"""

import copyreg
import hashlib
import operator
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.sparse_cells import cells, compressed
from ganmf_fast.base.text import shown

Duplicates = Literal["error", "sum", "first"]
_MAX_SIDE = 2**31 - 1
_ARRAYS = ("data", "indices", "indptr")

if TYPE_CHECKING:
    _CsrArray = sp.csr_array[np.float32]
else:
    _CsrArray = sp.csr_array


def _reduced(csr: Csr) -> tuple[type[Csr], tuple[Any, ...]]:
    """Pickle a `Csr` as its arrays, which are validated again when they are loaded."""
    return Csr, (csr.indptr, csr.indices, csr.values, csr.n_cols)


copyreg.pickle(Csr, _reduced)


class CsrView(_CsrArray):
    """A scipy array that shows a `Csr`; its arrays are read-only. Made by `to_scipy`.

    Whatever scipy computes from it is an ordinary array.
    """

    _shown: tuple[Csr, object, tuple[Any, ...]] | None = None

    def show(self, csr: Csr, owner: object) -> None:
        """Forbid writing, and remember what is shown."""
        for name in _ARRAYS:
            setattr(self, name, read_only(getattr(self, name)))
        # Known from the validation; otherwise scipy would look, or try to sort read-only arrays.
        self.has_sorted_indices = True
        self.has_canonical_format = True
        self._shown = csr, owner, (self.data, self.indices, self.indptr, self.shape)

    def __setattr__(self, name: str, value: object) -> None:
        if self._shown is not None and name in _ARRAYS and self.csr is not None:
            raise ValueError(f"{name} is shared with others who read this matrix: copy() it first")
        super().__setattr__(name, value)

    @property
    def csr(self) -> Csr | None:
        """The `Csr` that is shown, or None after scipy has put other arrays into this one."""
        if self._shown is None:
            return None
        csr, _, (data, indices, indptr, shape) = self._shown
        kept = self.data is data and self.indices is indices and self.indptr is indptr
        return csr if kept and self.shape == shape else None

    @property
    def owner(self) -> object:
        """The object whose matrix is shown, as given to `to_scipy`; None if `csr` is."""
        return None if self._shown is None or self.csr is None else self._shown[1]

    def __reduce_ex__(self, protocol: Any) -> Any:
        csr = self.csr
        return super().__reduce_ex__(protocol) if csr is None else (to_scipy, (csr, self.owner))


def as_csr(X: object, name: str = "X", *, allow_empty: bool = False) -> Csr:
    """Validate a matrix of interactions.

    Stored zeros are no interactions and are dropped.

    Parameters
    ----------
    X : Csr, Interactions, scipy sparse matrix or array, or 2-D numpy array
        Shape (users, items); bool, integer or floating point.
    name : str, default "X"
        Name of the argument in messages.
    allow_empty : bool, default False
        Whether a matrix without any interaction is accepted.

    Returns
    -------
    Csr
        `values` is None if every interaction is one.

    Raises
    ------
    TypeError
        If `X` is of another type, its values are not real numbers, or index arrays of a sparse
        matrix do not hold whole numbers.
    ValueError
        If `X` is not two-dimensional, is empty, is a damaged sparse matrix, stores an entry twice,
        or a value is negative, not finite, or so small that float32 makes it zero; the message
        names row and column.
    MemoryError
        If the matrix does not fit, as one of an absurd shape.
    """
    inner = X if isinstance(X, Csr) else getattr(X, "csr", None)
    if isinstance(inner, Csr):
        return _finished(inner, name, allow_empty=allow_empty)
    if sp.issparse(X):
        csr = csr_from_sparse(X, name)
    elif isinstance(X, np.ndarray):
        csr = _from_dense(X, name)
    else:
        raise TypeError(
            f"{name} must be a scipy sparse matrix, a 2-D numpy array or Interactions, "
            f"not {type(X).__name__}{_way_out(X, name)}"
        )
    return _finished(csr, name, allow_empty=allow_empty)


def _way_out(X: object, name: str) -> str:
    """What makes a matrix of what people pass in its place."""
    if isinstance(X, str | os.PathLike):
        return ": read files with Interactions.from_csv or from_parquet"
    if hasattr(X, "train_data") or hasattr(X, "train"):
        if name == "validation":
            return f": pass its {'validation or early_stop' if hasattr(X, name) else 'test'}"
        return f": pass its {'test' if name == 'test' else 'train'}"
    if hasattr(X, "columns"):
        return ": make Interactions of it with Interactions.from_frame(frame, user=..., item=...)"
    return ""


def csr_from_sparse(X: Any, name: str = "X", duplicates: Duplicates = "error") -> Csr:
    """Convert a scipy sparse matrix to a `Csr`.

    Parameters
    ----------
    X : scipy sparse matrix or array
    name : str, default "X"
        Name of the argument in messages.
    duplicates : {"error", "sum", "first"}, default "error"
        Treatment of entries that are stored more than once.

    Returns
    -------
    Csr

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `as_csr`.
    """
    shape = checked_shape(X, name)
    if X.format == "csr":
        parts = compressed(X, *shape, name)
        values = _float32(parts.values, name, lambda at: (parts.lines()[at], parts.indices[at]))
        try:
            return Csr(parts.pointers, parts.indices, _none_if_ones(values), shape[1])
        except ValueError:
            # All is in range, so a row is unsorted or holds an entry twice.
            rows, cols = parts.lines(), parts.indices
    else:
        rows, cols, stored = cells(X, shape, name)
        values = _float32(stored, name, lambda at: (rows[at], cols[at]))
    try:
        ones = duplicates != "sum" and bool((values == 1).all())
        return Csr.from_coo(rows, cols, None if ones else values, *shape, duplicates)
    except ValueError as error:
        hint = " in Interactions.from_matrix" if duplicates == "error" else ""
        raise ValueError(f"{name}: {error}{hint}") from None
    except MemoryError as error:
        raise MemoryError(f"{name}: {error}") from None


def _from_dense(X: NDArray[Any], name: str) -> Csr:
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: pass its `filled(0)`")
    if X.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, not {X.ndim}")
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, not {X.dtype}")
    dense = np.asarray(X)
    rows, cols = np.nonzero(dense)
    values = _float32(dense[rows, cols], name, lambda at: (rows[at], cols[at]))
    counts = np.bincount(rows, minlength=len(dense))
    pointers = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    return Csr(pointers, cols.astype(np.int32), _none_if_ones(values), checked_shape(X, name)[1])


def checked_shape(X: Any, name: str) -> tuple[int, int]:
    """Rows and columns of a matrix, or why these are none."""
    try:
        shape = tuple(map(operator.index, X.shape))
    except TypeError:
        raise TypeError(f"{name} has shape {shown(X.shape)}, not whole numbers") from None
    if len(shape) != 2:
        raise ValueError(f"{name} must have two dimensions, not {len(shape)}")
    if max(shape) > _MAX_SIDE or min(shape) < 0:
        raise ValueError(f"{name} has shape {shape}; a side holds at most {_MAX_SIDE} entries")
    return shape[0], shape[1]


def to_scipy(csr: Csr, owner: object = None) -> CsrView:
    """Show a `Csr` as a scipy array; indices and values share its memory where scipy allows.

    Parameters
    ----------
    csr : Csr
    owner : object, optional
        Object that the view leads back to.

    Returns
    -------
    CsrView of float32, shape (users, items)
        In canonical form. Its arrays are read-only: copy it before changing it in place.
    """
    values = csr.values
    if values is None:
        values = np.ones(csr.nnz, dtype=np.float32)
    indptr = csr.indptr
    if csr.nnz <= _MAX_SIDE:
        # scipy wants one index type; narrowing the short array saves widening the long one.
        indptr = indptr.astype(np.int32)
    view = CsrView((values, csr.indices, indptr), shape=(csr.n_rows, csr.n_cols))
    view.show(csr, owner)
    return view


def rows_of(csr: Csr, rows: NDArray[np.int64]) -> Csr:
    """Some rows of a matrix, in this order."""
    starts, ends = csr.indptr[rows], csr.indptr[rows + 1]
    indptr = np.concatenate(([0], np.cumsum(ends - starts)))
    at = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], ends - starts)
    values = csr.values
    return Csr(indptr, csr.indices[at], None if values is None else values[at], csr.n_cols)


def row_of(csr: Csr, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Columns and values of a row."""
    at = slice(*csr.indptr[row : row + 2].tolist())
    indices = csr.indices[at]
    return indices, np.ones(len(indices), np.float32) if csr.values is None else csr.values[at]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view of an array."""
    view = array.view()
    view.flags.writeable = False
    return view


def fingerprint(csr: Csr) -> str:
    """SHA-256 of a matrix: equal exactly if shape, interactions and values are.

    Parameters
    ----------
    csr : Csr

    Returns
    -------
    str
        64 hexadecimal digits, the same on every machine.
    """
    digest = hashlib.sha256(f"{csr.n_rows} {csr.n_cols} {csr.values is not None} ".encode())
    digest.update(csr.indptr.astype("<i8", copy=False).data)
    digest.update(csr.indices.astype("<i4", copy=False).data)
    if csr.values is not None:
        digest.update(csr.values.astype("<f4", copy=False).data)
    return digest.hexdigest()


def row_hashes(csr: Csr) -> NDArray[np.uint64]:
    """A hash of the columns in each row, whatever their values; the same on every machine."""
    # splitmix64 of each column, summed modulo 2^64.
    mixed = (csr.indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    before = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)))
    return before[csr.indptr[1:]] - before[csr.indptr[:-1]]


def _float32(
    values: NDArray[Any], name: str, place: Callable[[int], tuple[Any, Any]]
) -> NDArray[np.float32]:
    """Stored `values` as float32, all of them finite; `place` tells the row and column of one."""
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, not {values.dtype}")
    with np.errstate(over="ignore", under="ignore"):
        single = np.ascontiguousarray(values, dtype=np.float32)
    bad = ~np.isfinite(single)
    if values.dtype.kind == "f":
        # A zero would be no interaction.
        bad |= (single == 0) & (values != 0)
    if bad.any():
        at = int(bad.argmax())
        row, col = place(at)
        what = "is too small for float32" if single[at] == 0 else "is not a finite float32"
        raise ValueError(f"{name}: the value {values[at]} at row {row}, column {col} {what}")
    return single


def _none_if_ones(values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    return None if bool((values == 1).all()) else values


def _finished(csr: Csr, name: str, *, allow_empty: bool) -> Csr:
    values = csr.values
    if values is not None:
        try:
            csr.check_non_negative()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        kept = values != 0
        ones = bool((values[kept] == 1).all())
        if ones or not kept.all():
            before = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
            csr = Csr(
                before[csr.indptr],
                csr.indices[kept],
                None if ones else values[kept],
                csr.n_cols,
            )
    if csr.nnz == 0 and not allow_empty:
        raise ValueError(
            f"{name} is empty: {csr.n_rows} users, {csr.n_cols} items and no interaction"
        )
    return csr
