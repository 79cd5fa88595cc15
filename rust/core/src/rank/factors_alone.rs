//! Scores from factors, a user at a time: items side by side.
//!
//! The factors of 32 items lie side by side, factor by factor, so that their scores for a user are
//! added in registers, each in the order of the factors: the same bits as with users side by side.

use std::array::from_fn;

use ndarray::{ArrayView1, ArrayView2};
use pulp::{Simd, WithSimd};

use super::factors_short::{Bounds, ShortUser};
use super::request::{Request, all_finite};
use super::select::Selector;
use crate::base::Result;
use crate::base::dispatch::{dispatch_simd, prefetch};
use crate::base::memory::{filled, with_room};

/// Items side by side: four AVX2 registers, enough to keep the adders busy.
pub(super) const ITEMS: usize = 32;

/// One factor of the items of a block.
type Line = [f32; ITEMS];

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
    lines: Vec<Line>,
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
            lines: filled(n_factors, [0.0; ITEMS], FACTORS)?,
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
        if bounds.lower >= self.lower.threshold() {
            self.lower.push(item, bounds.lower);
        }
        self.reaching.push((item, bounds.upper));
        if self.reaching.len() == REACHING {
            self.offer_reaching(request, at);
        }
        self.lower.threshold()
    }

    /// Score the items that wait, unless enough others turned out to be better.
    pub(super) fn offer_reaching(&mut self, request: &Request, at: usize) {
        self.lower.shorten();
        let threshold = self.lower.threshold();
        let (mut few, mut n_few) = ([0; ITEMS], 0);
        for nth in 0..self.reaching.len() {
            let (item, upper) = self.reaching[nth];
            if upper < threshold {
                continue;
            }
            if let Some(factors) = self.item_factors.row(item as usize).as_slice() {
                prefetch(factors);
            }
            few[n_few] = item;
            n_few += 1;
            if n_few == ITEMS {
                self.offer(&few, request, at);
                n_few = 0;
            }
        }
        self.offer(&few[..n_few], request, at);
        self.reaching.clear();
    }

    /// Score up to `ITEMS` items, and take the best.
    pub(super) fn offer(&mut self, items: &[i32], request: &Request, at: usize) {
        pack(self.item_factors, items, &mut self.lines);
        self.is_finite &= dispatch_simd(Block {
            user: &self.user,
            lines: &self.lines,
            items,
            request,
            at,
            selector: &mut self.selector,
        });
    }
}

/// Put the factors of up to `ITEMS` items side by side; places without an item stay as they are.
fn pack(item_factors: ArrayView2<f32>, items: &[i32], lines: &mut [Line]) {
    for (place, &item) in items.iter().enumerate() {
        for (line, &x) in lines.iter_mut().zip(item_factors.row(item as usize)) {
            line[place] = x;
        }
    }
}

/// Score the items of a block for the user at a position of the request, and take the best.
///
/// Says whether all are finite.
struct Block<'a> {
    user: &'a [f32],
    lines: &'a [Line],
    items: &'a [i32],
    request: &'a Request<'a>,
    at: usize,
    selector: &'a mut Selector,
}

impl WithSimd for Block<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let mut scores = [0.0; ITEMS];
        if S::as_simd_f32s(&scores).0.len() < 4 {
            product::<S, 2>(simd, self.user, self.lines, &mut scores);
        } else {
            product::<S, 4>(simd, self.user, self.lines, &mut scores);
        }
        let scores = &scores[..self.items.len()];
        // Items do not ascend: one with an equal score can displace another by its number.
        let threshold = self.selector.threshold();
        let above: u32 = scores.iter().map(|&s| u32::from(s >= threshold)).sum();
        if above > 0 {
            self.offer(scores);
        }
        all_finite(scores)
    }
}

impl Block<'_> {
    #[inline(never)]
    fn offer(self, scores: &[f32]) {
        for (&item, &score) in self.items.iter().zip(scores) {
            if score >= self.selector.threshold() && !self.request.leaves_out(self.at, item) {
                self.selector.push(item, score);
            }
        }
    }
}

/// Scores of the items of a block, `N` vectors of them at a time.
#[inline(always)]
fn product<S: Simd, const N: usize>(
    simd: S,
    user: &[f32],
    lines: &[Line],
    scores: &mut [f32; ITEMS],
) {
    let (scores, _) = S::as_mut_simd_f32s(scores);
    for (nth, scores) in scores.chunks_exact_mut(N).enumerate() {
        let mut sums = [simd.splat_f32s(0.0); N];
        for (&x, line) in user.iter().zip(lines) {
            let x = simd.splat_f32s(x);
            let items = &S::as_simd_f32s(line).0[nth * N..(nth + 1) * N];
            sums = from_fn(|at| simd.mul_add_f32s(items[at], x, sums[at]));
        }
        scores.copy_from_slice(&sums);
    }
}
