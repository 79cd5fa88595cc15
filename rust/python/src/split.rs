//! Splitting into training and held-out sets.

use ganmf_core::split::{self, Size};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use crate::args::{Indices, natural};
use crate::csr::Csr;
use crate::run::run;

type Splits<'py> = (
    Csr,
    Csr,
    Csr,
    Csr,
    Csr,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
);

type Labels<'py> = Bound<'py, PyArray1<u8>>;

/// A float is a fraction, anything else must be a count.
fn size(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Size> {
    match value.cast::<PyFloat>() {
        Ok(fraction) => Ok(Size::Fraction(fraction.extract()?)),
        Err(_) => natural(name, value).map(Size::Count),
    }
}

/// The paper's five sets: train, test, `train_small`, validation, `early_stop`; rows, columns kept.
#[pyfunction]
pub(crate) fn paper_protocol<'py>(
    py: Python<'py>,
    urm: &Csr,
    seed: &Bound<'py, PyAny>,
) -> PyResult<Splits<'py>> {
    let seed = natural("seed", seed)?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let s = run(py, None, |p| split::paper_protocol(view, seed, p))?;
    Ok((
        Csr::from_matrix(py, s.train)?,
        Csr::from_matrix(py, s.test)?,
        Csr::from_matrix(py, s.train_small)?,
        Csr::from_matrix(py, s.validation)?,
        Csr::from_matrix(py, s.early_stop)?,
        s.users.into_pyarray(py),
        s.items.into_pyarray(py),
    ))
}

/// Labels, 1 for what is held out: a fraction or a number of interactions, per user or of all.
#[pyfunction]
pub(crate) fn split_holdout<'py>(
    py: Python<'py>,
    urm: &Csr,
    test_size: &Bound<'py, PyAny>,
    per_user: bool,
    seed: &Bound<'py, PyAny>,
) -> PyResult<Labels<'py>> {
    let (test_size, seed) = (size("test_size", test_size)?, natural("seed", seed)?);
    let guard = urm.guard(py);
    let view = guard.view()?;
    let labels = run(py, None, |p| {
        split::holdout(view, test_size, per_user, seed, p)
    })?;
    Ok(labels.into_pyarray(py))
}

/// Labels, 1 for `k` interactions of every user with more than `k`.
#[pyfunction]
pub(crate) fn split_leave_k_out<'py>(
    py: Python<'py>,
    urm: &Csr,
    k: &Bound<'py, PyAny>,
    seed: &Bound<'py, PyAny>,
) -> PyResult<Labels<'py>> {
    let (k, seed) = (natural("k", k)?, natural("seed", seed)?);
    let guard = urm.guard(py);
    let view = guard.view()?;
    let labels = run(py, None, |p| split::leave_k_out(view, k, seed, p))?;
    Ok(labels.into_pyarray(py))
}

/// Labels: the fold of every cell.
#[pyfunction]
pub(crate) fn split_k_fold<'py>(
    py: Python<'py>,
    urm: &Csr,
    n_splits: &Bound<'py, PyAny>,
    per_user: bool,
    seed: &Bound<'py, PyAny>,
) -> PyResult<Labels<'py>> {
    let (n_splits, seed) = (natural("n_splits", n_splits)?, natural("seed", seed)?);
    let guard = urm.guard(py);
    let view = guard.view()?;
    let labels = run(py, None, |p| {
        split::k_fold(view, n_splits, per_user, seed, p)
    })?;
    Ok(labels.into_pyarray(py))
}

/// Labels, 1 for the latest cells of every user.
#[pyfunction]
pub(crate) fn split_latest<'py>(
    py: Python<'py>,
    urm: &Csr,
    times: &Bound<'py, PyArray1<i64>>,
    test_size: &Bound<'py, PyAny>,
) -> PyResult<Labels<'py>> {
    let test_size = size("test_size", test_size)?;
    let times = Indices::of(times)?;
    let times = times.slice("times")?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let labels = run(py, None, |p| {
        split::latest_of_users(view, times, test_size, p)
    })?;
    Ok(labels.into_pyarray(py))
}

