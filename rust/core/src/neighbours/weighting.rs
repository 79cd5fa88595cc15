//! Weights of interactions, as of words in documents: items are the documents, users the words.
//!
//! Objective: TF-IDF `sqrt(x) idf_u`, BM25 `x (K1 + 1) / (K1 (1 - B + B l_i / mean l) + x) idf_u`,
//! with `idf_u = ln(I / (1 + n_u))` for I items and `n_u` items of user u, `l_i` the sum of item
//! i's values, K1 = 1.2 and B = 0.75.
//!
//! Source: G. Salton and C. Buckley, "Term-weighting approaches in automatic text retrieval",
//! 1988; S. Robertson et al., "Okapi at TREC-3", 1994; in the form of the evaluation framework of
//! Ferrari Dacrema et al., RecSys 2019. Deviation: none in the weights.
//!
//! Cost: O(nnz).

use crate::base::error::from_word;
use crate::base::memory::{collected, with_room, zeros};
use crate::base::{CsrMatrix, CsrView, Result};

/// How interactions are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// Root of the value times the rarity of the user.
    TfIdf,
    /// Saturating value, corrected for the length of the item, times the rarity of the user.
    Bm25,
}

from_word!(Weighting, "feature_weighting", "TF-IDF or BM25", {
    "TF-IDF" => TfIdf,
    "BM25" => Bm25,
});

const K1: f64 = 1.2;
const B: f64 = 0.75;

const LENGTHS: &str = "lengths of the items";
const WEIGHTS: &str = "weights";

/// `urm` with weighted values.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn weighted(urm: CsrView, weighting: Weighting) -> Result<CsrMatrix> {
    Weights::new(urm, weighting)?.of_columns(urm)
}

/// What the weights depend on beside an item itself.
#[derive(Debug)]
pub(crate) struct Weights {
    weighting: Weighting,
    /// Rarity of each user.
    idf: Vec<f64>,
    mean_length: f64,
}

impl Weights {
    pub(crate) fn new(urm: CsrView, weighting: Weighting) -> Result<Self> {
        let n_items = urm.n_cols();
        let idf = |user| (n_items as f64 / (1.0 + urm.row_len(user) as f64)).ln();
        Ok(Self {
            weighting,
            idf: collected((0..urm.n_rows()).map(idf), WEIGHTS)?,
            mean_length: lengths(urm)?.iter().sum::<f64>() / n_items.max(1) as f64,
        })
    }

    /// Weighted values of items that are columns.
    pub(crate) fn of_columns(&self, urm: CsrView) -> Result<CsrMatrix> {
        let lengths = lengths(urm)?;
        self.weighted(urm, |user, item| (user, lengths[item]))
    }

    /// Weighted values of items that are rows.
    pub(crate) fn of_rows(&self, items: CsrView) -> Result<CsrMatrix> {
        let length = |item| items.row(item).map(|(_, x)| f64::from(x)).sum();
        let lengths: Vec<f64> = collected((0..items.n_rows()).map(length), LENGTHS)?;
        self.weighted(items, |item, user| (user, lengths[item]))
    }

    /// `cell(row, column)` is the user, and the length of the item.
    fn weighted(
        &self,
        csr: CsrView,
        cell: impl Fn(usize, usize) -> (usize, f64),
    ) -> Result<CsrMatrix> {
        let mut values = with_room(csr.nnz(), WEIGHTS)?;
        for row in 0..csr.n_rows() {
            values.extend(csr.row(row).map(|(col, x)| {
                let (user, length) = cell(row, col);
                let x = f64::from(x);
                let frequency = match self.weighting {
                    // Of a matrix of zeros the mean length is zero.
                    _ if x == 0.0 => 0.0,
                    Weighting::TfIdf => x.sqrt(),
                    Weighting::Bm25 => {
                        x * (K1 + 1.0) / (K1 * (1.0 - B + B * length / self.mean_length) + x)
                    }
                };
                (frequency * self.idf[user]) as f32
            }));
        }
        csr.with_values(values)
    }
}

/// Sum of the values of each column.
fn lengths(urm: CsrView) -> Result<Vec<f64>> {
    let mut lengths = zeros::<f64>(urm.n_cols(), LENGTHS)?;
    for row in 0..urm.n_rows() {
        for (i, x) in urm.row(row) {
            lengths[i] += f64::from(x);
        }
    }
    Ok(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_a_small_example() {
        // Items have lengths 4, 1 and 0.
        let urm = CsrMatrix::try_new(3, vec![0, 2, 3], vec![0, 1, 0], Some(vec![3.0, 1.0, 1.0]))
            .expect("valid");
        let near = |m: &CsrMatrix, at: usize, w: f64| {
            let value = m.view().values().expect("weighted")[at];
            assert!((f64::from(value) - w).abs() < 1e-6, "{value} {w}");
        };
        let tf_idf = weighted(urm.view(), Weighting::TfIdf).expect("small");
        near(&tf_idf, 0, 3f64.sqrt() * 1f64.ln());
        near(&tf_idf, 2, 1.5f64.ln());
        let bm25 = weighted(urm.view(), Weighting::Bm25).expect("small");
        let norm = 0.25 + 0.75 * 4.0 / (5.0 / 3.0);
        near(&bm25, 2, 2.2 / (1.2 * norm + 1.0) * 1.5f64.ln());
    }

    #[test]
    fn a_matrix_of_zeros_has_weights_of_zero() {
        let zeros = CsrMatrix::try_new(2, vec![0, 1], vec![0], Some(vec![0.0])).expect("valid");
        for weighting in [Weighting::TfIdf, Weighting::Bm25] {
            let found = weighted(zeros.view(), weighting).expect("small");
            assert_eq!(found.view().values(), Some(&[0.0f32][..]));
        }
    }
}
