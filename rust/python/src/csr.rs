//! `Csr`: validated sparse rows over memory that nobody else can write to.

use ganmf_core::{CsrMatrix, CsrView};
use numpy::{IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::args::{Indices, choice, natural, owned, read_only, slice};
use crate::error::to_python;
use crate::run::run;

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
        run(py, None, |_| {
            CsrView::try_new(n_cols, indptr, indices, values).map(|_| ())
        })?;
        drop(guard);
        Ok(csr)
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
        let matrix = run(py, None, |progress| {
            CsrMatrix::from_coo(shape, rows, cols, values, duplicates, progress)
        })?;
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
