//! Alternating least squares.

use ganmf_core::models::ials::{self, Confidence, IalsParams, Solver};
use numpy::{IntoPyArray, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::args::{matrix, natural};
use crate::csr::Csr;
use crate::run::run;

fn params_of(
    alpha: f64,
    epsilon: Option<f64>,
    reg: f64,
    reg_exponent: f64,
    cg_steps: Option<usize>,
) -> IalsParams {
    IalsParams {
        alpha,
        confidence: epsilon.map_or(Confidence::Linear, |epsilon| Confidence::Log { epsilon }),
        reg,
        reg_exponent,
        solver: cg_steps.map_or(Solver::Cholesky, Solver::ConjugateGradient),
    }
}

/// Factors of the rows of a matrix, given those of its columns; the objective of WRMF.
///
/// `epsilon` is None for linear confidences, `cg_steps` is None for the exact solver.
#[pyfunction]
#[pyo3(signature = (rows, fixed, start, alpha, epsilon, reg, reg_exponent, cg_steps, report=None))]
pub(crate) fn ials_half_step<'py>(
    py: Python<'py>,
    rows: &Csr,
    fixed: PyReadonlyArray2<'py, f32>,
    start: Option<PyReadonlyArray2<'py, f32>>,
    alpha: f64,
    epsilon: Option<f64>,
    reg: f64,
    reg_exponent: f64,
    cg_steps: Option<&Bound<'py, PyAny>>,
    report: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let cg_steps = cg_steps.map(|n| natural("cg_steps", n)).transpose()?;
    let params = params_of(alpha, epsilon, reg, reg_exponent, cg_steps);
    let guard = rows.guard(py);
    let view = guard.view()?;
    let fixed = matrix(&fixed, "fixed")?;
    let start = start.as_ref().map(|s| matrix(s, "start")).transpose()?;
    let factors = run(py, report.as_ref(), |p| {
        ials::half_step(view, fixed, start, &params, p)
    })?;
    Ok(factors.into_pyarray(py))
}

/// The objective of WRMF at some factors; `items` is the transpose of `users`.
#[pyfunction]
pub(crate) fn ials_loss(
    py: Python<'_>,
    users: &Csr,
    items: &Csr,
    user_factors: PyReadonlyArray2<'_, f32>,
    item_factors: PyReadonlyArray2<'_, f32>,
    alpha: f64,
    epsilon: Option<f64>,
    reg: f64,
    reg_exponent: f64,
) -> PyResult<f64> {
    let params = params_of(alpha, epsilon, reg, reg_exponent, None);
    let (users, items) = (users.guard(py), items.guard(py));
    let (users, items) = (users.view()?, items.view()?);
    let x = matrix(&user_factors, "user_factors")?;
    let y = matrix(&item_factors, "item_factors")?;
    run(py, None, |p| ials::loss(users, items, x, y, &params, p))
}
