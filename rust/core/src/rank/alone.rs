//! When users are ranked one by one instead of side by side, and when no thread is worth starting.

use super::request::Request;
use crate::base::progress::is_small;

/// Users side by side cost nearly as much as a whole vector of them; up to so many are faster
/// one by one.
const ALONE: usize = 8;
/// Users of a batch, so that handing them out costs little.
const BATCH: usize = 16;

/// Whether users are ranked one by one: there are few, or each has candidates of its own.
pub(super) fn is_alone(request: &Request) -> bool {
    request.users.len() <= ALONE || request.has_own_candidates()
}

/// Users of a batch: all of them where the work is small, else such that no thread is idle.
pub(super) fn alone_size(request: &Request, multiplications: usize) -> usize {
    let n_users = request.users.len();
    if is_small(multiplications) {
        n_users.max(1)
    } else {
        n_users.div_ceil(ALONE).min(BATCH)
    }
}

/// Whether a list is chosen from so few scores, for so few users, that no thread is worth starting.
#[must_use]
pub fn is_few(request: &Request) -> bool {
    request.users.len() <= ALONE && is_small(request.users.len() * request.n_items)
}
