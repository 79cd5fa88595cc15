//! Scores from factors, a user at a time: a few items side by side.
//!
//! Each score is added in the order of the factors: the same bits as with users side by side.

use std::array::from_fn;
use std::cmp::Ordering;
use std::mem::take;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1};

use super::factors_short::{Bounds, ShortUser};
use super::request::{Request, all_finite};
use super::select::Selector;
use crate::base::Result;
use crate::base::dispatch::{Kernel, dispatch, prefetch};
use crate::base::memory::{with_room, zeros};

/// Items side by side: their sums keep the adders busy, each of which waits for its last term.
pub(super) const ITEMS: usize = 8;
/// Items whose factors are on their way while others are scored.
const AHEAD: usize = 4 * ITEMS;

/// Items that wait for what comes after them to rise above them, before they are scored.
const REACHING: usize = 1024;

const FACTORS: &str = "factors of a user and of a few items";
const WAITING: &str = "items that could be on a list";

/// The memory of one worker that ranks one user after the other.
pub(super) struct Alone<'a> {
    item_factors: ArrayView2<'a, f32>,
    user: Vec<f32>,
    pub(super) short: ShortUser,
    /// Lower bounds of the best.
    pub(super) lower: Selector,
    /// Items that could be on the list when they came, and their upper bounds.
    reaching: Vec<(i32, f32)>,
    /// Factors of a few items, one after the other.
    rows: Vec<f32>,
    pub(super) selector: Selector,
    /// Whether every score is, so far.
    pub(super) is_finite: bool,
}

impl<'a> Alone<'a> {
    pub(super) fn new(
        request: &Request,
        item_factors: ArrayView2<'a, f32>,
        n_columns: usize,
    ) -> Result<Self> {
        let n_factors = item_factors.ncols();
        Ok(Self {
            item_factors,
            user: with_room(n_factors, FACTORS)?,
            short: ShortUser::new(n_factors)?,
            lower: Selector::eager(request.n, n_columns)?,
            reaching: with_room(REACHING, WAITING)?,
            rows: zeros(ITEMS * n_factors, FACTORS)?,
            selector: Selector::new(request.n, n_columns)?,
            is_finite: true,
        })
    }

    pub(super) fn start(&mut self, user: ArrayView1<f32>) {
        self.user.clear();
        self.user.extend(user);
        self.short.start(&self.user);
        self.is_finite = true;
    }

    /// Score an item later, if it can still be on the list; the threshold from now on.
    pub(super) fn wait(&mut self, item: i32, bounds: Bounds, request: &Request, at: usize) -> f32 {
        if bounds.lower >= self.threshold() {
            self.lower.push(item, bounds.lower);
        }
        self.reaching.push((item, bounds.upper));
        if self.reaching.len() == REACHING {
            self.offer_reaching(request, at);
        }
        self.threshold()
    }

    /// What the upper bound of an item on the list is not below.
    pub(super) fn threshold(&self) -> f32 {
        self.lower.threshold().max(self.selector.threshold())
    }

    /// Score the items that wait, unless enough others turned out to be better.
    pub(super) fn offer_reaching(&mut self, request: &Request, at: usize) {
        self.lower.shorten();
        let threshold = self.threshold();
        let mut reaching = take(&mut self.reaching);
        reaching.retain(|&(_, upper)| upper.partial_cmp(&threshold) != Some(Ordering::Less));
        reaching
            .iter()
            .take(AHEAD)
            .for_each(|&(item, _)| self.fetch(item));
        for (nth, few) in reaching.chunks(ITEMS).enumerate() {
            let next = reaching.iter().skip(nth * ITEMS + AHEAD);
            next.take(ITEMS).for_each(|&(item, _)| self.fetch(item));
            let items = few.iter().map(|&(item, _)| item);
            self.offer(items, request, at);
        }
        reaching.clear();
        self.reaching = reaching;
        self.selector.shorten();
    }

    fn fetch(&self, item: i32) {
        if let Some(factors) = self.item_factors.row(item as usize).as_slice() {
            prefetch(factors);
        }
    }

    /// Score up to `ITEMS` items, and take the best.
    pub(super) fn offer(
        &mut self,
        items: impl ExactSizeIterator<Item = i32> + Clone,
        request: &Request,
        at: usize,
    ) {
        let rows = self.rows.chunks_exact_mut(self.user.len().max(1));
        for (row, item) in rows.zip(items.clone()) {
            ArrayViewMut1::from(row).assign(&self.item_factors.row(item as usize));
        }
        // Rows without an item hold another one's factors.
        let n_items = items.len();
        let scores = dispatch(Scores {
            user: &self.user,
            rows: &self.rows,
        });
        let scores = &scores[..n_items];
        self.is_finite &= all_finite(scores);
        for (item, &score) in items.zip(scores) {
            // Items do not ascend: one with an equal score can displace another by its number.
            if score >= self.selector.threshold() && !request.leaves_out(at, item) {
                self.selector.push(item, score);
            }
        }
    }
}

/// Scores of a few items for a user.
struct Scores<'a> {
    user: &'a [f32],
    rows: &'a [f32],
}

impl Kernel for Scores<'_> {
    type Output = [f32; ITEMS];

    #[inline(always)]
    fn call(self) -> [f32; ITEMS] {
        let n = self.user.len();
        let rows: [&[f32]; ITEMS] = from_fn(|at| &self.rows[at * n..(at + 1) * n]);
        let mut scores = [0.0; ITEMS];
        for (k, &x) in self.user.iter().enumerate() {
            scores = from_fn(|at| rows[at][k].mul_add(x, scores[at]));
        }
        scores
    }
}
