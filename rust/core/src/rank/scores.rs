//! Top-N lists from dense scores.

use ndarray::ArrayView2;

use super::batches::{rank_batches, row};
use super::request::{Columns, Lists, Request, all_finite, not_finite};
use super::select::Selector;
use crate::base::dispatch::dispatch;
use crate::base::memory::zeros;
use crate::base::{Error, Progress, Result};

/// Users per unit of work.
const USERS: usize = 64;
const SCORES: &str = "scores of a user";

/// Lists from rows of dense scores: row r belongs to the r-th user of the request.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shape does not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_scores(
    scores: ArrayView2<f32>,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    check_scores(scores, request)?;
    select_rows(request, progress, |at, buffer| {
        copy_scores(scores, at, buffer);
    })
}

/// Lists from scores that `make(user, buffer)` writes, a user at a time.
pub(crate) fn rank_scores_by(
    request: &Request,
    progress: &Progress,
    make: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Lists> {
    select_rows(request, progress, |at, buffer| {
        make(request.users[at] as usize, buffer);
    })
}

fn select_rows(
    request: &Request,
    progress: &Progress,
    score: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Lists> {
    rank_rows(
        request,
        progress,
        score,
        || {
            let most = request.most_columns();
            Ok((zeros::<f32>(most, SCORES)?, Selector::new(request.n, most)?))
        },
        |(some, selector), all, columns, items, scores| {
            let candidates = match columns.candidates {
                None => all,
                Some(candidates) => {
                    for (slot, &item) in some.iter_mut().zip(candidates) {
                        *slot = all[item as usize];
                    }
                    &some[..candidates.len()]
                }
            };
            selector.scan(candidates, columns);
            selector.finish(items, scores);
            Ok(())
        },
    )
}

pub(crate) fn check_scores(scores: ArrayView2<f32>, request: &Request) -> Result<()> {
    if scores.dim() == (request.users.len(), request.n_items) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "scores is {} x {}, but there are {} users asked for and {} items",
        scores.nrows(),
        scores.ncols(),
        request.users.len(),
        request.n_items
    )))
}

pub(crate) fn copy_scores(scores: ArrayView2<f32>, at: usize, buffer: &mut [f32]) {
    for (slot, &score) in buffer.iter_mut().zip(scores.row(at)) {
        *slot = score;
    }
}

/// One user's scores at a time, made by `score(position in the request, buffer)`, with seen items
/// at minus infinity, given to `select` with what columns are asked for.
pub(crate) fn rank_rows<S: Send>(
    request: &Request,
    progress: &Progress,
    score: impl Fn(usize, &mut [f32]) + Sync,
    scratch: impl Fn() -> Result<S> + Sync,
    select: impl Fn(&mut S, &[f32], &Columns, &mut [i32], &mut [f32]) -> Result<()> + Sync,
) -> Result<Lists> {
    rank_batches(
        request,
        progress,
        USERS,
        |_| 0,
        || Ok((zeros::<f32>(request.n_items, SCORES)?, scratch()?)),
        |(buffer, own), positions, lists| {
            for (nth, &at) in positions.iter().enumerate() {
                let user = request.users[at];
                score(at, buffer);
                check_finite(buffer, user)?;
                for item in request.left_out(at) {
                    buffer[item as usize] = f32::NEG_INFINITY;
                }
                let (place, columns) = (row(nth, request.n), request.columns(at));
                let (items, values) = (&mut lists.items, &mut lists.scores);
                let (items, values) = (&mut items[place.clone()], &mut values[place]);
                select(own, buffer, &columns, items, values)?;
                progress.check()?;
            }
            Ok(())
        },
    )
}

/// Fails if one of `scores` is NaN or infinite.
fn check_finite(scores: &[f32], user: i64) -> Result<()> {
    if dispatch(|| all_finite(scores)) {
        Ok(())
    } else {
        Err(not_finite(user))
    }
}
