//! Item-based nearest neighbours with cosine similarity.
//!
//! Objective: `W[i, j] = dot(i, j) / (|i| |j| + shrink + 1e-6)` for items that share a user, the
//! `topk` largest kept for each *target* j; a profile is scored by `x W`. Keeping the neighbours
//! of the target, not of the history item, is what makes the model good: on MovieLens 1M the other
//! orientation loses a fifth of NDCG@5.
//!
//! Source: Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001,
//! in the form of Ferrari Dacrema et al., RecSys 2019 (shrink and epsilon in the denominator).
//! Without normalisation the denominator is `shrink`, or one where `shrink` is zero.
//! Deviation: ties at the cut go to the smaller item number; there they are arbitrary.
//!
//! Cost: time is the sum over users of the squared profile length; memory is the result plus one
//! accumulator over the items per thread, never items squared.

use crate::accumulate::Accumulator;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rows::build_rows;
use crate::sparse::{CsrMatrix, CsrView};

/// Parameters of [`fit_cosine`].
#[derive(Debug, Clone, Copy)]
pub struct CosineParams {
    /// Neighbours kept for each target item, at least one.
    pub topk: usize,
    /// Added to the denominator; at least zero.
    pub shrink: f64,
    /// Divide by the norms of both items.
    pub normalize: bool,
}

/// Item weights `W`, items x items, rows are the history items.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain, `Cancelled`.
pub fn fit_cosine(urm: CsrView, params: CosineParams, progress: &Progress) -> Result<CsrMatrix> {
    let CosineParams {
        topk,
        shrink,
        normalize,
    } = params;
    check_topk(topk)?;
    if !(shrink.is_finite() && shrink >= 0.0) {
        return Err(Error::invalid(format!(
            "shrink must be finite and at least 0, not {shrink}"
        )));
    }
    let n_items = urm.n_cols();
    let items = urm.transpose();
    let items = items.view();
    let norms: Vec<f64> = (0..n_items)
        .map(|i| {
            let squares: f64 = items.row(i).map(|(_, x)| f64::from(x).powi(2)).sum();
            squares.sqrt()
        })
        .collect();

    let by_target = build_rows(
        (n_items, n_items),
        progress,
        || (Accumulator::new(n_items), Vec::new()),
        |(dots, neighbours), j, out| {
            for (user, xj) in items.row(j) {
                for (i, xi) in urm.row(user) {
                    if i != j {
                        dots.add(i as i32, f64::from(xi) * f64::from(xj));
                    }
                }
            }
            dots.drain_into(neighbours, |i, dot| {
                if normalize {
                    dot / (norms[i] * norms[j] + shrink + 1e-6)
                } else if shrink > 0.0 {
                    dot / shrink
                } else {
                    dot
                }
            });
            neighbours.retain(|s| s.score > 0.0);
            out.push_top(neighbours, topk);
            Ok(())
        },
    )?;
    Ok(by_target.view().transpose())
}

pub(crate) fn check_topk(topk: usize) -> Result<()> {
    if topk == 0 {
        return Err(Error::invalid("topk must be at least 1, not 0"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_per_target_and_cold_items_have_no_neighbours() {
        // Users: {0,1}, {0,1,2}, {0}; item 3 is cold.
        let urm =
            CsrMatrix::try_new(4, vec![0, 2, 5, 6], vec![0, 1, 0, 1, 2, 0], None).expect("valid");
        let params = CosineParams {
            topk: 1,
            shrink: 0.0,
            normalize: true,
        };
        let w = fit_cosine(urm.view(), params, &Progress::new()).expect("fits");
        let w = w.view();
        // Target 0 keeps 1, target 1 keeps 0, target 2 keeps 1 (1/sqrt 2 beats 1/sqrt 3).
        let cells: Vec<(usize, usize)> = (0..4)
            .flat_map(|i| w.row(i).map(move |(j, _)| (i, j)))
            .collect();
        assert_eq!(cells, [(0, 1), (1, 0), (1, 2)]);
        let cosine = w.row(0).next().expect("stored").1;
        assert!((f64::from(cosine) - 2.0 / (6f64.sqrt() + 1e-6)).abs() < 1e-7);
    }

    #[test]
    fn parameters_outside_their_domain_are_named() {
        let urm = CsrMatrix::try_new(1, vec![0, 1], vec![0], None).expect("valid");
        let fit = |topk, shrink| {
            let params = CosineParams {
                topk,
                shrink,
                normalize: true,
            };
            fit_cosine(urm.view(), params, &Progress::new())
                .expect_err("must be refused")
                .to_string()
        };
        assert!(fit(0, 0.0).contains("topk must be at least 1"));
        assert!(fit(1, -1.0).contains("not -1"));
        assert!(fit(1, f64::NAN).contains("NaN"));
    }
}
