//! Fitting of EASE.

use ganmf_core::models::ease;
use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::csr::Csr;
use crate::run::run;

fn square(py: Python<'_>, values: Vec<f32>, n: usize) -> PyResult<Bound<'_, PyArray2<f32>>> {
    Array2::from_shape_vec((n, n), values)
        .map(|matrix| matrix.into_pyarray(py))
        .map_err(|e| PyValueError::new_err(format!("a matrix of another size: {e}")))
}

/// Dense item weights (items x items, rows are history items).
#[pyfunction]
#[pyo3(signature = (urm, l2, max_diagonal=0.0, report=None))]
pub(crate) fn fit_ease_primal<'py>(
    py: Python<'py>,
    urm: &Csr,
    l2: f64,
    max_diagonal: f64,
    report: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let guard = urm.guard(py);
    let view = guard.view()?;
    let weights = run(py, report.as_ref(), |p| {
        ease::fit_primal(view, l2, max_diagonal, p)
    })?;
    square(py, weights, view.n_cols())
}

/// `(X X^T + l2 I)^-1`, users x users, and the diagonal of `(X^T X + l2 I)^-1`.
#[pyfunction]
#[pyo3(signature = (urm, l2, report=None))]
pub(crate) fn fit_ease_dual<'py>(
    py: Python<'py>,
    urm: &Csr,
    l2: f64,
    report: Option<Py<PyAny>>,
) -> PyResult<(Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<f32>>)> {
    let guard = urm.guard(py);
    let view = guard.view()?;
    let dual = run(py, report.as_ref(), |p| ease::fit_dual(view, l2, p))?;
    Ok((
        square(py, dual.inverse, view.n_rows())?,
        dual.diagonal.into_pyarray(py),
    ))
}
