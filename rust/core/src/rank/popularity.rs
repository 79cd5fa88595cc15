//! Lists of the most popular items, from an order that is made once.

use super::batches::{rank_batches, row};
use super::request::{Lists, Request};
use crate::base::memory::{collected, reserve, zeros};
use crate::base::topk::Scored;
use crate::base::{Error, Progress, Result};

/// Users per unit of work.
const USERS: usize = 64;

/// All items by descending score, which `rank_popularity` needs: O(items log items).
///
/// # Errors
/// [`Error::NonFinite`].
pub fn popularity_order(item_scores: &[f32]) -> Result<Vec<i32>> {
    if let Some(item) = item_scores.iter().position(|s| !s.is_finite()) {
        return Err(Error::NonFinite(format!(
            "item_scores[{item}] is not finite"
        )));
    }
    let scored = item_scores.iter().enumerate();
    let scored = scored.map(|(index, &score)| Scored {
        index: index as i32,
        score,
    });
    let mut order = collected(scored, "items by score")?;
    order.sort_unstable_by(Scored::rank_order);
    collected(order.into_iter().map(|s| s.index), "items by score")
}

/// Lists of the items of highest score, in the same order for all users.
///
/// `order` is that of [`popularity_order`].
///
/// # Errors
/// [`Error::InvalidArgument`] if a length does not fit, `Cancelled`.
pub fn rank_popularity(
    item_scores: &[f32],
    order: &[i32],
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    if item_scores.len() != request.n_items {
        return Err(Error::invalid(format!(
            "item_scores has length {}, but there are {} items",
            item_scores.len(),
            request.n_items
        )));
    }
    check_order(order, request.n_items)?;
    // Candidates of all are picked once, those of one user while walking.
    let mut same = Vec::new();
    let mut order = order;
    if let Some(candidates) = request.same_candidates() {
        let mut is_candidate = zeros::<bool>(request.n_items, "items of a user")?;
        for &item in candidates {
            is_candidate[item as usize] = true;
        }
        reserve(&mut same, candidates.len(), "items by score")?;
        same.extend(order.iter().filter(|&&i| is_candidate[i as usize]));
        order = &same;
    }
    rank_batches(
        request,
        progress,
        USERS,
        |_| 0,
        || zeros::<bool>(request.n_items, "items of a user"),
        |is_out, positions, lists| {
            for (nth, &at) in positions.iter().enumerate() {
                if request.has_own_candidates() {
                    is_out.fill(true);
                    for &item in request.columns(at).candidates.unwrap_or(&[]) {
                        is_out[item as usize] = false;
                    }
                }
                for item in request.left_out(at) {
                    is_out[item as usize] = true;
                }
                let shown = order.iter().filter(|&&item| !is_out[item as usize]);
                for (place, &item) in row(nth, request.n).zip(shown) {
                    lists.items[place] = item;
                    lists.scores[place] = item_scores[item as usize] + 0.0;
                }
                for item in request.left_out(at) {
                    is_out[item as usize] = false;
                }
            }
            Ok(())
        },
    )
}

fn check_order(order: &[i32], n_items: usize) -> Result<()> {
    if order.len() == n_items && order.iter().all(|&i| (i as usize) < n_items) {
        return Ok(());
    }
    Err(Error::invalid("order must hold each item once"))
}
