//! SLIM: a sparse linear item model, by elastic-net regression of each item on all others.
//!
//! Objective, for each target item j: `min_w 1/(2 U) |x_j - X w|^2 + alpha l1_ratio |w|_1 + alpha
//! (1 - l1_ratio)/2 |w|^2` with `w_j = 0`, and optionally `w >= 0`, U the number of users. The
//! `topk` weights largest in size are kept of each solution; a profile is scored by `x W`.
//!
//! Source: Ning and Karypis, "SLIM: sparse linear methods for top-n recommender systems", ICDM
//! 2011; objective as in scikit-learn's `ElasticNet` without intercept.
//! Method: coordinate descent on the Gram matrix (Friedman, Hastie, Tibshirani, 2010), on working
//! sets with their own small Gram matrix, after safe screening; several penalties share the Gram
//! matrix and warm-start each other, from the strongest to the weakest. The end is the optimality
//! (KKT) condition: no coordinate misses it by more than `tol` times the largest `|x_i^T x_j|`.
//! Deviation: none in the objective.
//!
//! Dense data (where the pairs of items that share a user are a good part of all pairs) use a dense
//! f32 Gram matrix shared by all threads, 4 bytes times items squared; sparse data use only the
//! entries there are. Sums are made in f64. Items are independent: the bits do not depend on the
//! number of threads.

mod problem;
mod small;
mod solver;
#[cfg(test)]
mod tests;

use crate::base::error::check_non_negative;
use crate::base::memory::reserve;
use crate::base::rows::par_chunks;
use crate::base::sparse::Duplicates;
use crate::base::topk::{Scored, check_topk};
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};
use crate::linalg::gram::{Entry, Gram, Popular};
use problem::Problem;
use solver::{CAP, Solver};

const WEIGHTS: &str = "weights of SLIM";

/// Fraction of pairs of items from which on the Gram matrix is dense.
const DENSE: f64 = 0.2;
/// Target items per unit of work.
const ITEMS: usize = 8;

/// Strength and kind of the penalty.
#[derive(Debug, Clone, Copy)]
pub struct Penalty {
    /// Strength, at least zero.
    pub alpha: f64,
    /// Fraction of the penalty on absolute values, in 0..=1; the rest is on squares.
    pub l1_ratio: f64,
}

/// Parameters of [`fit_path`] that all penalties share.
#[derive(Debug, Clone, Copy)]
pub struct SlimParams {
    /// Weights kept for each target item, at least one.
    pub topk: usize,
    /// No negative weights.
    pub positive_only: bool,
    /// Largest violation of the optimality conditions, relative to the largest correlation.
    pub tol: f64,
    /// Sweeps for each item and penalty, at least one.
    pub max_iter: usize,
}

/// Weights for one penalty.
#[derive(Debug, Clone, PartialEq)]
pub struct SlimFit {
    /// Items x items; rows are the history items.
    pub weights: CsrMatrix,
    /// Items that `max_iter` stopped before `tol` was reached.
    pub unconverged: usize,
}

/// Form and memory of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whether the Gram matrix is stored whole.
    pub dense: bool,
    /// Bytes that the Gram matrix and the working memory of `threads` workers take at most.
    pub bytes: usize,
}

/// Which form of the Gram matrix suits `urm`, and what it takes.
#[must_use]
pub fn plan(urm: CsrView, threads: usize) -> Plan {
    let n = urm.n_cols();
    let pairs: f64 = (0..urm.n_rows())
        .map(|u| (urm.row_len(u) as f64).powi(2))
        .sum();
    let square = (n as f64).powi(2);
    let dense = pairs >= DENSE * square;
    let gram = if dense {
        4.0 * square
    } else {
        // Columns and values, and once more while the parts are joined.
        16.0 * pairs.min(square) + 4.0 * n.min(2048).pow(2) as f64
    };
    let set = n.min(CAP) as f64;
    let scratch = threads as f64 * (4.0 * set * set + 64.0 * n as f64);
    let data = 24.0 * urm.nnz() as f64;
    Plan {
        dense,
        bytes: (gram + scratch + data) as usize,
    }
}

