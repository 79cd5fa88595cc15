//! Lists from a product of sparse matrices: profiles and item weights, or neighbours and profiles.
//!
//! Users are scored side by side, one in each lane of a vector: a row of the weights is read once
//! for all of them and added under a mask of who has the item. Popular items, whose rows are the
//! long ones, are in many profiles, so that most of the work is shared. Each lane adds its terms in
//! the order of the items, and a lane without the item adds zero: the bits are those of one user
//! alone.

use super::batches::{rank_batches, row};
use super::select::Lanes;
use super::{Columns, Lists, Request, check_users, not_finite};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::simd::widest;
use crate::sparse::CsrView;

/// Lanes for catalogues of ordinary size: one AVX-512 register, one cache line.
const MANY: usize = 16;
/// Lanes for catalogues whose scores would not fit in the memory of a thread otherwise.
const FEW: usize = 4;
/// Catalogue up to which a thread keeps `MANY` scores and profile values of every item (51 MiB).
const MANY_ITEMS: usize = 400_000;

/// Lists from a product of sparse matrices: the scores of user u are row u of `left` times `right`.
///
/// With item weights W (rows are history items) left holds the profiles and right is W; with user
/// neighbours left holds those of each user and right the profiles. Contributions are added in the
/// order of the row of `left`, in f32. Items that it does not reach score zero and can fill a list.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shapes do not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_product(
    left: CsrView,
    right: CsrView,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    let n_items = request.n_items;
    if left.n_cols() != right.n_rows() || right.n_cols() != n_items {
        return Err(Error::invalid(format!(
            "left is {} x {} and right {} x {}, but there are {n_items} items",
            left.n_rows(),
            left.n_cols(),
            right.n_rows(),
            right.n_cols()
        )));
    }
    check_users(request, left.n_rows(), "left")?;
    if n_items.max(left.n_cols()) <= MANY_ITEMS {
        rank::<MANY>(right, left, request, progress)
    } else {
        rank::<FEW>(right, left, request, progress)
    }
}

fn rank<const L: usize>(
    weights: CsrView,
    profiles: CsrView,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    let columns = request.columns();
    rank_batches(
        request,
        progress,
        L,
        |at| profiles.row_len(request.users[at] as usize),
        || Scratch::<L>::new(request, &columns, profiles.n_cols()),
        |scratch, positions, lists| {
            let users: Vec<i64> = positions.iter().map(|&at| request.users[at]).collect();
            widest(|| {
                scratch.score(weights, profiles, &users);
                scratch.select(request, &users, &columns)
            })?;
            for lane in 0..users.len() {
                let at = row(lane, request.n);
                scratch
                    .lanes
                    .finish(lane, &mut lists.items[at.clone()], &mut lists.scores[at]);
            }
            Ok(())
        },
    )
}

struct Scratch<const L: usize> {
    /// Scores by item and lane.
    scores: Vec<[f32; L]>,
    /// What each lane's profile holds of an item; zero between batches.
    profile: Vec<[f32; L]>,
    /// One bit for each item that a profile holds; zero between batches.
    held: Vec<u64>,
    lanes: Lanes<L>,
}

impl<const L: usize> Scratch<L> {
    fn new(request: &Request, columns: &Columns, width: usize) -> Self {
        Self {
            scores: vec![[0.0; L]; request.n_items],
            profile: vec![[0.0; L]; width],
            held: vec![0; width.div_ceil(64)],
            lanes: Lanes::new(request.n, columns.len),
        }
    }

    #[inline(always)]
    fn score(&mut self, weights: CsrView, profiles: CsrView, users: &[i64]) {
        for (lane, &user) in users.iter().enumerate() {
            for (i, x) in profiles.row(user as usize) {
                self.profile[i][lane] = x;
                self.held[i / 64] |= 1 << (i % 64);
            }
        }
        self.scores.fill([0.0; L]);
        for (word, held) in self.held.iter_mut().enumerate() {
            while *held != 0 {
                let i = 64 * word + held.trailing_zeros() as usize;
                *held &= *held - 1;
                let x = std::mem::replace(&mut self.profile[i], [0.0; L]);
                let range = weights.range(i);
                let columns = &weights.indices()[range.clone()];
                match weights.values() {
                    Some(values) => {
                        for (&j, &w) in columns.iter().zip(&values[range]) {
                            let scores = &mut self.scores[j as usize];
                            for l in 0..L {
                                scores[l] += x[l] * w;
                            }
                        }
                    }
                    None => {
                        for &j in columns {
                            let scores = &mut self.scores[j as usize];
                            for l in 0..L {
                                scores[l] += x[l];
                            }
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn select(&mut self, request: &Request, users: &[i64], columns: &Columns) -> Result<()> {
        let mut sums = [0f32; L];
        for scores in &self.scores {
            for l in 0..L {
                sums[l] += scores[l] * 0.0;
            }
        }
        if let Some(lane) = sums.iter().position(|&sum| sum != 0.0) {
            return Err(not_finite(users[lane]));
        }
        for (lane, &user) in users.iter().enumerate() {
            for &item in request.seen_by(user as usize) {
                self.scores[item as usize][lane] = f32::NEG_INFINITY;
            }
        }
        self.lanes.start(users.len());
        match columns.candidates {
            None => {
                for (item, scores) in self.scores.iter().enumerate() {
                    self.lanes.take::<true>(item as i32, scores);
                }
            }
            Some(candidates) => {
                for &item in candidates {
                    self.lanes.take::<true>(item, &self.scores[item as usize]);
                }
            }
        }
        Ok(())
    }
}
