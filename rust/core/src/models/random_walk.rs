//! Random walks of three steps on the user-item graph: P3alpha and RP3beta.
//!
//! Objective: `S = P_iu P_ui`, the transition probabilities of item to user to item, each raised to
//! `alpha` before the product and divided by `n_j^beta` (the popularity of the target) after it;
//! zero diagonal; the `topk` largest of each row kept, rows optionally scaled to sum one, and then
//! the `topk` largest of each column kept. A profile is scored by `x S`.
//!
//! Source: Cooper et al., "Random walks in recommender systems", WWW 2014 (P3alpha); Paudel et al.,
//! "Updatable, accurate, diverse, and scalable recommendations", TiiS 2017 (RP3beta); the second
//! cut, per column, comes from the evaluation framework of Ferrari Dacrema et al., RecSys 2019. It
//! costs accuracy on some data, so `prune_columns` can switch it off.
//! Deviation: ties at a cut go to the smaller item number.
//!
//! Method: `S[i, j] = s_i^-alpha n_j^-beta D[i, j]` with the symmetric
//! `D = sum_u s_u^-alpha x_ui^alpha x_uj^alpha`, s being sums of rows and columns. Dense enough
//! data meet each pair of D once, see `neighbours::pair_counts`. Where powers of the values leave
//! single precision, D is that of `x_ui / sqrt(s_u s_i)`, of which no scale of X, a user or an item
//! is left; S is `D[i, j] (s_j / s_i)^(alpha/2) n_j^-beta` then.
//!
//! Cost: as for item neighbours, see [`neighbours`](crate::neighbours).

use crate::base::accumulate::Accumulator;
use crate::base::error::check_non_negative;
use crate::base::memory::{collected, copied, filled, reserve, with_room, zeros};
use crate::base::rows::build_rows;
use crate::base::topk::check_topk;
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};
use crate::neighbours::pair_counts::stream::sum_pairs;
use crate::neighbours::pairs_are_dense;
use crate::neighbours::similarity::PreparedSimilarity;
use crate::neighbours::topk_per_target::{TopkPerTarget, sort_key};

const STEPS: &str = "steps of the walk";
const KEYS: &str = "weights of the items";

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

impl P3Params {
    pub(crate) fn check(&self) -> Result<()> {
        check_topk(self.topk)?;
        check_non_negative("alpha", self.alpha)?;
        check_non_negative("beta", self.beta)
    }
}

/// Item weights `S`, items x items, rows are the history items.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain, [`Error::NonFinite`] if weights
/// are beyond single precision or all of an item round to zero, `Cancelled`.
pub fn fit_p3(urm: CsrView, params: P3Params, progress: &Progress) -> Result<CsrMatrix> {
    params.check()?;
    let sums = Sums::new(urm)?;
    let walk = if sums.powers_are_in_range(urm, params.alpha) {
        Walk::plain(urm, &sums, params)?
    } else {
        Walk::scaled(urm, &sums, params)?
    };
    let Walk {
        steps,
        weights,
        measure,
    } = &walk;
    let steps = steps.as_ref().map_or(urm, CsrMatrix::view);
    let rows = if pairs_are_dense(urm) {
        let make = |columns: &[u32]| TopkPerTarget::new(measure, columns, params.topk);
        sum_pairs(steps, Some(weights), progress, make)?.finish(progress)?
    } else {
        by_rows(steps, weights, measure, params.topk, progress)?
    };
    check_none_lost(urm, rows.view())?;
    let rows = if params.normalize_similarity {
        rows_to_one(rows)?
    } else {
        rows
    };
    if params.prune_columns {
        prune(rows, params.topk, progress)
    } else {
        Ok(rows)
    }
}

/// Sums of the rows and of the columns, and the least of rows that is not zero.
struct Sums {
    users: Vec<f64>,
    items: Vec<f64>,
    least: f64,
}

impl Sums {
    fn new(m: CsrView) -> Result<Self> {
        let mut items = zeros::<f64>(m.n_cols(), STEPS)?;
        let mut of_row = |row| {
            let mut total = 0.0;
            for (j, x) in m.row(row) {
                items[j] += f64::from(x);
                total += f64::from(x);
            }
            total
        };
        let users = collected((0..m.n_rows()).map(&mut of_row), STEPS)?;
        let least = least(&users);
        Ok(Self {
            users,
            items,
            least,
        })
    }

