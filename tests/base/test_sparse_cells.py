"""Damaged sparse matrices are refused, by our own look at their arrays: scipy would crash."""

import threading

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ganmf_fast.base.urm import as_csr, csr_from_sparse, to_scipy

DENSE = np.array([[0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 4, 5], [6, 0, 0, 0]], dtype=np.float64)
ARRAYS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}


def made(form, kind=sp.csr_array):
    """`DENSE` in a format; BSR with blocks of two by two."""
    X = kind(DENSE)
    return X.tobsr((2, 2)) if form == "bsr" else X.asformat(form)


WHOLE = [-1, -(2**31), 2**31 - 1, 2**31, 2**62, -(2**63), 10**6, 4, 5]
DTYPES = [np.float64, np.uint64, bool, object, np.complex128, np.longdouble, np.float16, "U3"]

damage = st.one_of(
    st.tuples(st.just("entry"), st.integers(0, 20), st.sampled_from(WHOLE)),
    st.tuples(st.just("cut"), st.integers(0, 20), st.none()),
    st.tuples(st.just("grown"), st.integers(1, 3), st.none()),
    st.tuples(st.just("dtype"), st.sampled_from(DTYPES), st.none()),
    st.tuples(st.just("reversed"), st.none(), st.none()),
    st.tuples(st.just("read-only"), st.none(), st.none()),
    st.tuples(st.just("nested"), st.none(), st.none()),
    st.tuples(st.just("strided"), st.none(), st.none()),
    st.tuples(st.just("unaligned"), st.none(), st.none()),
    st.tuples(st.just("other"), st.sampled_from([None, 7, "x", [[1], [1, 2]]]), st.none()),
)


def damaged(array, how, amount, value):
    """A changed copy of an array of a matrix."""
    array = array.copy()
    if how == "entry" and array.size:
        kept = np.clip(value, np.iinfo(np.int64).min, np.iinfo(np.int64).max)
        array = array.astype(np.int64) if array.dtype.kind in "iu" else array
        array.reshape(-1)[amount % array.size] = kept
    elif how == "cut":
        array = array[:amount]
    elif how == "grown":
        array = np.concatenate([array] * (amount + 1))
    elif how == "dtype":
        array = array.astype(amount)
    elif how == "reversed":
        array = array[::-1]
    elif how == "read-only":
        array.flags.writeable = False
    elif how == "nested":
        array = array[None]
    elif how == "strided":
        array = np.repeat(array, 2, axis=0)[::2]
    elif how == "unaligned":
        memory = np.zeros(array.nbytes + 1, dtype=np.uint8)
        shifted = memory[1:].view(array.dtype).reshape(array.shape)
        shifted[...] = array
        array = shifted
    elif how == "other":
        array = amount
    return array


