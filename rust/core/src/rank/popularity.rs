//! Lists of the most popular items.

use super::batches::{rank_batches, row};
use super::request::{Lists, Request};
use crate::base::memory::{collected, zeros};
use crate::base::topk::Scored;
use crate::base::{Error, Progress, Result};

/// Users per unit of work.
const USERS: usize = 64;

/// Lists of the items of highest score, in the same order for all users.
///
/// # Errors
/// [`Error::InvalidArgument`] if the length does not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_popularity(
    item_scores: &[f32],
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
    if let Some(item) = item_scores.iter().position(|s| !s.is_finite()) {
        return Err(Error::NonFinite(format!(
            "item_scores[{item}] is not finite"
        )));
    }
    let columns = request.columns();
    let scored = (0..columns.len).map(|column| {
        let index = columns.item(column);
        Scored {
            index,
            score: item_scores[index as usize],
        }
    });
    let mut order = collected(scored, "items by score")?;
    order.sort_unstable_by(Scored::rank_order);
    rank_batches(
        request,
        progress,
        USERS,
        |_| 0,
        || zeros::<bool>(request.n_items, "items of a user"),
        |is_seen, positions, lists| {
            for (nth, &at) in positions.iter().enumerate() {
                let seen = request.seen_by(request.users[at] as usize);
                for &item in seen {
                    is_seen[item as usize] = true;
                }
                let unseen = order.iter().filter(|s| !is_seen[s.index as usize]);
                for (place, s) in row(nth, request.n).zip(unseen) {
                    lists.items[place] = s.index;
                    lists.scores[place] = s.score + 0.0;
                }
                for &item in seen {
                    is_seen[item as usize] = false;
                }
            }
            Ok(())
        },
    )
}
