"""The interaction matrix (URM): any matrix that a user passes becomes one validated `Csr`.

Rows are users, columns are items. Values are float32, or absent if every interaction is one.
Cost: O(nonzeros), and one copy of the arrays of a matrix, so that what its owner does to it
afterwards changes nothing here; a `CsrView` gives its `Csr` back.
"""

import copyreg
import hashlib
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr

Duplicates = Literal["error", "sum", "first"]
_MAX_SIDE = 2**31 - 1
Scalar = TypeVar("Scalar", bound=np.generic)

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
        for name in ("data", "indices", "indptr"):
            setattr(self, name, read_only(getattr(self, name)))
        # Known from the validation; otherwise scipy would look, or try to sort read-only arrays.
        self.has_sorted_indices = True
        self.has_canonical_format = True
        self._shown = csr, owner, (self.data, self.indices, self.indptr, self.shape)

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


def as_csr(X: object, name: str = "X", *, allow_empty: bool = False, borrow: bool = False) -> Csr:
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
    borrow : bool, default False
        Whether the result may share the memory of a canonical matrix; for a `Csr` that is dropped
        before the caller of the public function can change `X`.

    Returns
    -------
    Csr
        `values` is None if every interaction is one.

    Raises
    ------
    TypeError
        If `X` is of another type, or its values are not real numbers.
    ValueError
        If `X` is not two-dimensional, is empty, stores an entry twice, or a value is negative or
        not finite; the message names row and column.
    """
    inner = X if isinstance(X, Csr) else getattr(X, "csr", None)
    if isinstance(inner, Csr):
        return _finished(inner, name, allow_empty=allow_empty)
    if sp.issparse(X):
        csr = _borrowed(X, name, "error")
    elif isinstance(X, np.ndarray):
        csr = _borrowed(sp.csr_array(_checked_dense(X, name)), name, "error")
    else:
        raise TypeError(
            f"{name} must be a scipy sparse matrix, a 2-D numpy array or Interactions, "
            f"not {type(X).__name__}"
        )
    csr = _finished(csr, name, allow_empty=allow_empty)
    return csr if borrow else _owned(csr, X)


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
    TypeError, ValueError
        As for `as_csr`.
    """
    return _owned(_borrowed(X, name, duplicates), X)


def _owned(csr: Csr, X: Any) -> Csr:
    """`csr` without memory of the matrix `X`."""
    if getattr(X, "format", None) != "csr":
        return csr  # its arrays were computed from those of `X`
    theirs = (X.indptr, X.indices, X.data)

    def own(array: NDArray[Scalar]) -> NDArray[Scalar]:
        borrowed = any(np.may_share_memory(array, other) for other in theirs)
        return array.copy() if borrowed else array

    values = csr.values
    parts = own(csr.indptr), own(csr.indices), None if values is None else own(values)
    if parts[0] is csr.indptr and parts[1] is csr.indices and parts[2] is values:
        return csr
    return Csr(*parts, csr.n_cols)


def _borrowed(X: Any, name: str, duplicates: Duplicates) -> Csr:
    """As `csr_from_sparse`, but a canonical matrix shares its arrays."""
    if X.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, not {X.ndim}")
    if max(X.shape) > _MAX_SIDE:
        raise ValueError(f"{name} has shape {X.shape}; a side holds at most {_MAX_SIDE} entries")
    if X.format == "csr":
        try:
            X.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(f"{name} is not a valid CSR matrix: {error}") from None
        nonzeros = int(X.indptr[-1])
        values = _float32(X.data[:nonzeros], name, X)
        try:
            return Csr(
                np.ascontiguousarray(X.indptr, dtype=np.int64),
                np.ascontiguousarray(X.indices[:nonzeros], dtype=np.int32),
                _none_if_ones(values),
                X.shape[1],
            )
        except ValueError:
            # Valid for scipy, so the rows are unsorted or hold an entry twice.
            pass
    coo = X.tocoo()
    values = _float32(coo.data, name, coo)
    try:
        return Csr.from_coo(
            np.ascontiguousarray(coo.row, dtype=np.int32),
            np.ascontiguousarray(coo.col, dtype=np.int32),
            None if duplicates != "sum" and bool((values == 1).all()) else values,
            X.shape[0],
            X.shape[1],
            duplicates,
        )
    except ValueError as error:
        hint = " in Interactions.from_matrix" if duplicates == "error" else ""
        raise ValueError(f"{name}: {error}{hint}") from None


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


def _float32(values: NDArray[Any], name: str, matrix: Any) -> NDArray[np.float32]:
    """The stored `values` of a scipy `matrix` as float32, all of them finite."""
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, not {values.dtype}")
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(single).all():
        at = int(np.flatnonzero(~np.isfinite(single))[0])
        coo = matrix.tocoo()
        raise ValueError(
            f"{name}: the value {values[at]} at row {coo.row[at]}, column {coo.col[at]} "
            "is not a finite float32"
        )
    return single


def _checked_dense(X: NDArray[Any], name: str) -> NDArray[Any]:
    if X.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, not {X.ndim}")
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, not {X.dtype}")
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, col = bad[0]
        raise ValueError(
            f"{name}: the value {X[row, col]} at row {row}, column {col} is not finite"
        )
    with np.errstate(over="ignore"):
        # Also because scipy knows no float16; what overflows is refused with the nonzeros.
        return X.astype(np.float32)


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
