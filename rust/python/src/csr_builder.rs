//! Sparse rows from chunks of cells that pass by twice.

use ganmf_core::base::csr_builder;
use numpy::PyArray1;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::args::{Indices, natural};
use crate::csr::Csr;
use crate::run::run;

/// Collects cells of ones in two passes: `count` every chunk, `fill` every chunk, then `finish`.
///
/// A cell given more than once counts once. Memory is four bytes a cell and sixteen a row.
///
/// Parameters
/// ----------
/// `n_rows`, `n_cols` : int
#[pyclass(module = "ganmf_fast._core")]
pub(crate) struct CsrBuilder {
    inner: Option<csr_builder::CsrBuilder>,
}

impl CsrBuilder {
    fn open(&mut self) -> PyResult<&mut csr_builder::CsrBuilder> {
        self.inner.as_mut().ok_or_else(finished)
    }
}

fn finished() -> PyErr {
    PyRuntimeError::new_err("finish was called; a CsrBuilder builds one matrix")
}

#[pymethods]
impl CsrBuilder {
    #[new]
    fn new(py: Python<'_>, n_rows: &Bound<'_, PyAny>, n_cols: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (n_rows, n_cols) = (natural("n_rows", n_rows)?, natural("n_cols", n_cols)?);
        let inner = run(py, None, |_| csr_builder::CsrBuilder::new(n_rows, n_cols))?;
        Ok(Self { inner: Some(inner) })
    }

    /// First pass: rows of a chunk of cells, int32.
    fn count(&mut self, py: Python<'_>, rows: &Bound<'_, PyArray1<i32>>) -> PyResult<()> {
        let rows = Indices::of(rows)?;
        let rows = rows.slice("rows")?;
        let inner = self.open()?;
        run(py, None, |_| inner.count(rows))
    }

    /// Second pass: rows and columns of a chunk of cells, int32.
    fn fill(
        &mut self,
        py: Python<'_>,
        rows: &Bound<'_, PyArray1<i32>>,
        cols: &Bound<'_, PyArray1<i32>>,
    ) -> PyResult<()> {
        let (rows, cols) = (Indices::of(rows)?, Indices::of(cols)?);
        let (rows, cols) = (rows.slice("rows")?, cols.slice("cols")?);
        let inner = self.open()?;
        run(py, None, |_| inner.fill(rows, cols))
    }

    /// The matrix: rows sorted, repeated cells dropped.
    fn finish(&mut self, py: Python<'_>) -> PyResult<Csr> {
        let inner = self.inner.take().ok_or_else(finished)?;
        let matrix = run(py, None, |progress| inner.finish(progress))?;
        Csr::from_matrix(py, matrix)
    }
}
