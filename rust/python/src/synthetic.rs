//! Simulated interactions.

use ganmf_core::synthetic;
use pyo3::prelude::*;

use crate::args::natural;
use crate::csr::Csr;
use crate::run::run;

/// Simulated interactions with planted tastes and a popularity tail; every stored cell is one.
#[pyfunction]
#[pyo3(signature = (seed, n_users=None, n_items=None))]
pub(crate) fn demo_urm(
    py: Python<'_>,
    seed: &Bound<'_, PyAny>,
    n_users: Option<&Bound<'_, PyAny>>,
    n_items: Option<&Bound<'_, PyAny>>,
) -> PyResult<Csr> {
    let seed = natural("seed", seed)?;
    let n_users = n_users.map_or(Ok(2000), |n| natural("n_users", n))?;
    let n_items = n_items.map_or(Ok(3000), |n| natural("n_items", n))?;
    let matrix = run(py, None, |p| synthetic::demo_urm(seed, n_users, n_items, p))?;
    Csr::from_matrix(py, matrix)
}
