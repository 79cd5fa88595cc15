//! P3alpha and RP3beta with the cuts of the published figures; source and deviations as for
//! [`neighbours`](super::neighbours).

use super::order::argsort;
use crate::base::memory::{collected, reserve, with_room, zeros};
use crate::base::rows::build_rows;
use crate::base::{CsrMatrix, CsrView, Progress, Result};
use crate::models::random_walk::P3Params;

const SUMS: &str = "sums of an item's walks";

/// P3alpha and RP3beta, in f32 throughout, cut as published.
///
/// # Errors
/// As [`fit_p3`](crate::models::random_walk::fit_p3).
pub fn fit_p3(urm: CsrView, params: P3Params, progress: &Progress) -> Result<CsrMatrix> {
    params.check()?;
    let n_items = urm.n_cols();
    let shape = (n_items, n_items);
    let items = urm.transpose(progress)?;
    let items = items.view();
    let power = |share: f64| f64::from(share as f32).powf(params.alpha) as f32;
    let mut from_user = with_room(urm.nnz(), "steps of the walk")?;
    for user in 0..urm.n_rows() {
        let total: f64 = urm.row(user).map(|(_, x)| f64::from(x)).sum();
        from_user.extend(urm.row(user).map(|(_, x)| power(f64::from(x) / total)));
    }
    let penalties = (0..n_items).map(|j| (items.row_len(j) as f64).powf(params.beta) as f32);
    let penalty = collected(penalties, "penalties of the items")?;
    let rows = build_rows(
        shape,
        progress,
        || Ok((zeros::<f32>(n_items, SUMS)?, Vec::<usize>::new())),
        |(sums, best), i, out| {
            // Only whether there is an interaction counts on the way to the user.
            let from_item = power(1.0 / items.row_len(i) as f64);
            for &user in items.cols(i) {
                let range = urm.range(user as usize);
                for (&j, &step) in urm.indices()[range.clone()].iter().zip(&from_user[range]) {
                    sums[j as usize] += from_item * step;
                }
            }
            sums[i] = 0.0;
            for (sum, &divisor) in sums.iter_mut().zip(&penalty) {
                if *sum != 0.0 {
                    *sum /= divisor;
                }
            }
            best.clear();
            reserve(best, n_items, SUMS)?;
            best.extend((0..n_items).filter(|&j| sums[j] != 0.0));
            if best.len() > params.topk {
                *best = argsort(sums)?;
                best.drain(..n_items - params.topk);
                best.sort_unstable();
            }
            out.reserve(best.len())?;
            let total: f64 = best.iter().map(|&j| f64::from(sums[j])).sum();
            for &j in &*best {
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
    let columns = rows.view().transpose(progress)?;
    let columns = columns.view();
    let all = columns.values().unwrap_or_default();
    let pruned = build_rows(
        shape,
        progress,
        || Ok(()),
        |(), j, out| {
            let from = columns.cols(j);
            let values = collected(columns.range(j).map(|at| all[at]), SUMS)?;
            let mut kept = if from.len() > params.topk {
                argsort(&values)?
            } else {
                collected(0..from.len(), SUMS)?
            };
            kept.drain(..from.len().saturating_sub(params.topk));
            kept.sort_unstable();
            out.reserve(kept.len())?;
            for at in kept {
                out.push(from[at], values[at]);
            }
            Ok(())
        },
    )?;
    pruned.view().transpose(progress)
}
