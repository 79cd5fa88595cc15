//! The overlap of every pair of columns, each pair once, streamed to a `Sink`.
//!
//! Objective: with columns ranked by popularity, for every rank t the sums over common rows
//! `S[r, t] = sum_u w_u x_ur x_ut` of all r < t: counts where everything is one.
//!
//! Method: pairs come in panels of consecutive t, so that a consumer can work on a panel while it
//! is in the cache, and nothing of the size columns squared is ever held.
//!
//! - Rows are rewritten as ascending ranks. The sums of column t are computed by reading the rows of
//!   its users up to t: a pair is met once, and the hot counters are those of the popular columns,
//!   which are adjacent. Counts are kept in 16 bits and need no multiplication.
//! - Among the most popular columns, the head, nearly every pair has common rows: there counts are
//!   the ones of `bits_r & bits_t`, see [`bits`]. Where the head ends is chosen by estimating both
//!   costs from the data.
//!
//! Weighted sums are computed in f64, in the order of the rows. Every sum is computed by one
//! thread, so the number of threads changes nothing.
//!
//! Cost: time at most half the sum over rows of their squared length, plus columns squared over the
//! vector width for reading the panels; memory O(nnz), and at most one bit per cell of the head.

use rayon::prelude::*;

use super::bits::{self, HeadBits};
use super::panel::{Panel, Sink};
use super::ranked::{Rank, Ranked, RunningSum};
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::zeros;
use crate::base::rows::ScratchPool;
use crate::base::{CsrView, Progress, Result};

const SUMS: &str = "sums of pairs of columns";

/// Cells of a panel, of which there is one at a time: about a second-level cache.
const PANEL_CELLS: usize = 1 << 18;
/// Rows of a panel of the head.
const HEAD_ROWS: usize = 32;

/// Most rows for which counts are exact in f32, the type of their panels.
pub(crate) const MAX_COUNTED: usize = 1 << 24;

/// Count common rows of all pairs of columns of `urm`, whose values are ignored; at most
/// [`MAX_COUNTED`] rows.
///
/// `make` receives the column of each rank and returns the sink.
pub(crate) fn count_pairs<S: Sink<f32>>(
    urm: CsrView,
    progress: &Progress,
    make: impl FnOnce(&[u32]) -> Result<S>,
) -> Result<S> {
    let urm = urm.without_values();
    if urm.n_cols() <= u16::SPAN {
        count::<u16, S>(urm, progress, make)
    } else {
        count::<u32, S>(urm, progress, make)
    }
}

/// Sums over common rows of all pairs of columns, where row u has the weight `weights[u]`.
pub(crate) fn sum_pairs<S: Sink<f64>>(
    urm: CsrView,
    weights: Option<&[f64]>,
    progress: &Progress,
    make: impl FnOnce(&[u32]) -> Result<S>,
) -> Result<S> {
    if urm.n_cols() <= u16::SPAN {
        sum::<u16, S>(urm, weights, progress, make)
    } else {
        sum::<u32, S>(urm, weights, progress, make)
    }
}

fn count<R: Rank, S: Sink<f32>>(
    urm: CsrView,
    progress: &Progress,
    make: impl FnOnce(&[u32]) -> Result<S>,
) -> Result<S> {
    let mut ranked = Ranked::<R>::new(urm, progress)?;
    let mut sink = make(&ranked.columns)?;
    let n = ranked.columns.len();
    progress.start(n as u64);
    let head = bits::head_size(&ranked.work, urm.n_rows());
    let bits = HeadBits::new(&ranked, head, urm.n_rows(), progress)?;
    ranked.forget_columns_before(head);
    let rows = HEAD_ROWS * rayon::current_num_threads();
    let mut cells = zeros::<f32>(rows.min(head) * head, SUMS)?;
    for first in (0..head).step_by(rows.max(1)) {
        let rows = rows.min(head - first);
        bits.fill(first, &mut cells[..rows * head], progress)?;
        let panel = Panel {
            first,
            rows,
            stride: head,
            cells: &cells,
        };
        sink.absorb(&panel)?;
        progress.advance(rows as u64)?;
    }
    drop((bits, cells));
    // Counts of column t cannot exceed its length, and lengths fall.
    let wide = ranked.lengths.partition_point(|&n| n > u32::from(u16::MAX));
    let wide = wide.clamp(head, n);
    let mut cursor = ranked.cursor_at(head)?;
    tail::<R, u32, S>(&ranked, None, head..wide, &mut cursor, &mut sink, progress)?;
    tail::<R, u16, S>(&ranked, None, wide..n, &mut cursor, &mut sink, progress)?;
    Ok(sink)
}

fn sum<R: Rank, S: Sink<f64>>(
    urm: CsrView,
    weights: Option<&[f64]>,
    progress: &Progress,
    make: impl FnOnce(&[u32]) -> Result<S>,
) -> Result<S> {
    let ranked = Ranked::<R>::new(urm, progress)?;
    let mut sink = make(&ranked.columns)?;
    let n = ranked.columns.len();
    progress.start(n as u64);
    let mut cursor = ranked.cursor_at(0)?;
    tail::<R, f64, S>(&ranked, weights, 0..n, &mut cursor, &mut sink, progress)?;
    Ok(sink)
}

/// Panels of the ranks `range`, by reading the rows up to each rank.
fn tail<R: Rank, C: RunningSum, S: Sink<C::Sum>>(
    ranked: &Ranked<R>,
    weights: Option<&[f64]>,
    range: std::ops::Range<usize>,
    cursor: &mut [usize],
    sink: &mut S,
    progress: &Progress,
) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let n = range.end;
    let rows = (PANEL_CELLS / n)
        .clamp(8, 256)
        .max(rayon::current_num_threads());
    let mut cells = zeros::<C::Sum>(rows.min(range.len()) * n, SUMS)?;
    let scratch = ScratchPool::new(|| zeros::<C>(R::array_len(n), SUMS));
    let mut ends: Vec<usize> = Vec::new();
    for first in range.clone().step_by(rows) {
        let rows = rows.min(range.end - first);
        ranked.ends(first..first + rows, cursor, &mut ends)?;
        let base = ranked.entries(first).start;
        cells[..rows * n]
            .par_chunks_mut(n)
            .with_max_len(1)
            .enumerate()
            .try_for_each(|(b, out)| {
                progress.check()?;
                let t = first + b;
                let entries = ranked.entries(t);
                let ends = &ends[entries.start - base..entries.end - base];
                scratch.with(|sums| {
                    ranked.walk(entries, ends, weights, sums);
                    // What lies beyond t was not touched.
                    dispatch(MoveTotals {
                        sums: &mut sums[..t],
                        out: &mut out[..t],
                    });
                    Ok(())
                })
            })?;
        let panel = Panel {
            first,
            rows,
            stride: n,
            cells: &cells,
        };
        sink.absorb(&panel)?;
        progress.advance(rows as u64)?;
    }
    Ok(())
}

/// Move sums out and leave zeros.
struct MoveTotals<'a, C: RunningSum> {
    sums: &'a mut [C],
    out: &'a mut [C::Sum],
}

impl<C: RunningSum> Kernel for MoveTotals<'_, C> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (slot, sum) in self.out.iter_mut().zip(self.sums) {
            *slot = sum.total();
            *sum = C::default();
        }
    }
}
