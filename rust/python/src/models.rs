//! Fitting of item weights.

use ganmf_core::graph::{P3Params, fit_p3};
use ganmf_core::item_knn::{CosineParams, fit_cosine};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::csr::Csr;
use crate::run::run;

pub(crate) fn topk_of(topk: i64) -> PyResult<usize> {
    usize::try_from(topk)
        .map_err(|_| PyValueError::new_err(format!("topk must be at least 1, not {topk}")))
}

/// Item weights (items x items, rows are history items) by cosine similarity.
#[pyfunction]
#[pyo3(signature = (urm, topk, shrink, normalize, report=None))]
pub(crate) fn fit_item_knn_cosine(
    py: Python<'_>,
    urm: &Csr,
    topk: i64,
    shrink: f64,
    normalize: bool,
    report: Option<Py<PyAny>>,
) -> PyResult<Csr> {
    let params = CosineParams {
        topk: topk_of(topk)?,
        shrink,
        normalize,
    };
    let guard = urm.guard(py);
    let view = guard.view()?;
    let weights = run(py, report.as_ref(), |p| fit_cosine(view, params, p))?;
    Csr::from_matrix(py, weights)
}

/// Item weights (items x items, rows are history items) by P3alpha, or RP3beta where beta > 0.
#[pyfunction]
#[pyo3(signature = (urm, topk, alpha, beta, normalize_similarity, prune_columns, report=None))]
pub(crate) fn fit_p3alpha(
    py: Python<'_>,
    urm: &Csr,
    topk: i64,
    alpha: f64,
    beta: f64,
    normalize_similarity: bool,
    prune_columns: bool,
    report: Option<Py<PyAny>>,
) -> PyResult<Csr> {
    let params = P3Params {
        topk: topk_of(topk)?,
        alpha,
        beta,
        normalize_similarity,
        prune_columns,
    };
    let guard = urm.guard(py);
    let view = guard.view()?;
    let weights = run(py, report.as_ref(), |p| fit_p3(view, params, p))?;
    Csr::from_matrix(py, weights)
}