@settings(max_examples=300, deadline=None)
@given(
    form=st.sampled_from(sorted(ARRAYS)),
    which=st.integers(0, 2),
    damage=damage,
    more=st.none() | st.tuples(st.integers(0, 2), damage),
    duplicates=st.sampled_from(["error", "sum", "first"]),
)
def test_a_changed_array_is_refused_or_read_as_a_valid_matrix(
    form, which, damage, more, duplicates
):
    X = made(form)
    for at, how in ((which, damage), *([more] if more else [])):
        name = ARRAYS[form][at % len(ARRAYS[form])]
        if isinstance(getattr(X, name), np.ndarray):
            try:
                setattr(X, name, damaged(getattr(X, name), *how))
            except (ValueError, TypeError, AttributeError, OverflowError, IndexError):
                return  # numpy or scipy refuses the change itself
    try:
        csr = csr_from_sparse(X, "X", duplicates)
    except (TypeError, ValueError) as error:
        outcome = str(error)
    else:
        outcome = "X read" if np.isfinite(to_scipy(csr).toarray()).all() else "infinite"
    assert outcome.startswith("X")


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize(
    ("form", "name", "value", "words"),
    [
        ("csr", "indptr", [0, 2, 1, 5, 6], "CSR matrix: indptr must begin with 0 and never fall"),
        ("csr", "indptr", [0, 2, 3, 5, 9], "indptr ends at 9, but there are 6 indices"),
        ("csr", "indptr", [0, 2, 3, 6], "indptr has 4 entries, but 4 lines need 5"),
        ("csr", "indices", [1, 3, 0, 2, 3, 4], "indices holds 4, outside 0..4"),
        ("csr", "indices", [1.0, 3, 0, 2, 3, 0], "indices must hold whole numbers, not float64"),
        ("csc", "indptr", [0, 2, 3, 4, 10**9], "CSC matrix: indptr ends at 1000000000"),
        ("csc", "indices", [1, 3, 0, 2, -1, 2], "CSC matrix: indices holds -1, outside 0..4"),
        ("bsr", "indices", [0, 1, 0, 2], "BSR matrix: indices holds 2, outside 0..2"),
        ("bsr", "indptr", [0, 2, 10**6], "BSR matrix: indptr ends at 1000000"),
        ("bsr", "data", np.ones((4, 3, 2)), "BSR matrix: blocks of 3 x 2 do not fill 4 x 4"),
        ("dia", "offsets", [0, 1], "DIA matrix: data has shape .* not a row for each of 2"),
        ("dia", "offsets", None, "DIA matrix: offsets must be an array, not None"),
        ("coo", "coords", ([0, 9], [0, 1]), "COO matrix: row holds 9, outside 0..4"),
        ("coo", "coords", ([0, 1], [0, 1]), "row, col and data must have one length, not 2, 2, 6"),
        ("coo", "coords", ([0],), "COO matrix: coords must be two arrays, not 1"),
        ("lil", "rows", [[0]], "LIL matrix: rows and data must hold lists of one length"),
        ("lil", "rows", None, "LIL matrix: rows and data must hold lists"),
    ],
)
def test_what_is_wrong_is_named(kind, form, name, value, words):
    X = made(form, kind)
    value = np.array(value) if isinstance(value, list) and form != "lil" else value
    setattr(X, name, value)
    with pytest.raises((ValueError, TypeError), match=words):
        as_csr(X)


@pytest.mark.parametrize("key", [(0, 9), (-1, 0), (0,), "a", (0.5, 1), (None, 2), (0, 2**70)])
def test_keys_of_a_dictionary_are_looked_at(key):
    X = made("dok")
    X._dict[key] = 1.0
    with pytest.raises((ValueError, TypeError), match="X is not a valid DOK matrix"):
        as_csr(X)


@pytest.mark.parametrize("form", [*ARRAYS, "lil", "dok"])
def test_entries_of_an_absurd_shape_are_refused_or_read(form):
    X = made(form)
    for shape in [(2**40, 4), (4, 2**40), (-1, 4), (4,), (4, 4, 4)]:
        X._shape = shape
        with pytest.raises(ValueError, match=r"X has shape|X must have two dimensions"):
            as_csr(X)
    wide = sp.coo_array((np.ones(2), ([0, 1], [0, 2**31 - 2])), shape=(2, 2**31 - 1))
    assert as_csr(wide).indices.tolist() == [0, 2**31 - 2]


def test_an_array_that_another_thread_changes_does_no_harm():
    X = sp.csr_array(np.ones((50, 50)))
    stop = threading.Event()

    def change():
        while not stop.is_set():
            X.indices[:] = 10**6
            X.indptr[10] = 7
            X.indices[:] = np.tile(np.arange(50), 50)
            X.indptr[10] = 500

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            try:
                csr = as_csr(X)
            except ValueError:
                continue
            assert (np.diff(csr.indptr) >= 0).all()
            assert csr.nnz == csr.indptr[-1]
            assert set(csr.indices.tolist()) <= set(range(50))
    finally:
        stop.set()
        thread.join()
