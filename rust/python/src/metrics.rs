//! Metrics of top-N lists, and bootstrap means.

use ganmf_core::bootstrap;
use ganmf_core::metrics::{self, METRIC_NAMES, Metric, MetricsRequest, Popularity};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::args::{Indices, matrix, natural};
use crate::csr::{Csr, CsrGuard};
use crate::run::run;

fn cutoffs_of(cutoffs: &[Bound<'_, PyAny>]) -> PyResult<Vec<usize>> {
    cutoffs.iter().map(|k| natural("cutoffs", k)).collect()
}

/// Names of the metrics that every list has a value of; the last two need the training matrix.
#[pyfunction]
pub(crate) fn metric_names() -> Vec<&'static str> {
    METRIC_NAMES.to_vec()
}

/// Sums over lists, in multiples of 2^-80, by metric and cutoff; with `keep`, values float64
/// (metric, cutoff, list); with `count`, int64 (cutoff, item); number of lists that hold an item.
#[pyfunction]
#[pyo3(signature = (items, test, users, cutoffs, names, train=None, keep=true, count=true, report=None))]
pub(crate) fn measure_lists<'py>(
    py: Python<'py>,
    items: PyReadonlyArray2<'py, i32>,
    test: &Csr,
    users: &Bound<'py, PyArray1<i64>>,
    cutoffs: Vec<Bound<'py, PyAny>>,
    names: Vec<String>,
    train: Option<&Csr>,
    keep: bool,
    count: bool,
    report: Option<Py<PyAny>>,
) -> PyResult<(
    Vec<Vec<i128>>,
    Option<Bound<'py, PyArray3<f64>>>,
    Option<Bound<'py, PyArray2<i64>>>,
    usize,
)> {
    let cutoffs = cutoffs_of(&cutoffs)?;
    let wanted = names
        .iter()
        .map(|name| {
            Metric::named(name)
                .ok_or_else(|| PyValueError::new_err(format!("names has no metric {name:?}")))
        })
        .collect::<PyResult<Vec<_>>>()?;
    let users = Indices::of(users)?;
    let (items, users) = (matrix(&items, "items")?, users.slice("users")?);
    let guard = test.guard(py);
    let test = guard.view()?;
    let guard = train.map(|t| t.guard(py));
    let train = guard.as_ref().map(CsrGuard::view).transpose()?;
    let found = run(py, report.as_ref(), |p| {
        let popularity = train.map(Popularity::new).transpose()?;
        let request = MetricsRequest {
            metrics: &wanted,
            cutoffs: &cutoffs,
            popularity: popularity.as_ref(),
            keep,
            count,
        };
        metrics::measure(items, test, users, request, p)
    })?;
    let sums = found.sums.chunks(cutoffs.len()).map(<[i128]>::to_vec);
    Ok((
        sums.collect(),
        found.per_list.map(|v| v.into_pyarray(py)),
        found.counts.map(|c| c.into_pyarray(py)),
        found.filled,
    ))
}

/// The mean of every row in every resample of the columns: float64 (rows, resamples).
#[pyfunction]
pub(crate) fn bootstrap_means<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, f64>,
    n_resamples: &Bound<'py, PyAny>,
    seed: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (n_resamples, seed) = (natural("n_resamples", n_resamples)?, natural("seed", seed)?);
    let values = matrix(&values, "values")?;
    let means = run(py, None, |p| {
        bootstrap::bootstrap_means(values, n_resamples, seed, p)
    })?;
    Ok(means.into_pyarray(py))
}
