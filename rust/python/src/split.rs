//! Splitting into training and held-out sets.

use ganmf_core::split;
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use crate::args::natural;
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
