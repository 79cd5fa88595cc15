import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganmf_fast._core import Csr
from ganmf_fast.base.urm import as_csr, csr_from_sparse, fingerprint, to_scipy
from ganmf_fast.data.interactions import Interactions

DENSE = np.array([[0, 1, 0], [2, 0, 3]], dtype=np.float32)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
def test_every_scipy_format_gives_the_same_matrix(form, kind):
    assert fingerprint(as_csr(kind(DENSE).asformat(form))) == fingerprint(as_csr(DENSE))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.float64])
def test_every_real_dtype_is_accepted_and_ones_are_not_stored(dtype):
    csr = as_csr((DENSE > 0).astype(dtype))
    assert csr.values is None
    np.testing.assert_array_equal(to_scipy(csr).toarray(), DENSE > 0)


def test_a_csr_holds_arrays_of_its_own_that_nobody_can_write_to():
    matrix = sp.csr_array(DENSE)
    csr = as_csr(matrix)
    for own, theirs in ((csr.indices, matrix.indices), (csr.values, matrix.data)):
        assert not np.shares_memory(own, theirs)
        with pytest.raises(ValueError, match="WRITEABLE"):
            own.flags.writeable = True
    assert np.shares_memory(to_scipy(csr).indices, csr.indices)
    assert as_csr(csr) is csr


def test_interactions_give_the_matrix_they_hold():
    data = Interactions.from_matrix(DENSE)
    assert as_csr(data) is data.csr


@given(hnp.arrays(np.float32, (5, 7), elements=st.sampled_from([0.0, 0.0, 1.0, 2.5])))
def test_dense_and_back_is_the_identity(dense):
    np.testing.assert_array_equal(to_scipy(as_csr(dense, allow_empty=True)).toarray(), dense)


def test_stored_zeros_are_dropped():
    matrix = sp.csr_array(
        (np.array([0, 5, 1], np.float32), np.array([0, 1, 2]), np.array([0, 2, 3])), shape=(2, 3)
    )
    csr = as_csr(matrix)
    assert csr.nnz == 2
    assert matrix.nnz == 3
    np.testing.assert_array_equal(to_scipy(csr).toarray(), [[0, 5, 0], [0, 0, 1]])


def test_unsorted_rows_are_sorted_and_the_argument_is_left_alone():
    matrix = sp.csr_array(
        (np.array([1, 2], np.float32), np.array([2, 0]), np.array([0, 2])), shape=(1, 3)
    )
    np.testing.assert_array_equal(to_scipy(as_csr(matrix)).toarray(), [[2, 0, 1]])
    assert matrix.indices.tolist() == [2, 0]


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_cell_given_twice_is_refused_unless_a_choice_is_made(form):
    twice = sp.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    if form == "csr":
        twice = sp.csr_array((twice.data, np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    elif form == "csc":
        twice = sp.csc_array((np.array([4.0, 1, 2]), np.array([1, 0, 0]), np.array([0, 1, 3])))
    with pytest.raises(ValueError, match=r"row 0, column 1 .*duplicates=.*from_matrix"):
        as_csr(twice)
    for choice, expected in (("sum", 3), ("first", 1)):
        dense = to_scipy(csr_from_sparse(twice, duplicates=choice)).toarray()
        np.testing.assert_array_equal(dense, [[0, expected], [4, 0]])


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.array([[1.0, -2.0]]), ValueError, "V: the value -2 at row 0, column 1 is negative"),
        (np.ma.array([[1.0]], mask=[[True]]), TypeError, "V must not be a masked array"),
        (np.array([[1.0], [np.nan]]), ValueError, "value nan at row 1, column 0 is not a finite"),
        (sp.csr_array([[np.inf]]), ValueError, "V: the value inf at row "),
        (sp.csr_array([[1e300]]), ValueError, "V: the value 1e\\+300 at row "),
        (np.array([[1.0, 1e-50]]), ValueError, "value 1e-50 at row 0, column 1 is too small for"),
        (sp.csr_array([[0.0, 1e-50]]), ValueError, "value 1e-50 at row 0, column 1 is too small"),
        (np.array([[-1e-50]]), ValueError, "value -1e-50 at row 0, column 0 is too small"),
        (np.ones(3), ValueError, "two dimensions, not 1"),
        (sp.coo_array(np.ones(3)), ValueError, "two dimensions, not 1"),
        (np.zeros((2, 3)), ValueError, "V is empty: 2 users, 3 items"),
        (np.zeros((0, 3)), ValueError, "V is empty: 0 users"),
        (np.array([["a"]]), TypeError, "real numbers"),
        (np.array([[1j]]), TypeError, "real numbers"),
        (sp.csr_array(np.array([[1j]])), TypeError, "real numbers"),
        ([[1, 0]], TypeError, "not list"),
        (None, TypeError, "not NoneType"),
    ],
)
def test_a_bad_matrix_is_refused_in_one_sentence_naming_it(X, error, words):
    with pytest.raises(error, match=words) as caught:
        as_csr(X, "V")
    assert "\n" not in str(caught.value)


def test_a_damaged_csr_is_refused():
    matrix = sp.csr_array(DENSE)
    matrix.indices = matrix.indices + 5
    with pytest.raises(ValueError, match="X is not a valid CSR matrix"):
        as_csr(matrix)


def test_fingerprint_sees_shape_cells_and_values():
    def csr(indices, values, n_cols):
        v = None if values is None else np.array(values, np.float32)
        return Csr(np.array([0, len(indices)]), np.array(indices, np.int32), v, n_cols)

    variants = [csr([0], None, 2), csr([1], None, 2), csr([0], None, 3), csr([0], [2], 2)]
    assert len({fingerprint(v) for v in variants}) == 4
    assert fingerprint(csr([0], None, 2)) == fingerprint(variants[0])


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_value_that_is_not_finite_is_named_with_its_row_and_column(form):
    X = sp.csr_array(np.array([[1.0, 0.0], [1.0, np.nan]])).asformat(form)
    with pytest.raises(ValueError, match="X: the value nan at row 1, column 1 is not a finite"):
        as_csr(X)


def test_the_smallest_numbers_of_float32_are_interactions():
    smallest = np.finfo(np.float32).smallest_subnormal
    for dtype in (np.float32, np.float64):
        assert as_csr(np.array([[0, smallest]], dtype)).nnz == 1


@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, lambda X: X[::-1]])
def test_dense_arrays_of_any_layout_are_read(layout):
    X = layout(DENSE.astype(np.float64))
    np.testing.assert_array_equal(to_scipy(as_csr(X)).toarray(), X)


@pytest.mark.parametrize("stored", [[2.0**24, 1, 1], [0.1] * 100, [3.0] * 7])
def test_repeated_entries_are_added_up_before_they_are_rounded(stored):
    zeros = np.zeros(len(stored), int)
    X = sp.coo_array((np.array(stored, np.float32), (zeros, zeros)), shape=(1, 1))
    expected = np.float32(X.data.astype(np.float64).sum())
    assert csr_from_sparse(X, duplicates="sum").values == [expected]
    frame = {"u": zeros, "i": zeros, "r": X.data}
    assert Interactions.from_frame(frame, "u", "i", "r", duplicates="sum").urm.data == [expected]


def test_the_arrays_of_a_view_are_not_exchanged():
    view = to_scipy(as_csr(np.eye(3)))
    with pytest.raises(ValueError, match="data is shared with others who read this matrix: copy"):
        view.data = view.data * 2
    own = view.copy()
    own.data = own.data * 2
    assert (own.sum(), view.sum()) == (6, 3)
