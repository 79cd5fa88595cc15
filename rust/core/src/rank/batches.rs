//! Users in batches, in parallel, and where each list is written.

use std::ops::Range;

use rayon::prelude::*;

use super::request::{Lists, Request};
use crate::base::rows::ScratchPool;
use crate::base::{Progress, Result};

/// Batches between two joins: bounds the memory besides the result.
const ROUND: usize = 256;

/// Lists of all requested users: `work(scratch, positions, lists)` fills those of a batch.
///
/// `positions` are places in the request, `size` of them or fewer; `lists` holds one row for each,
/// full of padding. Within a round users are put together by descending `key`, so that a batch
/// holds users that are alike; nothing of the result may depend on it. What fits into one batch is
/// done on the calling thread.
pub(super) fn rank_batches<S: Send>(
    request: &Request,
    progress: &Progress,
    size: usize,
    key: impl Fn(usize) -> usize + Sync,
    scratch: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, &[usize], &mut Lists) -> Result<()> + Sync,
) -> Result<Lists> {
    let (n_lists, n) = (request.users.len(), request.n);
    progress.start(n_lists as u64);
    let pool = ScratchPool::new(scratch);
    let mut all = Lists::padding(n_lists, n)?;
    for start in (0..n_lists).step_by(ROUND * size) {
        let mut round: Vec<usize> = (start..(start + ROUND * size).min(n_lists)).collect();
        round.sort_by_key(|&at| std::cmp::Reverse(key(at)));
        let batch = |positions: &[usize]| {
            progress.check()?;
            let mut lists = Lists::padding(positions.len(), n)?;
            pool.with(|s| work(s, positions, &mut lists))?;
            progress.advance(positions.len() as u64)?;
            Ok(lists)
        };
        let done: Vec<Result<Lists>> = if round.len() <= size {
            vec![batch(&round)]
        } else {
            round.par_chunks(size).with_max_len(1).map(batch).collect()
        };
        for (positions, lists) in round.chunks(size).zip(done) {
            let lists = lists?;
            for (nth, &at) in positions.iter().enumerate() {
                let (from, to) = (row(nth, n), row(at, n));
                all.items[to.clone()].copy_from_slice(&lists.items[from.clone()]);
                all.scores[to].copy_from_slice(&lists.scores[from]);
            }
        }
    }
    Ok(all)
}

/// Where the `nth` list of width `n` lies.
pub(super) fn row(nth: usize, n: usize) -> Range<usize> {
    nth * n..(nth + 1) * n
}
