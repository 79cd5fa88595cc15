//! Random walks of three steps on the user-item graph: P3alpha and RP3beta.
//!
//! Objective: `S = P_iu P_ui`, the transition probabilities of item to user to item, each raised to
//! `alpha` before the product and divided by `n_j^beta` (the popularity of the target) after it;
//! zero diagonal; the `topk` largest of each row kept, rows scaled to sum one if asked, and then
//! the `topk` largest of each column kept. A profile is scored by `x S`.
//!
//! Source: Cooper et al., "Random walks in recommender systems", WWW 2014 (P3alpha); Paudel et al.,
//! "Updatable, accurate, diverse, and scalable recommendations", TiiS 2017 (RP3beta); the second
//! cut, per column, comes from the evaluation framework of Ferrari Dacrema et al., RecSys 2019. It
//! costs accuracy on some data, so `prune_columns` can switch it off.
//! Deviation: ties at a cut go to the smaller item number.
//!
//! Cost: as item neighbours: the sum over users of the squared profile length.

use crate::accumulate::Accumulator;
use crate::error::{Error, Result};
use crate::knn::check_topk;
use crate::progress::Progress;
use crate::rows::build_rows;
use crate::sparse::{CsrMatrix, CsrView};
use crate::topk::{Scored, keep_top};

/// Parameters of [`fit_p3`].
#[derive(Debug, Clone, Copy)]
pub struct P3Params {
    /// Weights kept in each row, and in each column if `prune_columns`; at least one.
    pub topk: usize,
    /// Exponent of the transition probabilities, at least zero.
    pub alpha: f64,
    /// Exponent of the popularity penalty, at least zero; zero is P3alpha.
    pub beta: f64,
    /// Scale each row to sum one after its cut.
    pub normalize_similarity: bool,
    /// Keep only the `topk` largest of each column as well.
    pub prune_columns: bool,
}

/// Item weights `S`, items x items, rows are the history items.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain, `Cancelled`.
pub fn fit_p3(urm: CsrView, params: P3Params, progress: &Progress) -> Result<CsrMatrix> {
    check_topk(params.topk)?;
    for (name, value) in [("alpha", params.alpha), ("beta", params.beta)] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::invalid(format!(
                "{name} must be finite and at least 0, not {value}"
            )));
        }
    }
    let n_items = urm.n_cols();
    let items = urm.transpose();
    let from_user = transition(urm, params.alpha);
    let from_item = transition(items.view(), params.alpha);
    let items = items.view();
    let penalty: Vec<f64> = (0..n_items)
        .map(|j| (items.row_len(j) as f64).powf(params.beta))
        .collect();

    let rows = build_rows(
        (n_items, n_items),
        progress,
        || (Accumulator::new(n_items), Vec::new()),
        |(sums, best), i, out| {
            for (&user, at) in items.cols(i).iter().zip(items.range(i)) {
                let step = from_item[at];
                let range = urm.range(user as usize);
                for (&j, &p) in urm.indices()[range.clone()].iter().zip(&from_user[range]) {
                    if j as usize != i {
                        sums.add(j, step * p);
                    }
                }
            }
            sums.drain_into(best, |j, sum| (sum / penalty[j]) as f32);
            best.retain(|s| s.score > 0.0);
            keep_top(best, params.topk);
            best.sort_unstable_by_key(|s| s.index);
            let total: f64 = best.iter().map(|s| f64::from(s.score)).sum();
            let scale = if params.normalize_similarity {
                1.0 / total
            } else {
                1.0
            };
            for s in best.iter() {
                out.push(s.index, (f64::from(s.score) * scale) as f32);
            }
            Ok(())
        },
    )?;
    if !params.prune_columns {
        return Ok(rows);
    }
    let columns = rows.view().transpose();
    let columns = columns.view();
    let pruned = build_rows(
        (n_items, n_items),
        progress,
        Vec::new,
        |best: &mut Vec<Scored>, j, out| {
            best.clear();
            best.extend(columns.row(j).map(|(i, score)| Scored {
                index: i as i32,
                score,
            }));
            out.push_top(best, params.topk);
            Ok(())
        },
    )?;
    Ok(pruned.view().transpose())
}

/// Rows scaled to sum one, each entry raised to `alpha`; an empty step stays impossible.
fn transition(m: CsrView, alpha: f64) -> Vec<f64> {
    let mut out = Vec::with_capacity(m.nnz());
    for row in 0..m.n_rows() {
        let total: f64 = m.row(row).map(|(_, x)| f64::from(x)).sum();
        out.extend(m.row(row).map(|(_, x)| {
            if x > 0.0 {
                (f64::from(x) / total).powf(alpha)
            } else {
                0.0
            }
        }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users {0,1}, {0,2}, {1,2,3}.
    fn urm() -> CsrMatrix {
        CsrMatrix::try_new(4, vec![0, 2, 4, 7], vec![0, 1, 0, 2, 1, 2, 3], None).expect("valid")
    }

    fn dense(params: P3Params) -> Vec<Vec<f32>> {
        let s = fit_p3(urm().view(), params, &Progress::new()).expect("fits");
        let mut out = vec![vec![0.0; 4]; 4];
        for (i, line) in out.iter_mut().enumerate() {
            for (j, w) in s.view().row(i) {
                line[j] = w;
            }
        }
        out
    }

    const WHOLE: P3Params = P3Params {
        topk: 4,
        alpha: 1.0,
        beta: 0.0,
        normalize_similarity: false,
        prune_columns: true,
    };

    #[test]
    fn weights_are_the_transition_probabilities() {
        let s = dense(WHOLE);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-7;
        // From item 0: half to user 0 (half to item 1), half to user 1 (half to item 2).
        assert!(near(s[0][1], 0.25) && near(s[0][2], 0.25) && s[0][3] == 0.0);
        // From item 3: only user 2, a third each.
        assert!(near(s[3][1], 1.0 / 3.0) && s[3][3] == 0.0);
        // The penalty divides by the popularity of the target: items 1 and 3 have 2 and 1 users.
        let r = dense(P3Params { beta: 1.0, ..WHOLE });
        assert!(near(r[2][1], s[2][1] / 2.0) && near(r[2][3], s[2][3]));
    }

    #[test]
    fn rows_sum_to_one_when_normalised_and_columns_are_pruned_after_rows() {
        let rows = dense(P3Params {
            normalize_similarity: true,
            prune_columns: false,
            ..WHOLE
        });
        for line in rows {
            assert!((line.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        let pruned = dense(P3Params { topk: 1, ..WHOLE });
        for j in 0..4 {
            assert!(pruned.iter().filter(|line| line[j] != 0.0).count() <= 1);
        }
    }
}
