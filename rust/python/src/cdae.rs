//! CDAE: a model in training.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ganmf_core::models::cdae::{self, CdaeParams};
use numpy::{IntoPyArray, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::args::{choice, matrix, natural};
use crate::csr::Csr;
use crate::run::run;

/// A denoising autoencoder in training.
///
/// Parameters
/// ----------
/// urm : Csr
/// activation : {"sigmoid", "tanh", "linear"}
/// loss : {"logistic", "square"}
/// weights : list of float32 arrays
///     Outputs `w' b'`, the hidden bias `b 0` in one row, then unless `tied` inputs `w 0`, then with
///     `user_factors` users `v 0`.
/// squares : list of float32 arrays or None
///     Sums of squares of AdaGrad, in the same order; None at the start.
/// epoch : int
///     Finished epochs.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct Cdae {
    model: Mutex<cdae::Cdae>,
}

type Matrix<'py> = Bound<'py, PyArray2<f32>>;
type Given<'py> = PyReadonlyArray2<'py, f32>;

#[pymethods]
impl Cdae {
    #[new]
    fn new(
        py: Python<'_>,
        urm: &Csr,
        activation: &str,
        loss: &str,
        dropout: f64,
        scaled: bool,
        negatives: usize,
        reg: f64,
        learning_rate: f64,
        beta: f64,
        tied: bool,
        user_factors: bool,
        batch_size: usize,
        seed: &Bound<'_, PyAny>,
        weights: Vec<Given<'_>>,
        squares: Option<Vec<Given<'_>>>,
        epoch: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let params = CdaeParams {
            activation: choice(activation)?,
            loss: choice(loss)?,
            dropout,
            scaled,
            negatives,
            reg,
            learning_rate,
            beta,
            tied,
            user_factors,
            batch_size,
            seed: natural("seed", seed)?,
        };
        let views = |of: &'_ [Given<'_>], name: &str| -> PyResult<Vec<_>> {
            of.iter()
                .map(|array| Ok(matrix(array, name)?.to_owned()))
                .collect()
        };
        let weights = views(&weights, "weights")?;
        let squares = squares.map(|s| views(&s, "squares")).transpose()?;
        let weights: Vec<_> = weights.iter().map(|w| w.view()).collect();
        let squares: Option<Vec<_>> = squares
            .as_ref()
            .map(|s| s.iter().map(|w| w.view()).collect());
        let epoch = natural("epoch", epoch)?;
        let guard = urm.guard(py);
        let view = guard.view()?;
        let model = run(py, None, |_| {
            cdae::Cdae::new(view, params, &weights, squares.as_deref(), epoch)
        })?;
        Ok(Self {
            model: Mutex::new(model),
        })
    }

    /// The next epoch; the mean loss of a target.
    #[pyo3(signature = (report=None))]
    fn run(&self, py: Python<'_>, report: Option<Py<PyAny>>) -> PyResult<f64> {
        run(py, report.as_ref(), |p| self.lock().run(p))
    }

    /// Weights and sums of squares, in the order in which they were given.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<[Vec<Matrix<'py>>; 2]> {
        let state = run(py, None, |_| self.lock().state())?;
        Ok(state.map(|part| part.into_iter().map(|w| w.into_pyarray(py)).collect()))
    }

    /// Rows `z 1` of all users, nothing dropped.
    fn hidden<'py>(&self, py: Python<'py>) -> PyResult<Matrix<'py>> {
        let hidden = run(py, None, |p| self.lock().hidden(p))?;
        Ok(hidden.into_pyarray(py))
    }

    /// Items kept and negatives of the next epoch, by user.
    fn draws(&self, py: Python<'_>) -> PyResult<[Vec<Vec<i32>>; 2]> {
        run(py, None, |p| self.lock().draws(p))
    }
}

impl Cdae {
    fn lock(&self) -> MutexGuard<'_, cdae::Cdae> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
