//! The parts of a matrix that labels name.

use rayon::prelude::*;

use super::labels::{check_len, chunks_of_rows, rows_of};
use crate::base::memory::zeros;
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};

const ROWS: &str = "row offsets of a part";
/// Values of a label.
const MOST_PARTS: usize = 1 << 8;
const CELLS: &str = "cells of a part";

/// Write the parts that the labels name, `n_parts` matrices of the shape of `urm`.
///
/// # Errors
/// [`Error::InvalidArgument`] if there is not one label a cell, a label is not below `n_parts`, or
/// that is more than a label can tell; [`Error::Cancelled`].
pub fn divide(
    urm: CsrView<'_>,
    labels: &[u8],
    n_parts: usize,
    progress: &Progress,
) -> Result<Vec<CsrMatrix>> {
    check_len("labels", labels.len(), urm)?;
    if n_parts > MOST_PARTS {
        return Err(Error::invalid(format!(
            "n_parts is {n_parts}; labels of one byte tell at most {MOST_PARTS} parts"
        )));
    }
    // The largest is found many labels at a time, the first that is out of range is not.
    let largest = labels.iter().fold(0, |largest, &l| l.max(largest));
    if usize::from(largest) >= n_parts
        && let Some(at) = labels.iter().position(|&l| usize::from(l) >= n_parts)
    {
        return Err(Error::invalid(format!(
            "labels[{at}] is {}, outside 0..{n_parts}",
            labels[at]
        )));
    }
    if n_parts == 2 {
        let (rest, held) = part(urm, labels, 1, progress)?;
        return Ok(vec![rest, held]);
    }
    (0..n_parts)
        .map(|of| part(urm, labels, of as u8, progress).map(|(_, held)| held))
        .collect()
}

/// The cells of other labels than `of`, and the cells with it.
///
/// # Errors
/// [`Error::InvalidArgument`] if there is not one label a cell; [`Error::Cancelled`].
pub fn part(
    urm: CsrView<'_>,
    labels: &[u8],
    of: u8,
    progress: &Progress,
) -> Result<(CsrMatrix, CsrMatrix)> {
    check_len("labels", labels.len(), urm)?;
    let n_rows = urm.n_rows();
    progress.start(n_rows as u64);
    let mut rest_ptr = zeros::<i64>(n_rows + 1, ROWS)?;
    let mut held_ptr = zeros::<i64>(n_rows + 1, ROWS)?;
    for row in 0..n_rows {
        progress.check()?;
        let of_row = &labels[urm.range(row)];
        // Counted in bytes where that cannot overflow, which is several times quicker.
        let held: i64 = of_row
            .chunks(255)
            .map(|c| i64::from(c.iter().map(|&l| u8::from(l == of)).sum::<u8>()))
            .sum();
        held_ptr[row + 1] = held_ptr[row] + held;
        rest_ptr[row + 1] = rest_ptr[row] + of_row.len() as i64 - held;
    }
    let (n_rest, n_held) = (rest_ptr[n_rows] as usize, held_ptr[n_rows] as usize);
    let (mut rest, mut held) = (zeros(n_rest, CELLS)?, zeros(n_held, CELLS)?);
    gather(
        urm,
        labels,
        of,
        urm.indices(),
        (&rest_ptr, &mut rest),
        (&held_ptr, &mut held),
        progress,
    )?;
    let (mut rest_values, mut held_values) = (None, None);
    if let Some(values) = urm.values() {
        let (mut a, mut b) = (zeros(n_rest, CELLS)?, zeros(n_held, CELLS)?);
        gather(
            urm,
            labels,
            of,
            values,
            (&rest_ptr, &mut a),
            (&held_ptr, &mut b),
            progress,
        )?;
        (rest_values, held_values) = (Some(a), Some(b));
    }
    Ok((
        CsrMatrix::from_parts(urm.n_cols(), rest_ptr, rest, rest_values),
        CsrMatrix::from_parts(urm.n_cols(), held_ptr, held, held_values),
    ))
}

