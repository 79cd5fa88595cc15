//! Random scores: a reproducible ranking without information.
//!
//! Objective: none; the score of an item for a user is uniform in `[0, 1)`, a pure function of
//! `(seed, user, item)`, so that every order of the catalogue is equally likely.
//! Source: the usual floor of a comparison. Deviation: equal scores (of 2^24 there are) go to the
//! smaller item, as everywhere.
//! Cost: a few multiplications per score; nothing is stored.

use ndarray::Array2;
use rayon::prelude::*;

use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::many_zeros;
use crate::base::rng::bits;
use crate::base::{Error, Progress, Result};
use crate::rank::{Lists, Request, rank_scores_by};

/// The scores of all items for a user.
struct Fill<'a> {
    seed: u64,
    user: usize,
    scores: &'a mut [f32],
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (item, score) in self.scores.iter_mut().enumerate() {
            // As many bits as a float below one holds exactly.
            let bits = bits(self.seed, self.user as u64, item as u64) >> 40;
            *score = bits as u32 as f32 * (1.0 / (1u32 << 24) as f32);
        }
    }
}

/// Lists of the highest random scores.
///
/// # Errors
/// `Cancelled`.
pub fn rank_random(seed: u64, request: &Request, progress: &Progress) -> Result<Lists> {
    rank_scores_by(request, progress, |user, scores| {
        dispatch(Fill { seed, user, scores });
    })
}

/// Random scores of all items for some users.
///
/// # Errors
/// [`Error::InvalidArgument`] if a user's number is negative, `Cancelled`.
pub fn random_scores(
    seed: u64,
    users: &[i64],
    n_items: usize,
    progress: &Progress,
) -> Result<Array2<f32>> {
    const SCORES: &str = "scores of the users";
    if let Some(user) = users.iter().find(|&&u| u < 0) {
        return Err(Error::invalid(format!(
            "users holds {user}, which is negative"
        )));
    }
    let mut all = many_zeros(users.len().saturating_mul(n_items), SCORES, progress)?;
    progress.start(users.len() as u64);
    all.par_chunks_mut(n_items.max(1))
        .zip(users)
        .try_for_each(|(scores, &user)| {
            let user = user as usize;
            dispatch(Fill { seed, user, scores });
            progress.advance(1)
        })?;
    let shape = (users.len(), n_items);
    Ok(Array2::from_shape_vec(shape, all).expect("a row for each user"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::Filter;

    fn top_one(seed: u64, n_users: usize, n_items: usize) -> Vec<i32> {
        let users: Vec<i64> = (0..n_users as i64).collect();
        let request =
            Request::try_new((n_users, n_items), &users, 1, Filter::default()).expect("valid");
        let lists = rank_random(seed, &request, &Progress::new()).expect("ranks");
        lists.items
    }

    #[test]
    fn every_item_is_equally_likely_to_come_first() {
        let mut counts = [0f64; 20];
        for item in top_one(3, 40_000, 20) {
            counts[item as usize] += 1.0;
        }
        // Chi-squared with 19 degrees of freedom: 99.99% of true uniforms stay below 50.8.
        let chi2: f64 = counts.iter().map(|c| (c - 2000.0).powi(2) / 2000.0).sum();
        assert!(chi2 < 50.8, "{counts:?}");
    }

    #[test]
    fn lists_depend_on_the_seed_and_on_nothing_else() {
        assert_eq!(top_one(1, 50, 300), top_one(1, 50, 300));
        assert_ne!(top_one(1, 50, 300), top_one(2, 50, 300));
        assert_eq!(top_one(1, 50, 300)[..20], top_one(1, 20, 300)[..]);
    }

    #[test]
    fn lists_are_the_scores_in_order() {
        let scores = random_scores(7, &[4, 0, 4], 9, &Progress::new()).expect("scores");
        assert_eq!(scores.row(0), scores.row(2));
        assert!(scores.iter().all(|s| (0.0..1.0).contains(s)));
        let best = |row: usize| {
            let row = scores.row(row);
            (0..9)
                .max_by(|&a, &b| row[a].total_cmp(&row[b]))
                .expect("nine items") as i32
        };
        let users = [4, 0];
        let request = Request::try_new((5, 9), &users, 1, Filter::default()).expect("valid");
        let lists = rank_random(7, &request, &Progress::new()).expect("ranks");
        assert_eq!(lists.items, [best(0), best(1)]);
    }
}
