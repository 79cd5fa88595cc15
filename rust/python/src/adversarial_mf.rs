//! IRGAN and CoFiGAN: a generator and a discriminator in training.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ganmf_core::models::adversarial_mf::{
    self, AdversarialMfParams, DiscriminatorParams, GeneratorParams, State, Teaching,
};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::args::{Indices, matrix, natural};
use crate::csr::Csr;
use crate::run::run;

/// Two factorisations with item bias trained against each other; rows are `p 1` and `q b`.
///
/// Parameters
/// ----------
/// urm : Csr
/// d : (epochs, `learning_rate`, reg, `batch_size`, temperature, outside, frozen, uniform)
///     Of the discriminator.
/// g : (epochs, `learning_rate`, reg, mix)
///     Of the generator; mix is None for pairs instead of a policy gradient.
/// factors : (G's users, G's items, D's users, D's items)
///     float32 arrays.
/// negatives : int32 array
///     By interaction; empty at the start.
/// finished : int
///     Rounds.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct AdversarialMf {
    model: Mutex<adversarial_mf::AdversarialMf>,
}

type Matrix<'py> = Bound<'py, PyArray2<f32>>;
type Given<'py> = PyReadonlyArray2<'py, f32>;

#[pymethods]
impl AdversarialMf {
    #[new]
    fn new(
        py: Python<'_>,
        urm: &Csr,
        d: (usize, f64, f64, usize, f64, bool, bool, bool),
        g: (usize, f64, f64, Option<f64>),
        in_order: bool,
        seed: &Bound<'_, PyAny>,
        factors: (Given<'_>, Given<'_>, Given<'_>, Given<'_>),
        negatives: &Bound<'_, PyArray1<i32>>,
        finished: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let params = AdversarialMfParams {
            d: DiscriminatorParams {
                epochs: d.0,
                learning_rate: d.1,
                reg: d.2,
                batch_size: d.3,
                temperature: d.4,
                outside: d.5,
                frozen: d.6,
                uniform: d.7,
            },
            g: GeneratorParams {
                epochs: g.0,
                learning_rate: g.1,
                reg: g.2,
                teaching: g.3.map_or(Teaching::Pairs, |mix| Teaching::Policy { mix }),
            },
            in_order,
            seed: natural("seed", seed)?,
        };
        let negatives = Indices::of(negatives)?;
        let from = State {
            g: [
                matrix(&factors.0, "factors")?,
                matrix(&factors.1, "factors")?,
            ],
            d: [
                matrix(&factors.2, "factors")?,
                matrix(&factors.3, "factors")?,
            ],
            negatives: negatives.slice("negatives")?,
            round: natural("finished", finished)?,
        };
        let guard = urm.guard(py);
        let view = guard.view()?;
        let model = run(py, None, |_| {
            adversarial_mf::AdversarialMf::new(view, params, &from)
        })?;
        Ok(Self {
            model: Mutex::new(model),
        })
    }

    /// The next round; the mean losses of discriminator and generator.
    #[pyo3(signature = (report=None))]
    fn run(&self, py: Python<'_>, report: Option<Py<PyAny>>) -> PyResult<(f64, f64)> {
        let losses = run(py, report.as_ref(), |p| self.lock().run(p))?;
        Ok((losses.d, losses.g))
    }

    /// Factors as they were given, and the negatives.
    fn state<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Vec<Matrix<'py>>, Bound<'py, PyArray1<i32>>)> {
        let State {
            g, d, negatives, ..
        } = run(py, None, |_| self.lock().state())?;
        let all = g.into_iter().chain(d);
        let factors = all.map(|part| part.into_pyarray(py)).collect();
        Ok((factors, negatives.into_pyarray(py)))
    }
}

impl AdversarialMf {
    fn lock(&self) -> MutexGuard<'_, adversarial_mf::AdversarialMf> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