/// The moment from which on `test_size` of all cells lie.
#[pyfunction]
pub(crate) fn split_cut_for<'py>(
    py: Python<'py>,
    times: &Bound<'py, PyArray1<i64>>,
    test_size: &Bound<'py, PyAny>,
) -> PyResult<i64> {
    let test_size = size("test_size", test_size)?;
    let times = Indices::of(times)?;
    let times = times.slice("times")?;
    run(py, None, |_| split::cut_for(times, test_size))
}

/// Labels, 1 for cells at `cut` or later.
#[pyfunction]
pub(crate) fn split_cut_at<'py>(
    py: Python<'py>,
    urm: &Csr,
    times: &Bound<'py, PyArray1<i64>>,
    cut: i64,
) -> PyResult<Labels<'py>> {
    let times = Indices::of(times)?;
    let times = times.slice("times")?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let labels = run(py, None, |p| split::cut_at(view, times, cut, p))?;
    Ok(labels.into_pyarray(py))
}

/// Labels 0 for training users, 1 and 2 for profile and target of held-out users, and the rows of
/// those.
#[pyfunction]
pub(crate) fn split_cold_users<'py>(
    py: Python<'py>,
    urm: &Csr,
    n_users: &Bound<'py, PyAny>,
    target_size: &Bound<'py, PyAny>,
    seed: &Bound<'py, PyAny>,
) -> PyResult<(Labels<'py>, Bound<'py, PyArray1<i64>>)> {
    let (n_users, target_size) = (size("n_users", n_users)?, size("target_size", target_size)?);
    let seed = natural("seed", seed)?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let (labels, rows) = run(py, None, |p| {
        split::cold_users(view, n_users, target_size, seed, p)
    })?;
    Ok((labels.into_pyarray(py), rows.into_pyarray(py)))
}

/// Users and items that keep enough interactions: matrix, rows, columns, 1 for each cell kept.
#[pyfunction]
pub(crate) fn k_core<'py>(
    py: Python<'py>,
    urm: &Csr,
    of_user: &Bound<'py, PyAny>,
    of_item: &Bound<'py, PyAny>,
) -> PyResult<(
    Csr,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Labels<'py>,
)> {
    let (of_user, of_item) = (natural("of_user", of_user)?, natural("of_item", of_item)?);
    let guard = urm.guard(py);
    let view = guard.view()?;
    let core = run(py, None, |p| split::k_core(view, of_user, of_item, p))?;
    Ok((
        Csr::from_matrix(py, core.urm)?,
        core.users.into_pyarray(py),
        core.items.into_pyarray(py),
        core.labels.into_pyarray(py),
    ))
}

/// The `n_parts` matrices that labels name.
#[pyfunction]
pub(crate) fn divide_cells(
    py: Python<'_>,
    urm: &Csr,
    labels: &Bound<'_, PyArray1<u8>>,
    n_parts: &Bound<'_, PyAny>,
) -> PyResult<Vec<Csr>> {
    let labels = Indices::of(labels)?;
    let labels = labels.slice("labels")?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let n_parts = natural("n_parts", n_parts)?;
    let parts = run(py, None, |p| split::divide(view, labels, n_parts, p))?;
    parts.into_iter().map(|m| Csr::from_matrix(py, m)).collect()
}

/// The cells of other labels than `label`, and those with it.
#[pyfunction]
pub(crate) fn part_cells(
    py: Python<'_>,
    urm: &Csr,
    labels: &Bound<'_, PyArray1<u8>>,
    label: u8,
) -> PyResult<(Csr, Csr)> {
    let labels = Indices::of(labels)?;
    let labels = labels.slice("labels")?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let (rest, held) = run(py, None, |p| split::part(view, labels, label, p))?;
    Ok((Csr::from_matrix(py, rest)?, Csr::from_matrix(py, held)?))
}

/// Held-out cells that are older than a cell of the same user that is not, and all held out.
#[pyfunction]
pub(crate) fn looks_ahead(
    py: Python<'_>,
    urm: &Csr,
    labels: &Bound<'_, PyArray1<u8>>,
    times: &Bound<'_, PyArray1<i64>>,
) -> PyResult<(u64, u64)> {
    let (labels, times) = (Indices::of(labels)?, Indices::of(times)?);
    let (labels, times) = (labels.slice("labels")?, times.slice("times")?);
    let guard = urm.guard(py);
    let view = guard.view()?;
    run(py, None, |p| split::looks_ahead(view, labels, times, p))
}
