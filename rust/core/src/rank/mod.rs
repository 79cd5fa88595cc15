//! Exact top-N lists over the whole catalogue, never users x items in memory.
//!
//! Objective: for each user the `n` items of highest score among the candidates that the user has
//! not seen, best first, ties to the smaller item number; `-1` / `-inf` pad lists that run out of
//! items. Four forms of scores: item weights, factors, popularity, and dense scores.
//!
//! Method: scores of a few users side by side are computed in a buffer that stays in the cache and
//! compared, one vector at a time, with the score of the n-th best so far; only what passes is
//! collected. Seen items never pass. A score that is not finite is refused, naming the user.
//!
//! A few users are scored one by one instead, with the same bits. What all requests share is made
//! once and kept in an index.
//!
//! Cost: O(users x items) compared, O(users x n) in memory, plus buffers of each thread: sixteen
//! scores for every item, or the packed factors of a few hundred items and users.

mod alone;
mod batches;
mod factors;
mod factors_alone;
mod factors_short;
mod group;
mod half_bytes;
mod popularity;
mod product;
mod product_alone;
#[cfg(target_arch = "x86_64")]
mod product_avx512;
mod request;
mod scores;
mod select;
#[cfg(test)]
mod tests;

pub use alone::is_few;
pub use factors::{FactorIndex, Rows};
pub use popularity::{popularity_order, rank_popularity};
pub use product::ProductIndex;
pub use request::{Filter, Items, Lists, Request};
pub use scores::rank_scores;
pub(crate) use scores::{check_scores, copy_scores, rank_rows, rank_scores_by};
