//! Metrics of recommendation lists.

use ganmf_core::metrics;
use numpy::{IntoPyArray, PyArray2, PyArray3, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::args::natural;
use crate::csr::{Csr, slice};
use crate::run::run;

fn cutoffs_of(cutoffs: &[Bound<'_, PyAny>]) -> PyResult<Vec<usize>> {
    cutoffs.iter().map(|k| natural("cutoffs", k)).collect()
}

/// Names of the per-list metrics, in the order of the first axis of `list_metrics`.
#[pyfunction]
pub(crate) fn metric_names() -> Vec<&'static str> {
    metrics::METRIC_NAMES.to_vec()
}

/// Every metric of every list at every cutoff: float64 (metric, cutoff, list).
#[pyfunction]
#[pyo3(signature = (items, test, users, cutoffs, report=None))]
pub(crate) fn list_metrics<'py>(
    py: Python<'py>,
    items: PyReadonlyArray2<'py, i32>,
    test: &Csr,
    users: PyReadonlyArray1<'py, i64>,
    cutoffs: Vec<Bound<'py, PyAny>>,
    report: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let cutoffs = cutoffs_of(&cutoffs)?;
    let (items, users) = (items.as_array(), slice(&users, "users")?);
    let guard = test.guard(py);
    let test = guard.view()?;
    let values = run(py, report.as_ref(), |p| {
        metrics::list_metrics(items, test, users, &cutoffs, p)
    })?;
    Ok(values.into_pyarray(py))
}

/// How often each item stands in the first `cutoff` places of a list: int64 (cutoff, item).
#[pyfunction]
pub(crate) fn item_counts<'py>(
    py: Python<'py>,
    items: PyReadonlyArray2<'py, i32>,
    n_items: &Bound<'py, PyAny>,
    cutoffs: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let (n_items, cutoffs) = (natural("n_items", n_items)?, cutoffs_of(&cutoffs)?);
    let items = items.as_array();
    let counts = run(py, None, |p| {
        metrics::item_counts(items, n_items, &cutoffs, p)
    })?;
    Ok(counts.into_pyarray(py))
}
