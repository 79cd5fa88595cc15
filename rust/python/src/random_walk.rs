//! Fitting of P3alpha and RP3beta.

use ganmf_core::models::random_walk::{self, P3Params};
use ganmf_core::published;
use pyo3::prelude::*;

use crate::args::topk_of;
use crate::csr::Csr;
use crate::run::run;

/// Item weights (items x items, rows are history items) by P3alpha, or RP3beta where beta > 0.
#[pyfunction]
#[pyo3(signature = (
    urm, topk, alpha, beta, normalize_similarity, prune_columns, report=None, as_published=false
))]
pub(crate) fn fit_p3alpha(
    py: Python<'_>,
    urm: &Csr,
    topk: &Bound<'_, PyAny>,
    alpha: f64,
    beta: f64,
    normalize_similarity: bool,
    prune_columns: bool,
    report: Option<Py<PyAny>>,
    as_published: bool,
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
    let fit = if as_published {
        published::random_walk::fit_p3
    } else {
        random_walk::fit_p3
    };
    let weights = run(py, report.as_ref(), |p| fit(view, params, p))?;
    Csr::from_matrix(py, weights)
}
