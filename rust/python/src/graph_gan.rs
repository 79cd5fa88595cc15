//! GraphGAN: a generator and a discriminator of vertex vectors in training.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ganmf_core::models::graph_gan::{self, AdamState, GraphGanParams, PassParams, State};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::args::{Indices, matrix, natural};
use crate::csr::Csr;
use crate::run::run;

/// Two sets of vertex vectors trained against each other; rows are `x b`.
///
/// Parameters
/// ----------
/// adjacency : Csr
///     Square and symmetric; values have no effect.
/// d, g : (epochs, `learning_rate`, reg)
/// samples : int
///     Walks of a root.
/// `batch_size` : int
/// published : bool
/// tables : list of six float32 arrays
///     Of G, then of D: vectors, Adam's means of gradients, and of their squares.
/// removed : uint8 array
///     By entry of `adjacency`; empty at the start.
/// finished : (int, int, int)
///     Steps of G and of D, and rounds.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct GraphGan {
    model: Mutex<graph_gan::GraphGan>,
}

type Matrix<'py> = Bound<'py, PyArray2<f32>>;

#[pymethods]
impl GraphGan {
    #[new]
    fn new(
        py: Python<'_>,
        adjacency: &Csr,
        d: (usize, f64, f64),
        g: (usize, f64, f64),
        samples: usize,
        batch_size: usize,
        published: bool,
        seed: &Bound<'_, PyAny>,
        tables: [PyReadonlyArray2<'_, f32>; 6],
        removed: &Bound<'_, PyArray1<u8>>,
        finished: [Bound<'_, PyAny>; 3],
    ) -> PyResult<Self> {
        let pass = |(epochs, learning_rate, reg)| PassParams {
            epochs,
            learning_rate,
            reg,
        };
        let params = GraphGanParams {
            d: pass(d),
            g: pass(g),
            samples,
            batch_size,
            published,
            seed: natural("seed", seed)?,
        };
        let removed = Indices::of(removed)?;
        let player = |at: usize, steps: &Bound<'_, PyAny>| {
            Ok::<_, PyErr>(AdamState {
                table: matrix(&tables[at], "tables")?,
                moments: [
                    matrix(&tables[at + 1], "tables")?,
                    matrix(&tables[at + 2], "tables")?,
                ],
                steps: natural("finished", steps)?,
            })
        };
        let from = State {
            g: player(0, &finished[0])?,
            d: player(3, &finished[1])?,
            removed: removed.slice("removed")?,
            round: natural("finished", &finished[2])?,
        };
        let guard = adjacency.guard(py);
        let view = guard.view()?;
        let model = run(py, None, |_| graph_gan::GraphGan::new(view, params, &from))?;
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

    /// Tables, marks and numbers as they were given.
    fn state<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Vec<Matrix<'py>>, Bound<'py, PyArray1<u8>>, [u64; 3])> {
        let state = run(py, None, |_| self.lock().state())?;
        let finished = [state.g.steps, state.d.steps, state.round];
        let mut tables = Vec::with_capacity(6);
        for AdamState { table, moments, .. } in [state.g, state.d] {
            tables.push(table.into_pyarray(py));
            tables.extend(moments.map(|m| m.into_pyarray(py)));
        }
        Ok((tables, state.removed.into_pyarray(py), finished))
    }

    /// Root and end of the walks that the generator would take now, roots in order.
    fn draws(&self, py: Python<'_>) -> PyResult<Vec<(u32, u32)>> {
        run(py, None, |p| self.lock().draws(p))
    }
}

impl GraphGan {
    fn lock(&self) -> MutexGuard<'_, graph_gan::GraphGan> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
