//! Simulated interactions.

use ganmf_core::demo;
use pyo3::prelude::*;

use crate::args::natural;
use crate::csr::Csr;
use crate::run::run;

/// Simulated interactions with planted tastes and a popularity tail; every stored cell is one.
#[pyfunction]
#[pyo3(signature = (seed, n_users=2000, n_items=3000))]
pub(crate) fn demo_urm(
    py: Python<'_>,
    seed: &Bound<'_, PyAny>,
    n_users: usize,
    n_items: usize,
) -> PyResult<Csr> {
    let seed = natural("seed", seed)?;
    let urm = run(py, None, |p| demo::demo_urm(seed, n_users, n_items, p))?;
    Csr::from_matrix(py, urm)
}
