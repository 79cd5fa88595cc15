//! Fitting of SLIM by elastic net.

use ganmf_core::models::slim_elastic_net::{self, Penalty, SlimParams};
use pyo3::prelude::*;

use crate::args::{natural, topk_of};
use crate::csr::Csr;
use crate::run::{get_num_threads, run};

/// Item weights by elastic net for each `(alpha, l1_ratio)`: `(weights, items not converged)`.
#[pyfunction]
#[pyo3(signature = (urm, penalties, topk, positive_only, tol, max_iter, report=None))]
pub(crate) fn fit_slim_elastic_net(
    py: Python<'_>,
    urm: &Csr,
    penalties: Vec<(f64, f64)>,
    topk: &Bound<'_, PyAny>,
    positive_only: bool,
    tol: f64,
    max_iter: &Bound<'_, PyAny>,
    report: Option<Py<PyAny>>,
) -> PyResult<Vec<(Csr, usize)>> {
    let params = SlimParams {
        topk: topk_of(topk)?,
        positive_only,
        tol,
        max_iter: natural("max_iter", max_iter)?,
    };
    let penalties: Vec<Penalty> = penalties
        .into_iter()
        .map(|(alpha, l1_ratio)| Penalty { alpha, l1_ratio })
        .collect();
    let guard = urm.guard(py);
    let view = guard.view()?;
    let fits = run(py, report.as_ref(), |p| {
        slim_elastic_net::fit_path(view, &penalties, params, p)
    })?;
    fits.into_iter()
        .map(|fit| Ok((Csr::from_matrix(py, fit.weights)?, fit.unconverged)))
        .collect()
}

/// Bytes that `fit_slim_elastic_net` takes at most, apart from its result.
#[pyfunction]
pub(crate) fn slim_elastic_net_bytes(py: Python<'_>, urm: &Csr) -> PyResult<usize> {
    let threads = get_num_threads()?;
    let guard = urm.guard(py);
    Ok(slim_elastic_net::plan(guard.view()?, threads).bytes)
}
