//! Users whose scores in a product of sparse matrices are added side by side.

use std::array::from_fn;

use super::batches::row;
use super::request::{Lists, Request, not_finite};
use super::select::Lanes;
use crate::base::memory::{reserve, zeros};
use crate::base::{CsrView, Result};

const PROFILES: &str = "profiles of users";

/// Users side by side: two AVX-512 registers. More of them share more rows.
pub(super) const LANES: usize = 32;
/// Users side by side.
pub(super) struct Group {
    /// Items that a profile of the group holds, ascending, and what each lane has of them.
    pub(super) items: Vec<u32>,
    pub(super) profile: Vec<[f32; LANES]>,
    /// One bit a lane for each item that is left out; zero between batches.
    left_out: Vec<u32>,
    /// Stays zero while every score is finite.
    zeros: [f32; LANES],
    lanes: Lanes<LANES>,
    /// Whether all targets have been scored.
    pub(super) is_done: bool,
}

impl Group {
    pub(super) fn new(request: &Request, n_columns: usize) -> Result<Self> {
        Ok(Self {
            items: Vec::new(),
            profile: Vec::new(),
            left_out: zeros(request.n_items, "items left out of lists")?,
            zeros: [0.0; LANES],
            lanes: Lanes::new(request.n, n_columns)?,
            is_done: false,
        })
    }

    /// Begin with the users at some positions: which items they hold, and which are left out.
    pub(super) fn start(
        &mut self,
        left: CsrView,
        request: &Request,
        positions: &[usize],
        held: &mut [u64],
    ) -> Result<()> {
        for (lane, &at) in positions.iter().enumerate() {
            for &i in left.cols(request.users[at] as usize) {
                held[i as usize / 64] |= 1 << (i % 64);
            }
            for item in request.left_out(at) {
                self.left_out[item as usize] |= 1 << lane;
            }
        }
        self.items.clear();
        let n_held = held.iter().map(|word| word.count_ones() as usize).sum();
        reserve(&mut self.items, n_held, PROFILES)?;
        for (word, held) in held.iter_mut().enumerate() {
            while *held != 0 {
                self.items.push((64 * word) as u32 + held.trailing_zeros());
                *held &= *held - 1;
            }
        }
        self.zeros = [0.0; LANES];
        self.lanes.start(positions.len());
        self.is_done = false;
        Ok(())
    }

    /// Weights in the rows of the items held.
    pub(super) fn n_visits(&self, right: CsrView) -> usize {
        let lengths = self.items.iter().map(|&i| right.row_len(i as usize));
        lengths.sum()
    }

    /// Put the profiles side by side.
    pub(super) fn spread(&mut self, left: CsrView, users: &[i64], slot: &mut [u32]) -> Result<()> {
        for (nth, &i) in self.items.iter().enumerate() {
            slot[i as usize] = nth as u32;
        }
        self.profile.clear();
        reserve(&mut self.profile, self.items.len(), PROFILES)?;
        self.profile.resize(self.items.len(), [0.0; LANES]);
        for (lane, &user) in users.iter().enumerate() {
            for (i, x) in left.row(user as usize) {
                self.profile[slot[i] as usize][lane] = x;
            }
        }
        Ok(())
    }

    /// Take the scores of the next target.
    #[inline(always)]
    pub(super) fn offer(&mut self, item: i32, scores: &[f32; LANES]) {
        let zeros = self.zeros;
        self.zeros = from_fn(|l| zeros[l] + scores[l] * 0.0);
        let left_out = &self.left_out;
        self.lanes
            .offer::<true>(item, scores, || left_out[item as usize]);
    }

    /// Write the lists of the users at `positions`; `first` is where that of the first one goes.
    pub(super) fn finish(
        &mut self,
        request: &Request,
        positions: &[usize],
        first: usize,
        lists: &mut Lists,
    ) -> Result<()> {
        if let Some(lane) = self.zeros.iter().position(|&z| z != 0.0) {
            return Err(not_finite(request.users[positions[lane]]));
        }
        for (lane, &at) in positions.iter().enumerate() {
            let place = row(first + lane, request.n);
            let (items, scores) = (&mut lists.items, &mut lists.scores);
            self.lanes
                .finish(lane, &mut items[place.clone()], &mut scores[place]);
            for item in request.left_out(at) {
                self.left_out[item as usize] = 0;
            }
        }
        Ok(())
    }
}
