//! Splitting interactions into parts that share no cell.
//!
//! Objective: a rule gives every stored cell of a matrix a *label*, the number of its part, and
//! [`divide`] writes the parts, all of the shape of the matrix, in one pass. Rules:
//!
//! | rule | labels |
//! |---|---|
//! | [`holdout`] | 1 for a share or a number of cells, of every user or of all |
//! | [`leave_k_out`] | 1 for `k` cells of every user who has more than `k` |
//! | [`k_fold`] | the number of the fold |
//! | [`latest_of_users`], [`cut_at`] | 1 for the latest cells of every user, or from a moment on |
//! | [`cold_users`] | 0 for users who stay, 1 and 2 for profile and target of the others |
//! | [`k_core`] | 1 for cells of users and items that keep enough interactions |
//!
//! and [`paper_protocol`] makes the five sets of the GANMF paper.
//!
//! Guarantee: a draw is a pure function of `(seed, row, place in the row)`, so that neither threads
//! nor the order in which cells were read change a label; rows and columns are numbered by id.
//!
//! Source: choosing `k` of `n` in one pass is algorithm S of Knuth, "The Art of Computer
//! Programming", vol. 2, 3.4.2: the next cell is taken with probability (still to take) / (still to
//! come), which makes every subset equally likely.
//!
//! Deviation: the probability is compared with 64 random bits and is off by less than n / 2^64.
//!
//! Cost: one draw a cell, no scratch beside one byte a cell for the labels.

mod cold;
mod core;
mod paper;
mod random;
mod temporal;

use rayon::prelude::*;

pub use self::cold::cold_users;
pub use self::core::{Core, k_core};
pub use self::paper::{PaperSplits, paper_protocol};
pub use self::random::{holdout, k_fold, leave_k_out};
pub use self::temporal::{cut_at, cut_for, latest_of_users, looks_ahead};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rng::Rng;
use crate::sparse::{CsrMatrix, CsrView};

/// Rows per unit of parallel work.
const CHUNK: usize = 1024;

/// How much is held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// A share in (0, 1), rounded to the nearest number of cells, halves up.
    Share(f64),
    /// A number of cells.
    Count(usize),
}

impl Size {
    /// Refuse a share outside (0, 1) and a count of zero.
    fn check(self, name: &str) -> Result<()> {
        match self {
            Self::Share(share) if !(share > 0.0 && share < 1.0) => Err(Error::invalid(format!(
                "{name} must lie between 0 and 1, both excluded, not {share}"
            ))),
            Self::Count(0) => Err(Error::invalid(format!("{name} must be at least 1, not 0"))),
            _ => Ok(()),
        }
    }

    /// Out of `n`; at least one and at most `n - 1`, so that both sides have something, and none
    /// where that cannot be.
    fn of(self, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        let wanted = match self {
            Self::Share(share) => (n as f64 * share + 0.5).floor() as usize,
            Self::Count(count) => count,
        };
        wanted.clamp(1, n - 1)
    }
}

/// Takes `to_take` of the next `to_come` things, every choice equally likely.
struct Chooser {
    to_take: u64,
    to_come: u64,
}

impl Chooser {
    fn new(to_take: usize, to_come: usize) -> Self {
        Self {
            to_take: to_take as u64,
            to_come: to_come as u64,
        }
    }

    /// Whether the next one is taken.
    #[inline]
    fn next(&mut self, rng: &mut Rng) -> bool {
        let draw = ((u128::from(rng.next_u64()) * u128::from(self.to_come)) >> 64) as u64;
        let taken = draw < self.to_take;
        self.to_take -= u64::from(taken);
        self.to_come -= 1;
        taken
    }
}

/// Set `k` of the labels to `label`, every choice equally likely; the others stay as they are.
fn choose(rng: &mut Rng, k: usize, label: u8, labels: &mut [u8]) {
    let mut chooser = Chooser::new(k, labels.len());
    for slot in labels {
        *slot = if chooser.next(rng) { label } else { *slot };
    }
}

/// The labels of all cells, zero at first, written by `mark(row, labels of the row)` in parallel.
fn label_rows(
    urm: CsrView<'_>,
    progress: &Progress,
    mark: impl Fn(usize, &mut [u8]) + Sync,
) -> Result<Vec<u8>> {
    let mut labels = vec![0; urm.nnz()];
    progress.start(urm.n_rows() as u64);
    chunks_of_rows(urm.indptr(), &mut labels)
        .into_par_iter()
        .with_max_len(1)
        .enumerate()
        .try_for_each(|(chunk, mut labels)| {
            let rows = rows_of(chunk, urm.n_rows());
            for row in rows.clone() {
                let (of_row, rest) = labels.split_at_mut(urm.row_len(row));
                mark(row, of_row);
                labels = rest;
            }
            progress.advance(rows.len() as u64)
        })?;
    Ok(labels)
}

