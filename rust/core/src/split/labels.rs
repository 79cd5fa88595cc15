//! Labels of cells, row by row in parallel, and draws of them.

use rayon::prelude::*;

use crate::base::memory::{with_room, zeros};
use crate::base::rng::Rng;
use crate::base::{CsrView, Error, Progress, Result};

pub(super) const LABELS: &str = "labels of the cells";

/// Rows per unit of parallel work.
pub(super) const CHUNK: usize = 1024;

/// How much is held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// A fraction in (0, 1), rounded to the nearest number of cells, halves up.
    Fraction(f64),
    /// A number of cells.
    Count(usize),
}

impl Size {
    /// Refuse a fraction outside (0, 1) and a count of zero.
    pub(super) fn check(self, name: &str) -> Result<()> {
        match self {
            Self::Fraction(fraction) if !(fraction > 0.0 && fraction < 1.0) => Err(Error::invalid(
                format!("{name} must lie between 0 and 1, both excluded, not {fraction}"),
            )),
            Self::Count(0) => Err(Error::invalid(format!("{name} must be at least 1, not 0"))),
            _ => Ok(()),
        }
    }

    /// Out of `n`; at least one and at most `n - 1`, so that both sides have something, and none
    /// where that cannot be.
    pub(super) fn out_of(self, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        let wanted = match self {
            Self::Fraction(fraction) => (n as f64 * fraction + 0.5).floor() as usize,
            Self::Count(count) => count,
        };
        wanted.clamp(1, n - 1)
    }
}

/// Takes `to_take` of the next `to_come` things, every choice equally likely.
pub(super) struct Chooser {
    to_take: u64,
    to_come: u64,
}

impl Chooser {
    pub(super) fn new(to_take: usize, to_come: usize) -> Self {
        Self {
            to_take: to_take as u64,
            to_come: to_come as u64,
        }
    }

    /// Whether the next one is taken.
    #[inline]
    pub(super) fn next(&mut self, rng: &mut Rng) -> bool {
        let draw = ((u128::from(rng.next_u64()) * u128::from(self.to_come)) >> 64) as u64;
        let taken = draw < self.to_take;
        self.to_take -= u64::from(taken);
        self.to_come -= 1;
        taken
    }
}

/// Set `k` of the labels to `label`, every choice equally likely; the others stay as they are.
pub(super) fn choose(rng: &mut Rng, k: usize, label: u8, labels: &mut [u8]) {
    let mut chooser = Chooser::new(k, labels.len());
    for slot in labels {
        *slot = if chooser.next(rng) { label } else { *slot };
    }
}

/// The labels of all cells, zero at first, written by `mark(row, labels of the row)` in parallel.
pub(super) fn label_rows(
    urm: CsrView<'_>,
    progress: &Progress,
    mark: impl Fn(usize, &mut [u8]) -> Result<()> + Sync,
) -> Result<Vec<u8>> {
    let mut labels = zeros(urm.nnz(), LABELS)?;
    progress.start(urm.n_rows() as u64);
    chunks_of_rows(urm.indptr(), &mut labels)?
        .into_par_iter()
        .with_max_len(1)
        .enumerate()
        .try_for_each(|(chunk, mut labels)| {
            let rows = rows_of(chunk, urm.n_rows());
            for row in rows {
                progress.advance(1)?;
                let (of_row, rest) = labels.split_at_mut(urm.row_len(row));
                mark(row, of_row)?;
                labels = rest;
            }
            Ok(())
        })?;
    Ok(labels)
}

pub(super) fn rows_of(chunk: usize, n_rows: usize) -> std::ops::Range<usize> {
    chunk * CHUNK..((chunk + 1) * CHUNK).min(n_rows)
}

/// Cut an array with one entry a cell into the pieces that belong to chunks of rows.
pub(super) fn chunks_of_rows<'a, T>(
    indptr: &[i64],
    mut cells: &'a mut [T],
) -> Result<Vec<&'a mut [T]>> {
    let n_rows = indptr.len() - 1;
    let mut pieces = with_room(n_rows.div_ceil(CHUNK), "chunks of rows")?;
    for chunk in 0..n_rows.div_ceil(CHUNK) {
        let rows = rows_of(chunk, n_rows);
        let len = (indptr[rows.end] - indptr[rows.start]) as usize;
        let (piece, rest) = std::mem::take(&mut cells).split_at_mut(len);
        cells = rest;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Refuse what has not one entry for each stored cell.
pub(super) fn check_len(name: &str, len: usize, urm: CsrView<'_>) -> Result<()> {
    if len == urm.nnz() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name} has {len} entries but urm has {} cells",
        urm.nnz()
    )))
}

/// What the tests of the rules share.
#[cfg(test)]
pub(super) mod testing {
    use crate::base::CsrMatrix;

    /// User `u` holds `u` items: 0, 2, 4, ...; values are all different.
    pub(crate) fn stairs(n: usize) -> CsrMatrix {
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
    pub(crate) fn count(labels: &[u8], label: u8) -> usize {
        labels.iter().map(|&l| usize::from(l == label)).sum()
    }

    /// How many cells of each row carry `label`.
    pub(crate) fn per_row(urm: &CsrMatrix, labels: &[u8], label: u8) -> Vec<usize> {
        (0..urm.view().n_rows())
            .map(|r| count(&labels[urm.view().range(r)], label))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
