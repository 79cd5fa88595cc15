//! Interactions by user, in the order in which they are trained on, and items outside a profile.

use crate::base::memory::{collected, with_room};
use crate::base::rng::Rng;
use crate::base::{CsrView, Error, Result};

const PROFILES: &str = "profiles of the users";

/// The interactions of a matrix, without their values.
#[derive(Debug)]
pub(crate) struct Profiles {
    pub(crate) n_items: usize,
    starts: Vec<usize>,
    items: Vec<i32>,
    users: Vec<u32>,
    /// Interactions of users who lack an item, in training order.
    pub(crate) order: Vec<u32>,
}

impl Profiles {
    pub(crate) fn new(urm: CsrView) -> Result<Self> {
        if u32::try_from(urm.nnz()).is_err() {
            return Err(Error::invalid(format!(
                "X has {} interactions, more than the 2^32 - 1 that samples are numbered by",
                urm.nnz()
            )));
        }
        let mut users = with_room(urm.nnz(), PROFILES)?;
        let mut order = with_room(urm.nnz(), PROFILES)?;
        for user in 0..urm.n_rows() {
            users.resize(urm.range(user).end, user as u32);
            if urm.row_len(user) < urm.n_cols() {
                order.extend(urm.range(user).map(|at| at as u32));
            }
        }
        if order.is_empty() {
            return Err(Error::invalid(
                "X has no user who has some items and lacks others: there is nothing to rank",
            ));
        }
        Ok(Self {
            n_items: urm.n_cols(),
            starts: collected(urm.indptr().iter().map(|&p| p as usize), PROFILES)?,
            items: collected(urm.indices().iter().copied(), PROFILES)?,
            users,
            order,
        })
    }

    pub(crate) fn n_users(&self) -> usize {
        self.starts.len() - 1
    }

    /// All interactions, those of users who lack nothing included.
    pub(crate) fn nnz(&self) -> usize {
        self.items.len()
    }

    /// Where the interactions of a user are.
    #[inline(always)]
    pub(crate) fn range(&self, user: usize) -> std::ops::Range<usize> {
        self.starts[user]..self.starts[user + 1]
    }

    #[inline(always)]
    pub(crate) fn profile(&self, user: usize) -> &[i32] {
        &self.items[self.range(user)]
    }

    /// User and item of an interaction.
    #[inline(always)]
    pub(crate) fn pair(&self, at: u32) -> (usize, usize) {
        (
            self.users[at as usize] as usize,
            self.items[at as usize] as usize,
        )
    }

    /// The order of the matrix.
    pub(crate) fn sort(&mut self) {
        self.order.sort_unstable();
    }

    /// A random order, a function of the seed alone.
    pub(crate) fn shuffle(&mut self, mut rng: Rng) {
        self.sort();
        shuffle(&mut self.order, &mut rng);
    }

    /// A uniform item outside the profile of a user who lacks one.
    #[inline(always)]
    pub(crate) fn outside(&self, user: usize, rng: &mut Rng) -> usize {
        outside(self.profile(user), self.n_items, rng)
    }
}

/// Fisher and Yates.
pub(crate) fn shuffle(values: &mut [u32], rng: &mut Rng) {
    for last in (1..values.len()).rev() {
        values.swap(last, rng.below(last as u64 + 1) as usize);
    }
}

/// A uniform item of `0..n_items` outside an ascending profile that lacks one: one draw, and the
/// place of its rank among the missing ones.
#[inline(always)]
pub(crate) fn outside(profile: &[i32], n_items: usize, rng: &mut Rng) -> usize {
    let rank = rng.below((n_items - profile.len()) as u64) as usize;
    let (mut low, mut high) = (0, profile.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if profile[middle] as usize - middle <= rank {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    rank + low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_outside_are_all_the_others_alike() {
        let profile = [0, 1, 4, 7];
        let mut counts = [0; 9];
        for position in 0..50_000 {
            counts[outside(&profile, 9, &mut Rng::at(1, 2, position))] += 1;
        }
        for (item, &count) in counts.iter().enumerate() {
            if profile.contains(&(item as i32)) {
                assert_eq!(count, 0);
            } else {
                assert!((f64::from(count) - 10_000.0).abs() < 400.0, "{counts:?}");
            }
        }
    }

    #[test]
    fn orders_belong_to_their_seed_and_leave_out_who_lacks_nothing() {
        let (indptr, indices) = ([0, 2, 5, 5], [0, 2, 0, 1, 2]);
        let urm = CsrView::try_new(3, &indptr, &indices, None).unwrap();
        let mut profiles = Profiles::new(urm).unwrap();
        assert_eq!(profiles.order, [0, 1]);
        let (indptr, indices) = ([0, 8], [0, 1, 2, 3, 4, 5, 6, 7]);
        let urm = CsrView::try_new(9, &indptr, &indices, None).unwrap();
        profiles = Profiles::new(urm).unwrap();
        profiles.shuffle(Rng::at(3, 0, 0));
        let first = profiles.order.clone();
        profiles.shuffle(Rng::at(3, 0, 1));
        assert_ne!(profiles.order, first);
        profiles.shuffle(Rng::at(3, 0, 0));
        assert_eq!(profiles.order, first);
    }
}
