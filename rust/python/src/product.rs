//! Products whose rows do not depend on each other.

use ganmf_core::linalg::product;
use numpy::{IntoPyArray, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::args::slice;
use crate::csr::Csr;
use crate::run::{run, run_here};

/// `left @ right`.
#[pyfunction]
pub(crate) fn dense_product<'py>(
    py: Python<'py>,
    left: PyReadonlyArray2<'py, f32>,
    right: PyReadonlyArray2<'py, f32>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (left, right) = (left.as_array(), right.as_array());
    let found = run(py, None, |p| product::dense_product(left, right, p))?;
    Ok(found.into_pyarray(py))
}

/// `left @ right + bias`.
#[pyfunction]
pub(crate) fn sparse_product<'py>(
    py: Python<'py>,
    left: &Csr,
    right: PyReadonlyArray2<'py, f32>,
    bias: PyReadonlyArray1<'py, f32>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let guard = left.guard(py);
    let (left, right) = (guard.view()?, right.as_array());
    let bias = slice(&bias, "bias")?;
    let kernel = |progress: &_| product::sparse_product(left, right, bias, progress);
    let found = if product::is_small_product(left, right.ncols()) {
        run_here(py, kernel)?
    } else {
        run(py, None, kernel)?
    };
    Ok(found.into_pyarray(py))
}
