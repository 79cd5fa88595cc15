//! BPR-MF and APR: a model in training, and factors of new users.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ganmf_core::models::bpr_mf::{self, Adversary, BprMfParams, State};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::args::{choice, matrix, natural};
use crate::csr::Csr;
use crate::run::run;

/// How a model is trained.
///
/// Parameters
/// ----------
/// rule : {"sgd", "adagrad"}
/// candidates : int
///     Draws of which the one with the best score is the negative.
/// `in_order` : bool
///     Interactions in the order of the matrix, negatives by the scores at the start of the epoch.
/// adversary : (float, float) or None
///     Length of the move of a row, and weight of the loss of the moved factors.
#[pyclass(frozen, module = "ganmf_fast._core")]
#[derive(Clone, Copy)]
pub(crate) struct BprRule(BprMfParams);

#[pymethods]
impl BprRule {
    #[new]
    #[pyo3(signature = (rule, learning_rate, reg, candidates, seed, batch_size=1, in_order=false, drop_last=false, adversary=None))]
    fn new(
        rule: &str,
        learning_rate: f64,
        reg: f64,
        candidates: usize,
        seed: &Bound<'_, PyAny>,
        batch_size: usize,
        in_order: bool,
        drop_last: bool,
        adversary: Option<(f64, f64)>,
    ) -> PyResult<Self> {
        Ok(Self(BprMfParams {
            rule: choice(rule)?,
            learning_rate,
            reg,
            candidates,
            batch_size,
            in_order,
            drop_last,
            adversary: adversary.map(|(epsilon, weight)| Adversary { epsilon, weight }),
            seed: natural("seed", seed)?,
        }))
    }
}

/// Factors and biases learned triple by triple: rows are `p 1` (or `p 0`) and `q b`.
///
/// Parameters
/// ----------
/// urm : Csr
/// `users`, `items` : float32 arrays
/// `squares` : (float32 array, float32 array) or None
///     Sums of squares of AdaGrad; None at the start.
/// epoch : int
///     Finished epochs.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct BprMf {
    model: Mutex<bpr_mf::BprMf>,
}

type Matrix<'py> = Bound<'py, PyArray2<f32>>;

#[pymethods]
impl BprMf {
    #[new]
    #[pyo3(signature = (urm, rule, users, items, squares=None, epoch=None))]
    fn new(
        py: Python<'_>,
        urm: &Csr,
        rule: &BprRule,
        users: PyReadonlyArray2<'_, f32>,
        items: PyReadonlyArray2<'_, f32>,
        squares: Option<(PyReadonlyArray2<'_, f32>, PyReadonlyArray2<'_, f32>)>,
        epoch: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let squares = match &squares {
            Some((u, i)) => Some([matrix(u, "squares")?, matrix(i, "squares")?]),
            None => None,
        };
        let from = State {
            users: matrix(&users, "users")?,
            items: matrix(&items, "items")?,
            squares,
            epoch: epoch.map_or(Ok(0), |n| natural("epoch", n))?,
        };
        let guard = urm.guard(py);
        let view = guard.view()?;
        let model = run(py, None, |p| bpr_mf::BprMf::new(view, rule.0, &from, p))?;
        Ok(Self {
            model: Mutex::new(model),
        })
    }

    /// The next epoch; the mean loss of its triples.
    #[pyo3(signature = (report=None))]
    fn run(&self, py: Python<'_>, report: Option<Py<PyAny>>) -> PyResult<f64> {
        run(py, report.as_ref(), |p| self.lock().run(p))
    }

    /// Factors of users and items, and sums of squares if there are any.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Vec<Matrix<'py>>> {
        let State {
            users,
            items,
            squares,
            ..
        } = run(py, None, |_| self.lock().state())?;
        let squares = squares.into_iter().flatten();
        let all = [users, items].into_iter().chain(squares);
        Ok(all.map(|part| part.into_pyarray(py)).collect())
    }

    /// Users, positive items and candidates of the next epoch, each int32.
    fn draws<'py>(&self, py: Python<'py>) -> PyResult<[Bound<'py, PyArray1<i32>>; 3]> {
        let draws = run(py, None, |p| self.lock().draws(p))?;
        Ok(draws.map(|part| part.into_pyarray(py)))
    }
}

impl BprMf {
    fn lock(&self) -> MutexGuard<'_, bpr_mf::BprMf> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows `p constant` of profiles, trained alone while the items stand still.
#[pyfunction]
#[pyo3(signature = (profiles, rule, items, constant, epochs, report=None))]
pub(crate) fn bpr_fold_in<'py>(
    py: Python<'py>,
    profiles: &Csr,
    rule: &BprRule,
    items: PyReadonlyArray2<'py, f32>,
    constant: f32,
    epochs: usize,
    report: Option<Py<PyAny>>,
) -> PyResult<Matrix<'py>> {
    let items = matrix(&items, "items")?;
    let guard = profiles.guard(py);
    let view = guard.view()?;
    let found = run(py, report.as_ref(), |p| {
        bpr_mf::fold_in(view, items, constant, epochs, &rule.0, p)
    })?;
    Ok(found.into_pyarray(py))
}
