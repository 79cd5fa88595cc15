//! Simulated interactions.

use ganmf_core::synthetic;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use ganmf_core::args::natural;
use ganmf_core::csr::Csr;
use ganmf_core::run::run;

fn size(name: &str, n: i64) -> PyResult<usize> {
    usize::try_from(n).map_err(|_| {
        PyValueError::new_err(format!("{name} must be a positive whole number, not {n}"))
    })
}

/// Simulated interactions with planted tastes and a popularity tail; every stored cell is one.
#[pyfunction]
#[pyo3(signature = (seed, n_users=2000, n_items=3000))]
pub(crate) fn demo_urm(
    py: Python<'_>,
    seed: &Bound<'_, PyAny>,
    n_users: i64,
    n_items: i64,
) -> PyResult<Csr> {
    let seed = natural("seed", seed)?;
    let (n_users, n_items) = (size("n_users", n_users)?, size("n_items", n_items)?);
    let matrix = run(py, None, |p| synthetic::demo_urm(seed, n_users, n_items, p))?;
    Csr::from_matrix(py, matrix)
}
