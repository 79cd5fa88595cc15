//! Row-parallel construction of a sparse matrix, with scratch memory per worker.
//!
//! Rows are computed in chunks by any free worker and joined in index order, so the result
//! never depends on the number of threads. Scratch (often as long as the catalogue) is made once
//! per worker and handed from chunk to chunk; a row must leave it as it found it.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::error::Result;
use super::memory::{reserve, with_room};
use super::progress::Progress;
use super::sparse::CsrMatrix;
use super::topk::{Scored, keep_top};

/// Rows per chunk: long enough to hide the hand-over, short enough to balance skewed rows.
const CHUNK: usize = 32;

const CELLS: &str = "cells of the result";

/// The rows a worker is writing.
#[derive(Debug, Default)]
pub struct RowWriter {
    ends: Vec<usize>,
    indices: Vec<i32>,
    values: Vec<f32>,
}

impl RowWriter {
    /// Room for `n` more cells, so that they can be appended.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](super::Error::OutOfMemory).
    #[inline]
    pub fn reserve(&mut self, n: usize) -> Result<()> {
        reserve(&mut self.indices, n, CELLS)?;
        reserve(&mut self.values, n, CELLS)
    }

    /// Append a cell to the current row; columns must come in ascending order.
    #[inline]
    pub fn push(&mut self, col: i32, value: f32) {
        self.indices.push(col);
        self.values.push(value);
    }

    /// Append the best `k` of `entries`, by ascending column; `entries` is left with those.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](super::Error::OutOfMemory).
    pub fn push_top(&mut self, entries: &mut Vec<Scored>, k: usize) -> Result<()> {
        keep_top(entries, k);
        self.reserve(entries.len())?;
        entries.sort_unstable_by_key(|s| s.index);
        for s in entries {
            self.push(s.index, s.score);
        }
        Ok(())
    }
}

/// Scratch objects, each used by one chunk at a time.
#[derive(Debug)]
pub struct ScratchPool<S, F> {
    free: Mutex<Vec<S>>,
    make: F,
}

impl<S, F: Fn() -> Result<S>> ScratchPool<S, F> {
    /// A pool that makes a new object with `make` when all are in use.
    pub fn new(make: F) -> Self {
        Self {
            free: Mutex::new(Vec::new()),
            make,
        }
    }

    /// Call `work` with a scratch object.
    ///
    /// # Errors
    /// Those of `make` and of `work`.
    ///
    /// # Panics
    /// If another borrower panicked while the pool was locked, which the pool itself never does.
    pub fn with<T>(&self, work: impl FnOnce(&mut S) -> Result<T>) -> Result<T> {
        let taken = self.free.lock().expect("pool lock").pop();
        let mut scratch = taken.map_or_else(&self.make, Ok)?;
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
/// The first error (by row) that a row returned, `NonFinite`, or `Cancelled`.
pub fn build_rows<S: Send>(
    (n_rows, n_cols): (usize, usize),
    progress: &Progress,
    scratch: impl Fn() -> Result<S> + Sync,
    row: impl Fn(&mut S, usize, &mut RowWriter) -> Result<()> + Sync,
) -> Result<CsrMatrix> {
    let parts = par_chunks(n_rows, CHUNK, progress, scratch, |scratch, range| {
        let mut writer = RowWriter {
            ends: with_room(range.len(), CELLS)?,
            ..RowWriter::default()
        };
        for r in range {
            row(scratch, r, &mut writer)?;
            writer.ends.push(writer.indices.len());
            progress.advance(1)?;
        }
        writer.indices.shrink_to_fit();
        writer.values.shrink_to_fit();
        Ok(writer)
    })?;

    let nnz = parts.iter().map(|p| p.indices.len()).sum();
    let mut indptr = with_room(n_rows + 1, "rows of the result")?;
    let mut indices = with_room(nnz, CELLS)?;
    let mut values = with_room(nnz, CELLS)?;
    indptr.push(0);
    for part in parts {
        progress.check()?;
        let base = indices.len();
        indptr.extend(part.ends.iter().map(|&end| (base + end) as i64));
        indices.extend_from_slice(&part.indices);
        values.extend_from_slice(&part.values);
    }
    CsrMatrix::of_weights(n_cols, indptr, indices, values)
}

/// Run `work` over chunks of `0..n` in parallel; results come back in order of their chunks.
///
/// # Errors
/// The error of the first chunk (in order) that failed.
pub fn par_chunks<S: Send, T: Send>(
    n: usize,
    chunk: usize,
    progress: &Progress,
    scratch: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    progress.start(n as u64);
    let pool = ScratchPool::new(scratch);
    par_map(n.div_ceil(chunk), |c| {
        progress.check()?;
        pool.with(|s| work(s, c * chunk..((c + 1) * chunk).min(n)))
    })
}

/// `work` of each number of `0..n` in parallel, results in order; whoever is free takes the next.
///
/// # Errors
/// That of the first number (in order) that failed.
pub fn par_map<T: Send>(n: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let mut results: Vec<Result<T>> = with_room(n, "parts of the work")?;
    (0..n)
        .into_par_iter()
        .with_max_len(1)
        .map(&work)
        .collect_into_vec(&mut results);
    let mut parts = with_room(n, "parts of the work")?;
    for result in results {
        parts.push(result?);
    }
    Ok(parts)
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
                || Ok(0usize),
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
            || Ok(()),
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
        let result = build_rows((10, 1), &progress, || Ok(()), |(), _, _| Ok(()));
        assert_eq!(result, Err(Error::Cancelled));
    }
}