/// Weights for each of `penalties`, in their order.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain, `Cancelled`.
pub fn fit_path(
    urm: CsrView,
    penalties: &[Penalty],
    params: SlimParams,
    progress: &Progress,
) -> Result<Vec<SlimFit>> {
    check(penalties, params)?;
    let plan = plan(urm, 1);
    fit_with(urm, penalties, params, plan.dense, progress)
}

fn check(penalties: &[Penalty], params: SlimParams) -> Result<()> {
    check_topk(params.topk)?;
    for p in penalties {
        check_non_negative("alpha", p.alpha)?;
        if !(0.0..=1.0).contains(&p.l1_ratio) {
            return Err(Error::invalid(format!(
                "l1_ratio must be between 0 and 1, not {}",
                p.l1_ratio
            )));
        }
    }
    if !(params.tol > 0.0 && params.tol < 1.0) {
        return Err(Error::invalid(format!(
            "tol must be greater than 0 and less than 1, not {}",
            params.tol
        )));
    }
    if params.max_iter == 0 {
        return Err(Error::invalid("max_iter must be at least 1, not 0"));
    }
    Ok(())
}

/// Refuse values whose Gram matrix single precision does not hold, which would leave no weights.
///
/// Its largest entries are on the diagonal; those that underflow matter only without a penalty.
fn check_range(
    data: &Popular,
    diagonal: &[f64],
    n_users: f64,
    penalties: &[Penalty],
) -> Result<()> {
    let least = f64::from(f32::MIN_POSITIVE);
    let penalised = penalties.iter().all(|p| p.alpha * n_users >= least);
    let items = data.items.view();
    for (i, &square) in diagonal.iter().enumerate() {
        let lost = !penalised && square < least && items.row(i).any(|(_, x)| x > 0.0);
        if lost || !square.is_finite() {
            return Err(Error::NonFinite(format!(
                "the squared norm of item {} is beyond single precision",
                data.members(i)[0]
            )));
        }
    }
    Ok(())
}

/// Targets, items and weights of the solutions of one chunk, for one penalty.
#[derive(Default)]
struct Part {
    rows: Vec<i32>,
    cols: Vec<i32>,
    values: Vec<f32>,
    unconverged: usize,
}

/// Hands the weights of distinct items out to the original ones.
#[derive(Default)]
struct Spread {
    /// Original items and weights.
    all: Vec<Scored>,
    best: Vec<Scored>,
}

impl Spread {
    /// The largest weights for each original item that is target `j`.
    ///
    /// Equal items share a weight evenly; the target itself has none.
    fn among_members(
        &mut self,
        data: &Popular,
        j: usize,
        solution: impl Iterator<Item = (u32, f64)>,
        topk: usize,
        out: &mut Part,
    ) -> Result<()> {
        self.all.clear();
        let mut own = 0.0;
        for (i, w) in solution {
            let members = data.members(i as usize);
            if i as usize == j {
                own = w / (members.len() - 1) as f64;
                continue;
            }
            let score = (w / members.len() as f64) as f32;
            reserve(&mut self.all, members.len(), WEIGHTS)?;
            self.all.extend(members.iter().map(|&m| Scored {
                index: m as i32,
                score,
            }));
        }
        for &target in data.members(j) {
            let best = &mut self.best;
            best.clear();
            reserve(best, self.all.len() + data.members(j).len(), WEIGHTS)?;
            best.extend_from_slice(&self.all);
            if own != 0.0 {
                let others = data.members(j).iter().filter(|&&m| m != target);
                best.extend(others.map(|&m| Scored {
                    index: m as i32,
                    score: own as f32,
                }));
            }
            keep_largest(best, topk);
            reserve(&mut out.rows, best.len(), WEIGHTS)?;
            reserve(&mut out.cols, best.len(), WEIGHTS)?;
            reserve(&mut out.values, best.len(), WEIGHTS)?;
            for s in best.iter() {
                out.rows.push(s.index);
                out.cols.push(target as i32);
                out.values.push(s.score);
            }
        }
        Ok(())
    }
}