    /// Whether neither a step nor a sum of them can leave single precision.
    fn powers_are_in_range(&self, urm: CsrView, alpha: f64) -> bool {
        let (low, high) = urm.values().map_or((1.0, 1.0), |values| {
            let positive = values.iter().map(|&x| f64::from(x)).filter(|&x| x > 0.0);
            positive.fold((f64::MAX, 0.0), |(a, b), x| (x.min(a), x.max(b)))
        });
        let most = |v: &[f64]| v.iter().fold(0f64, |a, &b| a.max(b)).ln();
        let (low, high, least) = (low.ln(), high.ln(), self.least.ln());
        let lowest = low.min(2.0 * low + least - most(&self.users)) * alpha;
        let highest = high.max(most(&self.items) + least) * alpha;
        lowest > f64::from(f32::MIN_POSITIVE).ln()
            && highest + (urm.n_rows() as f64).ln() < f64::from(f32::MAX).ln()
    }
}

fn least(sums: &[f64]) -> f64 {
    let positive = sums.iter().filter(|&&s| s > 0.0);
    positive.fold(f64::MAX, |a, &b| a.min(b))
}

/// What `D` is made of, and how S follows from it.
struct Walk {
    /// Those of the matrix itself if there are none.
    steps: Option<CsrMatrix>,
    /// Of the users.
    weights: Vec<f64>,
    measure: PreparedSimilarity,
}

impl Walk {
    fn plain(urm: CsrView, sums: &Sums, params: P3Params) -> Result<Self> {
        let steps = urm.values().map(|values| {
            let powers = values
                .iter()
                .map(|&x| power(f64::from(x), params.alpha) as f32);
            urm.with_values(collected(powers, STEPS)?)
        });
        // Weights are at most one, so that none is lost to a small exponent.
        let least = sums.least;
        let weights = sums.users.iter().map(|&s| power(s / least, -params.alpha));
        // An item without users has no sums: any nonzero divisor leaves its weights at zero.
        let totals = sums
            .items
            .iter()
            .map(|&s| if s > 0.0 { s } else { 1.0 })
            .map(|s| s.powf(params.alpha) * least.powf(params.alpha));
        Ok(Self {
            steps: steps.transpose()?,
            weights: collected(weights, STEPS)?,
            measure: PreparedSimilarity::Product {
                neighbour: collected(penalties(urm, params.beta)?, STEPS)?,
                target: collected(totals, STEPS)?,
                shift: 0.0,
            },
        })
    }

    fn scaled(urm: CsrView, sums: &Sums, params: P3Params) -> Result<Self> {
        let most = sums.items.iter().fold(0f64, |a, &b| a.max(b));
        let middle = least(&sums.items).sqrt() * most.sqrt();
        let root = |&s: &f64| if s > 0.0 { (s / middle).sqrt() } else { 1.0 };
        let roots = collected(sums.items.iter().map(root), STEPS)?;
        let mut steps = with_room(urm.nnz(), STEPS)?;
        for (user, s) in sums.users.iter().enumerate() {
            let of_user = (s / middle).sqrt();
            let step = |(item, x)| f64::from(x) / middle / of_user / roots[item];
            steps.extend(
                urm.row(user)
                    .map(|cell| power(step(cell), params.alpha) as f32),
            );
        }
        let of_target = roots.iter().map(|r| r.powf(params.alpha));
        let of_neighbour = penalties(urm, params.beta)?;
        let of_neighbour = of_neighbour
            .zip(&roots)
            .map(|(penalty, r)| penalty * r.powf(-params.alpha));
        Ok(Self {
            steps: Some(urm.with_values(steps)?),
            weights: filled(urm.n_rows(), 1.0, STEPS)?,
            measure: PreparedSimilarity::Product {
                neighbour: collected(of_neighbour, STEPS)?,
                target: collected(of_target, STEPS)?,
                shift: 0.0,
            },
        })
    }
}

/// A step that is impossible stays so whatever the exponent.
fn power(x: f64, exponent: f64) -> f64 {
    if x > 0.0 { x.powf(exponent) } else { 0.0 }
}

/// What the weights of a target are divided by.
fn penalties(urm: CsrView, beta: f64) -> Result<impl ExactSizeIterator<Item = f64>> {
    let counts = urm.col_counts()?.into_iter();
    Ok(counts.map(move |n| f64::from(n.max(1)).powf(beta)))
}

/// Refuse to leave an item without weights because all of them round to zero.
fn check_none_lost(urm: CsrView, rows: CsrView) -> Result<()> {
    let counts = urm.col_counts()?;
    let has_none = |(item, &n): (usize, &u32)| n > 0 && rows.row_len(item) == 0;
    if !counts.iter().enumerate().any(has_none) {
        return Ok(());
    }
    let mut items = Vec::new();
    for user in 0..urm.n_rows() {
        items.clear();
        reserve(&mut items, urm.row_len(user), STEPS)?;
        items.extend(urm.row(user).filter(|&(_, x)| x > 0.0).map(|(i, _)| i));
        let lost = items.iter().find(|&&item| rows.row_len(item) == 0);
        if let Some(item) = lost.filter(|_| items.len() > 1) {
            return Err(Error::NonFinite(format!(
                "the weights of item {item} are too small for single precision"
            )));
        }
    }
    Ok(())
}

