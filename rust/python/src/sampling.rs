//! Random sets of items for adversarial training.

use ganmf_core::sampling::{self, Key, Masks};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray2, PyReadwriteArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::args::{Indices, contiguous, natural, rows as by_rows};
use crate::csr::Csr;
use crate::run::run;

fn key(seed: &Bound<'_, PyAny>, stream: &Bound<'_, PyAny>) -> PyResult<Key> {
    Ok(Key {
        seed: natural("seed", seed)?,
        stream: natural("stream", stream)?,
    })
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
    rows: &Bound<'_, PyArray1<i64>>,
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
    let rows = Indices::of(rows)?;
    let rows = rows.slice("rows")?;
    if !out.is_c_contiguous() {
        return Err(contiguous("out"));
    }
    let out = out.as_slice_mut().map_err(|_| contiguous("out"))?;
    let weights = weights.as_ref().map(|w| by_rows(w, "weights"));
    let weights = weights.transpose()?;
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
    rows: &Bound<'py, PyArray1<i64>>,
    counts: &Bound<'py, PyArray1<i64>>,
    seed: &Bound<'py, PyAny>,
    stream: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let key = key(seed, stream)?;
    let n_items = weights.shape()[1];
    let weights = by_rows(&weights, "weights")?;
    let (rows, counts) = (Indices::of(rows)?, Indices::of(counts)?);
    let (rows, counts) = (rows.slice("rows")?, counts.slice("counts")?);
    let items = run(py, None, |progress| {
        sampling::draw_items(weights, n_items, rows, counts, key, progress)
    })?;
    Ok(items.into_pyarray(py))
}