/// Copy what belongs to each cell (column or value) to the side of its label, in parallel.
fn gather<T: Copy + Default + Send + Sync>(
    urm: CsrView<'_>,
    labels: &[u8],
    of: u8,
    cells: &[T],
    (rest_ptr, rest): (&[i64], &mut [T]),
    (held_ptr, held): (&[i64], &mut [T]),
    progress: &Progress,
) -> Result<()> {
    let n_rows = urm.n_rows();
    chunks_of_rows(rest_ptr, rest)?
        .into_par_iter()
        .zip(chunks_of_rows(held_ptr, held)?)
        .with_max_len(1)
        .enumerate()
        .try_for_each(|(chunk, (mut rest, mut held))| {
            let rows = rows_of(chunk, n_rows);
            let n = rows.len() as u64;
            // Written without a branch, which the draws would make unpredictable: each cell goes
            // to both buffers, and only one of them moves on.
            let longest = rows.clone().map(|r| urm.row_len(r)).max().unwrap_or(0);
            let mut buffers = (
                zeros::<T>(longest + 1, CELLS)?,
                zeros::<T>(longest + 1, CELLS)?,
            );
            for row in rows {
                let range = urm.range(row);
                let (to_rest, to_held) = (
                    &mut buffers.0[..=range.len()],
                    &mut buffers.1[..=range.len()],
                );
                let (mut n_rest, mut n_held) = (0, 0);
                for (&cell, &label) in cells[range.clone()].iter().zip(&labels[range]) {
                    to_rest[n_rest] = cell;
                    to_held[n_held] = cell;
                    let is_held = usize::from(label == of);
                    n_held += is_held;
                    n_rest += 1 - is_held;
                }
                let (a, tail) = rest.split_at_mut(n_rest);
                a.copy_from_slice(&buffers.0[..n_rest]);
                rest = tail;
                let (b, tail) = held.split_at_mut(n_held);
                b.copy_from_slice(&buffers.1[..n_held]);
                held = tail;
            }
            progress.advance(n)
        })
}

#[cfg(test)]
mod tests {
    use super::super::labels::testing::stairs;
    use super::*;

    #[test]
    fn the_parts_hold_every_cell_once_with_its_value() {
        let urm = stairs(40);
        let labels: Vec<u8> = (0..urm.view().nnz()).map(|at| (at * 7 % 3) as u8).collect();
        let parts = divide(urm.view(), &labels, 3, &Progress::new()).expect("valid");
        for row in 0..40 {
            for (at, (col, value)) in urm.view().range(row).zip(urm.view().row(row)) {
                for (of, part) in parts.iter().enumerate() {
                    let there = part.view().row(row).any(|cell| cell == (col, value));
                    assert_eq!(there, of == usize::from(labels[at]));
                }
            }
        }
        let stored: usize = parts.iter().map(|p| p.view().nnz()).sum();
        assert_eq!(stored, urm.view().nnz());
    }

    #[test]
    fn labels_that_do_not_fit_are_refused() {
        let urm = stairs(3);
        let refused = |labels: &[u8]| {
            divide(urm.view(), labels, 2, &Progress::new())
                .expect_err("refused")
                .to_string()
        };
        assert!(refused(&[0]).contains("labels has 1 entries but urm has 3 cells"));
        assert!(refused(&[0, 1, 2]).contains("labels[2] is 2, outside 0..2"));
        let many = divide(urm.view(), &[0; 3], 257, &Progress::new()).expect_err("refused");
        assert!(many.to_string().contains("at most 256 parts"));
    }

    #[test]
    fn a_cancelled_division_stops() {
        let progress = Progress::new();
        progress.cancel();
        let urm = stairs(5);
        let labels = vec![0; urm.view().nnz()];
        assert_eq!(
            divide(urm.view(), &labels, 2, &progress),
            Err(Error::Cancelled)
        );
    }
}