/// Row by row, looking only at items with a common user.
fn by_rows(
    urm: CsrView,
    weights: &[f64],
    measure: &PreparedSimilarity,
    topk: usize,
    progress: &Progress,
) -> Result<CsrMatrix> {
    let n_items = urm.n_cols();
    let items = urm.transpose(progress)?;
    let items = items.view();
    build_rows(
        (n_items, n_items),
        progress,
        || Ok((Accumulator::new(n_items)?, Vec::new())),
        |(sums, best), i, out| {
            for (user, x) in items.row(i) {
                let step = weights[user] * f64::from(x);
                sums.reserve(urm.row_len(user))?;
                for (j, y) in urm.row(user) {
                    sums.add(j as i32, step * f64::from(y));
                }
            }
            sums.drain_into(best, |j, sum| measure.score(sum, j, i))?;
            best.retain(|s| s.score > 0.0 && s.index as usize != i);
            out.push_top(best, topk)
        },
    )
}

/// Scale every row to sum one.
fn rows_to_one(m: CsrMatrix) -> Result<CsrMatrix> {
    let (n_cols, indptr, indices, values) = m.into_parts();
    let ones = || filled(indices.len(), 1.0, STEPS);
    let mut values = values.map_or_else(ones, Ok)?;
    for w in indptr.windows(2) {
        let row = &mut values[w[0] as usize..w[1] as usize];
        let total: f64 = row.iter().map(|&x| f64::from(x)).sum();
        for x in row {
            *x = (f64::from(*x) / total) as f32;
        }
    }
    CsrMatrix::of_weights(n_cols, indptr, indices, values)
}

/// Keep the `k` largest of each column, ties to the smaller row.
fn prune(m: CsrMatrix, k: usize, progress: &Progress) -> Result<CsrMatrix> {
    let view = m.view();
    let mut ends = zeros::<usize>(view.n_cols() + 1, KEYS)?;
    for (j, &count) in view.col_counts()?.iter().enumerate() {
        ends[j + 1] = ends[j] + count as usize;
    }
    let mut next = copied(&ends, KEYS)?;
    let mut keys = zeros::<u64>(view.nnz(), KEYS)?;
    for i in 0..view.n_rows() {
        progress.check()?;
        for (j, x) in view.row(i) {
            keys[next[j]] = sort_key(x, i as u32);
            next[j] += 1;
        }
    }
    // The last key of each column that stays.
    let mut last = with_room(view.n_cols(), KEYS)?;
    for w in ends.windows(2) {
        progress.check()?;
        let column = &mut keys[w[0]..w[1]];
        last.push(if column.len() > k {
            *column.select_nth_unstable(k - 1).1
        } else {
            u64::MAX
        });
    }
    let mut indptr = with_room(view.n_rows() + 1, KEYS)?;
    indptr.push(0);
    let (mut indices, mut values) = (Vec::new(), Vec::new());
    for i in 0..view.n_rows() {
        progress.check()?;
        reserve(&mut indices, view.row_len(i), KEYS)?;
        reserve(&mut values, view.row_len(i), KEYS)?;
        for (j, x) in view.row(i) {
            if sort_key(x, i as u32) <= last[j] {
                indices.push(j as i32);
                values.push(x);
            }
        }
        indptr.push(indices.len() as i64);
    }
    Ok(CsrMatrix::from_parts(
        view.n_cols(),
        indptr,
        indices,
        Some(values),
    ))
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
    fn items_without_users_have_no_weights_whatever_the_penalty() {
        // Dense enough for pairs to be met once; items 6 and 7 are cold.
        let row = |u: i32| (0..6).filter(move |i| (i + u) % 3 != 0);
        let indices: Vec<i32> = (0..40).flat_map(row).collect();
        let indptr: Vec<i64> = (0..=40).map(|u| 4 * u).collect();
        let urm = CsrMatrix::try_new(8, indptr, indices, None).expect("valid");
        assert!(pairs_are_dense(urm.view()));
        for (topk, beta) in [(2, 0.3), (8, 0.3), (2, 0.0)] {
            let params = P3Params {
                topk,
                beta,
                ..WHOLE
            };
            let s = fit_p3(urm.view(), params, &Progress::new()).expect("fits");
            let s = s.view();
            for i in 0..8 {
                assert!(
                    s.row(i)
                        .all(|(j, w)| j < 6 && i < 6 && w.is_finite() && w > 0.0)
                );
            }
            assert!(s.nnz() > 0);
        }
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
