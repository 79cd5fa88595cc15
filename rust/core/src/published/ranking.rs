//! Top-N lists with equal scores in the order of the published lists.

use ndarray::ArrayView2;

use super::order::smallest;
use crate::base::memory::reserve;
use crate::base::{Progress, Result};
use crate::rank::{Lists, Request, check_scores, copy_scores, rank_rows};

/// Where the published lists were cut before they were sorted, whatever the cutoff of a metric.
const PUBLISHED_CUT: usize = 50;

/// As [`rank_scores`], with equal scores in the order of the published lists.
///
/// Those were cut to their first fifty items and then sorted, both by routines that leave equal
/// scores in an order of their own: see `order`.
///
/// # Errors
/// As [`rank_scores`].
pub fn rank_scores(
    scores: ArrayView2<f32>,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    check_scores(scores, request)?;
    rank_rows(
        request,
        progress,
        |at, buffer| copy_scores(scores, at, buffer),
        || Ok(Vec::new()),
        |negated, all, columns, items, scores| {
            negated.clear();
            reserve(negated, columns.len, "scores of a user")?;
            negated.extend((0..columns.len).map(|column| -all[columns.item(column) as usize]));
            if negated.is_empty() {
                return Ok(());
            }
            let cut = request.n.max(PUBLISHED_CUT).min(negated.len());
            let kth = cut.min(negated.len() - 1);
            let best = smallest(negated, kth, cut)?;
            let shown = best.iter().filter(|&&at| negated[at].is_finite());
            for ((item, score), &at) in items.iter_mut().zip(scores).zip(shown) {
                *item = columns.item(at);
                *score = -negated[at] + 0.0;
            }
            Ok(())
        },
    )
}
