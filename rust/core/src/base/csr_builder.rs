//! Sparse rows from chunks of interactions in two passes: logs larger than memory.
//!
//! The first pass counts the cells of each row, the second puts every column in its place; then
//! rows are sorted and repeated cells removed. Cells may come in any order and in chunks of any
//! size: a repeated event is one interaction, so the answer does not depend on either. Time
//! O(cells log longest row); memory four bytes a cell and sixteen a row, whatever the chunks.

use rayon::prelude::*;

use super::error::{Error, Result};
use super::memory::{with_room, zeros};
use super::progress::Progress;
use super::sparse::{CsrMatrix, check_side};

const ROWS: &str = "rows of the matrix";

/// Rows sorted at a time.
const BLOCK: usize = 4096;

/// Collects cells, all of them ones, in two passes.
#[derive(Debug)]
pub struct CsrBuilder {
    n_cols: usize,
    /// Cells of row r at r + 1 while counting; offsets from the second pass on.
    indptr: Vec<i64>,
    /// Where the next cell of each row goes; empty while counting.
    next: Vec<i64>,
    indices: Vec<i32>,
}

impl CsrBuilder {
    /// An empty matrix of this shape.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a side does not fit 32-bit indices; [`Error::OutOfMemory`].
    pub fn new(n_rows: usize, n_cols: usize) -> Result<Self> {
        check_side(n_rows, "rows")?;
        check_side(n_cols, "columns")?;
        Ok(Self {
            n_cols,
            indptr: zeros(n_rows + 1, ROWS)?,
            next: Vec::new(),
            indices: Vec::new(),
        })
    }

    fn n_rows(&self) -> usize {
        self.indptr.len() - 1
    }

    fn filling(&self) -> bool {
        !self.next.is_empty()
    }

    /// First pass: the rows of a chunk of cells.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a row is out of range, or the second pass has begun.
    pub fn count(&mut self, rows: &[i32]) -> Result<()> {
        if self.filling() {
            return Err(Error::invalid(
                "count was called after fill; all cells are counted before the first is filled in",
            ));
        }
        let n_rows = self.n_rows();
        if let Some(&row) = rows.iter().find(|&&r| !inside(r, n_rows)) {
            return Err(Error::invalid(format!(
                "rows holds {row}, outside 0..{n_rows}"
            )));
        }
        for &row in rows {
            self.indptr[row as usize + 1] += 1;
        }
        Ok(())
    }

    /// Second pass: a chunk of cells.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the lengths differ, an index is out of range, or a row gets more
    /// cells than were counted; [`Error::OutOfMemory`]. Nothing of the chunk is then to be relied on.
    pub fn fill(&mut self, rows: &[i32], cols: &[i32]) -> Result<()> {
        if rows.len() != cols.len() {
            return Err(Error::invalid(format!(
                "rows and cols must have one length, not {} and {}",
                rows.len(),
                cols.len()
            )));
        }
        self.begin_filling()?;
        let (n_rows, n_cols) = (self.n_rows(), self.n_cols);
        if let Some(&col) = cols.iter().find(|&&c| !inside(c, n_cols)) {
            return Err(Error::invalid(format!(
                "cols holds {col}, outside 0..{n_cols}"
            )));
        }
        for (&row, &col) in rows.iter().zip(cols) {
            if !inside(row, n_rows) {
                return Err(Error::invalid(format!(
                    "rows holds {row}, outside 0..{n_rows}"
                )));
            }
            let at = &mut self.next[row as usize];
            if *at == self.indptr[row as usize + 1] {
                return Err(Error::invalid(format!(
                    "row {row} has more cells in the second pass than in the first"
                )));
            }
            self.indices[*at as usize] = col;
            *at += 1;
        }
        Ok(())
    }

    fn begin_filling(&mut self) -> Result<()> {
        if self.filling() {
            return Ok(());
        }
        let total: i64 = self.indptr.iter().sum();
        let indices = zeros(total as usize, "cells of the matrix")?;
        let mut next = with_room(self.indptr.len(), ROWS)?;
        let mut before = 0;
        for offset in &mut self.indptr {
            before += *offset;
            *offset = before;
            next.push(before);
        }
        (self.indices, self.next) = (indices, next);
        Ok(())
    }