fn rows_of(chunk: usize, n_rows: usize) -> std::ops::Range<usize> {
    chunk * CHUNK..((chunk + 1) * CHUNK).min(n_rows)
}

/// Cut an array with one entry a cell into the pieces that belong to chunks of rows.
fn chunks_of_rows<'a, T>(indptr: &[i64], mut cells: &'a mut [T]) -> Vec<&'a mut [T]> {
    let n_rows = indptr.len() - 1;
    (0..n_rows.div_ceil(CHUNK))
        .map(|chunk| {
            let rows = rows_of(chunk, n_rows);
            let len = (indptr[rows.end] - indptr[rows.start]) as usize;
            let (piece, rest) = std::mem::take(&mut cells).split_at_mut(len);
            cells = rest;
            piece
        })
        .collect()
}

/// Write the parts that the labels name, `n_parts` matrices of the shape of `urm`.
///
/// # Errors
/// [`Error::InvalidArgument`] if there is not one label a cell or a label is not below `n_parts`;
/// [`Error::Cancelled`].
pub fn divide(
    urm: CsrView<'_>,
    labels: &[u8],
    n_parts: usize,
    progress: &Progress,
) -> Result<Vec<CsrMatrix>> {
    check_labels(urm, labels)?;
    if let Some(at) = labels.iter().position(|&l| usize::from(l) >= n_parts) {
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
    check_labels(urm, labels)?;
    let n_rows = urm.n_rows();
    progress.start(n_rows as u64);
    let (mut rest_ptr, mut held_ptr) = (vec![0; n_rows + 1], vec![0; n_rows + 1]);
    for row in 0..n_rows {
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
    let (mut rest, mut held) = (vec![0; n_rest], vec![0; n_held]);
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
        let (mut a, mut b) = (vec![0.0; n_rest], vec![0.0; n_held]);
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

/// Copy what belongs to each cell (column or value) to the side its label says, in parallel.
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
    chunks_of_rows(rest_ptr, rest)
        .into_par_iter()
        .zip(chunks_of_rows(held_ptr, held))
        .with_max_len(1)
        .enumerate()
        .try_for_each(|(chunk, (mut rest, mut held))| {
            let rows = rows_of(chunk, n_rows);
            let n = rows.len() as u64;
            // Written without a branch, which the draws would make unpredictable: each cell goes
            // to both buffers, and only one of them moves on.
            let longest = rows.clone().map(|r| urm.row_len(r)).max().unwrap_or(0);
            let mut buffers = (
                vec![T::default(); longest + 1],
                vec![T::default(); longest + 1],
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

fn check_labels(urm: CsrView<'_>, labels: &[u8]) -> Result<()> {
    if labels.len() != urm.nnz() {
        return Err(Error::invalid(format!(
            "labels has {} entries but urm has {} cells",
            labels.len(),
            urm.nnz()
        )));
    }
    Ok(())
}

fn check_times(urm: CsrView<'_>, times: &[i64]) -> Result<()> {
    if times.len() != urm.nnz() {
        return Err(Error::invalid(format!(
            "times has {} entries but urm has {} cells",
            times.len(),
            urm.nnz()
        )));
    }
    Ok(())
}

/// What the tests of the rules share.
#[cfg(test)]
mod testing {
    use super::*;

    /// User `u` holds `u` items: 0, 2, 4, ...; values are all different.
    pub(super) fn stairs(n: usize) -> CsrMatrix {
        let mut indptr = vec![0];
        let mut indices = Vec::new();
        for u in 0..n {
            indices.extend((0..u).map(|i| 2 * i as i32));
            indptr.push(indices.len() as i64);
        }
        let values = (0..indices.len()).map(|v| v as f32 + 1.0).collect();
        CsrMatrix::try_new(2 * n, indptr, indices, Some(values)).expect("valid")
    }

    /// How many labels are `label`.
    pub(super) fn count(labels: &[u8], label: u8) -> usize {
        labels.iter().map(|&l| usize::from(l == label)).sum()
    }

    /// How many cells of each row carry `label`.
    pub(super) fn per_row(urm: &CsrMatrix, labels: &[u8], label: u8) -> Vec<usize> {
        (0..urm.view().n_rows())
            .map(|r| count(&labels[urm.view().range(r)], label))
            .collect()
    }

    pub(super) fn on<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool")
            .install(work)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::stairs;
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
    fn every_subset_is_chosen_equally_often() {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..40_000 {
            let mut labels = [0; 5];
            choose(&mut Rng::at(seed, 0, 0), 2, 1, &mut labels);
            *counts.entry(labels).or_insert(0u32) += 1;
        }
        // Chi-squared with 9 degrees of freedom: 99.99% of true uniforms stay below 33.7.
        assert_eq!(counts.len(), 10);
        let chi2: f64 = counts
            .values()
            .map(|&c| (f64::from(c) - 4000.0).powi(2) / 4000.0)
            .sum();
        assert!(chi2 < 33.7, "{counts:?}");
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