/// Keep the `k` largest in size; equal ones by the smaller item.
fn keep_largest(of: &mut Vec<Scored>, k: usize) {
    if of.len() > k {
        let size = |s: &Scored| s.score.abs();
        of.select_nth_unstable_by(k - 1, |a, b| {
            size(b).total_cmp(&size(a)).then(a.index.cmp(&b.index))
        });
        of.truncate(k);
    }
}

fn fit_with(
    urm: CsrView,
    penalties: &[Penalty],
    params: SlimParams,
    dense: bool,
    progress: &Progress,
) -> Result<Vec<SlimFit>> {
    let data = Popular::new(urm, progress)?;
    progress.check()?;
    if !dense {
        let gram = Gram::<f32>::sparse(&data, progress)?;
        solve_all(&data, &gram, penalties, params, progress)
    } else if urm.values().is_none() && u16::try_from(urm.n_rows()).is_ok() {
        let gram = Gram::<u16>::dense(&data, progress)?;
        solve_all(&data, &gram, penalties, params, progress)
    } else {
        let gram = Gram::<f32>::dense(&data, progress)?;
        solve_all(&data, &gram, penalties, params, progress)
    }
}

fn solve_all<T: Entry>(
    data: &Popular,
    gram: &Gram<T>,
    penalties: &[Penalty],
    params: SlimParams,
    progress: &Progress,
) -> Result<Vec<SlimFit>> {
    let n_distinct = data.len();
    let n_items: usize = (0..n_distinct).map(|i| data.members(i).len()).sum();
    let n_users = data.users.view().n_rows() as f64;
    let diagonal = gram.diagonal()?;
    check_range(data, &diagonal, n_users, penalties)?;
    let problem = |p: &Penalty| Problem {
        l1: n_users * p.alpha * p.l1_ratio,
        l2: n_users * p.alpha * (1.0 - p.l1_ratio),
        positive: params.positive_only,
        tol: params.tol,
        max_iter: params.max_iter,
    };
    let mut path: Vec<usize> = (0..penalties.len()).collect();
    path.sort_by(|&a, &b| {
        let (a, b) = (problem(&penalties[a]), problem(&penalties[b]));
        b.l1.total_cmp(&a.l1).then(b.l2.total_cmp(&a.l2))
    });

    let chunks = par_chunks(
        n_distinct,
        ITEMS,
        progress,
        || Ok((Solver::new(data, gram, &diagonal)?, Spread::default())),
        |(solver, spread): &mut (Solver<T>, Spread), range| {
            let mut parts: Vec<Part> = penalties.iter().map(|_| Part::default()).collect();
            for j in range {
                solver.begin(j);
                for (step, &at) in path.iter().enumerate() {
                    let last = step + 1 == path.len();
                    let solved = solver.solve(j, problem(&penalties[at]), last, progress)?;
                    let members = data.members(j).len();
                    parts[at].unconverged += if solved { 0 } else { members };
                    let (topk, part) = (params.topk, &mut parts[at]);
                    spread.among_members(data, j, solver.solution(), topk, part)?;
                }
                solver.end(j);
                progress.advance(1)?;
            }
            Ok(parts)
        },
    )?;
    let mut parts: Vec<Part> = Vec::new();
    for chunk in chunks {
        if parts.is_empty() {
            parts = chunk;
            continue;
        }
        for (all, some) in parts.iter_mut().zip(chunk) {
            let n = some.values.len();
            reserve(&mut all.rows, n, WEIGHTS)?;
            reserve(&mut all.cols, n, WEIGHTS)?;
            reserve(&mut all.values, n, WEIGHTS)?;
            all.rows.extend_from_slice(&some.rows);
            all.cols.extend_from_slice(&some.cols);
            all.values.extend_from_slice(&some.values);
            all.unconverged += some.unconverged;
        }
    }
    parts
        .into_iter()
        .map(|part| {
            Ok(SlimFit {
                weights: CsrMatrix::from_coo(
                    (n_items, n_items),
                    &part.rows,
                    &part.cols,
                    Some(&part.values),
                    Duplicates::Error,
                    progress,
                )?,
                unconverged: part.unconverged,
            })
        })
        .collect()
}
