//! `Csr`: validated sparse rows over memory that nobody else can write to.

use ganmf_core::base::cell_order::cell_order as ordered;
use ganmf_core::{CsrMatrix, CsrView, Progress};
use numpy::{IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PySlice};

use crate::args::{Indices, choice, natural, owned, read_only, slice};
use crate::error::to_python;
use crate::run::{run, run_here};

/// Cells that are looked at before a thread has started.
const FEW: usize = 1 << 18;

/// Compressed sparse rows: a copy of the arrays, validated once, which kernels never check again.
///
/// Parameters
/// ----------
/// indptr : int64 array of length rows + 1
/// indices : int32 array, columns ascending strictly within each row
/// values : float32 array, or None where every stored cell is one
/// `n_cols` : int
///
/// Raises
/// ------
/// `ValueError`
///     If an invariant does not hold; the message names the row.
/// `MemoryError`
///     If the matrix does not fit.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct Csr {
    n_cols: usize,
    indptr: Py<PyArray1<i64>>,
    indices: Py<PyArray1<i32>>,
    values: Option<Py<PyArray1<f32>>>,
}

/// Read guards over the arrays of a [`Csr`]; [`view`](Self::view) borrows from them.
pub(crate) struct CsrGuard<'py> {
    n_cols: usize,
    indptr: PyReadonlyArray1<'py, i64>,
    indices: PyReadonlyArray1<'py, i32>,
    values: Option<PyReadonlyArray1<'py, f32>>,
}

impl CsrGuard<'_> {
    fn parts(&self) -> PyResult<(&[i64], &[i32], Option<&[f32]>)> {
        Ok((
            slice(&self.indptr, "indptr")?,
            slice(&self.indices, "indices")?,
            self.values
                .as_ref()
                .map(|v| slice(v, "values"))
                .transpose()?,
        ))
    }

    pub(crate) fn view(&self) -> PyResult<CsrView<'_>> {
        let (indptr, indices, values) = self.parts()?;
        Ok(CsrView::from_validated(
            self.n_cols,
            indptr,
            indices,
            values,
        ))
    }
}

impl Csr {
    pub(crate) fn from_matrix(py: Python<'_>, matrix: CsrMatrix) -> PyResult<Self> {
        let (n_cols, indptr, indices, values) = matrix.into_parts();
        Ok(Self {
            n_cols,
            indptr: read_only(indptr.into_pyarray(py))?.unbind(),
            indices: read_only(indices.into_pyarray(py))?.unbind(),
            values: values
                .map(|v| read_only(v.into_pyarray(py)).map(Bound::unbind))
                .transpose()?,
        })
    }

    pub(crate) fn guard<'py>(&self, py: Python<'py>) -> CsrGuard<'py> {
        CsrGuard {
            n_cols: self.n_cols,
            indptr: self.indptr.bind(py).readonly(),
            indices: self.indices.bind(py).readonly(),
            values: self.values.as_ref().map(|v| v.bind(py).readonly()),
        }
    }

    /// The rows `start..end`, in the memory of these.
    pub(crate) fn part(&self, py: Python<'_>, start: usize, end: usize) -> PyResult<Self> {
        let guard = self.guard(py);
        let (indptr, ..) = guard.parts()?;
        let (from, to) = (indptr[start], indptr[end]);
        let own: Vec<i64> = indptr[start..=end].iter().map(|at| at - from).collect();
        let range = PySlice::new(py, from as isize, to as isize, 1);
        let values = match &self.values {
            Some(values) => Some(values.bind(py).get_item(&range)?.cast_into()?.unbind()),
            None => None,
        };
        Ok(Self {
            n_cols: self.n_cols,
            indptr: read_only(own.into_pyarray(py))?.unbind(),
            indices: self
                .indices
                .bind(py)
                .get_item(&range)?
                .cast_into()?
                .unbind(),
            values,
        })
    }
}

#[pymethods]
impl Csr {
    #[new]
    fn new(
        py: Python<'_>,
        indptr: &Bound<'_, PyArray1<i64>>,
        indices: &Bound<'_, PyArray1<i32>>,
        values: Option<&Bound<'_, PyArray1<f32>>>,
        n_cols: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let n_cols = natural("n_cols", n_cols)?;
        let csr = Self {
            n_cols,
            indptr: owned(indptr)?,
            indices: owned(indices)?,
            values: values.map(owned).transpose()?,
        };
        let guard = csr.guard(py);
        let (indptr, indices, values) = guard.parts()?;
        let check = |_: &Progress| CsrView::try_new(n_cols, indptr, indices, values).map(|_| ());
        if indptr.len().max(indices.len()) <= FEW {
            run_here(py, check)?;
        } else {
            run(py, None, check)?;
        }
        drop(guard);
        Ok(csr)
    }

