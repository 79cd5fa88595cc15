//! The product of sparse matrices, a user at a time: only items that are reached are looked at.
//!
//! The terms of a score are added in the order of the row of the left side, as they are side by
//! side, so that both ways give the same bits.

use super::request::{Request, all_finite, not_finite};
use super::select::{Selector, not_below};
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::reserve;
use crate::base::{CsrView, Result};

const SUMS: &str = "scores of a user";

/// Items of a word of marks.
const WORD: usize = 64;
/// Additions of a user that are marked, in a catalogue that is so many times as large at least.
const MARKED: usize = 8;

/// Additions for a user.
pub(super) fn visits(left: CsrView, right: CsrView, user: usize) -> usize {
    let items = left.cols(user).iter();
    items.map(|&i| right.row_len(i as usize)).sum()
}

/// Scores of one user by item, zero between users.
#[derive(Default)]
pub(super) struct Sums {
    /// A whole number of words.
    sums: Vec<f32>,
    /// One bit for each item that has been reached.
    reached: Vec<u64>,
}

impl Sums {
    /// Score the items for the user at a position of the request, and take the best.
    pub(super) fn rank(
        &mut self,
        left: CsrView,
        right: CsrView,
        request: &Request,
        at: usize,
        selector: &mut Selector,
    ) -> Result<()> {
        let n_words = request.n_items.div_ceil(WORD);
        if self.reached.len() < n_words {
            reserve(&mut self.reached, n_words, SUMS)?;
            reserve(&mut self.sums, WORD * n_words, SUMS)?;
            self.reached.resize(n_words, 0);
            self.sums.resize(WORD * n_words, 0.0);
        }
        let user = request.users[at] as usize;
        // Marking costs a fraction of an addition, looking at an item in order much less.
        if MARKED * visits(left, right, user) < request.n_items {
            self.add::<true>(left, right, user);
        } else {
            self.mark_all(request.n_items);
            self.add::<false>(left, right, user);
        }
        let columns = request.columns(at);
        let is_finite = match columns.candidates {
            Some(candidates) => self.take_candidates(candidates, request, at, selector),
            None => self.take_reached(request, at, selector),
        };
        if columns.candidates.is_none() {
            self.take_others(request, at, selector);
        }
        self.clear();
        if is_finite {
            Ok(())
        } else {
            Err(not_finite(request.users[at]))
        }
    }

    fn mark_all(&mut self, n_items: usize) {
        let (whole, rest) = (n_items / WORD, n_items % WORD);
        self.reached[..whole].fill(u64::MAX);
        if rest > 0 {
            self.reached[whole] = (1 << rest) - 1;
        }
    }

    fn add<const MARK: bool>(&mut self, left: CsrView, right: CsrView, user: usize) {
        let Self { sums, reached } = self;
        for (i, x) in left.row(user) {
            let range = right.range(i);
            let items = &right.indices()[range.clone()];
            let mut add = |item: i32, w: f32| {
                let item = item as usize;
                sums[item] += x * w;
                if MARK {
                    reached[item / WORD] |= 1 << (item % WORD);
                }
            };
            match right.values() {
                Some(values) => {
                    for (&item, &w) in items.iter().zip(&values[range]) {
                        add(item, w);
                    }
                }
                None => items.iter().for_each(|&item| add(item, 1.0)),
            }
        }
    }

    /// Whether every score is finite.
    fn take_candidates(
        &self,
        candidates: &[i32],
        request: &Request,
        at: usize,
        selector: &mut Selector,
    ) -> bool {
        let mut is_finite = true;
        for &item in candidates {
            let score = self.sums[item as usize];
            is_finite &= score.is_finite();
            if score > selector.threshold() && !request.leaves_out(at, item) {
                selector.push(item, score);
            }
        }
        is_finite
    }

    /// Whether every score is finite.
    fn take_reached(&mut self, request: &Request, at: usize, selector: &mut Selector) -> bool {
        let mut is_finite = true;
        for item in request.left_out(at) {
            let item = item as usize;
            is_finite &= self.sums[item].is_finite();
            self.sums[item] = 0.0;
            self.reached[item / WORD] &= !(1 << (item % WORD));
        }
        let scan = Scan {
            sums: &self.sums,
            reached: &self.reached,
            selector,
        };
        is_finite & dispatch(scan)
    }

    /// Fill the list with items that were not reached and score zero, as far as they are wanted.
    #[cold]
    fn take_others(&self, request: &Request, at: usize, selector: &mut Selector) {
        let is_reached = |item: usize| self.reached[item / WORD] >> (item % WORD) & 1 == 1;
        let others = (0..request.n_items)
            .filter(|&item| !is_reached(item) && !request.leaves_out(at, item as i32));
        for item in others.take(selector.room_for_zeros()) {
            selector.push(item as i32, 0.0);
        }
    }

    fn clear(&mut self) {
        for (word, sums) in self.reached.iter_mut().zip(self.sums.chunks_mut(WORD)) {
            if *word != 0 {
                sums.fill(0.0);
                *word = 0;
            }
        }
    }
}

/// Take the best of what was reached, in the order of the items, and say whether all are finite.
struct Scan<'a> {
    sums: &'a [f32],
    reached: &'a [u64],
    selector: &'a mut Selector,
}

impl Kernel for Scan<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let mut is_finite = true;
        let (words, _) = self.sums.as_chunks::<WORD>();
        for (nth, (&reached, sums)) in self.reached.iter().zip(words).enumerate() {
            if reached == 0 {
                continue;
            }
            is_finite &= all_finite(sums);
            // Items ascend: one with an equal score never displaces another.
            let mut rest = reached & not_below(sums, self.selector.threshold().next_up());
            while rest != 0 {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                self.selector.push((nth * WORD + bit) as i32, sums[bit]);
            }
        }
        is_finite
    }
}
