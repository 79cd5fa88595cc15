//! Random sets of items for adversarial training.

use ganmf_core::sampling::{Key, Masks};
use ganmf_core::sampling;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use ganmf_core::args::natural;
use ganmf_core::csr::{Csr, slice};
use ganmf_core::run::run;

fn key(seed: &Bound<'_, PyAny>, stream: &Bound<'_, PyAny>) -> PyResult<Key> {
    Ok(Key {
        seed: natural("seed", seed)?,
        stream: natural("stream", stream)?,
    })
}

fn contiguous(name: &str) -> PyErr {
    PyValueError::new_err(format!("{name} must be a contiguous array"))
}

/// Write ones at random unobserved items of each row, zeros elsewhere, in place of `out`.
///
/// Parameters
/// ----------
/// urm : Csr
/// rows : int64 array
/// ratio : float
///     Fraction of the unobserved items, rounded down, row by row.
/// seed, stream : int
///     Decide the sets, together with the row.
/// out : float32 array, shape (len(rows), `n_cols`)
/// `keep_observed` : bool
///     Leave the values of `urm` where it has some, instead of zeros.
/// weights : float32 array of that shape, optional
///     Draw without replacement in proportion to these, instead of uniformly.
#[pyfunction]
#[pyo3(signature = (urm, rows, ratio, seed, stream, out, keep_observed=false, weights=None))]
pub(crate) fn mask_unobserved(
    py: Python<'_>,
    urm: &Csr,
    rows: PyReadonlyArray1<'_, i64>,
    ratio: f64,
    seed: &Bound<'_, PyAny>,
    stream: &Bound<'_, PyAny>,
    mut out: PyReadwriteArray2<'_, f32>,
    keep_observed: bool,
    weights: Option<PyReadonlyArray2<'_, f32>>,
) -> PyResult<()> {
    let key = key(seed, stream)?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let rows = slice(&rows, "rows")?;
    let out = out.as_slice_mut().map_err(|_| contiguous("out"))?;
    let weights = weights
        .as_ref()
        .map(|w| w.as_slice().map_err(|_| contiguous("weights")))
        .transpose()?;
    run(py, None, |progress| {
        let masks = Masks::try_new(view, rows, ratio, keep_observed, key)?;
        match weights {
            None => sampling::mask_uniform(&masks, out, progress),
            Some(weights) => sampling::mask_weighted(&masks, weights, out, progress),
        }
    })
}

/// Draw items with replacement in proportion to weights, `counts[r]` of them for row `rows[r]`.
///
/// Parameters
/// ----------
/// weights : float32 array, shape (len(rows), `n_items`)
/// rows, counts : int64 arrays
/// seed, stream : int
///     Decide the draws, together with the row.
///
/// Returns
/// -------
/// int32 array, shape (`counts.sum()`,)
///     The draws of the first row, then those of the second and so on.
#[pyfunction]
pub(crate) fn draw_items<'py>(
    py: Python<'py>,
    weights: PyReadonlyArray2<'py, f32>,
    rows: PyReadonlyArray1<'py, i64>,
    counts: PyReadonlyArray1<'py, i64>,
    seed: &Bound<'py, PyAny>,
    stream: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let key = key(seed, stream)?;
    let n_items = weights.as_array().ncols();
    let weights = weights.as_slice().map_err(|_| contiguous("weights"))?;
    let (rows, counts) = (slice(&rows, "rows")?, slice(&counts, "counts")?);
    let items = run(py, None, |progress| {
        sampling::draw_items(weights, n_items, rows, counts, key, progress)
    })?;
    Ok(items.into_pyarray(py))
}
