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
use crate::base::memory::{with_room, zeros};
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

/// `urm` with weighted values.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn weighted(urm: CsrView, weighting: Weighting) -> Result<CsrMatrix> {
    let n_items = urm.n_cols();
    let mut lengths = zeros::<f64>(n_items, "lengths of the columns")?;
    for row in 0..urm.n_rows() {
        for (i, x) in urm.row(row) {
            lengths[i] += f64::from(x);
        }
    }
    let mean = lengths.iter().sum::<f64>() / n_items.max(1) as f64;
    let mut values = with_room(urm.nnz(), "weights")?;
    for row in 0..urm.n_rows() {
        let idf = (n_items as f64 / (1.0 + urm.row_len(row) as f64)).ln();
        values.extend(urm.row(row).map(|(i, x)| {
            let x = f64::from(x);
            let frequency = match weighting {
                Weighting::TfIdf => x.sqrt(),
                Weighting::Bm25 => x * (K1 + 1.0) / (K1 * (1.0 - B + B * lengths[i] / mean) + x),
            };
            (frequency * idf) as f32
        }));
    }
    urm.with_values(values)
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
}
