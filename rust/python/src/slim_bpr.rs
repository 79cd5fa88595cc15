//! SLIM-BPR: a model in training; Python evaluates it between epochs.

use std::sync::{Mutex, PoisonError};

use ganmf_core::models::slim_bpr::{self, SlimBprParams, Storage};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use crate::args::{choice, natural, topk_of};
use crate::csr::Csr;
use crate::run::run;

/// Item weights learned sample by sample.
///
/// Parameters
/// ----------
/// urm : Csr
/// sgd : {"sgd", "adagrad", "adam"}
/// `max_bytes` : int or None
///     Keep touched cells only, in a hash table of at most so many bytes; None keeps all cells.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct SlimBpr {
    model: Mutex<slim_bpr::SlimBpr>,
}

#[pymethods]
impl SlimBpr {
    #[new]
    #[pyo3(signature = (urm, symmetric, sgd, lambda_i, lambda_j, learning_rate, published_quirks, seed, max_bytes=None))]
    fn new(
        py: Python<'_>,
        urm: &Csr,
        symmetric: bool,
        sgd: &str,
        lambda_i: f64,
        lambda_j: f64,
        learning_rate: f64,
        published_quirks: bool,
        seed: &Bound<'_, PyAny>,
        max_bytes: Option<usize>,
    ) -> PyResult<Self> {
        let seed = natural("seed", seed)?;
        let params = SlimBprParams {
            symmetric,
            sgd: choice(sgd)?,
            lambda_i,
            lambda_j,
            learning_rate,
            published_quirks,
            seed,
            storage: max_bytes.map_or(Storage::Dense, Storage::Hashed),
        };
        let guard = urm.guard(py);
        let view = guard.view()?;
        let model = run(py, None, |p| slim_bpr::SlimBpr::new(view, params, p))?;
        Ok(Self {
            model: Mutex::new(model),
        })
    }

    /// The next `samples` samples.
    #[pyo3(signature = (samples, report=None))]
    fn run(
        &self,
        py: Python<'_>,
        samples: &Bound<'_, PyAny>,
        report: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let samples = natural("samples", samples)?;
        run(py, report.as_ref(), |p| self.lock().run(samples, p))
    }

    /// Item weights (items x items, rows are history items), cut to `topk` by rows and columns.
    #[pyo3(signature = (topk, report=None))]
    fn weights(
        &self,
        py: Python<'_>,
        topk: &Bound<'_, PyAny>,
        report: Option<Py<PyAny>>,
    ) -> PyResult<Csr> {
        let topk = topk_of(topk)?;
        let weights = run(py, report.as_ref(), |p| self.lock().weights(topk, p))?;
        Csr::from_matrix(py, weights)
    }

    /// Users, positive and negative items of `samples` samples from number `first` on, each int32.
    fn draws<'py>(
        &self,
        py: Python<'py>,
        first: &Bound<'py, PyAny>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<[Bound<'py, PyArray1<i32>>; 3]> {
        let (first, samples) = (natural("first", first)?, natural("samples", samples)?);
        let draws = run(py, None, |p| self.lock().draws(first, samples, p))?;
        Ok(draws.map(|part| part.into_pyarray(py)))
    }

    /// Bytes of all cells of a model of `n_items` items.
    #[staticmethod]
    fn dense_bytes(n_items: usize, symmetric: bool) -> u128 {
        slim_bpr::SlimBpr::dense_bytes(n_items, symmetric)
    }
}

impl SlimBpr {
    fn lock(&self) -> std::sync::MutexGuard<'_, slim_bpr::SlimBpr> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