    /// One row of ones at the columns in a list, each once; None if anything else is in the list.
    ///
    /// Numpy takes a fifth of a request's time for a short list. What is wrong with one is said
    /// where it is read by numpy.
    #[staticmethod]
    fn of_row(py: Python<'_>, cols: &Bound<'_, PyList>, n_cols: usize) -> PyResult<Option<Self>> {
        let mut indices = Vec::with_capacity(cols.len());
        for col in cols {
            // Exactly: booleans are ints, too.
            match col.is_exact_instance_of::<PyInt>().then(|| col.extract()) {
                Some(Ok(col)) if (0..n_cols as i64).contains(&col) => indices.push(col as i32),
                _ => return Ok(None),
            }
        }
        indices.sort_unstable();
        indices.dedup();
        let indptr = vec![0, indices.len() as i64];
        Ok(Some(Self {
            n_cols,
            indptr: read_only(indptr.into_pyarray(py))?.unbind(),
            indices: read_only(indices.into_pyarray(py))?.unbind(),
            values: None,
        }))
    }

    /// Build from triplets in any order.
    ///
    /// Parameters
    /// ----------
    /// rows, cols : int32 arrays of one length
    /// values : float32 array of that length, or None for ones
    /// `n_rows`, `n_cols` : int
    /// duplicates : {"error", "sum", "first"}
    ///     What to do with a cell given more than once.
    #[staticmethod]
    #[pyo3(signature = (rows, cols, values, n_rows, n_cols, duplicates="error"))]
    fn from_coo(
        py: Python<'_>,
        rows: &Bound<'_, PyArray1<i32>>,
        cols: &Bound<'_, PyArray1<i32>>,
        values: Option<&Bound<'_, PyArray1<f32>>>,
        n_rows: &Bound<'_, PyAny>,
        n_cols: &Bound<'_, PyAny>,
        duplicates: &str,
    ) -> PyResult<Self> {
        let duplicates = choice(duplicates)?;
        let shape = (natural("n_rows", n_rows)?, natural("n_cols", n_cols)?);
        let (rows, cols) = (Indices::of(rows)?, Indices::of(cols)?);
        let values = values.map(Indices::of).transpose()?;
        let (rows, cols) = (rows.slice("rows")?, cols.slice("cols")?);
        let values = values.as_ref().map(|v| v.slice("values")).transpose()?;
        let make = |progress: &Progress| {
            CsrMatrix::from_coo(shape, rows, cols, values, duplicates, progress)
        };
        let matrix = if shape.0.max(shape.1).max(rows.len()) <= FEW {
            run_here(py, make)?
        } else {
            run(py, None, make)?
        };
        Self::from_matrix(py, matrix)
    }

    /// Refuse negative values; the message names the first one's row and column.
    fn check_non_negative(&self, py: Python<'_>) -> PyResult<()> {
        let guard = self.guard(py);
        guard
            .view()?
            .check_non_negative()
            .map_err(|e| to_python(&e))
    }

    /// The transpose, as a new matrix: O(nnz + rows + columns).
    fn transpose(&self, py: Python<'_>) -> PyResult<Self> {
        let guard = self.guard(py);
        let view = guard.view()?;
        let matrix = run(py, None, |progress| view.transpose(progress))?;
        Self::from_matrix(py, matrix)
    }

    /// Number of rows.
    #[getter]
    fn n_rows(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.indptr.bind(py).len()? - 1)
    }

    /// Number of columns.
    #[getter]
    fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Number of stored cells.
    #[getter]
    fn nnz(&self, py: Python<'_>) -> PyResult<usize> {
        self.indices.bind(py).len()
    }

    /// Row offsets, int64, read-only.
    #[getter]
    fn indptr(&self, py: Python<'_>) -> Py<PyArray1<i64>> {
        self.indptr.clone_ref(py)
    }

    /// Columns, int32, read-only.
    #[getter]
    fn indices(&self, py: Python<'_>) -> Py<PyArray1<i32>> {
        self.indices.clone_ref(py)
    }

    /// Values, float32, read-only; None where every stored cell is one.
    #[getter]
    fn values(&self, py: Python<'_>) -> Option<Py<PyArray1<f32>>> {
        self.values.as_ref().map(|v| v.clone_ref(py))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Csr({} x {}, {} stored)",
            self.n_rows(py)?,
            self.n_cols,
            self.nnz(py)?
        ))
    }
}

/// Positions of interactions by row, column and key; equal ones keep their order.
///
/// Parameters
/// ----------
/// `n_rows` : int
/// rows, cols : int32 arrays of one length
/// keys : int64 array of that length, optional
///
/// Returns
/// -------
/// int64 array of that length
#[pyfunction]
#[pyo3(signature = (n_rows, rows, cols, keys=None))]
pub(crate) fn cell_order<'py>(
    py: Python<'py>,
    n_rows: usize,
    rows: PyReadonlyArray1<'_, i32>,
    cols: PyReadonlyArray1<'_, i32>,
    keys: Option<PyReadonlyArray1<'_, i64>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (rows, cols) = (slice(&rows, "rows")?, slice(&cols, "cols")?);
    let keys = keys.as_ref().map(|k| slice(k, "keys")).transpose()?;
    let order = run(py, None, |progress| {
        ordered(n_rows, rows, cols, keys, progress)
    })?;
    Ok(order.into_pyarray(py))
}
