//! Item weights with the cuts of the published figures, where equal weights are many.
//!
//! Objective: the weights of [`knn`](crate::knn) and [`graph`](crate::graph) to the bit
//! that the GANMF paper's evaluation framework gave them. Three things decide: the order in which
//! candidates lie before a cut that is not stable (see
//! [`published_order`](crate::published_order)), the precision of each step, and what is kept of
//! equal weights at the cut.
//!
//! Source: the evaluation framework of Ferrari Dacrema et al., RecSys 2019, in the state that the
//! authors of the GANMF paper ran. Deviation: none known; the figures of P3alpha and of ItemKNN with
//! cosine come out to the last digit on Last.fm, whose ties are the hardest.
//!
//! Cost: as the kernels in our own order, plus a sort for each row that has more candidates than
//! are kept.

use crate::error::Result;
use crate::graph::P3Params;
use crate::progress::Progress;
use crate::published_order::{argsort, smallest};
use crate::rows::{RowWriter, build_rows};
use crate::sparse::{CsrMatrix, CsrView};

/// The `topk` neighbours of largest `weight(co, i, j)` for each target j among items that share a
/// user with it; `co` is the dot product of their columns. Rows of the result are history items.
///
/// # Errors
/// `Cancelled`.
pub fn nearest(
    urm: CsrView,
    topk: usize,
    weight: impl Fn(f64, usize, usize) -> f64 + Sync,
    progress: &Progress,
) -> Result<CsrMatrix> {
    let n_items = urm.n_cols();
    let items = urm.transpose();
    let items = items.view();
    let by_target = build_rows(
        (n_items, n_items),
        progress,
        || Meeting::new(n_items),
        |meeting, j, out| {
            for (user, xj) in items.row(j) {
                for (i, xi) in urm.row(user) {
                    if i != j {
                        meeting.add(i, f64::from(xi) * f64::from(xj));
                    }
                }
            }
            meeting.drain(|i, dot| weight(dot, i, j));
            meeting.push_best(topk, out);
            Ok(())
        },
    )?;
    Ok(by_target.view().transpose())
}

/// Items in the order in which a walk over the users of the target met them.
struct Meeting {
    dots: Vec<f64>,
    met: Vec<usize>,
    /// Negated weights in the order of `met`, with a zero for every item that was not met.
    negated: Vec<f64>,
}

impl Meeting {
    fn new(n_items: usize) -> Self {
        Self {
            dots: vec![0.0; n_items],
            met: Vec::new(),
            negated: vec![0.0; n_items],
        }
    }

    fn add(&mut self, item: usize, value: f64) {
        // A dot product of stored, positive values never returns to zero.
        if self.dots[item] == 0.0 {
            self.met.push(item);
        }
        self.dots[item] += value;
    }

    fn drain(&mut self, weight: impl Fn(usize, f64) -> f64) {
        self.negated.fill(0.0);
        for (&item, slot) in self.met.iter().zip(&mut self.negated) {
            *slot = -weight(item, self.dots[item]);
            self.dots[item] = 0.0;
        }
    }

    fn push_best(&mut self, topk: usize, out: &mut RowWriter) {
        let kept = topk.min(self.met.len());
        let mut best: Vec<usize> = if kept < self.met.len() {
            smallest(&self.negated, kept - 1, kept)
        } else {
            (0..kept).collect()
        };
        best.retain(|&at| self.negated[at] != 0.0);
        best.sort_unstable_by_key(|&at| self.met[at]);
        for at in best {
            out.push(self.met[at] as i32, -self.negated[at] as f32);
        }
        self.met.clear();
    }
}

/// P3alpha and RP3beta, in f32 throughout, cut as published.
///
/// # Errors
/// `Cancelled`; parameters outside their domain are for [`fit_p3`](crate::graph::fit_p3) to refuse.
pub fn p3(urm: CsrView, params: P3Params, progress: &Progress) -> Result<CsrMatrix> {
    let n_items = urm.n_cols();
    let shape = (n_items, n_items);
    let items = urm.transpose();
    let items = items.view();
    let step = |count: usize, alpha: f64| f64::from((1.0 / count as f64) as f32).powf(alpha) as f32;
    let from_user: Vec<f32> = (0..urm.n_rows())
        .map(|u| step(urm.row_len(u), params.alpha))
        .collect();
    let penalty: Vec<f32> = (0..n_items)
        .map(|j| (items.row_len(j) as f64).powf(params.beta) as f32)
        .collect();
    let rows = build_rows(
        shape,
        progress,
        || vec![0f32; n_items],
        |sums, i, out| {
            let from_item = step(items.row_len(i), params.alpha);
            for &user in items.cols(i) {
                let reach = from_item * from_user[user as usize];
                for &j in urm.cols(user as usize) {
                    sums[j as usize] += reach;
                }
            }
            sums[i] = 0.0;
            for (sum, &divisor) in sums.iter_mut().zip(&penalty) {
                if *sum != 0.0 {
                    *sum /= divisor;
                }
            }
            let mut best: Vec<usize> = (0..n_items).filter(|&j| sums[j] != 0.0).collect();
            if best.len() > params.topk {
                best = argsort(sums);
                best.drain(..n_items - params.topk);
                best.sort_unstable();
            }
            let total: f64 = best.iter().map(|&j| f64::from(sums[j])).sum();
            for &j in &best {
                let value = f64::from(sums[j]);
                let scaled = if params.normalize_similarity {
                    value / total
                } else {
                    value
                };
                out.push(j as i32, scaled as f32);
            }
            sums.fill(0.0);
            Ok(())
        },
    )?;
    if !params.prune_columns {
        return Ok(rows);
    }
    let columns = rows.view().transpose();
    let columns = columns.view();
    let pruned = build_rows(
        shape,
        progress,
        || (),
        |(), j, out| {
            let (from, values): (Vec<usize>, Vec<f32>) = columns.row(j).unzip();
            let mut kept: Vec<usize> = (0..from.len()).collect();
            if from.len() > params.topk {
                kept = argsort(&values);
                kept.drain(..from.len() - params.topk);
                kept.sort_unstable();
            }
            for at in kept {
                out.push(from[at] as i32, values[at]);
            }
            Ok(())
        },
    )?;
    Ok(pruned.view().transpose())
}
