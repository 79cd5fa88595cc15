//! Row-parallel construction of a sparse matrix, with scratch memory per worker.
//!
//! Rows are computed in chunks by any free worker and joined in index order, so the result
//! never depends on the number of threads. Scratch (often as long as the catalogue) is made once
//! per worker and handed from chunk to chunk; a row must leave it as it found it.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::error::Result;
use super::progress::Progress;
use super::sparse::CsrMatrix;
use super::topk::{Scored, keep_top};

/// Rows per chunk: long enough to hide the hand-over, short enough to balance skewed rows.
const CHUNK: usize = 32;

/// The rows a worker is writing.
#[derive(Debug, Default)]
pub struct RowWriter {
    ends: Vec<usize>,
    indices: Vec<i32>,
    values: Vec<f32>,
}

impl RowWriter {
    /// Append a cell to the current row; columns must come in ascending order.
    #[inline]
    pub fn push(&mut self, col: i32, value: f32) {
        self.indices.push(col);
        self.values.push(value);
    }

    /// Append the best `k` of `entries`, by ascending column; `entries` is left with those.
    pub fn push_top(&mut self, entries: &mut Vec<Scored>, k: usize) {
        keep_top(entries, k);
        entries.sort_unstable_by_key(|s| s.index);
        for s in entries {
            self.push(s.index, s.score);
        }
    }
}

/// Scratch objects, each used by one chunk at a time.
#[derive(Debug)]
pub struct ScratchPool<S, F> {
    free: Mutex<Vec<S>>,
    make: F,
}

impl<S, F: Fn() -> S> ScratchPool<S, F> {
    /// A pool that makes a new object with `make` when all are in use.
    pub fn new(make: F) -> Self {
        Self {
            free: Mutex::new(Vec::new()),
            make,
        }
    }

    /// Call `work` with a scratch object.
    ///
    /// # Panics
    /// If another borrower panicked while the pool was locked, which the pool itself never does.
    pub fn with<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        let taken = self.free.lock().expect("pool lock").pop();
        let mut scratch = taken.unwrap_or_else(|| (self.make)());
        let out = work(&mut scratch);
        self.free.lock().expect("pool lock").push(scratch);
        out
    }

    /// The scratch objects that were made, in no particular order.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    pub fn into_free(self) -> Vec<S> {
        self.free.into_inner().expect("pool lock")
    }
}

/// Compute `row(scratch, r, writer)` for every `r` in parallel and join the rows in order.
///
/// # Errors
/// The first error (by row) that a row returned, or `Cancelled`.
pub fn build_rows<S: Send>(
    (n_rows, n_cols): (usize, usize),
    progress: &Progress,
    scratch: impl Fn() -> S + Sync,
    row: impl Fn(&mut S, usize, &mut RowWriter) -> Result<()> + Sync,
) -> Result<CsrMatrix> {
    let parts = par_chunks(n_rows, CHUNK, progress, scratch, |scratch, range| {
        let mut writer = RowWriter::default();
        for r in range {
            row(scratch, r, &mut writer)?;
            writer.ends.push(writer.indices.len());
            progress.advance(1)?;
        }
        Ok(writer)
    })?;

    let nnz = parts.iter().map(|p| p.indices.len()).sum();
    let mut indptr = Vec::with_capacity(n_rows + 1);
    let mut indices = Vec::with_capacity(nnz);
    let mut values = Vec::with_capacity(nnz);
    indptr.push(0);
    for part in parts {
        let base = indices.len();
        indptr.extend(part.ends.iter().map(|&end| (base + end) as i64));
        indices.extend_from_slice(&part.indices);
        values.extend_from_slice(&part.values);
    }
    Ok(CsrMatrix::from_parts(n_cols, indptr, indices, Some(values)))
}

/// Run `work` over chunks of `0..n` in parallel; results come back in order of their chunks.
///
/// # Errors
/// The error of the first chunk (in order) that failed.
pub fn par_chunks<S: Send, T: Send>(
    n: usize,
    chunk: usize,
    progress: &Progress,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    progress.start(n as u64);
    let pool = ScratchPool::new(scratch);
    let results: Vec<Result<T>> = (0..n.div_ceil(chunk))
        .into_par_iter()
        .with_max_len(1)
        .map(|c| {
            progress.check()?;
            pool.with(|s| work(s, c * chunk..((c + 1) * chunk).min(n)))
        })
        .collect();
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;
    use crate::base::testing::on_threads;

    fn triangle(n: usize, threads: usize) -> CsrMatrix {
        on_threads(threads, || {
            build_rows(
                (n, n),
                &Progress::new(),
                || 0usize,
                |seen, r, out| {
                    *seen += 1;
                    (0..=r).for_each(|c| out.push(c as i32, (r * c) as f32));
                    Ok(())
                },
            )
        })
        .expect("no row fails")
    }

    #[test]
    fn thread_count_does_not_change_the_result() {
        let one = triangle(150, 1);
        assert_eq!(one.view().row_len(149), 150);
        assert_eq!(one, triangle(150, 2));
        assert_eq!(one, triangle(150, 7));
    }

    #[test]
    fn the_first_failing_row_is_the_one_reported() {
        let result = build_rows(
            (100, 1),
            &Progress::new(),
            || (),
            |(), r, _| {
                if r >= 40 {
                    Err(Error::invalid(format!("row {r}")))
                } else {
                    Ok(())
                }
            },
        );
        assert_eq!(result, Err(Error::invalid("row 40")));
    }

    #[test]
    fn a_cancelled_build_stops() {
        let progress = Progress::new();
        progress.cancel();
        let result = build_rows((10, 1), &progress, || (), |(), _, _| Ok(()));
        assert_eq!(result, Err(Error::Cancelled));
    }
}