    /// Sort the rows and drop repeated cells.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a row got fewer cells than were counted;
    /// [`Error::Cancelled`], [`Error::OutOfMemory`].
    pub fn finish(mut self, progress: &Progress) -> Result<CsrMatrix> {
        self.begin_filling()?;
        let short = |r: &usize| self.next[*r] != self.indptr[r + 1];
        if let Some(row) = (0..self.n_rows()).find(short) {
            return Err(Error::invalid(format!(
                "row {row} has fewer cells in the second pass than in the first"
            )));
        }
        progress.start(self.n_rows() as u64);
        let n_rows = self.n_rows();
        let mut blocks = with_room(n_rows / BLOCK + 1, ROWS)?;
        let mut rest = self.indices.as_mut_slice();
        // `next` will hold the number of distinct cells of each row, which stand first in its place.
        for (first, lengths) in (0..)
            .step_by(BLOCK)
            .zip(self.next[..n_rows].chunks_mut(BLOCK))
        {
            let offsets = &self.indptr[first..=first + lengths.len()];
            let cells = offsets[lengths.len()] - offsets[0];
            let (block, after) = rest.split_at_mut(cells as usize);
            rest = after;
            blocks.push((offsets, lengths, block));
        }
        blocks
            .into_par_iter()
            .try_for_each(|(offsets, lengths, mut cells)| {
                for (w, length) in offsets.windows(2).zip(lengths) {
                    let (row, after) =
                        std::mem::take(&mut cells).split_at_mut((w[1] - w[0]) as usize);
                    cells = after;
                    *length = sort_distinct(row) as i64;
                    progress.advance(1)?;
                }
                Ok(())
            })?;
        let mut end = 0;
        for row in 0..n_rows {
            let (start, length) = (self.indptr[row] as usize, self.next[row] as usize);
            self.indices.copy_within(start..start + length, end);
            end += length;
            self.next[row] = end as i64;
        }
        self.indices.truncate(end);
        self.indices.shrink_to_fit();
        self.indptr[1..].copy_from_slice(&self.next[..n_rows]);
        Ok(CsrMatrix::from_parts(
            self.n_cols,
            self.indptr,
            self.indices,
            None,
        ))
    }
}

fn inside(index: i32, n: usize) -> bool {
    index >= 0 && (index as usize) < n
}

/// Sort a row and move its distinct columns to the front; returns how many there are.
fn sort_distinct(row: &mut [i32]) -> usize {
    row.sort_unstable();
    let mut kept = 0;
    for at in 0..row.len() {
        if kept == 0 || row[at] != row[kept - 1] {
            row[kept] = row[at];
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::base::sparse::Duplicates;

    fn built(n_rows: usize, n_cols: usize, rows: &[i32], cols: &[i32], chunk: usize) -> CsrMatrix {
        let mut builder = CsrBuilder::new(n_rows, n_cols).expect("small");
        rows.chunks(chunk)
            .for_each(|r| builder.count(r).expect("inside"));
        rows.chunks(chunk)
            .zip(cols.chunks(chunk))
            .for_each(|(r, c)| builder.fill(r, c).expect("counted"));
        builder.finish(&Progress::new()).expect("complete")
    }

    #[test]
    fn chunks_of_any_size_give_the_matrix_of_all_triplets_at_once() {
        let (n_rows, n_cols, n) = (9_001, 37, 60_000);
        let draw = |stream, bound| -> Vec<i32> {
            let mut rng = Rng::at(5, stream, 0);
            (0..n).map(|_| rng.below(bound) as i32).collect()
        };
        let (rows, cols) = (draw(1, n_rows as u64), draw(2, n_cols as u64));
        let (shape, first, progress) = ((n_rows, n_cols), Duplicates::First, Progress::new());
        let expected =
            CsrMatrix::from_coo(shape, &rows, &cols, None, first, &progress).expect("valid");
        assert!(expected.view().nnz() < rows.len(), "some cells come twice");
        for chunk in [1, 1000, rows.len()] {
            assert_eq!(built(n_rows, n_cols, &rows, &cols, chunk), expected);
        }
    }

    #[test]
    fn no_cells_give_empty_rows() {
        let empty = CsrBuilder::new(3, 2).expect("small");
        let matrix = empty.finish(&Progress::new()).expect("complete");
        assert_eq!(matrix.view().indptr(), [0, 0, 0, 0]);
        assert_eq!(
            CsrBuilder::new(0, 0)
                .and_then(|b| b.finish(&Progress::new()))
                .map(|m| m.view().n_rows()),
            Ok(0)
        );
    }

    #[test]
    fn passes_that_differ_are_refused_by_name() {
        let message = |r: Result<()>| r.expect_err("must be refused").to_string();
        let counted = || {
            let mut builder = CsrBuilder::new(2, 3).expect("small");
            builder.count(&[1]).expect("inside");
            builder
        };
        assert!(message(counted().count(&[2])).contains("rows holds 2, outside 0..2"));
        assert!(message(counted().fill(&[1], &[3])).contains("cols holds 3, outside 0..3"));
        assert!(message(counted().fill(&[-1], &[0])).contains("rows holds -1"));
        assert!(message(counted().fill(&[1], &[])).contains("not 1 and 0"));
        assert!(message(counted().fill(&[0], &[0])).contains("row 0 has more cells"));
        let mut late = counted();
        late.fill(&[1], &[0]).expect("counted");
        assert!(message(late.count(&[1])).contains("after fill"));
        let finished = counted().finish(&Progress::new());
        assert!(message(finished.map(|_| ())).contains("row 1 has fewer cells"));
        assert!(CsrBuilder::new(1 << 31, 1).is_err());
    }

    #[test]
    fn a_raised_flag_stops_the_sorting() {
        let mut builder = CsrBuilder::new(1, 1).expect("small");
        builder.count(&[0]).expect("inside");
        builder.fill(&[0], &[0]).expect("counted");
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(builder.finish(&progress), Err(Error::Cancelled));
    }
}
